//! `zellbook replay`: applies all batches again from genesis and compares the results.
//!
//! The batches come from a data directory, from a replica's API, or from a file of bodies without proofs.
//! With proofs, a batch is applied only once a signature of the network covers it, and its state root must
//! be the one that the replica stored. In all cases each root that replicas certified must be the one
//! computed here. The batches after the last certified one are only sequenced, and the result says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use clap::Args;
use zellbook_core::Rules;
use zellbook_core::wire::{BatchBody, BatchesResponse};
use zellular::{Membership, Position, Threshold, Verifier, Walker};

use super::client::Client;
use super::failure::{Failure, runtime};
use super::network::{OPERATORS_FOLDER, read_nodes, stored_threshold};
use super::output::Output;
use super::replayed::Replay;
use crate::bootstrap::page_of;
use crate::check_ahead::check_ahead;
use crate::config::{io_error, read_genesis};
use crate::store::{QueryError, Reader};
use zellular::client::eigenlayer::read_lists;

/// Bodies are read from a store in chunks of about this size, so that memory stays bounded.
const CHUNK_BYTES: usize = 1 << 20;

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
    /// Write the last state, all trades and all outcomes as JSON to this file
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
            from_bodies(bodies, rules, &arguments)?
        }
        (None, Some(from)) if from.starts_with("http://") || from.starts_with("https://") => {
            from_url(from, given, &arguments)?
        }
        (None, Some(from)) => from_folder(Path::new(from), given, &arguments)?,
        (None, None) => return Err("one of --from and --bodies is required".into()),
    };
    replay.finish(arguments.dump.as_deref(), arguments.unsequenced, output)
}

/// Applies bodies alone. They have no index and no root, so there is nothing to compare but the roots that they certify.
fn from_bodies(path: &Path, rules: Rules, arguments: &ReplayArguments) -> Result<Replay, Failure> {
    let rules = Arc::new(rules);
    let mut replay = Replay::new(&rules, arguments.check, arguments.dump.is_some());
    let file = File::open(path).map_err(io_error(path))?;
    let all = file.metadata().map_err(io_error(path))?.len();
    let mut end = 0;
    let bodies = (1..).zip(BufReader::new(file).lines()).map(|(number, line)| {
        let line = line.map_err(|error| format!("{} line {number}: {error}", path.display()))?;
        end += u64::try_from(line.len()).unwrap_or(0) + 1;
        let body = serde_json::from_str(&line).map_err(|error| {
            format!("{} line {number}: not a JSON string: {error}", path.display())
        })?;
        Ok::<_, Failure>(Line { body, end })
    });
    check_ahead(&rules, bodies, |line, batch| {
        replay.apply(batch)?;
        replay.report(line.end, all);
        Ok(())
    })?;
    Ok(replay)
}

/// A line of a file of bodies.
struct Line {
    body: String,
    /// Where the next line begins.
    end: u64,
}

impl AsRef<str> for Line {
    fn as_ref(&self) -> &str {
        &self.body
    }
}

/// A sequenced batch, and what the replica says about it.
struct Stored {
    index: u64,
    body: String,
    root: Option<String>,
    /// The replica's last batch.
    last: u64,
}

impl AsRef<str> for Stored {
    fn as_ref(&self) -> &str {
        &self.body
    }
}

/// Reads a replica's batches and checks the network's signatures over them. Its items are those that are sequenced.
struct Audit<F> {
    /// Reads the batches after this one, and the replica's last one.
    read: F,
    verifier: Verifier,
    walker: Walker,
    /// The replica's roots of batches that we have read but that no signature covers yet.
    roots: BTreeMap<u64, String>,
    /// Whether the replica's last batches belong to a group that it has not read to the end, so that the
    /// signature over them comes with a later batch.
    is_open: bool,
    /// Batches that are sequenced and were not passed on yet.
    sequenced: vec::IntoIter<Stored>,
    /// What is wrong after these.
    failed: Option<Failure>,
}

