//! How much room each account has in the outbox.
//!
//! An account's quota is a share of the room that is left. So nobody can fill the outbox alone: many accounts that all
//! use up their quotas leave less and less to each other, and an account that has nothing here still finds room. Its
//! session keys share its quota. Nobody else can use it up: a transaction of a key that may not sign for the account is
//! refused before it comes here.

use std::collections::HashMap;

use zellbook_core::PublicKey;

/// The outbox is full when it reaches this number of transactions, or the number of bytes below.
pub const ENTRIES_MAX: usize = 100_000;
pub const BYTES_MAX: usize = 64 << 20;
/// The part of the outbox that only urgent transactions may use, as a divisor. When orders have filled the rest,
/// they can still be cancelled.
const URGENT_PART: usize = 10;
/// An account may use this part of the free room, as a divisor.
const SHARE: usize = 20;
/// A quota is never less than this many transactions and bytes while there is room at all.
const LEAST: (usize, usize) = (16, 64 << 10);

/// Why a transaction finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The outbox is full.
    Full,
    /// Its account has used up its quota.
    Quota,
}

/// What an account may still submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The number of transactions that the account may have in the outbox at present.
    pub limit: usize,
    /// How many more it may submit.
    pub remaining: usize,
    /// In how many seconds there should be more room.
    pub reset_s: u32,
}

/// The room that transactions use: others, and urgent ones. Each kind has its own quota, so that an account whose
/// orders fill one can still cancel them.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    entries: [usize; 2],
    bytes: [usize; 2],
}

#[derive(Debug, Default)]
pub struct Quotas {
    total: Room,
    by_account: HashMap<PublicKey, Room>,
}

/// An account's share of what is free for a kind of transactions.
fn share(max: usize, used: [usize; 2], is_urgent: bool, least: usize) -> usize {
    let max = if is_urgent { max } else { max - max / URGENT_PART };
    match max.saturating_sub(used[0] + used[1]) {
        0 => 0,
        free => (free / SHARE).max(least),
    }
}

impl Quotas {
    /// Whether a transaction of this account finds room.
    pub fn check(&self, account: &PublicKey, is_urgent: bool, bytes: usize) -> Result<(), NoRoom> {
        let (limit, remaining) = self.limit(account, is_urgent);
        let bytes_max = share(BYTES_MAX, self.total.bytes, is_urgent, LEAST.1);
        if limit == 0 || bytes_max == 0 {
            return Err(NoRoom::Full);
        }
        let used =
            self.by_account.get(account).map_or(0, |room| room.bytes[usize::from(is_urgent)]);
        // An account's first transaction is never refused for its length: the API bounds that.
        let is_long = used > 0 && used + bytes > bytes_max;
        if remaining == 0 || is_long { Err(NoRoom::Quota) } else { Ok(()) }
    }

    /// How many transactions of a kind an account may have here at present, and how many more.
    pub fn limit(&self, account: &PublicKey, is_urgent: bool) -> (usize, usize) {
        let limit = share(ENTRIES_MAX, self.total.entries, is_urgent, LEAST.0);
        let used =
            self.by_account.get(account).map_or(0, |room| room.entries[usize::from(is_urgent)]);
        (limit, limit.saturating_sub(used))
    }

    pub fn take(&mut self, account: PublicKey, is_urgent: bool, bytes: usize) {
        for room in [&mut self.total, self.by_account.entry(account).or_default()] {
            room.entries[usize::from(is_urgent)] += 1;
            room.bytes[usize::from(is_urgent)] += bytes;
        }
    }

    pub fn give_back(&mut self, account: &PublicKey, is_urgent: bool, bytes: usize) {
        let Some(of_account) = self.by_account.get_mut(account) else { return };
        for room in [&mut self.total, of_account] {
            room.entries[usize::from(is_urgent)] -= 1;
            room.bytes[usize::from(is_urgent)] -= bytes;
        }
        // The map would otherwise grow with every account that ever had a transaction here.
        if self.by_account.get(account).is_some_and(|room| room.entries == [0, 0]) {
            self.by_account.remove(account);
        }
    }
}
