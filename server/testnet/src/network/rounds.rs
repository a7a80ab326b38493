//! The rounds of the emulated nodes.
//!
//! In each round the leader appends the batches that the nodes have queued to its sequence, and the nodes
//! adopt that sequence. Nodes with enough stake first sign the sequence (a lock), and one round later the lock
//! (finality). A batch is thus final after about two rounds.
//!
//! A finalized batch survives every change of leader. A quorum has seen its lock, another quorum elects the next
//! leader, and the new sequence starts from the latest lock among the nodes of that side. Any two quorums share a
//! node, as long as the threshold is above half of the stake. Batches after that lock can be lost, repeated or
//! reordered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellular::{SignedState, message};

use super::node::{Condition, Lock, NodeCore};
use super::signing::aggregate;
use zellbook_server::sequencer::node::{Aggregated, SignedBatch};

/// The most batches that a pruned node sends to the leader again in each round.
const REPEATED_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) struct Protocol {
    /// The percentage of the stake that must sign.
    pub threshold_percent: u64,
    /// How long a leader may be silent before the nodes replace it.
    pub dispute_after: Duration,
    /// How long the nodes pause for a leader change.
    pub pause: Duration,
}

/// The probabilities of failures between nodes, in percent, drawn per round and node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    /// A node misses a round of signatures.
    pub late: u32,
    /// A node's message to the leader is lost.
    pub request_lost: u32,
    /// The leader's response is lost, so that the node sends the same batches again.
    pub answer_lost: u32,
}

/// The nodes that miss the signatures of a round.
#[derive(Clone, Debug, Default)]
pub(super) struct Late {
    pub lock: BTreeSet<usize>,
    pub finality: BTreeSet<usize>,
}

pub(super) struct Nodes {
    pub nodes: Vec<NodeCore>,
    pub protocol: Protocol,
    pub weather: Weather,
    pub rng: Rng,
    /// The node to which the leader shows new batches in a different order.
    pub deceived: Option<usize>,
    pub leader_changes: u64,
}

impl Nodes {
    /// The leader of an epoch: the nodes take turns.
    pub fn leader_of(&self, epoch: u64) -> usize {
        usize::try_from(epoch).unwrap_or_default() % self.nodes.len()
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.u32(0..100) < percent
    }

    /// Runs one round. Which nodes are late is drawn at random unless given.
    pub fn round(&mut self, now: Instant, timestamp: u64, late: Option<&Late>) {
        // A node may lead on each side of a partition. Only a side with a quorum makes locks.
        for leader in 0..self.nodes.len() {
            if self.leads(leader, now) {
                self.lead(leader, now, timestamp, late);
            }
        }
        // After the rounds: a node that has just heard from its leader must not dispute it.
        self.change_leader(now);
    }

    /// Whether a node leads this round. A former leader that finds a later epoch among the others adopts it.
    fn leads(&mut self, node: usize, now: Instant) -> bool {
        let own = &self.nodes[node];
        // A pruned node lacks the sequence that a leader appends to.
        if !own.works(now) || own.is_pruned || self.leader_of(own.epoch) != node {
            return false;
        }
        let others = self.nodes.iter().filter(|other| self.hear(own, other, now));
        let latest = others.map(|other| other.epoch).max().unwrap_or_default();
        if latest > own.epoch {
            self.nodes[node].epoch = latest;
        }
        self.leader_of(self.nodes[node].epoch) == node
    }

    /// Whether two nodes can reach each other.
    fn hear(&self, one: &NodeCore, other: &NodeCore, now: Instant) -> bool {
        other.works(now) && one.side == other.side
    }

    fn lead(&mut self, leader: usize, now: Instant, timestamp: u64, late: Option<&Late>) {
        let count = self.nodes.len();
        let mut followers: Vec<usize> = (0..count)
            .filter(|node| *node != leader)
            .filter(|node| self.hear(&self.nodes[leader], &self.nodes[*node], now))
            .collect();
        // The queues are appended in this order. No client may rely on an order between gateways.
        self.rng.shuffle(&mut followers);
        let late = late.cloned().unwrap_or_else(|| self.draw_late());
        let mut answered = BTreeSet::new();
        let mut heard = Vec::new();
        for node in followers {
            // Before losses are drawn: a lost message alone is not silence of the leader, so it changes no leader.
            self.nodes[node].heard_leader = now;
            if self.nodes[node].epoch < self.nodes[leader].epoch {
                self.nodes[node].epoch = self.nodes[leader].epoch;
            }
            let is_lost = self.chance(self.weather.request_lost);
            if !is_lost {
                heard.push(node);
                if !self.chance(self.weather.answer_lost) {
                    answered.insert(node);
                }
            }
        }
        self.nodes[leader].heard_leader = now;
        self.nodes[leader].is_synced = true;
        let apps: Vec<String> = self.nodes[leader].apps.keys().cloned().collect();
        for app in &apps {
            // Finality first: it signs the lock of an earlier round, before this round adds batches.
            self.finalize(leader, &heard, app, timestamp, &late.finality);
            // The nodes adopt the sequence twice: they sign the new batches in the lock, and then learn of the lock.
            self.take_queues(leader, &heard, &answered, app);
            for node in &answered {
                self.sync_from(leader, *node, app);
            }
            // A node signs a lock only over what it has just adopted, so the answer must have reached it.
            // Finality covers a lock that it already has, so there its request is enough.
            self.lock(leader, &answered, app, &late.lock);
            for node in &answered {
                self.sync_from(leader, *node, app);
            }
        }
        for node in answered {
            self.nodes[node].is_synced = true;
        }
    }