impl<F: FnMut(u64) -> Result<(Vec<BatchBody>, u64), Failure>> Iterator for Audit<F> {
    type Item = Result<Stored, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(stored) = self.sequenced.next() {
                return Some(Ok(stored));
            }
            if let Some(failed) = self.failed.take() {
                return Some(Err(failed));
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(failed) => return Some(Err(failed)),
            }
        }
    }
}

impl<F: FnMut(u64) -> Result<(Vec<BatchBody>, u64), Failure>> Audit<F> {
    /// Reads more batches. Returns whether there were any.
    fn step(&mut self) -> Result<bool, Failure> {
        let (batches, last) = (self.read)(self.walker.after())?;
        if batches.is_empty() {
            return Ok(false);
        }
        self.is_open = false;
        for batch in &batches {
            // Compared once the batch is sequenced and applied. The walker limits how many batches can wait,
            // and so how many roots.
            self.roots.insert(number(&batch.index)?, batch.root.clone());
            self.is_open = number(&batch.proof.index)? > last;
        }
        let page = page_of(batches, &self.walker).map_err(Failure::difference)?;
        let (groups, error) = self.walker.take(&self.verifier, page);
        // What is sequenced is applied before the error is reported, so that a root that differs earlier is
        // named first.
        self.failed = error.map(|error| {
            let after = self.walker.proven().index;
            Failure::difference(format!("after batch {after}: {error}"))
        });
        let stored = groups.into_iter().flat_map(|group| group.batches).map(|proven| Stored {
            index: proven.index,
            body: proven.body,
            root: self.roots.remove(&proven.index),
            last,
        });
        self.sequenced = stored.collect::<Vec<_>>().into_iter();
        Ok(true)
    }

    fn finish(self) -> Result<(), Failure> {
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
        Ok(())
    }
}

/// Checks a replica's batches against the network's signatures, and its roots against our own.
fn audit(
    rules: Rules,
    nodes: Membership,
    threshold: Option<Threshold>,
    arguments: &ReplayArguments,
    read: impl FnMut(u64) -> Result<(Vec<BatchBody>, u64), Failure> + Send,
) -> Result<Replay, Failure> {
    let is_default = threshold.is_none();
    let threshold = threshold.unwrap_or(Threshold::DEFAULT);
    let rules = Arc::new(rules);
    let mut replay = Replay::new(&rules, arguments.check, arguments.dump.is_some());
    replay.threshold = Some((threshold, is_default));
    let mut audit = Audit {
        read,
        verifier: Verifier { app_name: rules.genesis.app_name.clone(), nodes, threshold },
        walker: Walker::new(Position::start()),
        roots: BTreeMap::new(),
        is_open: false,
        sequenced: Vec::new().into_iter(),
        failed: None,
    };
    check_ahead(&rules, &mut audit, |stored, batch| {
        let root = hex::encode(replay.apply(batch)?.root);
        if stored.root.as_ref() != Some(&root) {
            return Err(Failure::difference(format!(
                "batch {} is the first one that differs: its root is {root}, but the replica stored {}",
                stored.index,
                stored.root.unwrap_or_default()
            )));
        }
        replay.report(stored.index, stored.last);
        Ok(())
    })?;
    audit.finish()?;
    Ok(replay)
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
    audit(rules, nodes, threshold, arguments, |after| {
        // One read transaction, because the replica may be running and adding batches.
        let read =
            reader.read_now(|view| Ok((view.batches(after, CHUNK_BYTES)?, view.last_batch()?)));
        read.map_err(failed)
    })
}

fn from_url(
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
    let runtime = runtime()?;
    let rules = check_genesis(runtime.block_on(client.rules())?, given)?;
    audit(rules, nodes, threshold, arguments, |after| {
        let path = format!("/v1/batches?after={after}");
        let answer: BatchesResponse = runtime.block_on(client.get(&path))?;
        // Checked first: otherwise the first batch of such a replica would be reported as out of sequence.
        refuse_snapshot(url, number(&answer.start)?)?;
        Ok((answer.batches, number(&answer.last)?))
    })
}
