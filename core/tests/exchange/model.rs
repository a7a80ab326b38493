//! The engine against a naive model: vectors and loops, whole numbers of ticks and lots, no code
//! shared with the engine.

use std::collections::HashMap;

use zellbook_core::event::Event;
use zellbook_core::transaction::{Action, Order, SelfTrade, Side, TimeInForce};

use crate::venue::{TRADERS, Venue, trader};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[derive(Clone, Debug)]
struct ModelOrder {
    id: u64,
    owner: usize,
    is_buy: bool,
    ticks: u128,
    lots: u128,
}

/// One market (ETH/USDT of the venue): a lot is 10 base atoms; a lot at a tick 50 quote atoms.
struct Model {
    /// All open orders in order of acceptance.
    orders: Vec<ModelOrder>,
    /// (base free, quote free) by trader; what is locked is recomputed from the orders.
    free: Vec<(u128, u128)>,
    next: u64,
}

/// What an order did: (maker id, taker id, ticks, lots), or `None` if it was rejected.
type Trades = Option<Vec<(u64, u64, u128, u128)>>;

impl Model {
    fn place(
        &mut self,
        owner: usize,
        is_buy: bool,
        ticks: u128,
        lots: u128,
        tif: TimeInForce,
        stp: SelfTrade,
    ) -> Trades {
        let crosses = |order: &ModelOrder| {
            order.is_buy != is_buy
                && if is_buy { order.ticks <= ticks } else { order.ticks >= ticks }
        };
        if ticks * lots * 50 < 10_000 {
            return None;
        }
        if tif == TimeInForce::PostOnly && self.orders.iter().any(crosses) {
            return None;
        }
        let mine = self.orders.iter().filter(|order| order.owner == owner).count();
        if mine >= 4 && tif != TimeInForce::Ioc {
            return None;
        }
        let (base, quote) = self.free[owner];
        if (is_buy && quote < ticks * lots * 50) || (!is_buy && base < lots * 10) {
            return None;
        }
        self.next += 1;
        let id = self.next;
        let mut left = lots;
        let mut trades = Vec::new();
        let mut stopped = tif == TimeInForce::Ioc;
        while left > 0 {
            // The best price wins, then the lowest id.
            let best = self
                .orders
                .iter()
                .filter(|order| crosses(order))
                .min_by_key(|order| {
                    let price = i128::try_from(order.ticks).unwrap();
                    (if is_buy { price } else { -price }, order.id)
                })
                .cloned();
            let Some(maker) = best else { break };
            if maker.owner == owner {
                if stp != SelfTrade::CancelNewest {
                    self.cancel(maker.id);
                }
                if stp != SelfTrade::CancelOldest {
                    stopped = true;
                    break;
                }
                continue;
            }
            let traded = left.min(maker.lots);
            left -= traded;
            trades.push((maker.id, id, maker.ticks, traded));
            let price = maker.ticks * traded * 50;
            let (buyer, seller) = if is_buy { (owner, maker.owner) } else { (maker.owner, owner) };
            self.free[buyer].0 += traded * 10;
            self.free[seller].1 += price;
            // The maker's side was locked when it was placed; the taker pays from what is free.
            if is_buy {
                self.free[owner].1 -= price;
            } else {
                self.free[owner].0 -= traded * 10;
            }
            let position = self.orders.iter().position(|order| order.id == maker.id).unwrap();
            self.orders[position].lots -= traded;
            if self.orders[position].lots == 0 {
                self.orders.remove(position);
            }
        }
        if left > 0 && !stopped {
            if is_buy {
                self.free[owner].1 -= ticks * left * 50;
            } else {
                self.free[owner].0 -= left * 10;
            }
            self.orders.push(ModelOrder { id, owner, is_buy, ticks, lots: left });
        }
        Some(trades)
    }

    fn cancel(&mut self, id: u64) {
        let position = self.orders.iter().position(|order| order.id == id).unwrap();
        let order = self.orders.remove(position);
        if order.is_buy {
            self.free[order.owner].1 += order.ticks * order.lots * 50;
        } else {
            self.free[order.owner].0 += order.lots * 10;
        }
    }
}

