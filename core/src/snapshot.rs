//! The whole state in bytes, with its root. Equal states give equal bytes.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use thiserror::Error;

use crate::engine::BrokenInvariant;
use crate::exchange::{Exchange, Restore};
use crate::rules::Rules;
use crate::types::limits::LEAF_PART_BYTES_MAX;
use crate::types::{ByteReader, Corrupt, Hash, NetworkId};

/// What every snapshot begins with; the number is the version of the format.
const MAGIC: &[u8; 20] = b"ZELLBOOK SNAPSHOT 1\n";

/// Bytes that are decoded at once where all are there.
const PIECE: usize = 1 << 16;

/// Why bytes are no snapshot of this network's state.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SnapshotError {
    /// It does not begin as a snapshot of this version does.
    #[error("this is no Zellbook snapshot of version 1")]
    Magic,
    /// It is of another genesis.
    #[error("this snapshot is of network {found}, not of {expected}")]
    Network {
        /// What the snapshot says.
        found: NetworkId,
        /// The hash of our genesis.
        expected: NetworkId,
    },
    /// It ends early, goes on too long, or a leaf is not in its one form.
    #[error("this snapshot is damaged: {0}")]
    Leaves(Corrupt),
    /// Its leaves have another root than it says.
    #[error("this snapshot says that its root is {said}, but its leaves have the root {found}")]
    Root {
        /// What the snapshot says, in hex.
        said: String,
        /// What its leaves have, in hex.
        found: String,
    },
    /// No sequence of batches leads to this state.
    #[error("this snapshot holds a state that cannot be: {0}")]
    Invariant(BrokenInvariant),
}

/// What a snapshot of so many leaves begins with.
pub fn header(network: NetworkId, root: &Hash, leaves: u64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&network.0);
    bytes.extend_from_slice(root);
    bytes.extend_from_slice(&leaves.to_be_bytes());
    bytes
}

/// Adds a leaf, of which each has a higher key than the one before.
pub fn push_leaf(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // Keys and values are short: texts in them are bounded.
    bytes.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
}

/// Reads a snapshot piece by piece, as it comes from a file. Besides the state that it holds, no more
/// than a piece and a leaf are in memory.
pub struct Decoder {
    restore: Restore,
    network: NetworkId,
    /// The root that it says it has, and how many leaves are to come; not known yet at first.
    said: Option<(Hash, u64)>,
    /// What came and is no whole leaf yet.
    begun: Vec<u8>,
}

impl Decoder {
    /// Of a snapshot of the network of these rules.
    pub fn new(rules: Arc<Rules>) -> Self {
        let network = rules.network;
        Self { restore: Restore::new(rules), network, said: None, begun: Vec::new() }
    }

    /// Takes the next bytes, as many as there are.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), SnapshotError> {
        self.begun.extend_from_slice(piece);
        let begun = core::mem::take(&mut self.begun);
        let mut rest = begun.as_slice();
        while let Some(after) = self.next(rest)? {
            rest = after;
        }
        self.begun = rest.to_vec();
        Ok(())
    }

    /// Takes what stands first. Returns the rest, or `None` if that is not whole yet.
    fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, SnapshotError> {
        let Some((_, left)) = &mut self.said else {
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
            if NetworkId(network) != self.network {
                let (found, expected) = (NetworkId(network), self.network);
                return Err(SnapshotError::Network { found, expected });
            }
            self.said = Some((root, leaves));
            return Ok(Some(reader.0));
        };
        if *left == 0 {
            ByteReader(bytes).finish()?;
            return Ok(None);
        }
        let mut reader = ByteReader(bytes);
        let Ok(length) = reader.u16() else { return Ok(None) };
        let Ok(key) = reader.bytes(within_bounds(length)?) else { return Ok(None) };
        let Ok(length) = reader.u32() else { return Ok(None) };
        let Ok(value) = reader.bytes(within_bounds(length)?) else { return Ok(None) };
        *left = left.wrapping_sub(1);
        self.restore.take(key, value)?;
        Ok(Some(reader.0))
    }

    /// The state, once all bytes are taken. Its root is computed again, and all invariants recounted.
    /// Whether the root is one to trust is for the caller to know.
    pub fn finish(self) -> Result<Exchange, SnapshotError> {
        let said = match self.said {
            Some((said, 0)) => said,
            None if self.begun.len() < MAGIC.len() => return Err(SnapshotError::Magic),
            _ => return Err(Corrupt("stored bytes are too short").into()),
        };
        let mut exchange = self.restore.finish()?;
        let found = exchange.root();
        if found != said {
            let (said, found) = (hex::encode(said), hex::encode(found));
            return Err(SnapshotError::Root { said, found });
        }
        exchange.recount().map_err(SnapshotError::Invariant)?;
        Ok(exchange)
    }
}

/// The length of a key or value, if any leaf has one so long.
fn within_bounds(length: impl TryInto<usize>) -> Result<usize, Corrupt> {
    let length = length.try_into().ok().filter(|length| *length <= LEAF_PART_BYTES_MAX);
    length.ok_or(Corrupt("a stored leaf is longer than any"))
}

impl Exchange {
    /// The whole state in bytes: see *Snapshots* in `docs/protocol.md`.
    pub fn to_snapshot(&mut self) -> Vec<u8> {
        let leaves = self.engine().leaves();
        let count = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let mut bytes = header(self.rules().network, &self.root(), count);
        for (key, value) in leaves {
            push_leaf(&mut bytes, &key, &value);
        }
        bytes
    }

    /// Reads a snapshot, as [`Decoder`] does.
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
