//! The world of a chaos test: the real replicas, outboxes and stores, the clients that use them, and the
//! emulated nodes, all on one thread in virtual time.
//!
//! Nothing may depend on real time, on the order of threads or of hash maps, or on the system's random
//! numbers. Every random number comes from a generator that is derived from the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use zellbook_core::Rules;
use zellbook_core::rules::ReplicaSpec;
use zellular::{Threshold, Verifier};

use zellbook_server::clock::Clock;
use zellbook_server::config::{Fees, development_genesis};
use zellular::client::GatewayAddress;

use super::check::Judge;
use super::disturbance::Disturbance;
use super::ledger::Ledger;
use super::options::{Options, Scenario};
use super::replica::{Common, TestedReplica};
use super::report::Report;
use super::traders::{self, Traders};
use super::transport::Links;
use crate::network::faults::{Fault, FaultKind, Faults};
use crate::network::{Lie, Network, NetworkOptions};

/// The virtual start time, in Unix milliseconds. It is fixed, because nonces and signed texts contain the time.
const START_MS: u64 = 1_795_000_000_000;
/// The number of the issuer's key. Replicas have the numbers from 1 to 16, and traders those from 100.
const ISSUER: u8 = 99;
/// The longest virtual time until the required number of batches is finalized.
const BATCHES_TIMEOUT: Duration = Duration::from_secs(4 * 3600);
/// The longest virtual time from the end of the faults until all replicas have caught up. It is several times
/// the longest wait of an outbox before it posts again.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1800);
/// The time between two rounds of submissions, in milliseconds.
const SUBMIT_MS: std::ops::Range<u64> = 50..1000;
/// The most submissions in a round.
const SUBMITS_MAX: usize = 6;

