//! Returns the store to the last certified batch.
//!
//! A gateway can make a replica apply a forged body under a valid signature of the network. Everything from that
//! batch on is then wrong, and so is the state, which has no way back: it has to be computed again. What is
//! certified is not in doubt, because a certified root commits to the SHA-256 of every body before it.
//!
//! The new store is built beside the old one, from genesis or from a snapshot, by applying the stored bodies up to
//! the last certified batch. Every root must be the stored one. A crash loses nothing: until the new store is
//! whole, the old one stays as it is; then a file says so, and every later step can be repeated.
//!
//! 1. `rollback/partial.sqlite` is filled, and then renamed to `rollback/replica.sqlite`.
//! 2. `rollback/built` is written, with what was built. From here on a new try only continues.
//! 3. The old store gets a second name, and the new one takes its first name in one step.
//! 4. Snapshots of later batches are removed, the halt evidence is moved aside, and the folder is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zellbook_core::certificate::{NotCertified, certifiers};
use zellbook_core::snapshot::SnapshotError;
use zellbook_core::wire::BatchBody;
use zellbook_core::{Batch, Corrupt, Exchange, Hash, Rules};
use zellular::Position;

use crate::bootstrap::read_snapshot;
use crate::config::{ConfigError, DataDir, io_error, move_file, write_file};
use crate::evidence::{self, EvidenceError, finality_signature, signed_attestations};
use crate::snapshots::{self, Snapshots};
use crate::store::{AppliedBatch, Proof, Reader, Storage, Store, StoreError, rows_of};

/// The working folder in the data directory. While it exists, the replica is not served.
pub const FOLDER_NAME: &str = "rollback";
/// The old store, which the operator may remove.
const OLD_NAME: &str = "replica.sqlite.before-rollback";
/// The evidence of the halt, which the operator may remove.
const EVIDENCE_NAME: &str = "evidence.before-rollback.json";
/// Bodies are read from the store in chunks of about this size.
const CHUNK_BYTES: usize = 4 << 20;
/// The most batches in one commit.
const BATCHES_PER_COMMIT: usize = 64;

#[derive(Debug, Error)]
pub enum RollbackError {
    #[error("{0}")]
    File(#[from] ConfigError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error(
        "the root of batch {batch} counts as certified, but its attestations do not certify it: {error}"
    )]
    NotCertified { batch: u64, error: NotCertified },
    #[error("the proof of batch {batch}: {error}")]
    Proof { batch: u64, error: EvidenceError },
    /// The state before the stored batches is nowhere.
    #[error(
        "the store began with a snapshot of batch {start}, and no snapshot of a batch from {start} to {batch} is left to build the state from; give one with --snapshot, or move replica.sqlite away and start again with zellbook serve --bootstrap"
    )]
    NoSnapshot { start: u64, batch: u64 },
    #[error("{}: {error}", path.display())]
    Snapshot { path: PathBuf, error: SnapshotError },
    #[error(
        "{} is a snapshot of batch {found}; it must be of a batch from {start} to {batch}, whose root the store has", path.display()
    )]
    SnapshotBatch { path: PathBuf, found: u64, start: u64, batch: u64 },
    #[error("batch {batch}: {error}")]
    Corrupt { batch: u64, error: Corrupt },
    /// The store or the program is wrong, and no gateway.
    #[error(
        "the root after batch {batch} is {found}, but {stored} was stored with it; the store is damaged: move replica.sqlite away and let the replica catch up again"
    )]
    Root { batch: u64, found: String, stored: String },
}

impl RollbackError {
    /// Whether a check failed, as opposed to a file.
    pub const fn is_difference(&self) -> bool {
        matches!(
            self,
            Self::NotCertified { .. }
                | Self::Proof { .. }
                | Self::Snapshot { .. }
                | Self::Corrupt { .. }
                | Self::Root { .. }
        )
    }
}

/// What was rolled back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rollback {
    /// The last batch of the old store.
    pub from: u64,
    /// The last certified batch; 0 if there is none.
    pub batch: u64,
    /// Its root as 64 hex digits; empty at batch 0.
    pub root: String,
}

/// The files that a rollback leaves for the operator.
#[derive(Clone, Debug)]
pub struct Left {
    pub old_store: PathBuf,
    pub evidence: PathBuf,
}

