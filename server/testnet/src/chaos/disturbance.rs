//! Injects the faults of a chaos test: faults of the emulated nodes, links that are cut or lose messages, and
//! replicas that are killed and restarted.
//!
//! A few faults are active at a time, each for a random while. Every kind of node fault occurs once before any of
//! them occurs again, and no run ends before each kind has occurred, those of links included. All faults end before the result is checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::replica::{Common, TestedReplica, derive};
use super::transport::Links;
use crate::network::Network;
use crate::network::faults::{Fault, FaultKind, Faults};

/// The most faults at once.
const ACTIVE_MAX: usize = 3;
/// The time from one fault to the next, in milliseconds.
const NEXT_MS: std::ops::Range<u64> = 500..8000;
/// The duration of a fault, in milliseconds.
const LAST_MS: std::ops::Range<u64> = 500..20_000;
/// The time from one kill of a replica to the next, in milliseconds.
const KILL_MS: std::ops::Range<u64> = 3000..25_000;
/// The time from the kill of a replica to its restart, in milliseconds.
const DEAD_MS: std::ops::Range<u64> = 1..6000;
/// A freeze lasts long enough for the other nodes to change the leader.
const FREEZE_MIN: Duration = Duration::from_secs(5);
/// The percentage of messages that links lose normally, and during the fault `losses`.
const LOST_PERCENT: (u32, u32) = (1, 25);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node(FaultKind),
    Cut,
    Losses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Node(Fault),
    Cut { replica: usize, node: usize },
    Losses,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Node(kind) => kind.name(),
            Self::Cut => "cut",
            Self::Losses => "losses",
        }
    }
}

impl Event {
    const fn kind(&self) -> Kind {
        match self {
            Self::Node(fault) => Kind::Node(fault.kind),
            Self::Cut { .. } => Kind::Cut,
            Self::Losses => Kind::Losses,
        }
    }

    /// Whether the end of one of two events would undo the other.
    fn clashes(&self, other: &Self) -> bool {
        let stops = |event: &Self| match event {
            Self::Node(Fault {
                kind: FaultKind::Freeze | FaultKind::Kill | FaultKind::Lag,
                node,
                ..
            }) => Some(*node),
            _ => None,
        };
        // A node has one condition: the end of a freeze would revive a node that another fault has killed.
        let same_node = stops(self).is_some() && stops(self) == stops(other);
        let same_kind = match (self, other) {
            (Self::Node(ours), Self::Node(theirs)) => {
                ours.kind == theirs.kind
                    && (ours.node == theirs.node
                        // The network has one partition, one deceived node and one rate of each loss, so a
                        // second fault of such a kind would end with the first.
                        || matches!(ours.kind, FaultKind::Partition | FaultKind::Equivocate)
                        || matches!(ours.kind, FaultKind::Drop | FaultKind::Duplicate))
            }
            _ => self == other,
        };
        same_node || same_kind
    }
}

pub struct Disturbance {
    network: Network,
    faults: Faults,
    links: Arc<Links>,
    rng: Rng,
    nodes: usize,
    active: Vec<(Instant, Event)>,
    /// The kinds that have not occurred yet.
    deck: Vec<Kind>,
    next: Instant,
    next_kill: Instant,
    /// The killed replicas, and when they are restarted.
    dead: BTreeMap<usize, Instant>,
    /// The number of faults, by kind.
    pub counts: BTreeMap<&'static str, u32>,
}

