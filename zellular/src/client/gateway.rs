//! One gateway: what is known of it, and what speaks against it.

use std::time::Duration;

use tokio::time::Instant;

/// How long a gateway is avoided after a fault: doubled with each in a row, from the first to the last.
pub const FAULT_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The same after a lie that is proven.
pub const LIE_WAIT: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(3600));

/// After which time without a refusal earlier ones are forgotten.
pub const REFUSALS_LAST: Duration = Duration::from_secs(60);

/// A gateway and the stake behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// Such as `http://127.0.0.1:6001`.
    pub url: String,
    /// The node's stake; what it says of the network counts by it.
    pub stake: u64,
}

/// What a node says of itself at `/node/state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeClaim {
    /// Whether it is the leader, which is better left to its work.
    pub is_leader: bool,
    /// The last index that it has seen finalized.
    pub finalized: u64,
}

/// What was wrong with a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It did not answer, refused, or is behind: what can befall an honest node.
    Fails(String),
    /// It sent what no honest node sends.
    Lies(String),
}

impl Fault {
    /// What it was.
    pub fn text(&self) -> &str {
        let (Self::Fails(text) | Self::Lies(text)) = self;
        text
    }
}

/// What a gateway is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Reading what is finalized.
    Reading,
    /// Posting batches.
    Posting,
}

/// What is known of a gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Where it is.
    pub address: GatewayAddress,
    /// What it said when it was asked last; `None` if it did not answer.
    pub claim: Option<NodeClaim>,
    /// What it said when it was asked before that.
    pub claim_before: Option<NodeClaim>,
    /// Whether it has not even reached what the network had one survey earlier.
    pub lags: bool,
    /// Faults in a row.
    pub faults: u32,
    /// Faults since the start.
    pub faults_ever: u64,
    /// Proven lies since the start.
    pub lies: u32,
    /// Posts in a row that it did not take.
    pub refusals: u32,
    /// Until when it is avoided.
    pub avoided_until: Option<Instant>,
    /// Until when it is not posted to.
    pub no_posts_until: Option<Instant>,
    /// What was last wrong with it.
    pub fault: Option<String>,
}

impl Gateway {
    /// One of which nothing is known yet.
    pub const fn new(address: GatewayAddress) -> Self {
        Self {
            address,
            claim: None,
            claim_before: None,
            lags: false,
            faults: 0,
            faults_ever: 0,
            lies: 0,
            refusals: 0,
            avoided_until: None,
            no_posts_until: None,
            fault: None,
        }
    }

    /// What speaks against it; the least is taken.
    pub fn demerits(&self, what: Use, now: Instant, was_surveyed: bool) -> Demerits {
        let posts = self.no_posts_until.filter(|_| what == Use::Posting);
        Demerits {
            avoided_until: self.avoided_until.max(posts).filter(|until| now < *until),
            is_silent: was_surveyed && self.claim.is_none(),
            lags: self.lags,
            is_leader: self.claim.is_some_and(|claim| claim.is_leader),
        }
    }
}

/// What speaks against a gateway, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demerits {
    avoided_until: Option<Instant>,
    is_silent: bool,
    lags: bool,
    is_leader: bool,
}

/// The wait after so many in a row.
pub fn doubled((first, most): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most)
}
