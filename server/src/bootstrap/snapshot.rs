//! Starts a replica from a state snapshot of another replica, which is not trusted.
//!
//! These checks are made, in this order:
//! 1. Replicas in genesis with more than two thirds of the weight signed the root R after some batch M.
//! 2. The snapshot holds a complete, consistent state after a batch N ≤ M.
//! 3. The network's nodes signed a chain that starts with the chaining hash at N and continues over the
//!    batches after it.
//! 4. Applying these batches to the snapshot's state gives the root R after batch M.
//!
//! So the state at M is certified and the chain at M is the network's. The store starts with these two, and
//! with nothing that is known for N alone. The work happens in a folder of its own; at the end the finished
//! store is moved out of it, so that a crash never leaves half a store.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zellbook_core::certificate::certifiers;
use zellbook_core::snapshot::{Decoder, SnapshotError};
use zellbook_core::types::decode_hex;
use zellbook_core::types::limits::REPLICAS_MAX;
use zellbook_core::wire::{BatchBody, CertifiedBody, SnapshotBody, SnapshotsResponse};
use zellbook_core::{Batch, Exchange, Hash, Rules};
use zellular::{Page, PageError, Position, SignedState, Walker};

use super::download::{download, total_pace};
use super::error::BootstrapError;
use super::log::page_of;
use super::peer::Peer;
use crate::config::{ConfigError, io_error, move_file};
use crate::evidence::finality_signature;
use crate::sequencer::Sequencer;
use crate::store::Store;
use zellular::client::VerifierWatch;

/// The working folder in the data directory.
pub const FOLDER_NAME: &str = "bootstrap";
/// The longest list of snapshots, and the longest certified root with its signatures.
const LIST_BYTES_MAX: usize = 1 << 20;
/// The longest batch with its proof.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// The most snapshots to consider, newest first.
const SNAPSHOTS_MAX: usize = 8;
/// The most batches between a snapshot and the certified root after it, so that a dishonest replica cannot
/// make this one apply batches for ever.
const BATCHES_MAX: u64 = 1_000_000;
/// A snapshot is read from disk in pieces of this size.
const PIECE: usize = 1 << 20;

/// What is needed to check sequence proofs.
pub struct Proofs<'a, Q> {
    /// Fetches the operator lists that signatures name.
    pub sequencer: &'a Q,
    pub verifier: &'a VerifierWatch,
}

struct Certified {
    batch: u64,
    root: Hash,
}

/// Creates the store from a snapshot of at most `bytes_max` bytes, using `folder` as working folder.
pub async fn from_snapshot<Q: Sequencer>(
    peer: &Peer,
    rules: &Arc<Rules>,
    proofs: &Proofs<'_, Q>,
    folder: &Path,
    store: &Path,
    bytes_max: u64,
) -> Result<Position, BootstrapError> {
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let result = begin(peer, rules, proofs, folder, bytes_max).await;
    let keeps_download = matches!(result, Err(BootstrapError::Peer { .. }));
    let position = match result {
        Ok((position, made)) => {
            // The last step, because `serve` takes a store that exists for a complete one and does not
            // start from a snapshot again.
            move_file(&made, store)?;
            position
        }
        // After a network failure the next try can resume the download.
        Err(error) if keeps_download => return Err(error),
        Err(error) => {
            fs::remove_dir_all(folder).map_err(io_error(folder))?;
            return Err(error);
        }
    };
    fs::remove_dir_all(folder).map_err(io_error(folder))?;
    Ok(position)
}

