//! A small exchange with named traders for tests. Everything goes through signed batches, and all invariants are
//! recounted after every batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use zellbook_core::protocol::OrderRef;
use zellbook_core::types::SelfTrade;
use zellbook_core::{
    Action, Batch, Event, Exchange, Genesis, Order, Outcome, PublicKey, Reject, Rules, SecretKey,
    Side, TimeInForce, Transaction,
};

pub const TRADERS: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

pub fn issuer() -> SecretKey {
    key(99)
}

pub fn trader(name: &str) -> SecretKey {
    let position = TRADERS.iter().position(|trader| *trader == name);
    key(1 + u8::try_from(position.unwrap_or_else(|| panic!("no trader {name}"))).unwrap())
}

pub fn replica(number: u8) -> SecretKey {
    key(200 + number)
}

/// Rules without fees. ETH has 3 decimals and lots of 0.01, USDT has 4 decimals and ticks of 0.5, so one lot at
/// one tick is worth 50 quote atoms.
pub fn rules() -> Arc<Rules> {
    rules_with_fees(0, 0)
}

/// The same with fees on both markets, in basis points.
pub fn rules_with_fees(maker: u16, taker: u16) -> Arc<Rules> {
    let issuer = issuer().public_key();
    let [one, two, three] = [1, 2, 3].map(|number| replica(number).public_key());
    let fees = format!(r#""maker_fee_bps":{maker},"taker_fee_bps":{taker}"#);
    let fee_account = key(98).public_key();
    let json = format!(
        r#"{{"version":1,"name":"Test","app_name":"test","guide_orders":true,
        "tokens":[{{"symbol":"ETH","decimals":3,"issuer":"{issuer}"}},
            {{"symbol":"USDT","decimals":4,"issuer":"{issuer}"}},
            {{"symbol":"BTC","decimals":8,"issuer":"{issuer}"}}],
        "markets":[{{"base":"ETH","quote":"USDT","tick_size":"0.5","lot_size":"0.01","notional_min":"1",{fees}}},
            {{"base":"BTC","quote":"USDT","tick_size":"1","lot_size":"0.0001","notional_min":"0.0001",{fees}}}],
        "fee_account":"{fee_account}",
        "limits":{{"open_orders_per_account_and_market":4,"makers_per_order":3,"session_keys_per_account":2}},
        "replicas":[{{"public_key":"{one}","weight":1}},{{"public_key":"{two}","weight":1}},
            {{"public_key":"{three}","weight":1}}]}}"#
    );
    Arc::new(Genesis::read(json.as_bytes()).unwrap())
}

pub struct Venue {
    pub rules: Arc<Rules>,
    pub exchange: Exchange,
    pub bodies: Vec<String>,
    /// The leaves as a store would have them, built only from the changes of each batch.
    pub leaves: BTreeMap<Vec<u8>, Vec<u8>>,
    nonce: u64,
}

impl Venue {
    /// An exchange without any balance.
    pub fn empty() -> Self {
        Self::with_rules(rules())
    }

    pub fn with_rules(rules: Arc<Rules>) -> Self {
        let exchange = Exchange::new(Arc::clone(&rules));
        let leaves = exchange.engine().leaves().into_iter().collect();
        Self { rules, exchange, bodies: Vec::new(), leaves, nonce: 1000 }
    }

    /// An exchange on which every trader has 1,000 ETH, 1,000,000 USDT and 10 BTC.
    pub fn funded() -> Self {
        Self::empty().fund()
    }

    /// The same with fees.
    pub fn funded_with_fees(maker: u16, taker: u16) -> Self {
        Self::with_rules(rules_with_fees(maker, taker)).fund()
    }

    fn fund(mut self) -> Self {
        let venue = &mut self;
        for name in TRADERS {
            for (token, amount) in [("ETH", "1000"), ("USDT", "1000000"), ("BTC", "10")] {
                venue.deposit(name, token, amount);
            }
        }
        self
    }

