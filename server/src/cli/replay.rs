//! `zellbook replay`: applies all batches again from genesis and compares the results.
//!
//! The batches come from a data directory, from a replica's API, or from a file of bodies without proofs.
//! With proofs, a batch is applied only once a signature of the network covers it, and its state root must
//! be the one that the replica stored. In all cases each root that replicas certified must be the one
//! computed here. The batches after the last certified one are only sequenced, and the result says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use zellbook_core::wire::{BatchBody, BatchesResponse};
use zellbook_core::{Batch, Event, Exchange, Hash, Outcome, Rules};
use zellular::{Membership, Position, Threshold, Verifier, Walker};

use super::client::Client;
use super::dump::Dump;
use super::failure::{Failure, block_on};
use super::network::{OPERATORS_FOLDER, read_nodes, threshold_of};
use super::output::Output;
use crate::bootstrap::page_of;
use crate::config::{io_error, read_genesis};
use crate::store::Reader;
use zellular::client::eigenlayer::read_lists;

/// Bodies are read from a store in chunks of about this size, so that memory stays bounded.
const CHUNK_BYTES: usize = 4 << 20;

#[derive(Args)]
pub struct ReplayArguments {
    /// Data directory or URL of the replica to check
    #[arg(
        long,
        value_name = "DIR|URL",
        required_unless_present = "bodies",
        conflicts_with = "bodies"
    )]
    from: Option<String>,
    /// Node list to check the proofs against; required with a URL [default: the one in the data directory]
    #[arg(long, value_name = "FILE", conflicts_with = "bodies")]
    nodes: Option<PathBuf>,
    /// Percentage of the stake that must have signed [default: the one in the data directory, else 67]
    #[arg(long, value_name = "PERCENT")]
    threshold: Option<Threshold>,
    /// File of batch bodies to apply instead, in sequence: one JSON string per line
    #[arg(long, requires_all = ["genesis", "unsequenced"], value_name = "FILE")]
    bodies: Option<PathBuf>,
    /// Genesis file; with --from it must match the replica's
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Accept that --bodies has no signatures, so that nothing shows that the network sequenced it
    #[arg(long, requires = "bodies")]
    unsequenced: bool,
    /// Write the final state, all trades and all outcomes as JSON to this file
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// Check every invariant after every batch (slow)
    #[arg(long)]
    check: bool,
}

pub fn replay(arguments: ReplayArguments, output: Output) -> Result<(), Failure> {
    let given = arguments.genesis.as_deref().map(read_genesis).transpose()?;
    let replay = match (&arguments.bodies, &arguments.from) {
        (Some(bodies), _) => {
            let rules = given.ok_or("--bodies needs --genesis")?;
            eprintln!(
                "WARNING: replaying bodies without signatures; nothing shows that the network sequenced them"
            );
            // Bodies alone have no index and no root, so there is nothing to compare but the roots that
            // they certify.
            let mut replay = Replay::new(rules, &arguments);
            replay.bodies(bodies)?;
            replay
        }
        (None, Some(from)) if from.starts_with("http://") || from.starts_with("https://") => {
            block_on(from_url(from, given, &arguments))?
        }
        (None, Some(from)) => from_folder(Path::new(from), given, &arguments)?,
        (None, None) => return Err("one of --from and --bodies is required".into()),
    };
    replay.finish(&arguments, output)
}

/// The state after the batches applied so far.
struct Replay {
    rules: Arc<Rules>,
    exchange: Exchange,
    check: bool,
    /// Our roots after the last certified batch. Certified roots come in order, so older ones are dropped.
    roots: BTreeMap<u64, Hash>,
    /// The number of certified roots so far, all equal to ours.
    certified: u64,
    /// The last batch with such a root.
    certified_batch: u64,
    /// `None` without `--dump`: the events of a long history need much memory.
    dump: Option<Dump>,
    transactions: u64,
    rejected: u64,
    progress: Progress,
}

struct Progress {
    started: Instant,
    reported: Instant,
}

impl Replay {
    fn new(rules: Rules, arguments: &ReplayArguments) -> Self {
        let rules = Arc::new(rules);
        let now = Instant::now();
        Self {
            exchange: Exchange::new(Arc::clone(&rules)),
            rules,
            check: arguments.check,
            roots: BTreeMap::new(),
            certified: 0,
            certified_batch: 0,
            dump: arguments.dump.is_some().then(Dump::default),
            transactions: 0,
            rejected: 0,
            progress: Progress { started: now, reported: now },
        }
    }