impl Left {
    pub fn in_folder(data: &DataDir) -> Self {
        Self { old_store: data.file(OLD_NAME), evidence: data.file(EVIDENCE_NAME) }
    }
}

/// Rolls the store of a data directory back, or continues an interrupted rollback. `report` is called with each
/// batch that is built.
pub fn roll_back(
    data: &DataDir,
    rules: &Arc<Rules>,
    snapshot: Option<&Path>,
    report: impl FnMut(u64),
) -> Result<Rollback, RollbackError> {
    let folder = data.file(FOLDER_NAME);
    let (made, built) = (folder.join("replica.sqlite"), folder.join("built"));
    let store = data.file("replica.sqlite");
    if !built.exists() {
        // A try that did not get that far has left nothing of use.
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(io_error(&folder))?;
        }
        let reader = Reader::new(&store, Arc::clone(rules));
        let target = target(&reader, rules)?;
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        if target.batch < target.from {
            let partial = folder.join("partial.sqlite");
            let builder = Builder { reader: &reader, rules, target: &target, report };
            builder.build(&partial, data, snapshot)?;
            move_file(&partial, &made)?;
        }
        write_file(&built, &serde_json::to_vec(&target).unwrap_or_default(), 0o644)?;
    }
    let json = fs::read(&built).map_err(io_error(&built))?;
    let done: Rollback = serde_json::from_slice(&json)
        .map_err(|error| io_error(&built)(std::io::Error::other(error)))?;
    let left = Left::in_folder(data);
    if made.exists() {
        // A log that stays would be taken for that of the new file.
        Store::open(&store, rules)?.settle()?;
        if left.old_store.exists() {
            fs::remove_file(&left.old_store).map_err(io_error(&left.old_store))?;
        }
        // A second name and not a move: at every moment the store has its name and is whole.
        fs::hard_link(&store, &left.old_store).map_err(io_error(&left.old_store))?;
        move_file(&made, &store)?;
    }
    let snapshots = Snapshots::open(&data.file(snapshots::FOLDER_NAME), usize::MAX)?;
    snapshots.remove_after(done.batch)?;
    let evidence = data.file(evidence::FILE_NAME);
    if evidence.exists() {
        move_file(&evidence, &left.evidence)?;
    }
    fs::remove_dir_all(&folder).map_err(io_error(&folder))?;
    Ok(done)
}

/// The last certified batch, after its attestations were checked again.
fn target(reader: &Reader, rules: &Rules) -> Result<Rollback, RollbackError> {
    let found = reader.read_now(|view| {
        let (from, start) = (view.last_batch()?, view.start()?);
        let Some(batch) = view.certified_batch()? else { return Ok((from, None)) };
        let root = view.root(batch)?.unwrap_or_default();
        // The attestations of the snapshot that the state began with were checked when it was fetched.
        let attestations = match batch > start {
            true => Some(signed_attestations(view, batch, &root)?),
            false => None,
        };
        Ok((from, Some((batch, root, attestations))))
    });
    let (from, found) = found.map_err(|error| reader.error(error))?;
    let Some((batch, root, attestations)) = found else {
        return Ok(Rollback { from, batch: 0, root: String::new() });
    };
    if let Some(attestations) = attestations {
        let signed = attestations.iter().map(|attestation| &*attestation.transaction);
        certifiers(rules, batch, &root, signed)
            .map_err(|error| RollbackError::NotCertified { batch, error })?;
    }
    Ok(Rollback { from, batch, root: hex::encode(root) })
}

/// Builds the new store from the old one.
struct Builder<'a, F> {
    reader: &'a Reader,
    rules: &'a Arc<Rules>,
    target: &'a Rollback,
    report: F,
}

