//! State snapshots that a replica makes at regular intervals, for other replicas to start from.
//!
//! A snapshot is read from the store in one read transaction, so the writer is not blocked, and in pieces, so
//! it need not fit into memory. It consists of two files: `N.snapshot` and, written after it, `N.json` with
//! its size and hash. Without a matching `N.json`, the snapshot is incomplete and is removed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::watch;
use zellbook_core::snapshot::{header, push_leaf};
use zellbook_core::wire::SnapshotBody;

use crate::clock::Clock;
use crate::config::{ConfigError, io_error, write_file};
use crate::metrics::Counts;
use crate::published::Published;
use crate::store::{QueryError, Reader, View};

/// The folder in the data directory.
pub const FOLDER_NAME: &str = "snapshots";
/// Snapshots are written in pieces of about this size.
const PIECE: usize = 1 << 20;

#[derive(Debug, Error)]
pub enum MakeError {
    #[error("{0}")]
    Store(#[from] QueryError),
    #[error("the store has no root of batch {0}")]
    NoRoot(u64),
    #[error("{0}")]
    File(#[from] ConfigError),
}

/// The snapshots of a data directory.
#[derive(Clone, Debug)]
pub struct Snapshots {
    folder: PathBuf,
    /// The number of snapshots to keep.
    count_max: usize,
    /// The complete snapshots, newest first.
    list: Arc<Mutex<Vec<SnapshotBody>>>,
}

fn batch_of(snapshot: &SnapshotBody) -> u64 {
    snapshot.batch.parse().unwrap_or(0)
}

impl Snapshots {
    /// Opens or creates the folder, and removes incomplete and surplus snapshots.
    pub fn open(folder: &Path, count_max: usize) -> Result<Self, ConfigError> {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
        let mut list: Vec<SnapshotBody> = Vec::new();
        for entry in fs::read_dir(folder).map_err(io_error(folder))? {
            let path = entry.map_err(io_error(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(snapshot) = read_whole(&path)
            {
                list.push(snapshot);
            }
        }
        list.sort_by_key(|snapshot| std::cmp::Reverse(batch_of(snapshot)));
        let snapshots = Self { folder: folder.into(), count_max, list: Arc::new(Mutex::new(list)) };
        snapshots.prune()?;
        Ok(snapshots)
    }

    /// The complete snapshots, newest first.
    pub fn list(&self) -> Vec<SnapshotBody> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The batches of the complete snapshots, newest first.
    pub fn batches(&self) -> Vec<u64> {
        self.list().iter().map(batch_of).collect()
    }

    /// Removes the snapshots of all batches after this one.
    pub fn remove_after(&self, batch: u64) -> Result<(), ConfigError> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|snapshot| batch_of(snapshot) <= batch);
        drop(list);
        self.prune()
    }

    /// The file of the snapshot of a batch.
    pub fn file(&self, batch: u64) -> PathBuf {
        self.folder.join(format!("{batch}.snapshot"))
    }

    /// Makes a snapshot after every `every` batches, until the replica stops.
    pub async fn keep_making(
        self,
        reader: Reader,
        mut published: watch::Receiver<Arc<Published>>,
        every: u64,
        counts: Arc<Counts>,
        clock: Clock,
    ) {
        loop {
            let last = self.list().first().map_or(0, batch_of);
            counts.snapshot.store(last, Ordering::Relaxed);
            // Counted from the newest snapshot on disk, so that restarts do not postpone the next one. Replicas attest
            // to a snapshot, so one of attestations alone would lead to the next one for ever.
            let is_due = |published: &Arc<Published>| {
                published.batch >= last.saturating_add(every) && published.content > last
            };
            // An error means that the replica has stopped.
            if published.wait_for(is_due).await.is_err() {
                return;
            }
            let (snapshots, reader) = (self.clone(), reader.clone());
            let making = tokio::task::spawn_blocking(move || snapshots.make(&reader, clock));
            match making.await {
                Ok(Ok(made)) => {
                    tracing::info!("made a snapshot of batch {}, {} bytes", made.batch, made.bytes)
                }
                Ok(Err(error)) => {
                    tracing::error!("making a snapshot failed: {error}");
                    // Try again after the next interval; the disk may be full only for now.
                    let after = published.borrow().batch;
                    if published.wait_for(|now| now.batch >= after + every).await.is_err() {
                        return;
                    }
                }
                // It panicked, or the runtime is stopping.
                Err(_) => return,
            }
        }
    }

    /// Makes a snapshot of the last batch. Blocks the thread, but not the writer.
    pub fn make(&self, reader: &Reader, clock: Clock) -> Result<SnapshotBody, MakeError> {
        // One name is enough, since snapshots are made one after the other. A crash leaves it to the next
        // start, which removes it.
        let partial = self.folder.join("making.partial");
        // A query can fail only with an error of the store. Errors of the file are passed through as a value.
        let made = reader.read_now(|view| Ok(write_state(view, &partial, clock)))?;
        let made = made.inspect_err(|_| {
            // Fails only if the file was never created.
            let _ = fs::remove_file(&partial);
        })?;
        let path = self.file(batch_of(&made));
        fs::rename(&partial, &path).map_err(io_error(&path))?;
        let json = serde_json::to_vec_pretty(&made).unwrap_or_default();
        // Syncs the folder, which also makes the rename above durable.
        write_file(&path.with_extension("json"), &json, 0o644)?;
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| other.batch != made.batch);
        list.insert(0, made.clone());
        drop(list);
        self.prune()?;
        Ok(made)
    }

    /// Removes surplus snapshots, and files of incomplete ones.
    fn prune(&self) -> Result<(), ConfigError> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.truncate(self.count_max.max(1));
        for entry in fs::read_dir(&self.folder).map_err(io_error(&self.folder))? {
            let path = entry.map_err(io_error(&self.folder))?.path();
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let kind = path.extension().map(|kind| kind.to_string_lossy().into_owned());
            // Other files may belong to the operator.
            if !matches!(kind.as_deref(), Some("snapshot" | "json" | "partial")) {
                continue;
            }
            if !list.iter().any(|kept| Some(&kept.batch) == stem.as_ref()) {
                // A download in progress is not cut off: an open file can still be read to its end.
                fs::remove_file(&path).map_err(io_error(&path))?;
            }
        }
        Ok(())
    }
}

