//! A deterministic simulation: real replicas, outboxes, clients of the network and SQLite, on emulated
//! nodes, in virtual time on one thread. All that is random comes from the seed, so that a seed that
//! fails does so again.

mod chaos;
mod check;
mod ledger;
mod replica;
mod traders;
mod transport;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use zellbook_core::finality::{Threshold, Verifier};
use zellbook_core::genesis::{ReplicaSpec, Rules};
use zellbook_core::units::Decimal;

use crate::clock::Clock;
use crate::config::{Fees, development_genesis};
use crate::devnet::faults::{Fault, FaultKind, Faults};
use crate::devnet::{Lie, Network, NetworkOptions};
use crate::sequencer::GatewayAddress;
use chaos::Chaos;
use check::Judge;
use ledger::Ledger;
use replica::{Common, SimulatedReplica};
use traders::Traders;
use transport::Links;

/// When the simulated world begins: Unix milliseconds.
const START_MS: u64 = 1_795_000_000_000;
/// The number of the issuer's key.
const ISSUER: u8 = 99;
/// What a simulation may take until it has its batches, in virtual time.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// And after the last fault.
const SETTLING: Duration = Duration::from_secs(1800);
/// Milliseconds between two rounds of submissions, and how many each has at most.
const SUBMIT_MS: std::ops::Range<u64> = 50..1000;
const SUBMITS_MAX: usize = 6;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// All kinds of faults at random, until there are enough batches
    Chaos,
    /// Two of four gateways dead and one lying, all the time; nothing else
    Gateways,
    /// No faults
    Calm,
}

/// How it is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The scenario.
    pub scenario: Scenario,
    /// How many replicas.
    pub replicas: usize,
    /// How many nodes, in chaos.
    pub nodes: usize,
    /// How many batches are final before the faults end.
    pub batches: u64,
    /// Which faults nodes have, in chaos.
    pub faults: Vec<FaultKind>,
    /// Where databases are kept while it runs.
    pub folder: PathBuf,
}

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many batches are final.
    pub batches: usize,
    /// How many transactions were accepted.
    pub accepted: usize,
    /// How many of all transactions were applied.
    pub applied: usize,
    /// How many were rejected.
    pub rejected: usize,
    /// How many were accepted, and expired or were superseded before they were in the sequence.
    pub given_up: usize,
    /// How many were in the sequence again.
    pub copies: usize,
    /// How many of these outboxes can have made, which posted so many again; the nodes made the others.
    pub posted_again: u64,
    /// How often the leader was changed.
    pub leader_changes: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u32>,
    /// How long it took, in virtual time.
    pub elapsed: Duration,
    /// From submit to applied: the median, the 99th percentile, the longest.
    pub latencies: (Duration, Duration, Duration),
    /// SHA-256 over all bodies and roots.
    pub digest: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |duration: Duration| duration.as_millis() as f64 / 1000.0;
        let (median, p99, longest) = self.latencies;
        let Self { batches, accepted, applied, rejected, given_up, copies, posted_again, .. } =
            self;
        let changes = self.leader_changes;
        write!(
            f,
            "{batches} batches, {accepted} accepted, {applied} applied, {rejected} rejected, \
             {given_up} given up, {copies} copies, {posted_again} posted again; {changes} leader changes"
        )?;
        for (kind, count) in &self.faults {
            write!(f, ", {count} {kind}")?;
        }
        write!(
            f,
            "; {:.0} s; submit to applied {:.2} s median, {:.2} s p99, {:.2} s longest; {}",
            seconds(self.elapsed),
            seconds(median),
            seconds(p99),
            seconds(longest),
            self.digest.get(..16).unwrap_or_default(),
        )
    }
}

/// Runs one simulation on this thread.
pub fn simulate(options: &Options, seed: u64) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    std::fs::create_dir_all(&options.folder)
        .map_err(|error| format!("{}: {error}", options.folder.display()))?;
    let result = runtime.block_on(async { World::new(options, seed)?.run().await });
    drop(runtime);
    let removed = std::fs::remove_dir_all(&options.folder);
    let report = result?;
    removed.map_err(|error| format!("{}: {error}", options.folder.display()))?;
    Ok(report)
}

struct World<'a> {
    options: &'a Options,
    rng: Rng,
    network: Network,
    common: Common,
    replicas: Vec<SimulatedReplica>,
    traders: Traders,
}

