//! One gateway: what is known about it, and how it ranks.

use std::time::Duration;

use tokio::time::Instant;

use crate::nodes::{Node, NodeList};
use crate::page_error::PageError;

use super::backoff::Backoff;

/// How long a gateway is avoided after it was unavailable: the first time, and at most. Each failure in a
/// row doubles the time.
pub(super) const UNAVAILABLE_WAIT: Backoff =
    Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// The same after it was dishonest. An honest node is never found dishonest, so this is long; it is not
/// forever, because an operator list that is out of date makes honest nodes look so.
pub(super) const DISHONEST_WAIT: Backoff =
    Backoff::new(Duration::from_secs(300), Duration::from_secs(3600));
/// The time without a refused post after which earlier refusals are forgotten.
pub(super) const REFUSALS_LAST: Duration = Duration::from_secs(60);

/// The address of a gateway, with the stake of its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// The base URL, for example `http://127.0.0.1:6001`.
    pub url: String,
    /// The node's stake. Its claims about the network weigh by it.
    pub stake: u64,
}

impl GatewayAddress {
    /// Returns the addresses of all nodes in a list.
    pub fn of_nodes(nodes: &NodeList) -> Vec<Self> {
        let address = |node: &Node| Self { url: node.socket.clone(), stake: node.stake };
        nodes.nodes().map(address).collect()
    }
}

/// What a node claims about itself at `/node/state`. Nothing proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeClaim {
    pub is_leader: bool,
    /// The last index that it has seen finalized.
    pub finalized: u64,
}

/// Why a gateway is avoided for a while. The text tells what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayFailure {
    /// It did not answer, refused, or is behind: all of that can happen to an honest node.
    Unavailable(String),
    /// It sent something that no honest node sends.
    Dishonest(String),
}

impl From<&PageError> for GatewayFailure {
    fn from(error: &PageError) -> Self {
        let text = error.to_string();
        if error.is_dishonest() { Self::Dishonest(text) } else { Self::Unavailable(text) }
    }
}

impl GatewayFailure {
    /// Returns what happened.
    pub fn text(&self) -> &str {
        let (Self::Unavailable(text) | Self::Dishonest(text)) = self;
        text
    }
}

/// The state of a gateway, for status pages and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// The base URL.
    pub url: String,
    /// Whether batches are read from it now.
    pub is_read_from: bool,
    /// Whether a lane leads to it now.
    pub is_posted_to: bool,
    /// Whether it claims to be the leader.
    pub is_leader: bool,
    /// The last finalized index that it claims; `None` if it did not answer.
    pub finalized: Option<u64>,
    /// Whether it is behind what the network had one survey earlier.
    pub lags: bool,
    /// The number of failures since the client started, dishonest answers included.
    pub failures: u64,
    /// The number of dishonest answers since the client started.
    pub dishonest_answers: u32,
    /// What last happened, until it answers well again.
    pub last_failure: Option<String>,
}

/// What a gateway is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Reading,
    Posting,
}

#[derive(Debug)]
pub(super) struct Gateway {
    pub address: GatewayAddress,
    /// The claim of the last survey; `None` if it did not answer.
    pub claim: Option<NodeClaim>,
    /// The claim of the survey before.
    pub claim_before: Option<NodeClaim>,
    /// Whether it is behind what the network had one survey earlier. Compared with the same survey, every
    /// node that answers a moment earlier than others would lag.
    pub lags: bool,
    /// Failures in a row.
    pub failures: u32,
    pub failures_total: u64,
    pub dishonest_answers: u32,
    /// Refused posts in a row.
    pub refusals: u32,
    pub avoided_until: Option<Instant>,
    pub no_posts_until: Option<Instant>,
    pub last_failure: Option<String>,
}

impl Gateway {
    pub const fn new(address: GatewayAddress) -> Self {
        Self {
            address,
            claim: None,
            claim_before: None,
            lags: false,
            failures: 0,
            failures_total: 0,
            dishonest_answers: 0,
            refusals: 0,
            avoided_until: None,
            no_posts_until: None,
            last_failure: None,
        }
    }

    /// Ranks it for a use: the gateway with the lowest rank is the best.
    pub fn demerits(&self, what: Use, now: Instant, was_surveyed: bool) -> Demerits {
        let posts = self.no_posts_until.filter(|_| what == Use::Posting);
        Demerits {
            // `None` sorts before every time, so gateways that are not avoided come first.
            avoided_until: self.avoided_until.max(posts).filter(|until| now < *until),
            // Before the first survey no gateway has a claim, and none is silent.
            is_silent: was_surveyed && self.claim.is_none(),
            lags: self.lags,
            is_leader: self.claim.is_some_and(|claim| claim.is_leader),
        }
    }
}

/// The reasons against a gateway. The order of the fields is the order in which they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Demerits {
    avoided_until: Option<Instant>,
    is_silent: bool,
    lags: bool,
    /// The leader works for the whole network already.
    is_leader: bool,
}