/// Reads the description of a snapshot; `None` unless the snapshot file exists and has the right size.
fn read_whole(path: &Path) -> Option<SnapshotBody> {
    let snapshot: SnapshotBody = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let file = path.with_extension("snapshot");
    // The size is enough here. A hash would mean to read all snapshots at every start, and the replica that
    // downloads one checks it.
    let is_whole = fs::metadata(&file).is_ok_and(|data| data.len().to_string() == snapshot.bytes)
        && path.file_stem().is_some_and(|stem| *stem == *snapshot.batch);
    is_whole.then_some(snapshot)
}

fn write_state(view: &View<'_>, path: &Path, clock: Clock) -> Result<SnapshotBody, MakeError> {
    let batch = view.last_batch()?;
    let root = view.root(batch)?.ok_or(MakeError::NoRoot(batch))?;
    let chaining_hash = view.chaining_hash(batch)?.unwrap_or_default();
    let file = File::create(path).map_err(io_error(path))?;
    let mut hashed = Hashed { file: BufWriter::new(file), hasher: Sha256::new(), bytes: 0 };
    // The number of leaves stands before the leaves. Both queries see one snapshot of the database, so they
    // agree.
    let mut piece = header(view.rules().network, &root, view.leaf_count()?);
    // Ends at the first error: on a full disk, the leaves that follow would only fill the memory.
    let written = view.each_leaf(|key, value| {
        push_leaf(&mut piece, key, value);
        if piece.len() < PIECE {
            return Ok(());
        }
        let written = hashed.write(&piece);
        piece.clear();
        written
    })?;
    written.map_err(io_error(path))?;
    hashed.write(&piece).map_err(io_error(path))?;
    let (bytes, sha256) = hashed.finish().map_err(io_error(path))?;
    Ok(SnapshotBody {
        batch: batch.to_string(),
        root: hex::encode(root),
        bytes: bytes.to_string(),
        sha256,
        chaining_hash,
        made_ms: clock.now_ms().to_string(),
    })
}

/// A file that is hashed while it is written.
struct Hashed {
    file: BufWriter<File>,
    hasher: Sha256,
    bytes: u64,
}