impl Disturbance {
    pub fn new(network: &Network, links: Arc<Links>, kinds: Vec<FaultKind>, rng: &mut Rng) -> Self {
        let mut deck: Vec<Kind> = kinds.iter().copied().map(Kind::Node).collect();
        deck.extend([Kind::Cut, Kind::Losses]);
        rng.shuffle(&mut deck);
        let faults = Faults::new(network.clone(), kinds, rng.u64(..));
        let now = Instant::now();
        // Some loss all the time, as in any network.
        links.state().lost_percent = LOST_PERCENT.0;
        Self {
            network: network.clone(),
            faults,
            links,
            rng: derive(rng),
            nodes: network.len(),
            active: Vec::new(),
            deck,
            next: now,
            // Not at once, so that the first victim has something on disk to restart from.
            next_kill: now + Duration::from_secs(5),
            dead: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Whether every kind of fault has occurred, a frozen leader was changed, and a replica was killed.
    pub fn has_had_all(&self) -> bool {
        // A freeze is long enough for a change of leader, but only a quorum that is up can make one.
        let has_changed = !self.counts.contains_key("freeze") || self.network.leader_changes() > 0;
        self.deck.is_empty() && has_changed && self.counts.contains_key("replica kill")
    }

    /// Starts and ends the faults that are due.
    pub async fn step(
        &mut self,
        replicas: &mut [TestedReplica],
        common: &Common,
    ) -> Result<(), String> {
        let now = Instant::now();
        let (over, active) = std::mem::take(&mut self.active)
            .into_iter()
            .partition(|(until, _): &(Instant, Event)| *until <= now);
        self.active = active;
        // Faults end before new ones begin, so that they do not count as active in the search for clashes.
        for (_, event) in over as Vec<(Instant, Event)> {
            self.end(event);
        }
        if now >= self.next {
            self.next = now + Duration::from_millis(self.rng.u64(NEXT_MS));
            self.begin(now, replicas.len());
        }
        if now >= self.next_kill {
            self.next_kill = now + Duration::from_millis(self.rng.u64(KILL_MS));
            let victim = self.rng.usize(0..replicas.len());
            if replicas[victim].is_running() {
                replicas[victim].kill().await;
                *self.counts.entry("replica kill").or_default() += 1;
                let back = now + Duration::from_millis(self.rng.u64(DEAD_MS));
                self.dead.insert(victim, back);
            }
        }
        let back: Vec<usize> =
            self.dead.iter().filter(|(_, at)| **at <= now).map(|(index, _)| *index).collect();
        for index in back {
            self.dead.remove(&index);
            replicas[index].start(common, &mut self.rng)?;
        }
        Ok(())
    }

    fn begin(&mut self, now: Instant, replicas: usize) {
        let kind = match self.rng.u32(0..10) {
            0 => Some(Kind::Losses),
            1 | 2 => Some(Kind::Cut),
            // The deck first. A kind stays in it until one of its faults has really begun.
            _ => self.deck.last().copied(),
        };
        let node_kind = match kind {
            Some(Kind::Node(kind)) => Some(kind),
            _ => None,
        };
        let event = match kind {
            Some(Kind::Losses) => Event::Losses,
            Some(Kind::Cut) => Event::Cut {
                replica: self.rng.usize(0..replicas),
                node: self.rng.usize(0..self.nodes),
            },
            Some(Kind::Node(_)) | None => match self.faults.draw(node_kind) {
                Some(fault) => Event::Node(fault),
                None => return,
            },
        };
        let clashes = self.active.iter().any(|(_, other)| event.clashes(other));
        if clashes || self.active.len() >= ACTIVE_MAX {
            return;
        }
        self.deck.retain(|kind| *kind != event.kind());
        match event {
            Event::Node(fault) => self.faults.begin(fault),
            Event::Cut { replica, node } => {
                self.links.state().cut.insert((replica, node));
            }
            Event::Losses => self.links.state().lost_percent = LOST_PERCENT.1,
        }
        tracing::debug!("fault: {event:?}");
        *self.counts.entry(event.kind().name()).or_default() += 1;
        let mut last = Duration::from_millis(self.rng.u64(LAST_MS));
        if matches!(event, Event::Node(Fault { kind: FaultKind::Freeze, .. })) {
            last = last.max(FREEZE_MIN);
        }
        self.active.push((now + last, event));
    }

    fn end(&mut self, event: Event) {
        match event {
            Event::Node(fault) => self.faults.end(fault),
            Event::Cut { replica, node } => {
                self.links.state().cut.remove(&(replica, node));
            }
            Event::Losses => self.links.state().lost_percent = LOST_PERCENT.0,
        }
    }

    /// Ends all faults and restarts the killed replicas.
    pub fn stop(&mut self, replicas: &mut [TestedReplica], common: &Common) -> Result<(), String> {
        for (_, event) in std::mem::take(&mut self.active) {
            self.end(event);
        }
        // Not even the normal loss remains, so that the replicas can come to rest.
        self.links.state().lost_percent = 0;
        for replica in replicas.iter_mut().filter(|replica| !replica.is_running()) {
            replica.start(common, &mut self.rng)?;
        }
        self.dead.clear();
        Ok(())
    }
}
