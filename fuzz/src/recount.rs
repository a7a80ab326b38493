//! The invariants of *State* in `docs/protocol.md`, counted from the bytes of the leaves alone. This finds
//! errors that the engine's own recount shares with the engine.

use std::collections::{BTreeMap, BTreeSet};

use zellbook_core::types::limits::SUPPLY_MAX;
use zellbook_core::{Exchange, Market, Rules};

use crate::input::Input;

type Key = [u8; 33];

/// Panics if an invariant does not hold.
pub fn recount(exchange: &Exchange, leaves: &[(Vec<u8>, Vec<u8>)]) {
    let rules = exchange.rules();
    let mut count = Count::default();
    for (key, value) in leaves {
        let mut key = Input(key);
        let mut value = Input(value);
        count.leaf(rules, &mut key, &mut value);
        assert!(key.is_empty());
    }
    count.finish(rules);
}

#[derive(Default)]
struct Count {
    /// Index of the batch, last order id, last withdrawal number and the exchange's time.
    batch: u64,
    order: u64,
    withdrawal: u64,
    time: u64,
    supply: BTreeMap<u16, u128>,
    balances: BTreeMap<u16, u128>,
    locked: BTreeMap<(Key, u16), u128>,
    needed: BTreeMap<(Key, u16), u128>,
    ids: BTreeSet<u64>,
    client_ids: BTreeSet<(Key, Vec<u8>)>,
    open: BTreeMap<(Key, u16), u32>,
    bids: BTreeMap<u16, u64>,
    asks: BTreeMap<u16, u64>,
    keys: BTreeMap<Key, u32>,
    withdrawals: u64,
    attested: BTreeMap<u16, u64>,
    certified: Vec<u64>,
    votes: BTreeMap<(u64, [u8; 32]), u64>,
    own_votes: BTreeMap<u16, u32>,
}

fn u64_of(input: &mut Input) -> u64 {
    u64::from_be_bytes(input.array())
}

fn u128_of(input: &mut Input) -> u128 {
    u128::from_be_bytes(input.array())
}

impl Count {
    /// Leaves must come in the order of their kinds.
    fn leaf(&mut self, rules: &Rules, key: &mut Input, value: &mut Input) {
        let token = |token: u16| assert!(usize::from(token) < rules.genesis.tokens.len());
        let replica = |replica: u16| assert!(usize::from(replica) < rules.genesis.replicas.len());
        match key.byte() {
            0 => {
                self.batch = u64_of(value);
                let chain: [u8; 32] = value.array();
                self.order = u64_of(value);
                let trade = u64_of(value);
                self.withdrawal = u64_of(value);
                self.time = u64_of(value);
                if self.batch == 0 {
                    assert_eq!(chain, rules.network.0);
                    assert_eq!([self.order, trade, self.withdrawal, self.time], [0; 4]);
                }
            }
            kind => {
                assert!(self.batch > 0, "leaves before the first batch");
                match kind {
                    1 => {
                        let index = key.u16();
                        token(index);
                        let atoms = u128_of(value);
                        assert!((1..=SUPPLY_MAX).contains(&atoms));
                        self.supply.insert(index, atoms);
                    }
                    2 => {
                        let (account, index) = (key.array(), key.u16());
                        token(index);
                        let (available, locked) = (u128_of(value), u128_of(value));
                        assert!(available > 0 || locked > 0);
                        let sum = self.balances.entry(index).or_default();
                        *sum = sum.checked_add(available).unwrap().checked_add(locked).unwrap();
                        self.locked.insert((account, index), locked);
                    }
                    3 => {
                        key.array::<33>();
                        let nonces: Vec<u64> = value.0.chunks(8).map(nonce).collect();
                        assert!(
                            (1..=64).contains(&nonces.len()) && nonces.is_sorted_by(|a, b| a < b)
                        );
                        value.0 = &[];
                    }
                    4 => self.order_leaf(rules, key, value),
                    5 => {
                        token(key.u16());
                        assert!(is_plain(key.0, 64, b"._:-"));
                        key.0 = &[];
                    }
                    6 => {
                        assert!(rules.genesis.guide_orders);
                        key.array::<32>();
                    }
                    7 => {
                        let (account, session): (Key, Key) = (key.array(), key.array());
                        assert_ne!(account, session);
                        assert!(u64_of(value) > self.time);
                        let market = value.u16();
                        assert!(
                            market == u16::MAX || usize::from(market) < rules.listing.markets.len()
                        );
                        let spends = value.u16();
                        let (limit, spent) = (u128_of(value), u128_of(value));
                        if spends == u16::MAX {
                            assert_eq!((limit, spent), (0, 0));
                        } else {
                            token(spends);
                            assert!((1..=SUPPLY_MAX).contains(&limit) && spent <= limit);
                        }
                        *self.keys.entry(account).or_default() += 1;
                    }
                    8 => {
                        self.withdrawals += 1;
                        assert_eq!(u64_of(key), self.withdrawals);
                        value.array::<33>();
                        token(value.u16());
                        assert!((1..=SUPPLY_MAX).contains(&u128_of(value)));
                        assert!(is_plain(value.0, 128, b"._:/@+-"));
                        value.0 = &[];
                    }
                    9 => {
                        let index = key.u16();
                        replica(index);
                        let batch = u64_of(value);
                        assert!(batch < self.batch);
                        u64_of(value);
                        self.attested.insert(index, batch);
                    }
                    10 => {
                        let (batch, index) = (u64_of(key), key.u16());
                        assert!(batch > 0 && batch <= self.attested[&index]);
                        *self.own_votes.entry(index).or_default() += 1;
                        let weight = rules.genesis.replicas[usize::from(index)].weight;
                        *self.votes.entry((batch, value.array())).or_default() += u64::from(weight);
                    }
                    11 => {
                        let batch = u64_of(key);
                        assert!((1..self.batch).contains(&batch));
                        self.certified.push(batch);
                        value.array::<32>();
                    }
                    12 => {
                        key.array::<33>();
                        assert!(u64_of(value) > self.time);
                    }
                    other => panic!("a leaf of kind {other}"),
                }
            }
        }
        assert!(value.is_empty());
    }

