//! Leader changes. Nodes with enough stake that have not heard from their leader for a while elect the next
//! one, and continue from the latest lock among them. Batches that were sequenced but not locked return to
//! the queues of the nodes.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::rounds::Nodes;

impl Nodes {
    /// Changes the leader on each side of a partition where it is due.
    pub fn change_leader(&mut self, now: Instant) {
        let sides: BTreeSet<u8> = self.nodes.iter().map(|node| node.side).collect();
        for side in sides {
            let members: BTreeSet<usize> = (0..self.nodes.len())
                .filter(|node| {
                    let core = &self.nodes[*node];
                    // A pruned node has no history that the others could continue from.
                    core.works(now) && core.side == side && !core.is_pruned
                })
                .collect();
            let latest = members.iter().map(|node| self.nodes[*node].epoch).max();
            let Some(latest) = latest else { continue };
            let voters: BTreeSet<usize> = members
                .iter()
                .copied()
                .filter(|node| {
                    now.duration_since(self.nodes[*node].heard_leader) > self.protocol.dispute_after
                })
                .collect();
            // A quorum, because at least one of its nodes has the lock of every batch that was finalized.
            if self.is_quorum(&voters) {
                self.elect(&members, latest, now);
            }
        }
    }

    fn elect(&mut self, members: &BTreeSet<usize>, latest: u64, now: Instant) {
        let mut epoch = latest + 1;
        // Leaders that this side cannot reach are skipped. The side has a node, so the loop ends.
        while !members.contains(&self.leader_of(epoch)) {
            epoch += 1;
        }
        self.leader_changes += 1;
        let leader = self.leader_of(epoch);
        tracing::debug!("the leader is {} from now on (epoch {epoch})", self.nodes[leader].id);
        let apps: Vec<String> = self.nodes[leader].apps.keys().cloned().collect();
        for app in &apps {
            // By epoch first: a longer lock of an earlier epoch may cover batches that an election has since dropped.
            let last_lock = |node: &usize| {
                let lock = self.nodes[*node].log(app).and_then(|log| log.lock.as_ref());
                lock.map_or((0, 0), |lock| (lock.epoch, lock.index))
            };
            let Some(best) = members.iter().copied().max_by_key(last_lock) else { continue };
            // What is locked may be final at a node that is absent, so it stays. Nothing after it can be final.
            let until = self.nodes[best].log(app).map_or(0, |log| log.indexes().locked);
            for node in members {
                self.restart_from(best, *node, app, until);
            }
        }
        for node in members {
            let node = &mut self.nodes[*node];
            node.epoch = epoch;
            node.paused_until = Some(now + self.protocol.pause);
            // The new leader is silent during the pause, which must not count against it.
            node.heard_leader = now + self.protocol.pause;
        }
    }

    /// Resets a node to the lock of node `best`. The batches after the lock return to its queue in random
    /// order; other nodes that had them do the same, so that they can be sequenced twice.
    fn restart_from(&mut self, best: usize, node: usize, app: &str, until: u64) {
        let mut dropped = if best == node {
            let log = self.nodes[node].apps.get_mut(app);
            let cut = usize::try_from(until).unwrap_or(usize::MAX);
            log.map(|log| {
                log.sequence.drain(cut.min(log.sequence.len())..).map(|e| e.body).collect()
            })
            .unwrap_or_default()
        } else {
            let Ok([best, node]) = self.nodes.get_disjoint_mut([best, node]) else { return };
            let (Some(theirs), Some(ours)) = (best.apps.get(app), node.apps.get_mut(app)) else {
                return;
            };
            let dropped = ours.adopt(theirs, until);
            ours.learn(theirs);
            dropped
        };
        self.rng.shuffle(&mut dropped);
        if let Some(log) = self.nodes[node].apps.get_mut(app) {
            // To the front, because clients posted them before what is in the queue.
            dropped.into_iter().rev().for_each(|body| log.queue.push_front(body));
        }
    }
}
