//! Zellbook's own engine under measurement.

use std::sync::OnceLock;

use zellbook_core::bench::{BareEngine, BookPart, Footprint, Note, Placing};
use zellbook_core::protocol::{CheckedTransaction, OrderRef, ReplayGuard, Terms};
use zellbook_core::types::{AccountIndex, MarketIndex, SelfTrade};
use zellbook_core::{
    Action, Decimal, Genesis, Lots, PublicKey, Rules, Side as OurSide, Ticks, TimeInForce,
    TransactionHash,
};

use crate::engine::Engine;
use crate::operation::{Kind, Operation, Side};
use crate::tape::Tape;

/// Each user has one account for buys and another for sells. The stream assumes that a user's orders can trade
/// with each other, which self-trade prevention would stop.
const ACCOUNTS: usize = 20_000;
/// The number of operations in a batch. The engine prefetches memory within a batch and clears its list of
/// changed leaves after it.
const BATCH: usize = 256;

/// The engine with accounts, balances, locks, fees and self-trade prevention, but without parsing, signatures,
/// nonces and the tree over the state. `FEE_BPS` is the fee of maker and taker. `LOOKS_AHEAD`: it prefetches the memory of
/// later operations.
pub struct Zellbook<const FEE_BPS: u16, const LOOKS_AHEAD: bool = true> {
    engine: BareEngine,
    rules: &'static Rules,
    accounts: Vec<AccountIndex>,
    /// The account of each order by id minus 1. The stream does not state it in a cancel.
    owners: Vec<AccountIndex>,
}

/// An operation in the engine's own format.
pub enum Call {
    /// Places an order.
    Place {
        /// The account of the order.
        account: AccountIndex,
        /// Buy or sell.
        side: OurSide,
        /// Limit price.
        price: Ticks,
        /// Quantity.
        quantity: Lots,
        /// What happens to the part that does not fill immediately.
        time_in_force: TimeInForce,
    },
    /// Cancels an order.
    Cancel {
        /// The account of the order.
        account: AccountIndex,
        /// The order's id.
        id: u64,
    },
}

fn keys() -> &'static [PublicKey] {
    static KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
    KEYS.get_or_init(|| {
        // Half of all numbers are the x of a point, so trying is faster than computing keys from secrets.
        (1_u64..)
            .filter_map(|number| {
                let mut bytes = [0; 33];
                bytes[0] = 2;
                bytes[25..].copy_from_slice(&number.to_be_bytes());
                PublicKey::from_sec1(&bytes).ok()
            })
            .take(ACCOUNTS)
            .collect()
    })
}

/// One market in which a tick and a lot are one atom each.
fn rules(fee_bps: u16) -> Rules {
    let key = keys()[0];
    let genesis = format!(
        r#"{{"version":1,"name":"Bench","app_name":"bench","guide_orders":false,
        "tokens":[{{"symbol":"BASE","decimals":0,"issuer":"{key}"}},
            {{"symbol":"QUOTE","decimals":0,"issuer":"{key}"}}],
        "markets":[{{"base":"BASE","quote":"QUOTE","tick_size":"1","lot_size":"1",
            "notional_min":"1","maker_fee_bps":{fee_bps},"taker_fee_bps":{fee_bps}}}],
        "fee_account":"{key}",
        "limits":{{"open_orders_per_account_and_market":5000,"makers_per_order":1000,
            "session_keys_per_account":0}},
        "replicas":[{{"public_key":"{key}","weight":1}}]}}"#
    );
    Genesis::read(genesis.as_bytes()).expect("this genesis is valid")
}

impl<const FEE_BPS: u16, const LOOKS_AHEAD: bool> Zellbook<FEE_BPS, LOOKS_AHEAD> {
    /// The memory of all open orders in bytes.
    pub fn open_orders_memory(&self) -> usize {
        self.engine.engine().open_orders_memory()
    }
}

