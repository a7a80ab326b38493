//! How much room each signing key has in the outbox.
//!
//! A key's quota is a share of the room that is left. So nobody can fill the outbox alone: many keys that all use
//! up their quotas leave less and less to each other, and a key that has nothing here still finds room. Quotas are
//! by signing key and not by account, since anybody can name another's account in a transaction.

use std::collections::HashMap;

use zellbook_core::PublicKey;

/// The outbox is full when it reaches this number of transactions, or the number of bytes below.
pub const ENTRIES_MAX: usize = 100_000;
pub const BYTES_MAX: usize = 64 << 20;
/// The part of the outbox that only urgent transactions may use, as a divisor. When orders have filled the rest,
/// they can still be cancelled.
const URGENT_PART: usize = 10;
/// A key may use this part of the free room, as a divisor.
const SHARE: usize = 20;
/// A quota is never less than this many transactions and bytes while there is room at all.
const LEAST: (usize, usize) = (16, 64 << 10);

/// Why a transaction finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The outbox is full.
    Full,
    /// Its signing key has used up its quota.
    Quota,
}

/// What a signing key may still submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The number of transactions that the key may have in the outbox at present.
    pub limit: usize,
    /// How many more it may submit.
    pub remaining: usize,
    /// In how many seconds there should be more room.
    pub reset_s: u32,
}

/// The room that transactions use: others, and urgent ones. Each kind has its own quota, so that a key whose orders
/// fill one can still cancel them.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    entries: [usize; 2],
    bytes: [usize; 2],
}

#[derive(Debug, Default)]
pub struct Quotas {
    total: Room,
    by_key: HashMap<PublicKey, Room>,
}

/// A key's share of what is free for a kind of transactions.
fn share(max: usize, used: [usize; 2], is_urgent: bool, least: usize) -> usize {
    let max = if is_urgent { max } else { max - max / URGENT_PART };
    match max.saturating_sub(used[0] + used[1]) {
        0 => 0,
        free => (free / SHARE).max(least),
    }
}

impl Quotas {
    /// Whether a transaction of this key finds room.
    pub fn check(&self, key: &PublicKey, is_urgent: bool, bytes: usize) -> Result<(), NoRoom> {
        let (limit, remaining) = self.limit(key, is_urgent);
        let bytes_max = share(BYTES_MAX, self.total.bytes, is_urgent, LEAST.1);
        if limit == 0 || bytes_max == 0 {
            return Err(NoRoom::Full);
        }
        let used = self.by_key.get(key).map_or(0, |room| room.bytes[usize::from(is_urgent)]);
        // A key's first transaction is never refused for its length: the API bounds that.
        let is_long = used > 0 && used + bytes > bytes_max;
        if remaining == 0 || is_long { Err(NoRoom::Quota) } else { Ok(()) }
    }

    /// How many transactions of a kind a key may have here at present, and how many more.
    pub fn limit(&self, key: &PublicKey, is_urgent: bool) -> (usize, usize) {
        let limit = share(ENTRIES_MAX, self.total.entries, is_urgent, LEAST.0);
        let used = self.by_key.get(key).map_or(0, |room| room.entries[usize::from(is_urgent)]);
        (limit, limit.saturating_sub(used))
    }

    pub fn take(&mut self, key: PublicKey, is_urgent: bool, bytes: usize) {
        for room in [&mut self.total, self.by_key.entry(key).or_default()] {
            room.entries[usize::from(is_urgent)] += 1;
            room.bytes[usize::from(is_urgent)] += bytes;
        }
    }

    pub fn give_back(&mut self, key: &PublicKey, is_urgent: bool, bytes: usize) {
        let Some(of_key) = self.by_key.get_mut(key) else { return };
        for room in [&mut self.total, of_key] {
            room.entries[usize::from(is_urgent)] -= 1;
            room.bytes[usize::from(is_urgent)] -= bytes;
        }
        // The map would otherwise grow with every key that ever had a transaction here.
        if self.by_key.get(key).is_some_and(|room| room.entries == [0, 0]) {
            self.by_key.remove(key);
        }
    }
}