fn rules(replicas: usize) -> Result<Rules, String> {
    let issuer = traders::key(ISSUER).public_key();
    let replicas = (1..)
        .take(replicas)
        .map(|number| ReplicaSpec { public_key: traders::key(number).public_key(), weight: 1 });
    let fees = Fees { account: issuer, maker_bps: 5, taker_bps: 10 };
    development_genesis(issuer, false, replicas.collect(), fees).map_err(|error| error.to_string())
}

impl<'a> World<'a> {
    fn new(options: &'a Options, seed: u64) -> Result<Self, String> {
        let mut rng = Rng::with_seed(seed);
        let rules = Arc::new(rules(options.replicas)?);
        let app_name = rules.genesis.app_name.clone();
        let stakes = match options.scenario {
            // The dead must not have so much stake that nothing is final any more.
            Scenario::Gateways => vec![40, 40, 10, 10],
            Scenario::Chaos | Scenario::Calm => vec![10; options.nodes],
        };
        let network = Network::new(NetworkOptions {
            apps: vec![app_name.clone()],
            stakes,
            interval: Duration::from_millis(200),
            seed: rng.u64(..),
            ..NetworkOptions::default()
        });
        let network = network.map_err(|error| error.to_string())?;
        let urls: Vec<String> = (0..network.len()).map(Links::url).collect();
        let nodes = network.node_list(&urls).map_err(|error| error.to_string())?;
        let gateways = nodes
            .nodes()
            .map(|node| GatewayAddress { url: node.socket.clone(), stake: node.stake });
        let gateways = gateways.collect();
        let threshold = Decimal::parse("67").ok().and_then(Threshold::from_percent);
        let threshold = threshold.ok_or("67 is a percentage")?;
        let verifier = Verifier { app_name, nodes: nodes.into(), threshold };
        let common = Common {
            verifier: watch::channel(Arc::new(verifier)).1,
            rules,
            clock: Clock::simulated(START_MS),
            links: Arc::new(Links::new(network.clone(), rng.u64(..))),
            gateways,
            ledger: Ledger::default(),
            folder: options.folder.clone(),
        };
        let replicas = (1..).take(options.replicas).enumerate();
        let replicas = replicas
            .map(|(place, number)| SimulatedReplica::new(place, &common.folder, [number; 32]))
            .collect();
        let traders = Traders::new(ISSUER);
        Ok(Self { options, rng, network, common, replicas, traders })
    }

    async fn run(mut self) -> Result<Report, String> {
        let started = Instant::now();
        let (network, clock) = (self.network.clone(), self.common.clock);
        let nodes = tokio::spawn(async move { network.run(clock).await });
        for replica in &mut self.replicas {
            replica.start(&self.common, &mut self.rng)?;
        }
        let now_ms = self.common.clock.now_ms();
        let deposits = self.traders.deposits(&self.common.rules, now_ms);
        for (number, signed) in deposits.into_iter().enumerate() {
            self.submit(number % self.options.replicas, signed);
        }
        // Then everybody has something to trade with.
        sleep(Duration::from_secs(3)).await;
        let faults = self.disturb(started).await?;
        self.settle().await?;
        if nodes.is_finished() {
            return Err("the emulated network ended by itself".into());
        }
        let bodies = self.network.finalized(&self.common.rules.genesis.app_name);
        let judge = Judge::new(&self.common.rules, &bodies)?;
        let given_up = judge.check_accepted(&self.common.ledger, &self.replicas)?;
        for replica in &mut self.replicas {
            replica.kill().await;
            judge.check(replica, &self.common.rules)?;
        }
        nodes.abort();
        let applied = judge.outcomes.values().filter(|code| code.is_none()).count();
        let accepted = self.common.ledger.accepted().len();
        Ok(Report {
            batches: judge.roots.len(),
            accepted,
            applied,
            rejected: judge.outcomes.len() - applied,
            given_up,
            copies: judge.copies,
            posted_again: self.replicas.iter().map(SimulatedReplica::posted_again).sum(),
            leader_changes: self.network.leader_changes(),
            faults,
            elapsed: started.elapsed(),
            latencies: self.common.ledger.latencies(),
            digest: judge.digest,
        })
    }