    fn order_leaf(&mut self, rules: &Rules, key: &mut Input, value: &mut Input) {
        let (account, id): (Key, u64) = (key.array(), u64_of(key));
        assert!((1..=self.order).contains(&id), "an order id that was never given");
        assert!(self.ids.insert(id), "two orders have one id");
        let index = value.u16();
        let market = &rules.listing.markets[usize::from(index)];
        let side = value.byte();
        let price = u64_of(value);
        let [total, rested, remaining] = [u64_of(value), u64_of(value), u64_of(value)];
        value.array::<8>();
        let expires = u64_of(value);
        assert!(price > 0 && 1 <= remaining && remaining <= rested && rested <= total);
        assert!(expires == 0 || expires > self.time, "an order whose time has come");
        assert!(quote(market, price, total) <= SUPPLY_MAX);
        let base = |lots: u64| u128::from(lots).checked_mul(market.atoms_per_lot).unwrap();
        assert!(base(total) <= SUPPLY_MAX);
        if !value.0.is_empty() {
            assert!(is_plain(value.0, 36, b"._:-"));
            assert!(self.client_ids.insert((account, value.0.to_vec())), "a client id twice");
            value.0 = &[];
        }
        *self.open.entry((account, index)).or_default() += 1;
        let fees = |lots| fee(quote(market, price, lots), market.maker_fee_bps);
        let (token, lock) = match side {
            0 => {
                let best = self.bids.entry(index).or_default();
                *best = price.max(*best);
                let fees = fees(rested) - fees(rested - remaining);
                (market.quote.0, quote(market, price, remaining) + fees)
            }
            1 => {
                let best = self.asks.entry(index).or_insert(u64::MAX);
                *best = price.min(*best);
                (market.base.0, base(remaining))
            }
            other => panic!("an order of side {other}"),
        };
        *self.needed.entry((account, token)).or_default() += lock;
    }

    fn finish(mut self, rules: &Rules) {
        assert_eq!(self.supply, self.balances, "conservation");
        // Accounts with nothing locked have no entry in the other map.
        self.locked.retain(|_, atoms| *atoms > 0);
        assert_eq!(self.locked, self.needed, "what is locked is what orders need");
        for (market, bid) in &self.bids {
            assert!(self.asks.get(market).is_none_or(|ask| bid < ask), "a crossed book");
        }
        let limits = &rules.genesis.limits;
        assert!(
            self.open.values().all(|count| *count <= limits.open_orders_per_account_and_market)
        );
        assert!(self.keys.values().all(|count| *count <= limits.session_keys_per_account));
        assert_eq!(self.withdrawals, self.withdrawal);
        assert!(self.certified.len() <= 64 && self.own_votes.values().all(|count| *count <= 32));
        let certified = self.certified.iter().max().copied().unwrap_or(0);
        let total: u64 = rules.genesis.replicas.iter().map(|one| u64::from(one.weight)).sum();
        for ((batch, _), weight) in &self.votes {
            // More weight would have certified the root, and the votes on it would be gone.
            assert!(*batch > certified && weight * 3 <= total * 2, "a vote that is settled");
        }
    }
}

fn nonce(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn quote(market: &Market, price: u64, lots: u64) -> u128 {
    let lots = u128::from(price).checked_mul(lots.into()).unwrap();
    lots.checked_mul(market.atoms_per_tick_lot).unwrap()
}

/// The fee, rounded up. An amount can be almost `10^38`, so it is split before it is multiplied.
fn fee(amount: u128, bps: u16) -> u128 {
    let bps = u128::from(bps);
    amount / 10_000 * bps + (amount % 10_000 * bps).div_ceil(10_000)
}

fn is_plain(text: &[u8], most: usize, marks: &[u8]) -> bool {
    (1..=most).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(byte))
}
