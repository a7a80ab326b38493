//! When each transaction is posted: first in turns, with what may be in flight, then again if it seems lost.
//!
//! A transaction waits for its turn (`turns`), as soon as its nonce may be posted (`windows`) and the transaction
//! that it must not overtake has been handed over. Its account chooses its lane (`lanes`). Once a gateway has
//! accepted it, it is in flight (`flights`) until it is seen in a batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::PublicKey;
use zellular::client::LANES_MAX;

use super::body::Body;
use super::entry::{Entry, Next};
use super::flights::Flights;
use super::lanes::{self, Lanes};
use super::latency::Latency;
use super::turns::Turns;
use super::windows::Windows;

/// The most that may be in flight, in full bodies: of urgent transactions, and of all others. What waits behind
/// that in the outbox can still take turns; what waits in the network cannot.
const FULL_BODIES_MAX: usize = 512;
/// The most bodies in flight, however short, before transactions that are not urgent wait.
const BODIES_MAX: usize = 4096;
/// The most keys that one round may pass over because they have nothing that can be posted now.
const PASSED_MAX: usize = 20_000;
/// The most keys of an account to examine at its turn: as many session keys as genesis can permit.
const KEYS_MAX: usize = 64;
/// The most urgent transactions of a key to examine at its turn.
const EXAMINED_MAX: usize = 64;

type ByOrder = BTreeMap<u64, Entry>;

#[derive(Debug, Default)]
pub struct Schedule {
    turns: Turns,
    windows: Windows,
    pub flights: Flights,
    lanes: Lanes,
    /// Transactions that must not overtake one that has not been handed over, by that one.
    held: HashMap<u64, Vec<u64>>,
    put_off: BTreeSet<(Instant, u64)>,
    /// The bytes in flight of others and of urgent ones.
    counted: [usize; 2],
}

/// Whether a transaction is still to be handed over.
fn waits_for_turn(entries: &ByOrder, sequence: u64) -> bool {
    entries.get(&sequence).is_some_and(|entry| matches!(entry.next, Next::Turn | Next::TurnAt(_)))
}

impl Schedule {
    /// Adds a transaction that waits for its turn. It must be one of the entries.
    pub fn add(&mut self, entries: &ByOrder, entry: &Entry) {
        self.windows.enter(&entry.numbered());
        match entry.after.filter(|after| waits_for_turn(entries, *after)) {
            Some(after) => self.held.entry(after).or_default().push(entry.sequence),
            None => self.wait_for_turn(entry),
        }
    }

    fn wait_for_turn(&mut self, entry: &Entry) {
        let Entry { checked, sequence, element, .. } = entry;
        let key = (checked.account, checked.signer);
        self.turns.insert(key, *sequence, entry.is_urgent(), element.len());
    }

    fn lose_turn(&mut self, entry: &Entry) {
        let Entry { checked, sequence, element, .. } = entry;
        let key = (checked.account, checked.signer);
        self.turns.remove(key, *sequence, entry.is_urgent(), element.len());
    }

    /// Lets go those that waited for this transaction.
    fn release(&mut self, entries: &ByOrder, sequence: u64) {
        for held in self.held.remove(&sequence).unwrap_or_default() {
            if let Some(entry) = entries.get(&held).filter(|entry| entry.next == Next::Turn) {
                self.wait_for_turn(entry);
            }
        }
    }

    /// Frees an entry's position on its account's lane.
    pub fn leave_lane(&mut self, entry: &mut Entry) {
        // An entry leaves when it is finalized, overdue, taken back or removed, in any combination. Only the
        // first of these may reduce the count, or another entry of the account would lose its lane.
        if std::mem::take(&mut entry.has_lane) {
            self.lanes.leave(&entry.checked.account);
        }
    }

    fn uncount(&mut self, entry: &mut Entry) {
        if std::mem::take(&mut entry.is_counted) {
            self.counted[usize::from(entry.is_urgent())] -= entry.element.len();
        }
    }

