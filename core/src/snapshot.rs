//! State snapshots: the complete state in bytes, with its root. Equal states have equal snapshots.
//!
//! A snapshot is a header (format version, network id, root, number of leaves) and then all leaves
//! in ascending order of their keys. Reading one restores the state, computes its root again and
//! recounts all invariants, so a damaged or invented file is found out. Whether the root is the
//! right one is a separate question: a reader compares it with a root that replicas certified, or
//! applies the batches after it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::engine::BrokenInvariant;
use crate::exchange::{Exchange, Restore};
use crate::rules::Rules;
use crate::types::limits::LEAF_PART_BYTES_MAX;
use crate::types::{ByteReader, Corrupt, Hash, NetworkId};

/// The first bytes of every snapshot. The number is the version of the format.
const MAGIC: &[u8; 20] = b"ZELLBOOK SNAPSHOT 1\n";

/// The number of bytes that are given to the decoder at once where all of them are in memory.
// Small, because the decoder copies each piece: in one piece, the whole snapshot would be in memory twice.
const PIECE: usize = 1 << 16;

/// Why bytes are not a snapshot of a state of this network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// The first bytes are not those of a snapshot of version 1.
    #[error("this is not a Zellbook snapshot of version 1")]
    Magic,
    /// The snapshot is of another network.
    #[error("this snapshot is of network {found}, but the genesis is of network {expected}")]
    Network {
        /// The network id in the snapshot.
        found: NetworkId,
        /// The network id of the genesis that the decoder was given.
        expected: NetworkId,
    },
    /// The snapshot is too short or too long, or a leaf is not in its only form.
    #[error("this snapshot is damaged: {}", .0.0)]
    Leaves(Corrupt),
    /// The root in the header is not that of the leaves.
    #[error(
        "the header of this snapshot has the root {stated}, but its leaves have the root {found}"
    )]
    Root {
        /// The root in the header, in hex.
        stated: String,
        /// The root of the leaves, in hex.
        found: String,
    },
    /// The state breaks an invariant, so no sequence of batches leads to it.
    #[error("this snapshot has an impossible state: {0}")]
    Invariant(BrokenInvariant),
}

/// The header of a snapshot with this number of leaves.
pub fn header(network: NetworkId, root: &Hash, leaves: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&network.0);
    bytes.extend_from_slice(root);
    bytes.extend_from_slice(&leaves.to_be_bytes());
    bytes
}

/// Appends a leaf. Each leaf must have a higher key than the one before.
pub fn push_leaf(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Keys and values are at most LEAF_PART_BYTES_MAX bytes long, since every text in them is
    // bounded.
    bytes.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
}

/// Reads a snapshot piece by piece, as it arrives from a file or a connection. Besides the state,
/// it keeps at most one piece and one leaf in memory.
pub struct Decoder {
    restore: Restore,
    network: NetworkId,
    /// The root in the header and the number of leaves that are still missing; `None` until the
    /// header was read.
    header: Option<(Hash, u64)>,
    /// The bytes of a leaf that is not complete yet.
    begun: Vec<u8>,
}

impl Decoder {
    /// Starts to read a snapshot of the network of these rules.
    pub fn new(rules: Arc<Rules>) -> Self {
        let network = rules.network;
        Self { restore: Restore::new(rules), network, header: None, begun: Vec::new() }
    }