    fn apply(&mut self, body: &str) -> Result<Outcome, Failure> {
        let index = self.exchange.counters().batch + 1;
        let batch = Batch::check(&self.rules, index, body.as_bytes());
        let outcome = self
            .exchange
            .apply(&batch)
            .map_err(|corrupt| Failure::difference(format!("batch {index}: {corrupt}")))?;
        for transaction in &outcome.transactions {
            self.transactions += 1;
            self.rejected += u64::from(transaction.result.is_err());
        }
        if self.check {
            self.exchange
                .recount()
                .map_err(|broken| Failure::difference(format!("after batch {index}: {broken}")))?;
        }
        if let Some(dump) = &mut self.dump {
            dump.add(&self.rules, &outcome);
        }
        self.check_certified(&outcome)?;
        Ok(outcome)
    }

    /// Fails if replicas certified another root than the one computed here.
    fn check_certified(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        self.roots.insert(outcome.index, outcome.root);
        for event in
            outcome.transactions.iter().flat_map(|transaction| &transaction.result).flatten()
        {
            let Event::Certified { batch, root } = event else { continue };
            // An unknown root counts as different. It cannot be unknown: the replay began at genesis, and
            // roots are dropped only up to the last certified batch.
            let ours = self.roots.get(batch).map_or_else(String::new, hex::encode);
            let certified = hex::encode(root);
            if ours != certified {
                return Err(Failure::difference(format!(
                    "batch {}: replicas certified the root {certified} for batch {batch}, but the root computed here is {ours}",
                    outcome.index
                )));
            }
            self.certified += 1;
            self.certified_batch = *batch;
            // Certified batches only increase, so the roots up to this one are not needed any more.
            self.roots = self.roots.split_off(&(batch + 1));
        }
        Ok(())
    }

    /// The number of batches after the last certified one.
    fn tail(&self) -> u64 {
        self.exchange.counters().batch.saturating_sub(self.certified_batch)
    }

    fn describe_certified(&self) -> String {
        match (self.certified, self.certified_batch) {
            (0, _) => "no batch; replicas certified no root".into(),
            (1, batch) => format!("up to batch {batch}, by 1 root, equal to ours"),
            (roots, batch) => format!("up to batch {batch}, by {roots} roots, all equal to ours"),
        }
    }

    fn describe_sequenced(&self, unsequenced: bool) -> String {
        let (last, tail) = (self.exchange.counters().batch, self.tail());
        if unsequenced {
            return "NOT CHECKED (--unsequenced)".into();
        }
        let tail = match tail {
            0 => "all certified".into(),
            1 => format!(
                "batch {last} is sequenced and not certified: a dishonest gateway may have forged it"
            ),
            tail => format!(
                "the last {tail}, from batch {} on, are sequenced and not certified: a dishonest gateway may have forged them",
                last.saturating_sub(tail).saturating_add(1)
            ),
        };
        format!(
            "all {last} batches, with valid signatures of the network and the stored roots; {tail}"
        )
    }