/// Runs one chaos test on this thread.
pub fn run(options: &Options, seed: u64) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Without the driver of sockets, so that no part can wait for something outside of virtual time.
        // Paused time advances only when all tasks wait, so a slow disk takes no virtual time.
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    std::fs::create_dir_all(&options.folder)
        .map_err(|error| format!("{}: {error}", options.folder.display()))?;
    let result = runtime.block_on(async { World::new(options, seed)?.run().await });
    // Dropping the runtime drops all tasks, which closes the databases before their folder is removed.
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
    replicas: Vec<TestedReplica>,
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
            // The two nodes that are down must leave enough stake for finality.
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
        let gateways = GatewayAddress::of_nodes(&nodes);
        let verifier = Verifier { app_name, nodes: nodes.into(), threshold: Threshold::DEFAULT };
        let common = Common {
            // The sender is dropped at once: the node list of a chaos test never changes.
            verifier: watch::channel(Arc::new(verifier)).1,
            rules,
            clock: Clock::virtual_from(START_MS),
            links: Arc::new(Links::new(network.clone(), rng.u64(..))),
            gateways,
            ledger: Ledger::default(),
            folder: options.folder.clone(),
        };
        let replicas = (1..).take(options.replicas).enumerate();
        let replicas = replicas
            .map(|(index, number)| TestedReplica::new(index, &common.folder, [number; 32]))
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
        // Time for the deposits to be applied.
        sleep(Duration::from_secs(3)).await;
        let faults = self.disturb(started).await?;
        self.settle().await?;
        if nodes.is_finished() {
            return Err("the emulated network stopped unexpectedly".into());
        }
        let bodies = self.network.finalized(&self.common.rules.genesis.app_name);
        // From the emulated nodes and not from a replica, so that all replicas together cannot be wrong unnoticed.
        let judge = Judge::new(&self.common.rules, &bodies)?;
        // Before the replicas are killed, because only a running outbox tells why it gave a transaction up.
        let given_up = judge.check_accepted(
            &self.common.ledger,
            &self.replicas,
            self.common.clock.now_ms(),
        )?;
        for replica in &mut self.replicas {
            // Killed first, so that what is checked is what is on disk.
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
            posted_again: self.replicas.iter().map(TestedReplica::posted_again).sum(),
            leader_changes: self.network.leader_changes(),
            faults,
            elapsed: started.elapsed(),
            latencies: self.common.ledger.latencies(),
            digest: judge.digest,
        })
    }

    /// Submits transactions and injects faults until enough batches are finalized.
    async fn disturb(&mut self, started: Instant) -> Result<BTreeMap<&'static str, u32>, String> {
        let mut disturbance = match self.options.scenario {
            Scenario::Chaos => {
                let kinds = self.options.faults.clone();
                let links = Arc::clone(&self.common.links);
                Some(Disturbance::new(&self.network, links, kinds, &mut self.rng))
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
            // A seed without one kind of fault would test less than it says.
            || disturbance.as_ref().is_some_and(|disturbance| !disturbance.has_had_all())
        {
            if started.elapsed() > BATCHES_TIMEOUT {
                return Err(self.describe("too few batches were finalized"));
            }
            sleep(Duration::from_millis(self.rng.u64(SUBMIT_MS))).await;
            // In every round, so that a failure is reported near the fault that caused it.
            self.fail_if_ended().await?;
            let replica = self.rng.usize(0..self.replicas.len());
            for _ in 0..self.rng.usize(1..=SUBMITS_MAX) {
                let now_ms = self.common.clock.now_ms();
                let signed = self.traders.next(&self.common.rules, now_ms, &mut self.rng);
                self.submit(replica, signed);
            }
            if let Some(disturbance) = &mut disturbance {
                disturbance.step(&mut self.replicas, &self.common).await?;
            }
            // The gateway tells another lie every 20 rounds, so that all of them occur.
            if self.options.scenario == Scenario::Gateways && rounds.is_multiple_of(20) {
                liar.begin(lie(Lie::ALL[rounds / 20 % Lie::ALL.len()]));
            }
            rounds += 1;
            if rounds.is_multiple_of(10) {
                let elapsed = started.elapsed().as_secs_f64();
                tracing::debug!("after {elapsed:.1} s: {}", self.describe("no failure"));
            }
        }
        let Some(mut disturbance) = disturbance else { return Ok(BTreeMap::new()) };
        disturbance.stop(&mut self.replicas, &self.common)?;
        Ok(disturbance.counts)
    }

    /// Submits a transaction to a replica. Nothing happens if the replica is down.
    fn submit(&self, replica: usize, signed: traders::Signed) {
        if let Some(outbox) = self.replicas.get(replica).and_then(TestedReplica::outbox) {
            // A task of its own: the faults must not wait until the outbox has answered.
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

    /// Waits until all outboxes are empty and all replicas have applied the last batch.
    async fn settle(&mut self) -> Result<(), String> {
        let since = Instant::now();
        let app_name = self.common.rules.genesis.app_name.clone();
        loop {
            sleep(Duration::from_millis(50)).await;
            self.fail_if_ended().await?;
            // Attestations may still add batches. One moment at which all agree is enough.
            let last = self.network.finalized_index(&app_name);
            let is_settled = self.replicas.iter().all(|replica| {
                let at = replica.published().map(|published| published.batch);
                replica.waiting() == 0 && at == Some(last)
            });
            if is_settled {
                return Ok(());
            }
            if since.elapsed() > SETTLE_TIMEOUT {
                return Err(self.describe("the replicas did not catch up"));
            }
        }
    }

    /// A message with the state of all nodes and replicas.
    fn describe(&self, what: &str) -> String {
        let app_name = &self.common.rules.genesis.app_name;
        let (last, nodes) =
            (self.network.finalized_index(app_name), self.network.describe(app_name));
        let replicas = self
            .replicas
            .iter()
            .map(|replica| format!("\n  {} {}", replica.name(), replica.describe()));
        format!("{what}: {last} batches are sequenced{nodes}{}", replicas.collect::<String>())
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
            folder: folder.path().join("chaos"),
        }
    }

    #[test]
    fn a_seed_determines_the_whole_history() {
        let folder = tempfile::tempdir().unwrap();
        let first = run(&options(&folder), 1).unwrap();
        assert_eq!(run(&options(&folder), 1).unwrap(), first);
        assert_ne!(run(&options(&folder), 2).unwrap().digest, first.digest);
        assert!(first.batches >= 40 && first.applied > 0 && !first.faults.is_empty());
    }

    /// A key's nonces are a window of 64: a transaction that comes in behind 64 higher ones is rejected for ever.
    #[tokio::test(start_paused = true)]
    async fn a_key_with_hundreds_in_flight_loses_none_to_a_change_of_leader() {
        const ORDERS: usize = 640;
        let folder = tempfile::tempdir().unwrap();
        let options = Options { scenario: Scenario::Calm, replicas: 1, ..options(&folder) };
        for seed in 1..=5 {
            let folder = options.folder.join(seed.to_string());
            let options = Options { folder, ..options.clone() };
            let mut world = World::new(&options, seed).unwrap();
            let (network, clock) = (world.network.clone(), world.common.clock);
            let nodes = tokio::spawn(async move { network.run(clock).await });
            world.replicas[0].start(&world.common, &mut world.rng).unwrap();
            let rules = Arc::clone(&world.common.rules);
            for signed in world.traders.deposits(&rules, clock.now_ms()) {
                world.submit(0, signed);
            }
            sleep(Duration::from_secs(3)).await;
            for signed in world.traders.burst(&rules, clock.now_ms(), ORDERS) {
                world.submit(0, signed);
            }
            // While some are applied and others on their way, the leader is killed with what it has in memory, and a
            // little later its successor.
            let mut faults = Faults::new(world.network.clone(), Vec::new(), seed);
            for _ in 0..2 {
                sleep(Duration::from_millis(700)).await;
                let leader = faults.draw(Some(FaultKind::Freeze)).unwrap();
                let fault = Fault { kind: FaultKind::Kill, ..leader };
                faults.begin(fault);
                sleep(Duration::from_secs(15)).await;
                faults.end(fault);
            }
            world.settle().await.unwrap();
            nodes.abort();
            let bodies = world.network.finalized(&rules.genesis.app_name);
            let judge = Judge::new(&rules, &bodies).unwrap();
            let accepted = world.common.ledger.accepted().clone();
            assert!(accepted.len() > ORDERS, "seed {seed}: {} accepted", accepted.len());
            for hash in accepted.keys() {
                // Neither rejected, for example as `nonce_too_old`, nor given up.
                assert_eq!(judge.outcomes.get(hash), Some(&None), "seed {seed}");
            }
            let (changes, again) =
                (world.network.leader_changes(), world.replicas[0].posted_again());
            println!("seed {seed}: {changes} changes of leader, {again} transactions posted again");
            assert!(
                changes > 0 && again > 0,
                "seed {seed}: {changes} changes, {again} posted again"
            );
            world.replicas[0].kill().await;
        }
    }

    #[test]
    fn no_seed_ends_before_each_kind_of_fault_has_occurred() {
        let folder = tempfile::tempdir().unwrap();
        // With one kind of node fault and few batches, a run could end soon after its first fault.
        let options = Options { faults: vec![FaultKind::Lag], batches: 5, ..options(&folder) };
        for seed in 1..5 {
            let report = run(&options, seed).unwrap();
            for kind in ["lag", "cut", "losses", "replica kill"] {
                assert!(report.faults.contains_key(kind), "seed {seed}: {:?}", report.faults);
            }
        }
    }
}