    /// Takes the next bytes, in pieces of any size.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] as soon as the bytes cannot be the beginning of a snapshot of this
    /// network.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), SnapshotError> {
        self.begun.extend_from_slice(piece);
        let begun = core::mem::take(&mut self.begun);
        let mut rest = begun.as_slice();
        while let Some(after) = self.next(rest)? {
            rest = after;
        }
        // What is left is less than one leaf, however large the piece was.
        self.begun = rest.to_vec();
        Ok(())
    }

    /// Takes the header or a leaf from the front. Returns the rest, or `None` if it is not complete
    /// yet.
    fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, SnapshotError> {
        let Some((_, left)) = &mut self.header else {
            let start = bytes.get(..MAGIC.len()).unwrap_or(bytes);
            if !MAGIC.starts_with(start) {
                return Err(SnapshotError::Magic);
            }
            let mut reader = ByteReader(bytes.get(MAGIC.len()..).unwrap_or_default());
            let (Ok(network), Ok(root), Ok(leaves)) =
                (reader.array(), reader.array(), reader.u64())
            else {
                return Ok(None);
            };
            // Before any leaf: the indices of tokens and markets only have a meaning with the same genesis.
            if NetworkId(network) != self.network {
                let (found, expected) = (NetworkId(network), self.network);
                return Err(SnapshotError::Network { found, expected });
            }
            // The number of leaves is only counted down. Nothing is allocated for it, since it can be any
            // number.
            self.header = Some((root, leaves));
            return Ok(Some(reader.0));
        };
        if *left == 0 {
            // Bytes after the last leaf would give one state many snapshots.
            ByteReader(bytes).finish()?;
            return Ok(None);
        }
        let mut reader = ByteReader(bytes);
        // Too few bytes are no error here: the next piece may bring the others. If none does, `finish` fails.
        let Ok(length) = reader.u16() else { return Ok(None) };
        let Ok(key) = reader.bytes(within_bounds(length)?) else { return Ok(None) };
        let Ok(length) = reader.u32() else { return Ok(None) };
        let Ok(value) = reader.bytes(within_bounds(length)?) else { return Ok(None) };
        *left = left.wrapping_sub(1);
        self.restore.take(key, value)?;
        Ok(Some(reader.0))
    }

    /// Returns the state after the last bytes. Whether its root can be trusted is for the caller to
    /// check.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if bytes are missing, the root is not that of the leaves, or an invariant
    /// is broken.
    pub fn finish(self) -> Result<Exchange, SnapshotError> {
        let stated = match self.header {
            Some((stated, 0)) => stated,
            // A file shorter than the first line is no snapshot that was cut off, but another kind of file.
            None if self.begun.len() < MAGIC.len() => return Err(SnapshotError::Magic),
            _ => return Err(Corrupt("stored bytes are too short").into()),
        };
        let mut exchange = self.restore.finish()?;
        let found = exchange.root();
        // The root is compared before the recount, which takes much longer.
        if found != stated {
            let (stated, found) = (hex::encode(stated), hex::encode(found));
            return Err(SnapshotError::Root { stated, found });
        }
        // A right root does not show that the state is possible: whoever made the file chose the leaves, and
        // the root follows from them.
        exchange.recount().map_err(SnapshotError::Invariant)?;
        Ok(exchange)
    }
}

/// Checks the length of a key or value, so that a damaged length cannot make the decoder wait for
/// gigabytes.
fn within_bounds(length: impl TryInto<usize>) -> Result<usize, Corrupt> {
    let length = length.try_into().ok().filter(|length| *length <= LEAF_PART_BYTES_MAX);
    length.ok_or(Corrupt("a stored leaf is longer than any leaf can be"))
}

impl Exchange {
    /// The complete state in bytes: see *Snapshots* in `docs/protocol.md`.
    pub fn to_snapshot(&mut self) -> Vec<u8> {
        let leaves = self.engine().leaves();
        let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let mut bytes = header(self.rules().network, &self.root(), count);
        for (key, value) in leaves {
            push_leaf(&mut bytes, &key, &value);
        }
        bytes
    }

    /// Reads a snapshot that is in memory.
    ///
    /// # Errors
    ///
    /// As for [`Decoder`].
    pub fn from_snapshot(rules: Arc<Rules>, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut decoder = Decoder::new(rules);
        for piece in bytes.chunks(PIECE) {
            decoder.take(piece)?;
        }
        decoder.finish()
    }
}

impl From<Corrupt> for SnapshotError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Leaves(corrupt)
    }
}
