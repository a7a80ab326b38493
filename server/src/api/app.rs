//! The parts of the replica that the handlers share.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use tokio::sync::watch;
use zellbook_core::wire::GatewayBody;
use zellbook_core::{Rules, SecretKey};

use super::bodies::Bodies;
use super::checks::Checks;
use super::faucet::Faucet;
use super::in_progress::InProgress;
use super::origin::Origins;
use super::page::Page;
use super::queues::Queues;
use super::sockets::Sockets;
use super::unsent::Unsent;
use crate::clock::Clock;
use crate::outbox::Outbox;
use crate::published::Watch;
use crate::snapshots::Snapshots;
use crate::store::Reader;
use zellular::client::VerifierWatch;

/// When this replica counts as ready. `None` is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Readiness {
    /// How long nothing may come back while transactions wait in the outbox.
    pub stall_max: Option<Duration>,
    /// How long the oldest transaction in the outbox may wait.
    pub wait_max: Option<Duration>,
    /// How old the last batch may be.
    pub batch_age_max: Option<Duration>,
}

pub struct App {
    pub rules: Arc<Rules>,
    pub reader: Reader,
    pub outbox: Outbox,
    /// The published view, the replica's health and the feed.
    pub watch: Watch,
    /// Returns the current state of the sequencer's gateways.
    pub gateways: Box<dyn Fn() -> Vec<GatewayBody> + Send + Sync>,
    pub verifier: VerifierWatch,
    /// Signs receipts.
    pub replica_key: SecretKey,
    pub faucet: Option<Faucet>,
    /// The batch of the snapshot that the replica started from; 0 if it started from genesis.
    pub start: u64,
    /// Snapshots that other replicas can start from.
    pub snapshots: Snapshots,
    /// The origins of pages that the operator listed.
    pub origins: Origins,
    /// `None` if the replica serves no web page.
    pub page: Option<Page>,
    pub clock: Clock,
    pub bodies: Bodies,
    pub in_progress: Arc<InProgress>,
    pub unsent: Arc<Unsent>,
    pub checks: Arc<Checks>,
    pub queues: Queues,
    pub readiness: Readiness,
    pub sockets: Arc<Sockets>,
    /// Becomes true when the replica stops.
    pub stop: watch::Receiver<bool>,
}

/// The extractor of every handler.
pub type Shared = State<Arc<App>>;