    /// Takes a transaction out of the schedule. `next` says what it waits for instead.
    pub fn remove(&mut self, entries: &mut ByOrder, sequence: u64, next: Next) {
        let Some(entry) = entries.get_mut(&sequence) else { return };
        let is_in_flight = matches!(entry.next, Next::Answer | Next::Batch { .. });
        match std::mem::replace(&mut entry.next, next) {
            Next::Turn => {
                self.lose_turn(entry);
                if let Some(held) = entry.after.and_then(|after| self.held.get_mut(&after)) {
                    held.retain(|held| *held != sequence);
                }
            }
            Next::TurnAt(at) => {
                self.put_off.remove(&(at, sequence));
            }
            Next::Answer => {}
            Next::Batch { last, .. } => self.flights.leave(last, sequence),
            Next::Expiry | Next::Commit => return,
        }
        self.leave_lane(entry);
        self.uncount(entry);
        self.windows.leave(&entry.numbered(), is_in_flight, next == Next::Commit);
        self.release(entries, sequence);
    }

    /// Takes transactions for their first post: for each lane at most `bodies_max` bodies of at most `bytes_max`
    /// bytes. Lanes that `is_full` marks are busy and get nothing.
    pub fn take_new(
        &mut self,
        entries: &mut ByOrder,
        good: usize,
        mut is_full: [bool; LANES_MAX],
        bytes_max: usize,
        bodies_max: usize,
    ) -> [Vec<Body>; LANES_MAX] {
        let now = Instant::now();
        while let Some((at, sequence)) = self.put_off.first().copied().filter(|(at, _)| *at <= now)
        {
            self.put_off.remove(&(at, sequence));
            if let Some(entry) = entries.get_mut(&sequence) {
                entry.next = Next::Turn;
                self.wait_for_turn(entry);
            }
        }
        let mut taken = [const { Vec::new() }; LANES_MAX];
        let used = lanes::used(self.turns.bytes(), bytes_max, good);
        for is_urgent in [true, false] {
            let (mut passed, mut passed_keys) = (0, 0);
            while let Some(account) = self.turns.next(is_urgent) {
                let is_done = is_full.iter().take(good).all(|is_full| *is_full)
                    || self.counted[usize::from(is_urgent)] >= FULL_BODIES_MAX * bytes_max
                    || (!is_urgent && self.flights.len() >= BODIES_MAX)
                    || passed > self.turns.accounts(is_urgent)
                    || passed_keys > PASSED_MAX;
                if is_done {
                    self.turns.put_first(account, is_urgent);
                    break;
                }
                self.turns.put_back(account, is_urgent);
                passed += 1;
                let keys = self.turns.keys(&account, is_urgent).min(KEYS_MAX);
                let chosen = (0..keys).find_map(|_| {
                    passed_keys += 1;
                    let key = self.turns.next_key(&account, is_urgent)?;
                    self.choose(entries, (&account, &key), is_urgent)
                });
                let Some(entry) = chosen.and_then(|sequence| entries.get_mut(&sequence)) else {
                    continue;
                };
                // The lowest nonce of a session key can be that of another account.
                let (account, sequence) = (entry.checked.account, entry.sequence);
                let lane = self.lanes.of(&account, used);
                // Once an entry does not fit on its lane, later entries of that lane wait too: a shorter one
                // must not overtake it.
                if is_full[lane] {
                    continue;
                }
                if !Body::put(&mut taken[lane], entry, bytes_max, bodies_max) {
                    is_full[lane] = true;
                    continue;
                }
                (passed, passed_keys) = (0, 0);
                entry.next = Next::Answer;
                (entry.has_lane, entry.is_counted, entry.was_handed_over) = (true, true, true);
                self.counted[usize::from(entry.is_urgent())] += entry.element.len();
                self.lanes.enter(account, lane);
                self.windows.hand_over(&entry.numbered());
                let entry = &*entry;
                self.lose_turn(entry);
                self.release(entries, sequence);
            }
        }
        taken
    }

    /// The transaction that a key of an account posts at its turn.
    fn choose(
        &self,
        entries: &ByOrder,
        (account, key): (&PublicKey, &PublicKey),
        is_urgent: bool,
    ) -> Option<u64> {
        let is_allowed = |sequence: &u64| {
            entries.get(sequence).is_some_and(|entry| self.windows.allows(&entry.numbered()))
        };
        let is_free = |sequence: &u64| {
            let after = entries.get(sequence).and_then(|entry| entry.after);
            after.is_none_or(|after| !waits_for_turn(entries, after))
        };
        // Also at an ordinary turn: a cancel that waited for an order goes right behind it.
        let mut urgent = self.turns.waiting(account, key, true).take(EXAMINED_MAX);
        let urgent = urgent.find(|sequence| is_allowed(sequence) && is_free(sequence));
        if urgent.is_some() || is_urgent {
            return urgent;
        }
        let first = self.turns.waiting(account, key, false).next()?;
        if is_allowed(&first) {
            return Some(first).filter(is_free);
        }
        // The nonce window wants the lowest nonce first. It waits for nothing else then, since it could wait for a
        // transaction that the window keeps back.
        self.windows.lowest(key).filter(|lowest| {
            is_allowed(lowest) && entries.get(lowest).is_some_and(|entry| entry.next == Next::Turn)
        })
    }

