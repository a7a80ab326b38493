//! `zellbook replay`: applies all batches again from genesis and compares the results.
//!
//! The batches come from a data directory, from a replica's API, or from a file of bodies without proofs.
//! With proofs, a batch is applied only once a signature of the network covers it, and its state root must
//! be the one that the replica stored. In all cases each root that replicas certified must be the one
//! computed here. The batches after the last certified one are only sequenced, and the result says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use zellbook_core::Rules;
use zellbook_core::wire::{BatchBody, BatchesResponse};
use zellular::{Membership, Position, Threshold, Verifier, Walker};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::network::{OPERATORS_FOLDER, read_nodes, stored_threshold};
use super::output::Output;
use super::replayed::Replay;
use crate::bootstrap::page_of;
use crate::config::read_genesis;
use crate::store::{QueryError, Reader};
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
    /// Percentage of the stake that must have signed; it belongs to the network, like its nodes [default: the one
    /// in the file `threshold` of the data directory, else 67; with a URL: the one beside --nodes, else required]
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
            let mut replay = Replay::new(rules, arguments.check, arguments.dump.is_some());
            replay.bodies(bodies)?;
            replay
        }
        (None, Some(from)) if from.starts_with("http://") || from.starts_with("https://") => {
            block_on(from_url(from, given, &arguments))?
        }
        (None, Some(from)) => from_folder(Path::new(from), given, &arguments)?,
        (None, None) => return Err("one of --from and --bodies is required".into()),
    };
    replay.finish(arguments.dump.as_deref(), arguments.unsequenced, output)
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
        threshold: Option<Threshold>,
        arguments: &ReplayArguments,
    ) -> Self {
        let app_name = rules.genesis.app_name.clone();
        let is_default = threshold.is_none();
        let threshold = threshold.unwrap_or(Threshold::DEFAULT);
        let mut replay = Replay::new(rules, arguments.check, arguments.dump.is_some());
        replay.threshold = Some((threshold, is_default));
        Self {
            replay,
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
    let failed = |error: QueryError| {
        if error.is_damage() {
            let path = path.display();
            Failure::difference(format!("{path}: {error}; the file is damaged"))
        } else {
            Failure::from(error)
        }
    };
    refuse_snapshot(folder.display(), reader.read_now(|view| view.start()).map_err(failed)?)?;
    let threshold = match arguments.threshold {
        None => stored_threshold(folder)?,
        given => given,
    };
    let mut audit = Audit::new(rules, nodes, threshold, arguments);
    loop {
        let after = audit.walker.after();
        // One read transaction, because the replica may be running and adding batches.
        let read =
            reader.read_now(|view| Ok((view.batches(after, CHUNK_BYTES)?, view.last_batch()?)));
        let (batches, last) = read.map_err(failed)?;
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
    let threshold = match arguments.threshold {
        None => stored_threshold(path.parent().unwrap_or(Path::new("")))?,
        given => given,
    };
    if threshold.is_none() {
        return Err(Failure::usage(
            "--threshold is required: give the percentage of the stake that must sign on the network, because the default would be a guess. A file `threshold` beside the node list, as in a replica's data directory, has it too",
        ));
    }
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