    /// Lets clients submit and faults happen until there are enough batches.
    async fn disturb(&mut self, started: Instant) -> Result<BTreeMap<&'static str, u32>, String> {
        let mut chaos = match self.options.scenario {
            Scenario::Chaos => {
                let kinds = self.options.faults.clone();
                let links = Arc::clone(&self.common.links);
                Some(Chaos::new(&self.network, links, kinds, &mut self.rng))
            }
            Scenario::Gateways | Scenario::Calm => None,
        };
        let mut liar = Faults::new(self.network.clone(), Vec::new(), self.rng.u64(..));
        let lie = |lie| Fault { kind: FaultKind::Lie, node: 1, lie };
        if self.options.scenario == Scenario::Gateways {
            for node in [2, 3] {
                liar.begin(Fault { kind: FaultKind::Kill, node, lie: Lie::State });
            }
        }
        let app_name = self.common.rules.genesis.app_name.clone();
        let mut rounds = 0_usize;
        while self.network.finalized_index(&app_name) < self.options.batches
            || chaos.as_ref().is_some_and(|chaos| !chaos.has_had_all())
        {
            if started.elapsed() > PATIENCE {
                return Err(self.stuck("there are too few batches"));
            }
            sleep(Duration::from_millis(self.rng.u64(SUBMIT_MS))).await;
            self.fail_if_ended().await?;
            let replica = self.rng.usize(0..self.replicas.len());
            for _ in 0..self.rng.usize(1..=SUBMITS_MAX) {
                let now_ms = self.common.clock.now_ms();
                let signed = self.traders.next(&self.common.rules, now_ms, &mut self.rng);
                self.submit(replica, signed);
            }
            if let Some(chaos) = &mut chaos {
                chaos.step(&mut self.replicas, &self.common).await?;
            }
            if self.options.scenario == Scenario::Gateways && rounds.is_multiple_of(20) {
                liar.begin(lie(Lie::ALL[rounds / 20 % Lie::ALL.len()]));
            }
            rounds += 1;
            if rounds.is_multiple_of(10) {
                let elapsed = started.elapsed().as_secs_f64();
                tracing::debug!("after {elapsed:.1} s {}", self.stuck("all is well"));
            }
        }
        let Some(mut chaos) = chaos else { return Ok(BTreeMap::new()) };
        chaos.stop(&mut self.replicas, &self.common)?;
        Ok(chaos.counts)
    }

    /// Hands a transaction to a replica, which may be killed meanwhile; one that is dead takes none.
    fn submit(&self, replica: usize, signed: traders::Signed) {
        if let Some(outbox) = self.replicas.get(replica).and_then(SimulatedReplica::outbox) {
            tokio::spawn(traders::submit(outbox, self.common.ledger.clone(), replica, signed));
        }
    }

    async fn fail_if_ended(&mut self) -> Result<(), String> {
        for replica in &mut self.replicas {
            if let Some(failure) = replica.failure().await {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Waits until all outboxes are empty and all replicas are where the network is.
    async fn settle(&mut self) -> Result<(), String> {
        let since = Instant::now();
        let app_name = self.common.rules.genesis.app_name.clone();
        loop {
            sleep(Duration::from_millis(50)).await;
            self.fail_if_ended().await?;
            let last = self.network.finalized_index(&app_name);
            let is_settled = self.replicas.iter().all(|replica| {
                let at = replica.published().map(|published| published.batch);
                replica.waiting() == 0 && at == Some(last)
            });
            if is_settled {
                return Ok(());
            }
            if since.elapsed() > SETTLING {
                return Err(self.stuck("the replicas do not come to rest"));
            }
        }
    }

    /// Where all are, for people.
    fn stuck(&self, what: &str) -> String {
        let app_name = &self.common.rules.genesis.app_name;
        let (last, nodes) =
            (self.network.finalized_index(app_name), self.network.describe(app_name));
        let replicas = self
            .replicas
            .iter()
            .map(|replica| format!("\n  {} {}", replica.name(), replica.describe()));
        format!("{what}: {last} are final{nodes}{}", replicas.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &tempfile::TempDir) -> Options {
        Options {
            scenario: Scenario::Chaos,
            replicas: 3,
            nodes: 4,
            batches: 40,
            faults: FaultKind::ALL.to_vec(),
            folder: folder.path().join("simulation"),
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_history_and_another_seed_another() {
        let folder = tempfile::tempdir().unwrap();
        let first = simulate(&options(&folder), 1).unwrap();
        assert_eq!(simulate(&options(&folder), 1).unwrap(), first);
        assert_ne!(simulate(&options(&folder), 2).unwrap().digest, first.digest);
        assert!(first.batches >= 40 && first.applied > 0 && !first.faults.is_empty());
    }
}