fn run(seed: u64, steps: usize) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut venue = Venue::empty();
    let mut model = Model { orders: Vec::new(), free: Vec::new(), next: 0 };
    for name in TRADERS {
        // Some are rich, some are poor.
        let base = 1 + random.below(300);
        let quote = 1 + random.below(30_000);
        venue.deposit(name, "ETH", &base.to_string());
        venue.deposit(name, "USDT", &quote.to_string());
        model.free.push((u128::from(base) * 1000, u128::from(quote) * 10_000));
    }
    for step in 0..steps {
        let owner = random.below(5) as usize;
        let key = trader(TRADERS[owner]);
        if random.below(5) == 0 {
            let mine: Vec<u64> = model
                .orders
                .iter()
                .filter(|order| order.owner == owner)
                .map(|order| order.id)
                .collect();
            match random.below(3) {
                0 => {
                    let expected = mine.len();
                    mine.iter().for_each(|id| model.cancel(*id));
                    let events = venue.act(&key, Action::CancelAll { market: None }).unwrap();
                    assert_eq!(events.len(), expected);
                }
                _ => {
                    let order = random.below(model.next + 2);
                    let result = venue.act(&key, Action::Cancel { order });
                    assert_eq!(result.is_ok(), mine.contains(&order), "seed {seed} step {step}");
                    if result.is_ok() {
                        model.cancel(order);
                    }
                }
            }
        } else {
            let is_buy = random.below(2) == 0;
            let ticks = 190 + random.below(21);
            let most = if random.below(10) == 0 { 50_000 } else { 300 };
            let lots = 1 + random.below(most);
            let tif = [TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::PostOnly]
                [random.below(4) as usize];
            let stp = [SelfTrade::CancelNewest, SelfTrade::CancelOldest, SelfTrade::CancelBoth]
                [random.below(3) as usize];
            let step_size = |text: &str| text.parse().unwrap();
            let decimal = |count: u64, step: &str| {
                zellbook_core::units::Decimal::of_steps(count.into(), step_size(step)).unwrap()
            };
            let result = venue.act(
                &key,
                Action::Order(Order {
                    market: "ETH/USDT".into(),
                    side: if is_buy { Side::Buy } else { Side::Sell },
                    quantity: decimal(lots, "0.01"),
                    price: decimal(ticks, "0.5"),
                    time_in_force: tif,
                    self_trade: stp,
                }),
            );
            let expected = model.place(owner, is_buy, ticks.into(), lots.into(), tif, stp);
            let trades = result.as_ref().ok().map(|events| {
                let fills = events.iter().filter_map(|event| match event {
                    Event::Filled(fill) => Some(fill),
                    _ => None,
                });
                fills
                    .map(|fill| {
                        assert!(fill.maker != fill.taker, "I7");
                        let (ticks, lots) = (fill.price.0.into(), fill.quantity.0.into());
                        (fill.maker_order, fill.taker_order, ticks, lots)
                    })
                    .collect::<Vec<_>>()
            });
            assert_eq!(trades, expected, "seed {seed} step {step}: {result:?}");
        }
        compare(&venue, &model, seed, step);
    }
    // I12: a state reloaded from what the batches wrote has the live root.
    let leaves = venue.leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let rules = std::sync::Arc::clone(&venue.rules);
    let mut reloaded = zellbook_core::exchange::Exchange::from_leaves(rules, leaves).unwrap();
    reloaded.recount().unwrap();
    assert_eq!(reloaded.root(), venue.exchange.root(), "seed {seed}");
}

fn compare(venue: &Venue, model: &Model, seed: u64, step: usize) {
    let market = venue.rules.market("ETH/USDT").unwrap();
    let book = venue.exchange.book(market.index).unwrap();
    let mut open: HashMap<u64, (u128, u128)> = HashMap::new();
    for side in [Side::Buy, Side::Sell] {
        for order in book.orders(side) {
            open.insert(order.id, (order.price.0.into(), order.remaining.0.into()));
        }
    }
    let expected: HashMap<u64, (u128, u128)> =
        model.orders.iter().map(|order| (order.id, (order.ticks, order.lots))).collect();
    assert_eq!(open, expected, "seed {seed} step {step}");
    for (name, free) in TRADERS.iter().zip(&model.free) {
        let key = trader(name).public_key();
        let available = |token: &str| {
            let (index, _) = venue.rules.token(token).unwrap();
            venue.exchange.balance(&key, index).available.0
        };
        assert_eq!((available("ETH"), available("USDT")), *free, "{name}, seed {seed} step {step}");
    }
}

#[test]
fn the_engine_agrees_with_the_model_on_random_histories() {
    for seed in 1..=60 {
        run(seed, 100);
    }
}
