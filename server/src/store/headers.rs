//! Reads batches without their bodies, and the last attestation of each replica.

use rusqlite::{OptionalExtension, Row, params};
use zellbook_core::LeafKey;
use zellbook_core::types::ReplicaIndex;
use zellbook_core::wire::{HeaderBody, ReplicaBody};

use super::accounts::Numbers;
use super::error::QueryError;
use super::reader::{Unsigned, View, text};

fn header(row: &Row<'_>, certified: Option<u64>) -> rusqlite::Result<HeaderBody> {
    let root: Vec<u8> = row.get(2)?;
    let index = row.get::<_, Unsigned>(0)?.0;
    Ok(HeaderBody {
        index: index.to_string(),
        chaining_hash: row.get(1)?,
        root: hex::encode(root),
        applied: text(row, 3)?,
        rejected: text(row, 4)?,
        bytes: text(row, 5)?,
        // Never NULL, since a batch is committed together with a proof that covers it. Proofs have their time
        // in seconds.
        time_ms: row.get::<_, i64>(6)?.saturating_mul(1000).to_string(),
        applied_ms: text(row, 7)?,
        certified: Some(index) <= certified,
        certified_in: row.get::<_, Option<Unsigned>>(8)?.map(|batch| batch.0.to_string()),
    })
}

impl View<'_> {
    /// The headers of the batches before an index, newest first.
    pub fn headers(&self, before: u64, limit: u32) -> Result<Vec<HeaderBody>, QueryError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        let certified = self.certified_batch()?;
        Ok(self.connection
            .prepare_cached(
                "SELECT idx, chaining_hash, root, applied, rejected, bytes,
                    (SELECT timestamp FROM proofs WHERE proofs.idx >= batches.idx ORDER BY proofs.idx LIMIT 1),
                    applied_ms, (SELECT said_in FROM certified WHERE certified.batch = batches.idx)
                 FROM batches WHERE idx < ?1 ORDER BY idx DESC LIMIT ?2",
            )?
            .query_map(params![before, limit], |row| header(row, certified))?
            .collect::<rusqlite::Result<_>>()?)
    }

    /// The replicas in genesis, each with its last attestation. `this` is the public key of this replica.
    pub fn replicas(&self, this: &str) -> Result<Vec<ReplicaBody>, QueryError> {
        let replicas = (0_u16..).map(ReplicaIndex).zip(&self.rules.genesis.replicas);
        replicas
            .map(|(index, replica)| {
                let public_key = replica.public_key.to_string();
                let mut body = ReplicaBody {
                    is_this: public_key == this,
                    public_key,
                    weight: replica.weight.to_string(),
                    attested_batch: None,
                    attested_root: None,
                    said_in: None,
                    clock_ms: None,
                };
                let Some(leaf) = self.leaf(&LeafKey::Replica(index))? else { return Ok(body) };
                let mut numbers = Numbers(&leaf);
                // The leaf has no root, so that is read from the views below.
                let (batch, clock) = (numbers.u64(), numbers.u64());
                body.attested_batch = Some(batch.to_string());
                body.clock_ms = Some(clock.to_string());
                if let Some((said_in, root)) = self.last_attestation(batch, index)? {
                    body.said_in = Some(said_in.to_string());
                    body.attested_root = Some(hex::encode(root));
                }
                Ok(body)
            })
            .collect()
    }

    /// The last attestation of a replica to a batch: the batch that contains it, and the root.
    fn last_attestation(
        &self,
        batch: u64,
        replica: ReplicaIndex,
    ) -> rusqlite::Result<Option<(u64, Vec<u8>)>> {
        self.connection
            .prepare_cached(
                // Without INDEXED BY, SQLite could walk through the whole table backwards by its primary key,
                // because that is the order of the result. The last row counts, since a replica can attest to
                // one batch repeatedly.
                "SELECT said_in, root FROM attestations INDEXED BY attestations_by_batch
                 WHERE batch = ?1 AND replica = ?2 ORDER BY said_in DESC, position DESC LIMIT 1",
            )?
            .query_row(params![batch.cast_signed(), replica.0], |row| {
                Ok((row.get::<_, Unsigned>(0)?.0, row.get(1)?))
            })
            .optional()
    }
}