    pub fn nonce(&mut self) -> u64 {
        self.nonce += 1;
        self.nonce
    }

    pub fn deposit(&mut self, name: &str, token: &str, amount: &str) {
        let nonce = self.nonce();
        let action = Action::Deposit {
            token: token.into(),
            to: trader(name).public_key(),
            amount: amount.parse().unwrap(),
            reference: format!("test-{nonce}"),
        };
        self.act(&issuer(), action).unwrap();
    }

    /// Signs an action with the next nonce.
    pub fn sign(&mut self, key: &SecretKey, action: Action) -> String {
        let nonce = self.nonce();
        self.sign_with(key, nonce, action)
    }

    pub fn sign_with(&self, key: &SecretKey, nonce: u64, action: Action) -> String {
        self.sign_as(key, |_| (), nonce, action)
    }

    /// Signs an action with changes to the transaction around it.
    pub fn sign_as(
        &self,
        key: &SecretKey,
        change: impl FnOnce(&mut Transaction),
        nonce: u64,
        action: Action,
    ) -> String {
        let account = key.public_key();
        let mut transaction =
            Transaction { account, signer: None, nonce, valid_until: None, action };
        change(&mut transaction);
        transaction.sign(&self.rules.network, key).to_json()
    }

    /// Applies an action for a trader that a session key signs.
    pub fn act_for(
        &mut self,
        name: &str,
        session_key: &SecretKey,
        action: Action,
    ) -> Result<Vec<Event>, Reject> {
        let nonce = self.nonce();
        let set = |transaction: &mut Transaction| {
            transaction.account = trader(name).public_key();
            transaction.signer = Some(session_key.public_key());
        };
        let element = self.sign_as(session_key, set, nonce, action);
        self.apply_one(&element)
    }

    /// Lets all replicas attest to the last batch with this clock, so that the exchange's time in the next batch is that clock.
    pub fn tick(&mut self, clock: u64) {
        let (batch, root) = (self.exchange.counters().batch, self.exchange.root());
        let elements: Vec<String> = [1, 2, 3]
            .map(|number| self.sign(&replica(number), Action::Attest { batch, root, clock }))
            .into();
        let outcome = self.apply(&format!("[{}]", elements.join(",")));
        assert!(outcome.transactions.iter().all(|outcome| outcome.result.is_ok()), "{outcome:?}");
    }

    /// Applies a body as the next batch and recounts all invariants.
    pub fn apply(&mut self, body: &str) -> Outcome {
        let index = self.exchange.counters().batch + 1;
        let batch = Batch::check(&self.rules, index, body.as_bytes());
        let outcome = self.exchange.apply(&batch).unwrap();
        self.bodies.push(body.into());
        for (key, value) in outcome.changes.clone() {
            match value {
                Some(value) => self.leaves.insert(key, value),
                None => self.leaves.remove(&key),
            };
        }
        self.exchange.recount().unwrap();
        outcome
    }

    /// Applies one element as a batch of its own.
    pub fn apply_one(&mut self, element: &str) -> Result<Vec<Event>, Reject> {
        let mut outcome = self.apply(&format!("[{element}]"));
        assert_eq!(outcome.transactions.len(), 1);
        outcome.transactions.remove(0).result
    }

    pub fn act(&mut self, key: &SecretKey, action: Action) -> Result<Vec<Event>, Reject> {
        let element = self.sign(key, action);
        self.apply_one(&element)
    }

