//! Replicas, the sequencer network, and state snapshots.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Answer to `GET /v1/network`: what is needed to verify sequence proofs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkBody {
    /// The app's name on the network. It is part of every message that the nodes sign.
    pub app_name: String,
    /// The share of stake that must sign, in percent.
    pub threshold: String,
    /// The block at which these nodes and their stakes are read; `0` if the network has a fixed list of nodes.
    pub tag: String,
    /// The nodes, in the format of a network file.
    pub nodes: Box<RawValue>,
}

/// Answer to `GET /v1/snapshots`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsResponse {
    /// State snapshots, newest first.
    pub snapshots: Vec<SnapshotBody>,
}

/// A state snapshot that a replica offers for download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotBody {
    /// The batch after which the state was written.
    pub batch: String,
    /// The root of that state.
    pub root: String,
    /// The size of the file in bytes.
    pub bytes: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The network's chaining hash at that batch.
    pub chaining_hash: String,
    /// When the file was written, by the replica's clock.
    pub made_ms: String,
}

/// Answer to `GET /v1/replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicasResponse {
    /// The last batch that this answer takes into account.
    pub batch: String,
    /// The replicas in the order of genesis.
    pub replicas: Vec<ReplicaBody>,
}

/// A replica that genesis names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaBody {
    /// The key that signs the replica's attestations.
    pub public_key: String,
    /// The weight of its attestations.
    pub weight: String,
    /// Whether this is the replica that answers.
    pub is_this: bool,
    /// The last batch that the replica attested to; `null` if it never did.
    pub attested_batch: Option<String>,
    /// The root that it attested to for that batch; `null` if the answering replica does not have it.
    pub attested_root: Option<String>,
    /// The batch that contains that attestation; `null` if the answering replica does not have it.
    pub said_in: Option<String>,
    /// The clock that the replica stated in that attestation.
    pub clock_ms: Option<String>,
}

/// The state of a replica's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// It has not reached the sequencer since it started.
    Starting,
    /// It applies batches as the network sequences them.
    Following,
    /// No gateway answers, or none gives a valid answer.
    Disconnected,
    /// It found evidence that continuing would be wrong, like a fork. It does not restart itself: an operator
    /// must find the cause.
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
    /// `starting`, `following`, `disconnected` or `halted`.
    pub state: ReplicaState,
    /// Why the replica is not following; `null` if it is.
    pub reason: Option<String>,
    /// The last batch that the replica applied.
    pub batch: String,
    /// The state root after that batch.
    pub root: String,
    /// The exchange's time: the weighted median of the replicas' clocks.
    pub time_ms: String,
    /// The best that the replica knows of the present time: the latest of the exchange's time and its own clock, or the
    /// network's time if the two clocks differ too much. Relative times count from here, since the exchange's time stands
    /// still while there are no batches.
    pub now_ms: String,
    /// How far the replica's clock is ahead of the time of the network's proofs, negative if it is behind; `null` if no
    /// proof has told it lately. A clock that differs by more than two minutes is not attested.
    pub clock_ahead_ms: Option<String>,
    /// The last batch with a certified root; `null` if there is none.
    pub certified_batch: Option<String>,
    /// The certified root; `null` if there is none.
    pub certified_root: Option<String>,
    /// The last batch whose body was compared with that of another gateway; `null` if none was since the replica
    /// started.
    pub compared_batch: Option<String>,
    /// The network's chaining hash at the last applied batch.
    pub chaining_hash: String,
    /// When the replica applied that batch, by its own clock; `null` if that was before it started.
    pub applied_ms: Option<String>,
    /// The batch of the snapshot that this replica started from; it has only later batches. `0` if it has all.
    pub start: String,
    /// The age of the last batch, by the time of its sequence proof; `null` if the replica has none. It grows on an
    /// exchange that is idle, too.
    pub batch_age_ms: Option<String>,
    /// The number of sequenced batches that the replica has not applied.
    pub lag_batches: String,
    /// The time from the last sequence proof to the commit of its batch. The proof's time is in whole seconds.
    pub lag_ms: String,
    /// The number of transactions that were in the sequence a second time, since the replica started.
    pub duplicates: String,
    /// The number of transactions in the outbox.
    pub outbox: String,
    /// How long the transaction has waited in the outbox that has waited longest; `null` if none waits.
    pub oldest_waiting_ms: Option<String>,
    /// Why `/readyz` fails; `null` if the replica is ready.
    pub not_ready: Option<String>,
    /// The outbox's counts since the replica started.
    pub posting: PostingBody,
    /// The sequencer gateways, with the last failure of each.
    pub gateways: Vec<GatewayBody>,
    /// Whether this replica offers `POST /v1/faucet`.
    pub faucet: bool,
}

/// Counts of an outbox since its replica started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostingBody {
    /// The number of transactions accepted.
    pub taken: String,
    /// The number of transactions posted for the first time.
    pub posted: String,
    /// The number of times that a transaction was posted again.
    pub posted_again: String,
    /// The number of transactions of this outbox that were in the sequence a second time.
    pub duplicates: String,
    /// The number of transactions abandoned because they expired.
    pub expired: String,
    /// The number of transactions abandoned because their nonce can no longer be used.
    pub superseded: String,
    /// How long the outbox waits for a posted transaction before it posts it again. It follows the latency.
    pub repost_ms: String,
    /// The time from posting to being sequenced, smoothed; `null` before the first posted transaction is sequenced.
    pub latency_ms: Option<String>,
}

/// A gateway to the sequencer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayBody {
    /// The gateway's address.
    pub url: String,
    /// Whether the replica currently reads from this gateway.
    pub in_use: bool,
    /// Whether the replica posts to this gateway: to one, or to several while more is waiting than fits one
    /// batch.
    pub is_posted_to: bool,
    /// Whether the gateway reports that it is the leader.
    pub is_leader: bool,
    /// The gateway head: the newest sequenced index that it reports. `null` if it does not answer.
    pub head: Option<String>,
    /// Whether the gateway is behind what most of the network reports.
    pub lags: bool,
    /// The number of failures since this replica started.
    pub failures: String,
    /// The number of answers that were shown to be false since this replica started.
    pub dishonest_answers: String,
    /// A description of the gateway's last failure; `null` if there was none, or if it has answered well since.
    pub last_failure: Option<String>,
}