async fn begin<Q: Sequencer>(
    peer: &Peer,
    rules: &Arc<Rules>,
    proofs: &Proofs<'_, Q>,
    folder: &Path,
    bytes_max: u64,
) -> Result<(Position, PathBuf), BootstrapError> {
    // The certified root comes first: a peer that cannot show one is not asked for a single byte of its
    // snapshot.
    let (offered, certified) = choose(peer, rules).await?;
    let batch = peer.number("batch", &offered.batch)?;
    let bytes = peer.number("bytes", &offered.bytes)?;
    if bytes > bytes_max {
        return Err(peer.failure(format!(
            "its snapshot of batch {batch} has {bytes} bytes, more than the limit of {bytes_max}; if the exchange's state is really that large, use --snapshot-bytes-max {bytes}"
        )));
    }
    let sha256: Hash = decode_hex(&offered.sha256)
        .ok_or_else(|| peer.lie("its SHA-256 must have 64 lower-case hex digits"))?;
    // Batch and hash name the file, so that the download of one snapshot is never continued with another.
    // Both were parsed, so the peer cannot put a path into the name.
    let file = folder.join(format!("{batch}-{}.partial", hex::encode(sha256)));
    // This also removes a store that an earlier try had begun to fill: `Store::begin` needs an empty one.
    keep_only(folder, &file)?;
    tracing::info!("downloading the snapshot of batch {batch}, {bytes} bytes");
    let path = format!("/v1/snapshots/{batch}");
    download(peer, &path, &file, bytes, &hex::encode(sha256), total_pace()).await?;

    let mut exchange = read_snapshot(Arc::clone(rules), &file)?
        .map_err(|error| peer.lie(format!("its snapshot of batch {batch}: {error}")))?;
    let found = exchange.counters().batch;
    // The walk below starts at the announced batch, so the state must be the one after the same batch.
    if found != batch {
        return Err(
            peer.lie(format!("its snapshot of batch {batch} has the state of batch {found}"))
        );
    }
    let root = exchange.root();
    // Needed if the snapshot is of the certified batch itself: then the walk applies nothing that would
    // compare the roots.
    check_root(peer, &certified, batch, &root)?;

    let mut walk = Walk::begin(peer, proofs, batch, &offered.chaining_hash).await?;
    // The state does not contain the network's chaining hash (section 20 of the protocol). So even a
    // snapshot of the certified batch needs a signature over the chain that begins with the peer's hash.
    while !walk.is_proven || walk.reached.index < certified.batch {
        walk.step(&mut exchange, &certified).await?;
    }

    let made = folder.join("replica.sqlite");
    let mut store = Store::open(&made, rules)?;
    // The loop ended at the certified batch, where `check_root` compared the roots. So this is the root of
    // these leaves.
    store.begin(exchange.engine().leaves_one_by_one(), &certified.root, &walk.reached)?;
    // Only this one file is moved, so nothing may be left in the write-ahead log beside it.
    store.close()?;
    Ok((walk.reached, made))
}

/// Reads a snapshot file piece by piece, so that file and state need not fit into memory together.
pub fn read_snapshot(
    rules: Arc<Rules>,
    path: &Path,
) -> Result<Result<Exchange, SnapshotError>, ConfigError> {
    let mut file = File::open(path).map_err(io_error(path))?;
    let mut decoder = Decoder::new(rules);
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece).map_err(io_error(path))? {
            0 => return Ok(decoder.finish()),
            count => {
                if let Err(error) = decoder.take(piece.get(..count).unwrap_or_default()) {
                    return Ok(Err(error));
                }
            }
        }
    }
}

/// The newest snapshot that has a certified root at or after its batch, and that root.
async fn choose(peer: &Peer, rules: &Rules) -> Result<(SnapshotBody, Certified), BootstrapError> {
    let path = "/v1/snapshots";
    let list: Option<SnapshotsResponse> = peer.get(path, LIST_BYTES_MAX).await?;
    let list = list.ok_or_else(|| peer.nothing("it does not serve snapshots"))?.snapshots;
    if list.is_empty() {
        return Err(peer.nothing("it has no snapshot yet"));
    }
    for snapshot in list.into_iter().take(SNAPSHOTS_MAX) {
        let batch = peer.number("batch", &snapshot.batch)?;
        let path = format!("/v1/certified?from={batch}");
        let Some(certified) = peer.get::<CertifiedBody>(&path, LIST_BYTES_MAX).await? else {
            // Usual for the newest snapshot: its batch, or one after it, is certified only some batches
            // later.
            continue;
        };
        return Ok((snapshot, check_certified(peer, rules, batch, &certified)?));
    }
    Err(peer.nothing("no root at or after any of its snapshots is certified yet; try again later"))
}

/// Checks that replicas in our genesis certified the root.
fn check_certified(
    peer: &Peer,
    rules: &Rules,
    from: u64,
    certified: &CertifiedBody,
) -> Result<Certified, BootstrapError> {
    let batch = peer.number("certified batch", &certified.batch)?;
    if batch < from || batch - from > BATCHES_MAX {
        return Err(peer.lie(format!(
            "the request was for a certified root of batch {from} or a later one, but it sent one of batch {batch}"
        )));
    }
    let root: Hash = decode_hex(&certified.root)
        .ok_or_else(|| peer.lie("its certified root must have 64 lower-case hex digits"))?;
    // Each attestation costs a signature check. An honest list has one for each replica at most.
    if certified.attestations.len() > REPLICAS_MAX {
        return Err(peer.lie("it sent more attestations than a genesis can have replicas"));
    }
    let signed = certified.attestations.iter().map(|attestation| &*attestation.transaction);
    certifiers(rules, batch, &root, signed).map_err(|error| {
        peer.lie(format!("its root after batch {batch} is not certified: {error}"))
    })?;
    Ok(Certified { batch, root })
}