    fn draw_late(&mut self) -> Late {
        let (percent, count) = (self.weather.late, self.nodes.len());
        let mut draw = || (0..count).filter(|_| self.chance(percent)).collect();
        Late { lock: draw(), finality: draw() }
    }

    /// The leader appends the queues of all nodes that reach it. A node empties its queue only once the
    /// response reaches it.
    fn take_queues(
        &mut self,
        leader: usize,
        heard: &[usize],
        answered: &BTreeSet<usize>,
        app: &str,
    ) {
        let mut taken: Vec<Arc<str>> = Vec::new();
        for node in std::iter::once(leader).chain(heard.iter().copied()) {
            // If the response is lost, the node sends the same batches again in the next round, and they are
            // sequenced twice.
            let forgets = node == leader || answered.contains(&node);
            let core = &mut self.nodes[node];
            let is_pruned = core.is_pruned;
            let Some(log) = core.apps.get_mut(app) else { continue };
            // It never sees its batches in the sequence, so it sends them forever. On the reference network,
            // one such post was finalized 219 times.
            if is_pruned {
                taken.extend(log.queue.iter().take(REPEATED_MAX).cloned());
            } else if forgets {
                taken.extend(log.queue.drain(..));
            } else {
                taken.extend(log.queue.iter().cloned());
            }
        }
        if let Some(log) = self.nodes[leader].apps.get_mut(app) {
            taken.into_iter().for_each(|body| log.append(body));
        }
    }

    /// A node adopts the leader's log.
    fn sync_from(&mut self, leader: usize, node: usize, app: &str) {
        if self.nodes[node].is_pruned {
            return;
        }
        let is_deceived = self.deceived == Some(node);
        let Ok([leader, node]) = self.nodes.get_disjoint_mut([leader, node]) else { return };
        let (Some(theirs), Some(ours)) = (leader.apps.get(app), node.apps.get_mut(app)) else {
            return;
        };
        if is_deceived && theirs.len() > ours.len() {
            // With another order of the new batches, this node cannot sign together with the others.
            let from = usize::try_from(ours.len()).unwrap_or_default();
            let new: Vec<_> = theirs.sequence.iter().skip(from).map(|e| &e.body).cloned().collect();
            // A single batch has no other order. A node that already differs adopts the true sequence below.
            if ours.agrees(theirs, ours.len()) && new.len() > 1 {
                new.into_iter().rev().for_each(|body| ours.append(body));
                return;
            }
        }
        let dropped = ours.adopt(theirs, theirs.len());
        // Dropped bodies may be elsewhere in the leader's sequence or nowhere; the node cannot know. Queueing
        // them may duplicate them, dropping them may lose them: real networks do both.
        if self.rng.bool() {
            ours.queue.extend(dropped);
        }
        ours.learn(theirs);
    }

    /// Makes a lock over the leader's whole sequence, if nodes with enough stake have it.
    fn lock(
        &mut self,
        leader: usize,
        answered: &BTreeSet<usize>,
        app: &str,
        late: &BTreeSet<usize>,
    ) {
        let own = &self.nodes[leader];
        let Some(log) = own.log(app) else { return };
        let (index, epoch) = (log.len(), own.epoch);
        // A lock of the same epoch and index would only repeat the last one.
        let is_new = index > log.finalized_index()
            && log.lock.as_ref().is_none_or(|lock| (lock.epoch, lock.index) < (epoch, index));
        if !is_new {
            return;
        }
        let signers: BTreeSet<usize> = answered
            .iter()
            .copied()
            .chain([leader])
            // In the captured networks, the leader signs its own locks and finality.
            .filter(|node| !late.contains(node) || *node == leader)
            .filter(|node| {
                let core = &self.nodes[*node];
                core.epoch == epoch && core.log(app).is_some_and(|other| other.agrees(log, index))
            })
            .collect();
        let parent = log.finalized_index();
        let hash = log.hash(index).unwrap_or_default();
        // Only finality has a timestamp.
        let text = message(app, SignedState::Sequenced, index, parent, 0, hash);
        let Some(signed) = self.aggregate(&signers, &text) else { return };
        if let Some(log) = self.nodes[leader].apps.get_mut(app) {
            log.lock = Some(Lock { epoch, index, signed: Some(signed) });
        }
    }

