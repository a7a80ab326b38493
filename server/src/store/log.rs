//! Reads the sequence: bodies, chaining hashes, state roots, sequence proofs and attestations.

use rusqlite::{Connection, OptionalExtension, params};
use zellbook_core::types::ReplicaIndex;
use zellbook_core::wire::{BatchBody, ProofBody};
use zellbook_core::{Hash, LeafKey};

use super::body::Body;
use super::error::QueryError;
use super::reader::{Unsigned, View, text};

/// The element of the sequence that holds an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationRow {
    /// The batch that contains it; not the one that it is about.
    pub said_in: u64,
    /// Its position in that batch, from 0.
    pub position: u32,
    pub replica: ReplicaIndex,
}

/// The state root after a batch. The batch of the snapshot that the state started from has one too,
/// although its body is not stored.
pub(super) fn read_root(connection: &Connection, index: u64) -> rusqlite::Result<Option<Hash>> {
    connection
        .prepare_cached(
            "SELECT root FROM batches WHERE idx = ?1 UNION ALL SELECT root FROM start WHERE idx = ?1",
        )?
        .query_row([index.cast_signed()], |row| row.get(0))
        .optional()
}

impl View<'_> {
    pub fn last_batch(&self) -> Result<u64, QueryError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT max((SELECT coalesce(max(idx), 0) FROM batches),
                        (SELECT coalesce(max(idx), 0) FROM start))",
            )?
            .query_row([], |row| row.get::<_, Unsigned>(0))
            .map(|index| index.0)?)
    }

    pub fn chaining_hash(&self, index: u64) -> Result<Option<String>, QueryError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT chaining_hash FROM batches WHERE idx = ?1
                 UNION ALL SELECT chaining_hash FROM start WHERE idx = ?1",
            )?
            .query_row([index.cast_signed()], |row| row.get(0))
            .optional()?)
    }

    pub fn root(&self, index: u64) -> Result<Option<Hash>, QueryError> {
        Ok(read_root(self.connection, index)?)
    }

    /// The batch of the snapshot that the state started from; 0 if it started from genesis. Batches up to
    /// it are not stored.
    pub fn start(&self) -> Result<u64, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT coalesce(max(idx), 0) FROM start")?
            .query_row([], |row| row.get::<_, Unsigned>(0))
            .map(|index| index.0)?)
    }

    /// The last certified batch: replicas with more than two thirds of the weight attested our root of it. The
    /// root commits to all bodies so far, so every batch up to it is certified too.
    pub fn certified_batch(&self) -> Result<Option<u64>, QueryError> {
        let start = self.start()?;
        // From the leaves, which the root commits to. Newest first, and the keys are in ascending order of
        // batches.
        let (first, last) =
            (LeafKey::Certified(0).to_bytes(), LeafKey::Certified(u64::MAX).to_bytes());
        let mut query = self.connection.prepare_cached(
            "SELECT key, value FROM state WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC",
        )?;
        let mut rows = query.query([first, last])?;
        while let Some(row) = rows.next()? {
            let key: Vec<u8> = row.get(0)?;
            let Ok(LeafKey::Certified(batch)) = LeafKey::from_bytes(&key) else { continue };
            if batch <= start {
                break;
            }
            // A halted replica has the certified root that contradicts its own in its last state, as evidence.
            // That root certifies nothing here.
            if self.root(batch)? == Some(row.get(1)?) {
                return Ok(Some(batch));
            }
        }
        // The state after `start` came with a certified root (see `bootstrap`).
        Ok((start > 0).then_some(start))
    }

    /// The batches after an index, in sequence, until their bodies exceed `bytes`, but at least one.
    pub fn batches(&self, after: u64, bytes: usize) -> Result<Vec<BatchBody>, QueryError> {
        // The row limit is for batches with short bodies, of which very many would fit into the bytes.
        let mut query = self.connection.prepare_cached(
            "SELECT idx, body, chaining_hash, root, applied, rejected FROM batches
             WHERE idx > ?1 ORDER BY idx LIMIT 1000",
        )?;
        let certified = self.certified_batch()?;
        let mut rows = query.query([i64::try_from(after).unwrap_or(i64::MAX)])?;
        let mut batches = Vec::new();
        let mut total = 0_usize;
        while let Some(row) = rows.next()? {
            let Body(body) = row.get(1)?;
            let root: Vec<u8> = row.get(3)?;
            total = total.saturating_add(body.len());
            // One batch is returned whatever its length: a reader could otherwise never get past a long one.
            if total > bytes && !batches.is_empty() {
                break;
            }
            let index = row.get::<_, Unsigned>(0)?.0;
            batches.push(BatchBody {
                index: index.to_string(),
                body,
                chaining_hash: row.get(2)?,
                root: hex::encode(root),
                applied: text(row, 4)?,
                rejected: text(row, 5)?,
                proof: self.proof(index)?,
                certified: Some(index) <= certified,
            });
        }
        Ok(batches)
    }

    /// The bodies of the batches from `first` to `last`, inclusive.
    pub fn bodies(&self, first: u64, last: u64) -> Result<Vec<String>, QueryError> {
        Ok(self
            .connection
            .prepare_cached("SELECT body FROM batches WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx")?
            .query_map([first.cast_signed(), last.cast_signed()], |row| {
                row.get(0).map(|Body(body)| body)
            })?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The sequence proof of a batch: the first signature at its index or a later one, since a signature
    /// covers all batches before it through the chaining hash.
    pub fn proof(&self, index: u64) -> Result<ProofBody, QueryError> {
        Ok(self
            .connection
            .prepare_cached(
                // Found for every stored batch, since each is committed together with a proof that covers it.
                "SELECT idx, parent_index, timestamp, nonsigners, signature, chaining_hash, tag
                 FROM proofs WHERE idx >= ?1 ORDER BY idx LIMIT 1",
            )?
            .query_row([index.cast_signed()], |row| {
                let nonsigners: String = row.get(3)?;
                Ok(ProofBody {
                    index: text(row, 0)?,
                    parent_index: text(row, 1)?,
                    timestamp: text(row, 2)?,
                    chaining_hash: row.get(5)?,
                    nonsigners: serde_json::from_str(&nonsigners).unwrap_or_default(),
                    signature: row.get(4)?,
                    tag: text(row, 6)?,
                })
            })?)
    }

    /// The attestations to this root of a batch, in sequence.
    pub fn attestations(&self, batch: u64, root: &Hash) -> Result<Vec<AttestationRow>, QueryError> {
        Ok(self.connection
            .prepare_cached(
                "SELECT said_in, position, replica FROM attestations INDEXED BY attestations_by_batch
                 WHERE batch = ?1 AND root = ?2 ORDER BY said_in, position",
            )?
            .query_map(params![batch.cast_signed(), root], |row| {
                Ok(AttestationRow {
                    said_in: row.get::<_, Unsigned>(0)?.0,
                    position: row.get(1)?,
                    replica: ReplicaIndex(row.get(2)?),
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The first certified batch at this index or a later one, with its root.
    pub fn certified_from(&self, index: u64) -> Result<Option<(u64, Hash)>, QueryError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT batch, root FROM certified WHERE batch >= ?1 ORDER BY batch LIMIT 1",
            )?
            .query_row([index.cast_signed()], |row| Ok((row.get::<_, Unsigned>(0)?.0, row.get(1)?)))
            .optional()?)
    }

    pub fn leaf_count(&self) -> Result<u64, QueryError> {
        Ok(self
            .connection
            .query_row("SELECT count(*) FROM state", [], |row| row.get::<_, Unsigned>(0))
            .map(|count| count.0)?)
    }

    /// Calls `each` with every leaf, in ascending order of keys, until it fails. The whole state need not fit
    /// into memory.
    pub fn each_leaf<E>(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, QueryError> {
        // The order of leaves in a snapshot file (section 20 of the protocol).
        let mut query = self.connection.prepare("SELECT key, value FROM state ORDER BY key")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let blob = |column| -> rusqlite::Result<_> { Ok(row.get_ref(column)?.as_blob()?) };
            let done = each(blob(0)?, blob(1)?);
            if done.is_err() {
                return Ok(done);
            }
        }
        Ok(Ok(()))
    }
}