impl Hashed {
    fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hasher.update(piece);
        self.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.file.write_all(piece)
    }

    /// Syncs the file, and returns its size and SHA-256.
    fn finish(self) -> io::Result<(u64, String)> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok((self.bytes, hex::encode(self.hasher.finalize())))
    }
}

#[cfg(test)]
mod tests {
    use zellbook_core::{Batch, Exchange, LeafKey, SecretKey};
    use zellular::Position;

    use super::*;
    use crate::config::test_rules;
    use crate::store::Store;

    #[test]
    fn snapshots_equal_those_of_the_engine_and_only_the_newest_complete_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots_folder = folder.path().join("snapshots");
        let key = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        let rules = Arc::new(test_rules(key, key));
        let mut exchange = Exchange::new(Arc::clone(&rules));
        let snapshots = Snapshots::open(&snapshots_folder, 2).unwrap();
        for index in 1..=3 {
            exchange.apply(&Batch::check(&rules, index, b"[1]")).unwrap();
            let path = folder.path().join(format!("{index}.sqlite"));
            let mut store = Store::open(&path, &rules).unwrap();
            let position = Position { index, chaining_hash: "0".repeat(32) };
            let (root, leaves) = (exchange.root(), exchange.engine().leaves_one_by_one());
            store.begin(leaves, &root, &position).unwrap();
            let reader = Reader::new(&path, Arc::clone(&rules));
            let made = snapshots.make(&reader, Clock::system()).unwrap();
            assert_eq!(made.batch, index.to_string());
            let bytes = fs::read(snapshots.file(index)).unwrap();
            assert!(bytes == exchange.to_snapshot());
            assert_eq!(made.sha256, hex::encode(Sha256::digest(&bytes)));
        }
        let batches = |snapshots: &Snapshots| {
            snapshots.list().into_iter().map(|kept| kept.batch).collect::<Vec<_>>()
        };
        assert_eq!(batches(&snapshots), ["3", "2"]);
        // One that is too short, one without its description, and one that was never finished.
        fs::write(snapshots.file(3), "short").unwrap();
        fs::write(snapshots_folder.join("9.snapshot"), "alone").unwrap();
        fs::write(snapshots_folder.join("making.partial"), "unfinished").unwrap();
        fs::create_dir(snapshots_folder.join("the operator's own")).unwrap();
        let reopened = Snapshots::open(&snapshots_folder, 2).unwrap();
        assert_eq!(batches(&reopened), ["2"]);
        let left = fs::read_dir(&snapshots_folder).unwrap().count();
        assert_eq!(left, 3, "the snapshot of batch 2, its description, and the operator's folder");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_a_snapshot_at_the_first_leaf_that_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let key = |seed| SecretKey::from_bytes(&[seed; 32]).unwrap().public_key();
        let rules = Arc::new(test_rules(key(1), key(1)));
        let path = folder.path().join("replica.sqlite");
        let mut store = Store::open(&path, &rules).unwrap();
        let exchange = Exchange::new(Arc::clone(&rules));
        let position = Position { index: 1, chaining_hash: "0".repeat(32) };
        let own = exchange.engine().leaves_one_by_one();
        let large = (1..9).map(|seed| (LeafKey::Nonces(key(seed)).to_bytes(), vec![0; PIECE]));
        store.begin(own.chain(large), &[0; 32], &position).unwrap();
        let reader = Reader::new(&path, rules);
        // Every write to this device fails as on a full disk.
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let mut seen = 0;
        let written = reader.read_now(|view| {
            view.each_leaf(|_, value| {
                seen += usize::from(value.len() == PIECE);
                if value.len() == PIECE { full.write_all(value) } else { Ok(()) }
            })
        });
        assert!(written.unwrap().is_err());
        assert_eq!(seen, 1);
        let snapshots = Snapshots::open(&folder.path().join("snapshots"), 2).unwrap();
        std::os::unix::fs::symlink("/dev/full", snapshots.folder.join("making.partial")).unwrap();
        let error = snapshots.make(&reader, Clock::system()).unwrap_err().to_string();
        assert!(error.contains("making.partial"), "{error}");
        assert!(snapshots.list().is_empty());
    }
}