impl<F: FnMut(u64)> Builder<'_, F> {
    fn read<T>(
        &self,
        query: impl FnOnce(&crate::store::View<'_>) -> Result<T, crate::store::QueryError>,
    ) -> Result<T, RollbackError> {
        Ok(self.reader.read_now(query).map_err(|error| self.reader.error(error))?)
    }

    fn build(
        mut self,
        path: &Path,
        data: &DataDir,
        snapshot: Option<&Path>,
    ) -> Result<(), RollbackError> {
        let mut store = Store::open(path, self.rules)?;
        let start = self.read(|view| view.start())?;
        // Genesis first: only it gives the whole history.
        let mut exchange = match (start, snapshot) {
            (0, None) => Exchange::new(Arc::clone(self.rules)),
            (_, Some(file)) => self.begin(&mut store, file, start)?,
            (_, None) => {
                let kept = Snapshots::open(&data.file(snapshots::FOLDER_NAME), usize::MAX)?;
                let fits = |batch: &u64| (start..=self.target.batch).contains(batch);
                let newest = kept.batches().into_iter().find(fits);
                let newest =
                    newest.ok_or(RollbackError::NoSnapshot { start, batch: self.target.batch })?;
                self.begin(&mut store, &kept.file(newest), start)?
            }
        };
        loop {
            let after = exchange.counters().batch;
            let mut batches = self.read(|view| view.batches(after, CHUNK_BYTES))?;
            let left = usize::try_from(self.target.batch.saturating_sub(after)).unwrap_or(0);
            batches.truncate(left);
            if batches.is_empty() {
                break;
            }
            let mut batches = batches.into_iter().peekable();
            while let Some(first) = batches.next() {
                // Batches of one group, which share its proof.
                let proof = first.proof.clone();
                let mut part = vec![first];
                while part.len() < BATCHES_PER_COMMIT
                    && let Some(next) = batches.next_if(|next| next.proof == proof)
                {
                    part.push(next);
                }
                self.apply(&mut exchange, &mut store, part)?;
            }
        }
        Ok(store.close()?)
    }

    /// Fills the new store with the state of a snapshot file.
    fn begin(&self, store: &mut Store, path: &Path, start: u64) -> Result<Exchange, RollbackError> {
        let mut exchange = read_snapshot(Arc::clone(self.rules), path)?
            .map_err(|error| RollbackError::Snapshot { path: path.into(), error })?;
        let (index, batch) = (exchange.counters().batch, self.target.batch);
        if !(start..=batch).contains(&index) {
            let path = path.into();
            return Err(RollbackError::SnapshotBatch { path, found: index, start, batch });
        }
        let root = exchange.root();
        self.check_root(index, root)?;
        let chaining_hash = self.read(|view| view.chaining_hash(index))?.unwrap_or_default();
        store.begin(
            exchange.engine().leaves_one_by_one(),
            &root,
            &Position { index, chaining_hash },
        )?;
        Ok(exchange)
    }

    fn check_root(&self, batch: u64, found: Hash) -> Result<(), RollbackError> {
        let stored = self.read(|view| view.root(batch))?;
        if stored == Some(found) {
            return Ok(());
        }
        let stored = stored.map_or_else(|| "nothing".into(), hex::encode);
        Err(RollbackError::Root { batch, found: hex::encode(found), stored })
    }

    /// Applies batches that share a proof, and commits them.
    fn apply(
        &mut self,
        exchange: &mut Exchange,
        store: &mut Store,
        part: Vec<BatchBody>,
    ) -> Result<(), RollbackError> {
        let mut applied = Vec::with_capacity(part.len());
        let mut proof = None;
        for body in part {
            let index = exchange.counters().batch.saturating_add(1);
            let signature = finality_signature(&body.proof)
                .map_err(|error| RollbackError::Proof { batch: index, error })?;
            let time_ms = signature.timestamp.saturating_mul(1000);
            let batch = Batch::check(self.rules, index, body.body.as_bytes());
            let outcome = exchange
                .apply(&batch)
                .map_err(|error| RollbackError::Corrupt { batch: index, error })?;
            self.check_root(index, outcome.root)?;
            let rows = rows_of(exchange.engine(), &batch, &outcome, time_ms);
            applied.push(AppliedBatch {
                index,
                body: body.body,
                chaining_hash: body.chaining_hash,
                time_ms,
                applied_ms: self.read(|view| view.applied_ms(index))?.unwrap_or(time_ms),
                outcome,
                rows,
            });
            proof = Some(Proof { signature, chaining_hash: body.proof.chaining_hash });
            (self.report)(index);
        }
        if let Some(proof) = proof {
            store.commit(&applied, &[Arc::new(proof)])?;
        }
        Ok(())
    }
}
