//! Replicas, the sequencer’s network and snapshots.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Answer to `GET /v1/network`: what finality proofs are checked by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkBody {
    /// The app's name on the network, which the signed messages have.
    pub app_name: String,
    /// The share of stake that must sign, in percent.
    pub threshold: String,
    /// The block at which these nodes count; `0` where they are always the same.
    pub tag: String,
    /// The nodes, as a network file lists them.
    pub nodes: Box<RawValue>,
}

/// Answer to `GET /v1/snapshots`: the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsResponse {
    /// The newest first.
    pub snapshots: Vec<SnapshotBody>,
}

/// A snapshot that a replica keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBody {
    /// The batch that it is of.
    pub batch: String,
    /// The state root, 64 hex digits.
    pub root: String,
    /// Its size.
    pub bytes: String,
    /// SHA-256 of the file, 64 hex digits.
    pub sha256: String,
    /// The network's chaining hash at the batch.
    pub chaining_hash: String,
    /// When it was made, Unix milliseconds.
    pub made_ms: String,
}

/// Answer to `GET /v1/replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasResponse {
    /// The batch after which it was so.
    pub batch: String,
    /// Those of genesis, in its order.
    pub replicas: Vec<ReplicaBody>,
}

/// A replica that genesis names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaBody {
    /// The key that its attestations are signed with.
    pub public_key: String,
    /// Its weight.
    pub weight: String,
    /// Whether it is the one that answers.
    pub is_this: bool,
    /// The last batch that it attested to; `null` before the first.
    pub attested_batch: Option<String>,
    /// The root that it attested to then, where this replica has that.
    pub attested_root: Option<String>,
    /// The batch that holds this attestation, where this replica has it.
    pub said_in: Option<String>,
    /// Its clock then.
    pub clock_ms: Option<String>,
}

/// What a replica is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// It has not reached the sequencer yet since it started.
    Starting,
    /// It has all that the sequencer finalized.
    Following,
    /// It cannot reach any gateway, or each answers wrongly.
    Disconnected,
    /// It found a reason never to go on; an operator must look.
    Halted,
}

/// Answer to `GET /v1/status`, and the data of the status channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBody {
    /// The network id: the hash of genesis.
    pub network: String,
    /// The name in genesis.
    pub name: String,
    /// Version of this program.
    pub version: String,
    /// What the replica is doing.
    pub state: ReplicaState,
    /// Why, if it is not following.
    pub reason: Option<String>,
    /// The last batch that it applied.
    pub batch: String,
    /// The state root after it.
    pub root: String,
    /// The exchange's time: the median of the replicas' clocks.
    pub time_ms: String,
    /// The last batch whose root replicas of more than two thirds of the weight attested to.
    pub certified_batch: Option<String>,
    /// That root, 64 hex digits.
    pub certified_root: Option<String>,
    /// The network's chaining hash there.
    pub chaining_hash: String,
    /// When it applied that batch, if it did since it started.
    pub applied_ms: Option<String>,
    /// The batch of the snapshot that it began with: it has none up to that one; `0` if it has all.
    pub start: String,
    /// Batches that a gateway said are finalized and that it has not applied.
    pub lag_batches: String,
    /// Milliseconds from the time of the last proof, which is in whole seconds, to its commit.
    pub lag_ms: String,
    /// Transactions that stood in the sequence once more, since it started.
    pub duplicates: String,
    /// Transactions in its outbox.
    pub outbox: String,
    /// What the outbox did since this replica started.
    pub posting: PostingBody,
    /// The sequencer gateways, and the last failure of each.
    pub gateways: Vec<GatewayBody>,
    /// Whether `POST /v1/faucet` works here.
    pub faucet: bool,
}

/// What an outbox did since its replica started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingBody {
    /// Transactions taken.
    pub taken: String,
    /// Transactions posted for the first time.
    pub posted: String,
    /// Transactions posted once more.
    pub posted_again: String,
    /// Transactions of this replica that were in the sequence once more.
    pub duplicates: String,
    /// Transactions given up because they expired.
    pub expired: String,
    /// Transactions given up because their nonce cannot be used any more.
    pub superseded: String,
    /// Milliseconds until what was posted and not seen is posted again.
    pub repost_ms: String,
    /// Milliseconds from posting to finality, smoothed; `null` before the first was seen.
    pub latency_ms: Option<String>,
}

/// A gateway to the sequencer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayBody {
    /// Where it listens.
    pub url: String,
    /// Whether it is the one that is read now.
    pub in_use: bool,
    /// Whether it is posted to: one gateway, or several while there is more to post than one batch takes.
    pub is_posted_to: bool,
    /// Whether it says that it is the leader.
    pub is_leader: bool,
    /// The last finalized batch that it claims; `null` if it does not answer.
    pub finalized: Option<String>,
    /// Whether it is behind what most of the network claims.
    pub lags: bool,
    /// Faults since this replica started.
    pub failures: String,
    /// The number of dishonest answers since this replica started: ones that are proven false.
    pub dishonest_answers: String,
    /// The last thing that went wrong with it.
    pub last_failure: Option<String>,
}