    pub fn name(&self, account: &PublicKey) -> &'static str {
        TRADERS
            .into_iter()
            .find(|name| trader(name).public_key() == *account)
            .expect("an account of a trader")
    }

    /// Places the order that a line describes, like `alice sells 2 @ 100 ioc cancel_oldest`.
    pub fn order(&mut self, line: &str) -> Result<Vec<Event>, Reject> {
        let (key, order) = read_order(line);
        self.act(&key, Action::Order(order))
    }

    /// Replaces an open order by the one that a line describes.
    pub fn replace(&mut self, target: OrderRef, line: &str) -> Result<Vec<Event>, Reject> {
        let (key, order) = read_order(line);
        self.act(&key, Action::Replace { target, order })
    }

    /// Describes the result of a transaction: one line for each event except acceptance.
    pub fn describe(&self, result: &Result<Vec<Event>, Reject>) -> String {
        let events = match result {
            Ok(events) => events,
            Err(reject) => return format!("rejected: {reject}\n"),
        };
        let market = |index| self.rules.listing.market_at(index).unwrap();
        let mut text = String::new();
        for event in events {
            let line = match event {
                Event::Filled(fill) => {
                    let market = market(fill.market);
                    format!(
                        "fill {} -> {} {} @ {}",
                        self.name(&fill.maker),
                        self.name(&fill.taker),
                        market.format_quantity(fill.quantity.0.into()),
                        market.format_price(fill.price)
                    )
                }
                Event::Cancelled { account, remaining, reason, market: index, .. } => {
                    let quantity = market(*index).format_quantity(remaining.0.into());
                    format!("cancel {} {quantity} ({})", self.name(account), reason.name())
                }
                Event::Reduced { account, remaining, market: index, .. } => {
                    let quantity = market(*index).format_quantity(remaining.0.into());
                    format!("reduce {} to {quantity}", self.name(account))
                }
                _ => continue,
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Describes the ETH/USDT book: one line for each order, best first.
    pub fn describe_book(&self) -> String {
        let market = self.rules.listing.market("ETH/USDT").unwrap();
        let book = self.exchange.engine().book(market.index).unwrap();
        let mut text = String::new();
        for (side, name) in [(Side::Sell, "ask"), (Side::Buy, "bid")] {
            for order in book.orders(side) {
                let account = self.exchange.engine().ledger().get(order.account).unwrap();
                text.push_str(&format!(
                    "{name} {} {} @ {}\n",
                    self.name(&account.key),
                    market.format_quantity(order.remaining.0.into()),
                    market.format_price(order.price)
                ));
            }
        }
        text
    }

    /// A trader's balance as text: `available + locked`.
    pub fn balance(&self, name: &str, token: &str) -> String {
        let (index, token) = self.rules.listing.token(token).unwrap();
        let balance = self.exchange.balance(&trader(name).public_key(), index);
        let text = |atoms| zellbook_core::Decimal::of_atoms(atoms, token.decimals).to_string();
        format!("{} + {}", text(balance.available), text(balance.locked))
    }
}

/// A `gtc` order on ETH/USDT.
pub fn order(side: Side, quantity: zellbook_core::Decimal, price: zellbook_core::Decimal) -> Order {
    Order {
        market: "ETH/USDT".into(),
        side,
        quantity,
        price,
        time_in_force: TimeInForce::Gtc,
        expires: None,
        self_trade: SelfTrade::CancelNewest,
        client_id: None,
    }
}

/// Parses a line like `alice sells 2 @ 100 ioc cancel_oldest`. Returns the signing key and the order.
pub fn read_order(line: &str) -> (SecretKey, Order) {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_else(|| panic!("{line:?} ends early"));
    let key = trader(word());
    let side = match word() {
        "buys" => Side::Buy,
        "sells" => Side::Sell,
        other => panic!("{other}"),
    };
    let quantity = word().parse().unwrap();
    assert_eq!(word(), "@");
    let price = word().parse().unwrap();
    let mut order = order(side, quantity, price);
    for word in words {
        match (word.parse::<TimeInForce>(), word.parse::<SelfTrade>()) {
            (Ok(time_in_force), _) => order.time_in_force = time_in_force,
            (_, Ok(self_trade)) => order.self_trade = self_trade,
            _ => match word.split_once('=') {
                Some(("until", time)) => order.expires = Some(time.parse().unwrap()),
                Some(("id", name)) => order.client_id = Some(name.into()),
                _ => panic!("{word}"),
            },
        }
    }
    (key, order)
}