/// If the certified root belongs to this batch, it must be ours.
fn check_root(
    peer: &Peer,
    certified: &Certified,
    batch: u64,
    root: &Hash,
) -> Result<(), BootstrapError> {
    if batch != certified.batch || *root == certified.root {
        return Ok(());
    }
    let (ours, theirs) = (hex::encode(root), hex::encode(certified.root));
    Err(peer.lie(format!(
        "the root of its state after batch {batch} is {ours}, but replicas certified {theirs}"
    )))
}

/// Removes all files of a folder except one.
fn keep_only(folder: &Path, kept: &Path) -> Result<(), BootstrapError> {
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        let path = entry.map_err(io_error(folder))?.path();
        if path != kept {
            fs::remove_file(&path).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

/// The way from the snapshot's batch to the certified batch, over the other replica's log.
struct Walk<'a, Q> {
    peer: &'a Peer,
    proofs: &'a Proofs<'a, Q>,
    walker: Walker,
    /// Whether a signature has covered the chaining hash that the walk started with.
    is_proven: bool,
    /// The position of the state.
    reached: Position,
}

impl<'a, Q: Sequencer> Walk<'a, Q> {
    async fn begin(
        peer: &'a Peer,
        proofs: &'a Proofs<'a, Q>,
        batch: u64,
        chaining_hash: &str,
    ) -> Result<Self, BootstrapError> {
        if decode_hex::<16>(chaining_hash).is_none() {
            return Err(peer.lie("its chaining hash must have 32 lower-case hex digits"));
        }
        let reached = Position { index: batch, chaining_hash: chaining_hash.into() };
        let path = format!("/v1/batches/{batch}");
        // A replica that itself started from this batch does not have it. The signatures over later batches
        // then cover the chaining hash.
        let own: Option<BatchBody> = peer.get(&path, BATCH_BYTES_MAX).await?;
        let signature = own.map(|own| finality_signature(&own.proof)).transpose();
        let signature = signature.map_err(|error| peer.lie(error))?;
        let mut is_proven = false;
        // A signature over a later batch of the group needs the bodies up to it. The walk reads these
        // anyway, so here only a signature over this very batch is of use.
        if let Some(signature) = signature.filter(|signature| signature.index == batch) {
            // `admit` fetches the operator list that a signature names. It takes pages, so the signature
            // travels in a page without batches.
            let page = Page {
                batches: Vec::new(),
                first_chaining_hash: String::new(),
                finalized_signatures: vec![Ok(signature)],
                is_cut: false,
            };
            let page = proofs.sequencer.admit(batch.saturating_sub(1), page).await?;
            // No signature is left if its operator list is unknown; then later ones cover the hash.
            if let Some(signature) = page.finalized_signatures.iter().flatten().next() {
                let verifier = Arc::clone(&proofs.verifier.borrow());
                let verified = verifier.verify(SignedState::Locked, signature, chaining_hash);
                verified
                    .map_err(|error| peer.unproven(&PageError::Proof { index: batch, error }))?;
                is_proven = true;
            }
        }
        Ok(Self { peer, proofs, walker: Walker::new(reached.clone()), is_proven, reached })
    }

    /// Reads one more page of the log, and applies its sequenced batches up to the certified one.
    async fn step(
        &mut self,
        exchange: &mut Exchange,
        certified: &Certified,
    ) -> Result<(), BootstrapError> {
        let peer = self.peer;
        let batches = peer.batches(self.walker.after()).await?;
        if batches.is_empty() {
            let (end, wanted) = (self.walker.after(), certified.batch);
            return Err(peer.nothing(format!(
                "its log ends at batch {end}, before a signature that covers the certified batch {wanted}; try again later"
            )));
        }
        let page = page_of(batches, &self.walker).map_err(|lie| peer.lie(lie))?;
        let page = self.proofs.sequencer.admit(self.walker.after(), page).await?;
        let verifier = Arc::clone(&self.proofs.verifier.borrow());
        let (groups, error) = self.walker.take(&verifier, page);
        if let Some(error) = error {
            return Err(peer.unproven(&error));
        }
        // The chain that was signed begins with the hash that the peer named, so the signature proves that
        // hash too.
        self.is_proven |= !groups.is_empty();
        let proven = groups.into_iter().flat_map(|group| group.batches);
        // The batches after the certified one are not applied. The replica asks for them again once it
        // runs, and stores their bodies and outcomes.
        for proven in proven.take_while(|proven| proven.index <= certified.batch) {
            let batch = Batch::check(exchange.rules(), proven.index, proven.body.as_bytes());
            // In a running replica a corrupt state is a reason to halt. Here it came from the peer, so the
            // peer is to blame.
            let outcome = exchange
                .apply(&batch)
                .map_err(|corrupt| peer.lie(format!("batch {}: {corrupt}", proven.index)))?;
            check_root(peer, certified, proven.index, &outcome.root)?;
            self.reached = Position { index: proven.index, chaining_hash: proven.chaining_hash };
        }
        Ok(())
    }
}