    /// Gives back their turns to the transactions of a body that no gateway accepted.
    pub fn take_back(&mut self, entries: &mut ByOrder, body: &Body) {
        for sequence in &body.sequences {
            // One that no longer waits for an answer was finalized, although no gateway reported success: the
            // answer was lost, or another replica posted it too. It must not be posted again.
            if let Some(entry) =
                entries.get_mut(sequence).filter(|entry| entry.next == Next::Answer)
            {
                entry.next = Next::Turn;
                self.leave_lane(entry);
                self.uncount(entry);
                self.windows.take_back(&entry.numbered());
                self.wait_for_turn(entry);
            }
        }
    }

    /// Puts off a transaction that no gateway accepts.
    pub fn put_off(&mut self, entries: &mut ByOrder, sequence: u64, until: Instant) {
        let Some(entry) = entries.get_mut(&sequence) else { return };
        match entry.next {
            Next::Turn => self.lose_turn(entry),
            Next::Batch { last, .. } => {
                self.flights.leave(last, sequence);
                self.leave_lane(entry);
                self.uncount(entry);
                self.windows.take_back(&entry.numbered());
            }
            _ => return,
        }
        entry.next = Next::TurnAt(until);
        self.put_off.insert((until, sequence));
    }

    /// Records that a gateway accepted a body.
    pub fn posted(
        &mut self,
        entries: &mut ByOrder,
        body: &Body,
        gateway: &Arc<str>,
        now: Instant,
        random: &mut Rng,
    ) {
        let waits = |next: Next| matches!(next, Next::Answer | Next::Batch { .. });
        let (mut open, mut posts) = (BTreeSet::new(), 0);
        for entry in body.sequences.iter().filter_map(|sequence| entries.get(sequence)) {
            // A batch can be final before the gateway answers. Then nothing is left to post again.
            if waits(entry.next) {
                posts = posts.max(entry.posts);
                open.insert(entry.sequence);
            }
        }
        let stretch = 1.0 + random.f64() / 4.0;
        let number = self.flights.enter(open, posts, stretch, now);
        for sequence in &body.sequences {
            let Some(entry) = entries.get_mut(sequence).filter(|entry| waits(entry.next)) else {
                continue;
            };
            entry.gateway = Some(Arc::clone(gateway));
            entry.first_posted.get_or_insert(now);
            entry.last_posted = Some(now);
            let first = match entry.next {
                Next::Batch { first, last } => {
                    self.flights.leave(last, *sequence);
                    // What is posted again is bounded by credit instead.
                    self.uncount(entry);
                    first
                }
                _ => number,
            };
            entry.next = Next::Batch { first, last: number };
        }
    }

    /// Restores that a transaction was posted before a restart.
    pub fn restore(&mut self, entries: &mut ByOrder, sequence: u64, now: Instant) {
        let Some(entry) = entries.get_mut(&sequence) else { return };
        let number = self.flights.restore(sequence, entry.posts, now);
        entry.next = Next::Batch { first: number, last: number };
        let entry = &*entry;
        self.lose_turn(entry);
        self.windows.hand_over(&entry.numbered());
        self.release(entries, sequence);
    }

    /// Up to `count` transactions that are due to be posted again, as far as the credit allows.
    pub fn overdue(
        &self,
        entries: &ByOrder,
        latency: &Latency,
        until: Option<Instant>,
        (bytes_max, count): (usize, usize),
    ) -> Vec<u64> {
        let mut room = self.flights.credit(latency, Instant::now()) * bytes_max;
        let mut overdue = Vec::new();
        if room == 0 {
            return overdue;
        }
        for sequence in self.flights.overdue(latency, until).take(count) {
            let length = entries.get(&sequence).map_or(0, |entry| entry.element.len() + 1);
            // The first one is posted even if it is longer than a body may be.
            if !overdue.is_empty() && length > room {
                break;
            }
            room = room.saturating_sub(length);
            overdue.push(sequence);
        }
        overdue
    }
}
