//! The sequence as it is stored: bodies, chaining hashes, roots, proofs, and what replicas said of it.

use rusqlite::{Connection, OptionalExtension, params};
use zellbook_core::genesis::ReplicaIndex;
use zellbook_core::state_root::Hash;
use zellbook_core::wire::{BatchBody, ProofBody};

use super::reader::{Unsigned, View, text};

/// Where the sequence has an attestation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationRow {
    /// The batch that holds it.
    pub said_in: u64,
    /// Its place in that batch, from 0.
    pub position: u32,
    /// Who attested.
    pub replica: ReplicaIndex,
}

/// The state root after a batch, if the batch is here or the state began with it.
pub(super) fn read_root(connection: &Connection, index: u64) -> rusqlite::Result<Option<Hash>> {
    connection
        .prepare_cached(
            "SELECT root FROM batches WHERE idx = ?1 UNION ALL SELECT root FROM start WHERE idx = ?1",
        )?
        .query_row([index.cast_signed()], |row| row.get(0))
        .optional()
}

impl View<'_> {
    /// Index of the last batch.
    pub fn last_batch(&self) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached(
                "SELECT max((SELECT coalesce(max(idx), 0) FROM batches),
                        (SELECT coalesce(max(idx), 0) FROM start))",
            )?
            .query_row([], |row| row.get::<_, Unsigned>(0))
            .map(|index| index.0)
    }

    /// The network's chaining hash at a batch.
    pub fn chaining_hash(&self, index: u64) -> rusqlite::Result<Option<String>> {
        self.connection
            .prepare_cached(
                "SELECT chaining_hash FROM batches WHERE idx = ?1
                 UNION ALL SELECT chaining_hash FROM start WHERE idx = ?1",
            )?
            .query_row([index.cast_signed()], |row| row.get(0))
            .optional()
    }

    /// The state root after a batch.
    pub fn root(&self, index: u64) -> rusqlite::Result<Option<Hash>> {
        read_root(self.connection, index)
    }

    /// The batch of the snapshot that the state was taken from: those up to it are not here; 0 if all
    /// are.
    pub fn start(&self) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached("SELECT coalesce(max(idx), 0) FROM start")?
            .query_row([], |row| row.get::<_, Unsigned>(0))
            .map(|index| index.0)
    }

    /// Batches after an index, as many as fit so many bytes of bodies, but at least one.
    pub fn batches(&self, after: u64, bytes: usize) -> rusqlite::Result<Vec<BatchBody>> {
        let mut query = self.connection.prepare_cached(
            "SELECT idx, body, chaining_hash, root, applied, rejected FROM batches
             WHERE idx > ?1 ORDER BY idx LIMIT 1000",
        )?;
        let mut rows = query.query([i64::try_from(after).unwrap_or(i64::MAX)])?;
        let mut batches = Vec::new();
        let mut total = 0_usize;
        while let Some(row) = rows.next()? {
            let body: String = row.get(1)?;
            let root: Vec<u8> = row.get(3)?;
            total = total.saturating_add(body.len());
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
            });
        }
        Ok(batches)
    }

    /// The bodies from an index to another, both among them.
    pub fn bodies(&self, first: u64, last: u64) -> rusqlite::Result<Vec<String>> {
        self.connection
            .prepare_cached("SELECT body FROM batches WHERE idx BETWEEN ?1 AND ?2 ORDER BY idx")?
            .query_map([first.cast_signed(), last.cast_signed()], |row| row.get(0))?
            .collect()
    }

    /// The finality signature that covers a batch.
    pub fn proof(&self, index: u64) -> rusqlite::Result<ProofBody> {
        self.connection
            .prepare_cached(
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
            })
    }

    /// The attestations to a root of a batch, in sequence.
    pub fn attestations(&self, batch: u64, root: &Hash) -> rusqlite::Result<Vec<AttestationRow>> {
        self.connection
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
            .collect()
    }

    /// The first certified batch from an index on, with its root.
    pub fn certified_from(&self, index: u64) -> rusqlite::Result<Option<(u64, Hash)>> {
        self.connection
            .prepare_cached(
                "SELECT batch, root FROM certified WHERE batch >= ?1 ORDER BY batch LIMIT 1",
            )?
            .query_row([index.cast_signed()], |row| Ok((row.get::<_, Unsigned>(0)?.0, row.get(1)?)))
            .optional()
    }

    /// How many leaves the state has.
    pub fn leaf_count(&self) -> rusqlite::Result<u64> {
        self.connection
            .query_row("SELECT count(*) FROM state", [], |row| row.get::<_, Unsigned>(0))
            .map(|count| count.0)
    }

    /// All leaves, in ascending order of their keys.
    pub fn each_leaf(&self, mut each: impl FnMut(&[u8], &[u8])) -> rusqlite::Result<()> {
        let mut query = self.connection.prepare("SELECT key, value FROM state ORDER BY key")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        }
        Ok(())
    }
}