    /// Prints the progress, at most once per second.
    fn report(&mut self, last: Option<u64>) {
        if self.progress.reported.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.progress.reported = Instant::now();
        let batch = self.exchange.counters().batch;
        let of = last.map_or_else(String::new, |last| format!(" of {last}"));
        eprintln!("batch {batch}{of}, {:.0} transactions/s", self.rate());
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn rate(&self) -> f64 {
        self.transactions as f64 / self.progress.started.elapsed().as_secs_f64().max(1e-9)
    }

    fn bodies(&mut self, path: &Path) -> Result<(), Failure> {
        let file = BufReader::new(File::open(path).map_err(io_error(path))?);
        for (number, line) in (1..).zip(file.lines()) {
            let line =
                line.map_err(|error| format!("{} line {number}: {error}", path.display()))?;
            let body: String = serde_json::from_str(&line).map_err(|error| {
                format!("{} line {number}: not a JSON string: {error}", path.display())
            })?;
            self.apply(&body)?;
            self.report(None);
        }
        Ok(())
    }

    fn finish(mut self, arguments: &ReplayArguments, output: Output) -> Result<(), Failure> {
        let root = hex::encode(self.exchange.root());
        let seconds = self.progress.started.elapsed().as_secs_f64();
        let (counters, rate) = (*self.exchange.counters(), self.rate());
        // Only now that everything was correct: a replay that fails leaves the dump file as it was (section
        // 15 of the protocol).
        if let (Some(path), Some(dump)) = (&arguments.dump, self.dump.take()) {
            let value = dump.finish(&self.rules, &self.exchange);
            let file = File::create(path).map_err(io_error(path))?;
            let mut writer = std::io::BufWriter::new(file);
            serde_json::to_writer(&mut writer, &value)?;
            // Dropping the writer would flush it too, but ignore a full disk.
            writer.flush().map_err(io_error(path))?;
        }
        let applied = self.transactions - self.rejected;
        output.print(
            || {
                format!(
                    "batches       {}\ntransactions  {} ({applied} applied, {} rejected)\ntrades        {}\nroot          {root}\ncertified     {}\nsequenced     {}\nspeed         {rate:.0} transactions/s in {seconds:.2} s",
                    counters.batch,
                    self.transactions,
                    self.rejected,
                    counters.trade,
                    self.describe_certified(),
                    self.describe_sequenced(arguments.unsequenced),
                )
            },
            || {
                json!({
                    "batches": counters.batch.to_string(),
                    "transactions": self.transactions.to_string(),
                    "applied": applied.to_string(),
                    "rejected": self.rejected.to_string(),
                    "trades": counters.trade.to_string(),
                    "root": root,
                    "certified_roots": self.certified.to_string(),
                    "certified_batch": self.certified_batch.to_string(),
                    "not_certified": self.tail().to_string(),
                    "sequenced": !arguments.unsequenced,
                    "seconds": seconds,
                    "transactions_per_second": rate,
                })
            },
        );
        Ok(())
    }
}

/// Checks a replica's batches against the network's signatures, and its roots against our own.
struct Audit {
    replay: Replay,
    verifier: Verifier,
    walker: Walker,
    /// The replica's roots of batches that we have read but that no signature covers yet.
    roots: BTreeMap<u64, String>,
    /// Whether the replica's last batches belong to a group that it has not read to the end, so that the
    /// signature over them comes with a later batch.
    is_open: bool,
}

impl Audit {
    fn new(
        rules: Rules,
        nodes: Membership,
        threshold: Threshold,
        arguments: &ReplayArguments,
    ) -> Self {
        let app_name = rules.genesis.app_name.clone();
        Self {
            replay: Replay::new(rules, arguments),
            verifier: Verifier { app_name, nodes, threshold },
            walker: Walker::new(Position::start()),
            roots: BTreeMap::new(),
            is_open: false,
        }
    }

    /// Checks and applies the batches that follow [`Walker::after`].
    fn take(&mut self, batches: Vec<BatchBody>, last: u64) -> Result<(), Failure> {
        self.is_open = false;
        for batch in &batches {
            // Compared once the batch is sequenced and applied. The walker limits how many batches can wait,
            // and so how many roots.
            self.roots.insert(number(&batch.index)?, batch.root.clone());
            self.is_open = number(&batch.proof.index)? > last;
        }
        let page = page_of(batches, &self.walker).map_err(Failure::difference)?;
        // What is sequenced is applied before the error is reported, so that a root that differs earlier is
        // named first.
        let (groups, error) = self.walker.take(&self.verifier, page);
        for proven in groups.into_iter().flat_map(|group| group.batches) {
            let outcome = self.replay.apply(&proven.body)?;
            let root = hex::encode(outcome.root);
            let stored = self.roots.remove(&proven.index);
            if stored.as_ref() != Some(&root) {
                let stored = stored.unwrap_or_default();
                return Err(Failure::difference(format!(
                    "batch {} is the first one that differs: its root is {root}, but the replica stored {stored}",
                    proven.index
                )));
            }
            self.replay.report(Some(last));
        }
        error.map_or(Ok(()), |error| {
            let after = self.walker.proven().index;
            Err(Failure::difference(format!("after batch {after}: {error}")))
        })
    }