impl<const FEE_BPS: u16, const LOOKS_AHEAD: bool> Engine for Zellbook<FEE_BPS, LOOKS_AHEAD> {
    const NAME: &'static str = match (FEE_BPS, LOOKS_AHEAD) {
        (0, true) => "zellbook",
        (0, false) => "without look-ahead",
        _ => "zellbook with fees",
    };
    type Input = Call;

    fn new() -> Self {
        // Leaks a few hundred bytes in each run.
        let rules: &'static Rules = Box::leak(Box::new(rules(FEE_BPS)));
        let mut engine = BareEngine::new(rules);
        let issuer = keys()[0];
        let mut nonce = 0;
        for key in keys() {
            for token in ["BASE", "QUOTE"] {
                nonce += 1;
                let deposit = Action::Deposit {
                    token: token.into(),
                    to: *key,
                    // So much that no order of a stream lacks funds.
                    amount: Decimal::parse("1000000000000000000000000000000")
                        .expect("this is a number"),
                    reference: nonce.to_string(),
                };
                let transaction = CheckedTransaction {
                    hash: TransactionHash([0; 32]),
                    account: issuer,
                    signer: issuer,
                    replay_guard: ReplayGuard::Nonce(nonce),
                    valid_until: None,
                    action: deposit,
                };
                let outcome = engine.transact(rules, &transaction);
                outcome.expect("the engine is sound").expect("the deposit is valid");
            }
        }
        engine.forget_touched();
        let accounts =
            keys().iter().map(|key| engine.intern(key).expect("there is room")).collect();
        Self { engine, rules, accounts, owners: Vec::new() }
    }

    fn prepare(&mut self, operation: &Operation) -> Call {
        if operation.kind == Kind::Cancel {
            let account = self.owners[operation.id as usize - 1];
            return Call::Cancel { account, id: operation.id };
        }
        let (side, offset) = match operation.side {
            Side::Bid => (OurSide::Buy, 0),
            Side::Ask => (OurSide::Sell, 1),
        };
        let account = self.accounts[operation.user as usize * 2 + offset];
        self.owners.push(account);
        let time_in_force = match operation.kind {
            Kind::Limit => TimeInForce::Gtc,
            _ => TimeInForce::Ioc,
        };
        let (price, quantity) = (Ticks(operation.price), Lots(operation.quantity.into()));
        Call::Place { account, side, price, quantity, time_in_force }
    }

    /// Prefetches like the exchange does for the transactions of a batch.
    fn run(&mut self, inputs: &[Call], tape: &mut Tape) {
        let mut footprints = Vec::with_capacity(BATCH);
        for batch in inputs.chunks(BATCH) {
            footprints.clear();
            if !LOOKS_AHEAD {
                batch.iter().for_each(|call| self.apply(call, tape));
                self.engine.forget_touched();
                continue;
            }
            footprints.extend(batch.iter().map(|call| match call {
                Call::Cancel { account, id } => {
                    Some(Footprint { account: *account, part: BookPart::Order(*id) })
                }
                Call::Place { account, side, price, .. } => Some(Footprint {
                    account: *account,
                    part: BookPart::Level(MarketIndex(0), *side, *price),
                }),
            }));
            for (position, call) in batch.iter().enumerate() {
                self.engine.prefetch(&mut footprints, position);
                self.apply(call, tape);
            }
            self.engine.forget_touched();
        }
    }

    #[inline]
    fn apply(&mut self, call: &Call, tape: &mut Tape) {
        match call {
            Call::Cancel { account, id } => {
                self.engine
                    .cancel(self.rules, *account, &OrderRef::Id(*id), None)
                    .expect("the stream cancels only orders that rest");
            }
            &Call::Place { account, side, price, quantity, time_in_force } => {
                let market = &self.rules.listing.markets[0];
                let terms = Terms {
                    market: market.index,
                    side,
                    price,
                    quantity,
                    time_in_force,
                    expires: None,
                    self_trade: SelfTrade::CancelNewest,
                    cost_token: market.cost_token(side),
                    cost: market
                        .cost(side, price, quantity, time_in_force)
                        .expect("the numbers are small"),
                };
                let placing = Placing {
                    account,
                    session_key: None,
                    hash: TransactionHash([0; 32]),
                    client_id: None,
                    replaces: None,
                };
                self.engine.place(self.rules, &terms, &placing).expect("every order is taken");
            }
        }
        for note in self.engine.notes() {
            if let Note::Filled { maker, taker, price, quantity, .. } = note {
                tape.note(maker.0, taker.0, price.0, quantity.0);
            }
        }
        self.engine.forget_notes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::run;
    use crate::stream::Stream;

    #[test]
    fn the_engine_trades_as_the_reference() {
        for seed in 0..4 {
            let stream = Stream::generate(200, 20_000, seed, 50.0);
            assert_eq!(run::<Zellbook<0>>(&stream).tape, stream.expectation.tape, "seed {seed}");
            assert_eq!(run::<Zellbook<10>>(&stream).tape, stream.expectation.tape, "seed {seed}");
        }
    }
}