    /// Finalizes the leader's lock, if nodes with enough stake have seen it.
    fn finalize(
        &mut self,
        leader: usize,
        heard: &[usize],
        app: &str,
        timestamp: u64,
        late: &BTreeSet<usize>,
    ) {
        let own = &self.nodes[leader];
        let Some(log) = own.log(app) else { return };
        // Only a lock of the present epoch counts. Otherwise a node's old lock of another history could pass
        // for one that includes this.
        let is_due = |lock: &&Lock| lock.index > log.finalized_index() && lock.epoch == own.epoch;
        let Some(lock) = log.lock.as_ref().filter(is_due) else { return };
        let (index, Some(locked)) = (lock.index, lock.signed.clone()) else { return };
        // The signers must have seen the lock: any later quorum shares a node with them, and continues from that lock.
        let signers: BTreeSet<usize> = heard
            .iter()
            .copied()
            .chain([leader])
            .filter(|node| !late.contains(node) || *node == leader)
            .filter(|node| {
                let core = &self.nodes[*node];
                core.epoch == own.epoch
                    && core.log(app).is_some_and(|other| {
                        let seen = other.lock.as_ref();
                        seen.is_some_and(|seen| seen.epoch == own.epoch && seen.index >= index)
                            && other.agrees(log, index)
                    })
            })
            .collect();
        let (parent_index, hash) = (log.finalized_index(), log.hash(index).unwrap_or_default());
        let text = message(app, SignedState::Locked, index, parent_index, timestamp, hash);
        let chaining_hash = hash.to_string();
        let Some(finalized) = self.aggregate(&signers, &text) else { return };
        let signed = SignedBatch {
            index,
            parent_index,
            timestamp,
            chaining_hash,
            locked,
            finalized: Some(finalized),
        };
        if let Some(log) = self.nodes[leader].apps.get_mut(app) {
            log.finalized.insert(index, Arc::new(signed));
        }
    }

    /// The aggregated signature of some nodes, if their stake is enough.
    fn aggregate(&self, signers: &BTreeSet<usize>, text: &str) -> Option<Aggregated> {
        if !self.is_quorum(signers) {
            return None;
        }
        let keys = signers.iter().map(|node| &self.nodes[*node]).filter(|node| node.stake > 0);
        let signature = aggregate(keys.map(|node| &node.key), text)?;
        // A node without stake is neither part of the aggregate key nor a non-signer.
        let nonsigners = (0..self.nodes.len())
            .filter(|node| !signers.contains(node) && self.nodes[*node].stake > 0)
            .map(|node| self.nodes[node].id.clone())
            .collect();
        Some(Aggregated { signature, nonsigners })
    }

    /// Whether some nodes have enough stake, with the reference network's formula for the missing stake.
    pub fn is_quorum(&self, signers: &BTreeSet<usize>) -> bool {
        // In 128 bits, as in a node list: the sum of stakes of 64 bits, and its hundredfold, can be larger.
        let stake = |node: usize| u128::from(self.nodes[node].stake);
        let total: u128 = (0..self.nodes.len()).map(stake).sum();
        let missing: u128 =
            (0..self.nodes.len()).filter(|node| !signers.contains(node)).map(stake).sum();
        100 * missing <= u128::from(100 - self.protocol.threshold_percent) * total
    }

    pub fn set_condition(&mut self, node: usize, condition: Condition, now: Instant) {
        let core = &mut self.nodes[node];
        if condition == Condition::Down && core.condition != Condition::Down {
            core.forget_memory();
        }
        core.condition = condition;
        // Otherwise the time that the node was away would count as silence of the leader.
        core.heard_leader = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, NetworkOptions};

    fn network(stakes: Vec<u64>) -> Network {
        let options = NetworkOptions { stakes, late_percent: 0, ..NetworkOptions::default() };
        Network::new(options).unwrap()
    }

    #[test]
    fn stakes_that_a_node_list_accepts_are_counted_without_overflow() {
        let network = network(vec![u64::MAX, u64::MAX, u64::MAX, u64::MAX / 2]);
        let nodes = network.shared.nodes();
        assert!(nodes.is_quorum(&[0, 1, 2].into()));
        assert!(!nodes.is_quorum(&[0, 1].into()));
    }

    #[test]
    fn the_leader_is_a_signer_of_each_lock_and_of_its_finality() {
        let network = network(vec![10; 4]);
        let mut nodes = network.shared.nodes();
        nodes.nodes[1].apps.get_mut("zellbook").unwrap().queue.push_back("[]".into());
        let now = Instant::now();
        let late = Late { lock: [0].into(), finality: [0].into() };
        for _ in 0..3 {
            nodes.round(now, 7, Some(&late));
        }
        let log = nodes.nodes[0].log("zellbook").unwrap();
        let signed = log.finalized.get(&1).expect("batch 1 is final");
        assert_eq!(signed.locked.nonsigners, Vec::<String>::new());
        assert_eq!(signed.finalized.as_ref().unwrap().nonsigners, Vec::<String>::new());
    }
}
