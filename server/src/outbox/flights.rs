//! The bodies in flight: a gateway accepted them, and not all of their transactions were seen in a batch.
//!
//! A body is lost only if the network has passed it by. While bodies that were posted earlier still come in, the
//! network is working through its queue, and the wait starts again with each of them. And when nothing comes in, a
//! loss looks like a slow network. So what is overdue is posted again by *credit*, as in TCP's slow start: one body
//! after a silence, then twice as many with each body that comes in although an earlier one did not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::latency::Latency;

/// The most bodies that may be posted again at once.
pub const CREDIT_MAX: usize = 32;
/// How many transactions of an earlier process count as one body.
const RESTORED_TOGETHER: usize = 10;
/// How often the wait for more credit doubles while nothing comes in.
const SILENCES_MAX: u32 = 2;

#[derive(Debug, Default)]
pub struct Flights {
    /// In order of posting.
    bodies: BTreeMap<u64, Flight>,
    next: u64,
    credit: usize,
    /// When something last came in or was posted again.
    heard: Option<Instant>,
    /// How many bodies were posted again since something came in.
    silences: u32,
}

#[derive(Debug)]
struct Flight {
    /// When it was posted, or when an earlier body last came in.
    since: Instant,
    /// The transactions that were not seen in a batch.
    open: BTreeSet<u64>,
    /// How often they were posted.
    posts: u32,
    /// Lengthens the wait, so that reposts of bodies that were posted together spread.
    stretch: f64,
}

impl Flights {
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Adds a body that a gateway accepted, and returns its number.
    pub fn enter(&mut self, open: BTreeSet<u64>, posts: u32, stretch: f64, now: Instant) -> u64 {
        self.next += 1;
        if posts > 1 {
            self.heard = Some(now);
            match self.credit.checked_sub(1) {
                Some(rest) => self.credit = rest,
                None => self.silences = self.silences.saturating_add(1),
            }
        }
        if !open.is_empty() {
            self.bodies.insert(self.next, Flight { since: now, open, posts, stretch });
        }
        self.next
    }

    /// Adds a transaction that was posted before a restart, and returns the number of its body. It may still appear
    /// in a batch, so the whole wait starts again: how long ago it was posted is known only by the wall clock, which
    /// can jump.
    pub fn restore(&mut self, sequence: u64, posts: u32, now: Instant) -> u64 {
        let last = self.bodies.get_mut(&self.next);
        // Which of them shared a body is not stored.
        match last.filter(|last| last.posts == posts && last.open.len() < RESTORED_TOGETHER) {
            Some(last) => {
                last.open.insert(sequence);
            }
            None => {
                self.next += 1;
                let (since, open) = (now, BTreeSet::from([sequence]));
                self.bodies.insert(self.next, Flight { since, open, posts, stretch: 1.0 });
            }
        }
        self.next
    }

    /// Removes a transaction from a body.
    pub fn leave(&mut self, number: u64, sequence: u64) {
        if let Some(flight) = self.bodies.get_mut(&number) {
            flight.open.remove(&sequence);
            if flight.open.is_empty() {
                self.bodies.remove(&number);
            }
        }
    }

    /// Records that a body was seen in a batch.
    pub fn came_in(&mut self, number: u64, now: Instant) {
        (self.heard, self.silences) = (Some(now), 0);
        let is_first = self.bodies.range(..number).next().is_none();
        self.credit = if is_first { 0 } else { (self.credit.max(1) * 2).min(CREDIT_MAX) };
        for (_, flight) in self.bodies.range_mut(number..) {
            flight.since = now;
        }
    }

    /// The number of bodies that may be posted again now.
    pub fn credit(&self, latency: &Latency, now: Instant) -> usize {
        let doublings = self.silences.saturating_sub(1).min(SILENCES_MAX);
        let silence = latency.wait() * 2_u32.pow(doublings);
        let is_silent = self.heard.is_none_or(|heard| now - heard >= silence);
        self.credit.max(usize::from(is_silent))
    }

    /// The transactions whose bodies were due to be posted again by this time, in the order in which they should
    /// be: a body that is lost again and again must not delay the others.
    pub fn overdue(&self, latency: &Latency, until: Option<Instant>) -> impl Iterator<Item = u64> {
        let is_due = |flight: &Flight| {
            let wait: Duration = latency.wait_after(flight.posts).mul_f64(flight.stretch);
            Some(flight.since + wait) <= until
        };
        let mut due: Vec<&Flight> = self.bodies.values().filter(|flight| is_due(flight)).collect();
        due.sort_by_key(|flight| flight.posts);
        due.into_iter().flat_map(|flight| flight.open.iter().copied())
    }
}