    fn finish(self) -> Result<Replay, Failure> {
        let unproven = self.walker.after() - self.walker.proven().index;
        // A running replica commits parts of a long group, so this is normal and no failure.
        if unproven > 0 && self.is_open {
            eprintln!(
                "the last {unproven} batches were not checked: they belong to a group that the replica has not finished"
            );
        } else if unproven > 0 {
            let proven = self.walker.proven().index;
            let message = format!(
                "no stored sequence proof covers the last {unproven} batches, after batch {proven}"
            );
            return Err(Failure::difference(message));
        }
        Ok(self.replay)
    }
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::difference(format!("{text:?} is not a whole number")))
}

fn check_genesis(theirs: Rules, given: Option<Rules>) -> Result<Rules, Failure> {
    match given {
        Some(ours) if ours.network != theirs.network => Err(Failure::difference(format!(
            "the replica belongs to network {}, but the genesis file is for {}",
            theirs.network, ours.network
        ))),
        _ => Ok(theirs),
    }
}

/// The nodes of the given node list, or those that the data directory's proofs were checked with.
pub(super) fn membership(folder: &Path, given: Option<&Path>) -> Result<Membership, Failure> {
    let operators = folder.join(OPERATORS_FOLDER);
    Ok(match given {
        Some(path) => read_nodes(path)?.into(),
        // The folder exists only for EigenLayer networks. Each signature is checked against the operators
        // at its block.
        None if operators.exists() => Membership::ByBlock(read_lists(&operators)?),
        None => read_nodes(&folder.join("nodes.json"))?.into(),
    })
}

/// A replica that started from a snapshot does not have the first batches.
fn refuse_snapshot(name: impl std::fmt::Display, start: u64) -> Result<(), Failure> {
    if start == 0 {
        return Ok(());
    }
    Err(format!("{name} started from a snapshot of batch {start} and does not have the batches before it. Replay a replica that has them, and compare the two with zellbook diff").into())
}

fn from_folder(
    folder: &Path,
    given: Option<Rules>,
    arguments: &ReplayArguments,
) -> Result<Replay, Failure> {
    let rules = check_genesis(read_genesis(&folder.join("genesis.json"))?, given)?;
    let nodes = membership(folder, arguments.nodes.as_deref())?;
    let path = folder.join("replica.sqlite");
    if !path.exists() {
        return Err(format!(
            "{} does not exist; is {} the data directory of a replica?",
            path.display(),
            folder.display()
        )
        .into());
    }
    // Without the directory's lock: SQLite lets readers in while the replica writes.
    let reader = Reader::new(&path, Arc::new(rules.clone()));
    refuse_snapshot(folder.display(), reader.read_now(|view| view.start())?)?;
    let threshold = threshold_of(folder, arguments.threshold)?;
    let mut audit = Audit::new(rules, nodes, threshold, arguments);
    loop {
        let after = audit.walker.after();
        // One read transaction, because the replica may be running and adding batches.
        let (batches, last) =
            reader.read_now(|view| Ok((view.batches(after, CHUNK_BYTES)?, view.last_batch()?)))?;
        if batches.is_empty() {
            return audit.finish();
        }
        audit.take(batches, last)?;
    }
}

async fn from_url(
    url: &str,
    given: Option<Rules>,
    arguments: &ReplayArguments,
) -> Result<Replay, Failure> {
    let path = arguments.nodes.as_ref().ok_or(
        "--nodes is required: give the node list of the sequencer network, because a list from the replica itself would prove nothing",
    )?;
    let nodes = read_nodes(path)?.into();
    let client = Client::new(url)?;
    // Like the nodes, not from the replica itself.
    let threshold = arguments.threshold.unwrap_or(Threshold::DEFAULT);
    let rules = check_genesis(client.rules().await?, given)?;
    let mut audit = Audit::new(rules, nodes, threshold, arguments);
    loop {
        let after = audit.walker.after();
        let answer: BatchesResponse = client.get(&format!("/v1/batches?after={after}")).await?;
        // Checked first: otherwise the first batch of such a replica would be reported as out of sequence.
        refuse_snapshot(url, number(&answer.start)?)?;
        if answer.batches.is_empty() {
            return audit.finish();
        }
        audit.take(answer.batches, number(&answer.last)?)?;
    }
}
