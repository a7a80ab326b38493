//! Fault injection: draws faults of the emulated nodes from a seed, starts and ends them.

use std::fmt;
use std::str::FromStr;

use tokio::time::Instant;

use super::Network;
use super::lie::Lie;
use super::node::{AppLog, Condition};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Messages of nodes to the leader are lost.
    Drop,
    /// Responses of the leader are lost, so that nodes send it the same batches again.
    Duplicate,
    /// The leader freezes, so that another one is elected and waiting batches change their order.
    Freeze,
    /// A node is killed and restarted.
    Kill,
    /// One or two nodes are cut off from the others.
    Partition,
    /// A gateway lies to its clients.
    Lie,
    /// The leader shows one node another order of batches.
    Equivocate,
    /// A node lacks history that the others have pruned, so that it cannot catch up.
    Lag,
}

impl FaultKind {
    pub const ALL: [Self; 8] = [
        Self::Drop,
        Self::Duplicate,
        Self::Freeze,
        Self::Kill,
        Self::Partition,
        Self::Lie,
        Self::Equivocate,
        Self::Lag,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
            Self::Partition => "partition",
            Self::Lie => "lie",
            Self::Equivocate => "equivocate",
            Self::Lag => "lag",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("unknown fault {name:?}; the faults are {}", names()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// The node, if the fault concerns one.
    pub node: usize,
    /// The lie, for `FaultKind::Lie`.
    pub lie: Lie,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FaultKind::Drop | FaultKind::Duplicate => write!(f, "{}", self.kind),
            FaultKind::Lie => write!(f, "node {} lies: {:?}", self.node, self.lie),
            _ => write!(f, "{} at node {}", self.kind, self.node),
        }
    }
}

pub struct Faults {
    network: Network,
    kinds: Vec<FaultKind>,
    rng: fastrand::Rng,
}

impl Faults {
    pub fn new(network: Network, kinds: Vec<FaultKind>, seed: u64) -> Self {
        Self { network, kinds, rng: fastrand::Rng::with_seed(seed) }
    }

    /// Draws a fault of this kind, or of any kind, without starting it. `None` if there are no kinds.
    pub fn draw(&mut self, kind: Option<FaultKind>) -> Option<Fault> {
        // An empty range would panic. Without kinds, `get` finds none.
        let any = self.rng.usize(0..self.kinds.len().max(1));
        let kind = kind.or_else(|| self.kinds.get(any).copied())?;
        let count = self.network.len();
        let node = match kind {
            // Losing the leader is the worst case, so it is drawn often.
            FaultKind::Freeze => self.leader(),
            FaultKind::Kill if self.rng.bool() => self.leader(),
            _ => self.rng.usize(0..count),
        };
        let lie = match Lie::ALL[self.rng.usize(0..Lie::ALL.len())] {
            // The gateway stops at what it has now, as if it had lost the other nodes.
            Lie::Stale { .. } => Lie::Stale { until: self.finalized(node) },
            lie => lie,
        };
        Some(Fault { kind, node, lie })
    }

    fn leader(&self) -> usize {
        let nodes = self.network.shared.nodes();
        let epoch = nodes.nodes.iter().map(|node| node.epoch).max().unwrap_or_default();
        nodes.leader_of(epoch)
    }

    fn finalized(&self, node: usize) -> u64 {
        let nodes = self.network.shared.nodes();
        let logs = nodes.nodes.get(node).into_iter().flat_map(|node| node.apps.values());
        logs.map(AppLog::finalized_index).max().unwrap_or_default()
    }

    pub fn begin(&mut self, fault: Fault) {
        let now = Instant::now();
        let side = self.rng.usize(1..3);
        let mut nodes = self.network.shared.nodes();
        let (node, count) = (fault.node, nodes.nodes.len());
        match fault.kind {
            FaultKind::Drop => nodes.weather.request_lost = 40,
            FaultKind::Duplicate => nodes.weather.answer_lost = 40,
            FaultKind::Freeze => nodes.set_condition(node, Condition::Frozen, now),
            FaultKind::Kill => nodes.set_condition(node, Condition::Down, now),
            FaultKind::Partition => {
                // With four equal nodes, a side of two leaves a quorum on neither side. Finality then stops
                // until the fault ends.
                for offset in 0..side {
                    nodes.nodes[(node + offset) % count].side = 1;
                }
            }
            FaultKind::Lie => nodes.nodes[node].lie = Some(fault.lie),
            FaultKind::Equivocate => nodes.deceived = Some(node),
            FaultKind::Lag => nodes.nodes[node].is_pruned = true,
        }
    }

    pub fn end(&mut self, fault: Fault) {
        let now = Instant::now();
        let mut nodes = self.network.shared.nodes();
        let node = fault.node;
        match fault.kind {
            FaultKind::Drop => nodes.weather.request_lost = 0,
            FaultKind::Duplicate => nodes.weather.answer_lost = 0,
            FaultKind::Freeze | FaultKind::Kill => nodes.set_condition(node, Condition::Up, now),
            // There is at most one partition at a time.
            FaultKind::Partition => nodes.nodes.iter_mut().for_each(|node| node.side = 0),
            FaultKind::Lie => nodes.nodes[node].lie = None,
            FaultKind::Equivocate => nodes.deceived = None,
            FaultKind::Lag => {
                // As after a restart with the others' history.
                nodes.nodes[node].is_pruned = false;
                nodes.nodes[node].forget_memory();
            }
        }
    }
}
