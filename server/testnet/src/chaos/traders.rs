//! The clients of a chaos test: traders that sign random orders, cancels and transfers, and submit them.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::protocol::{CheckedTransaction, OrderRef, check_element};
use zellbook_core::types::SelfTrade;
use zellbook_core::{
    Action, Decimal, Order, PublicKey, Rules, SecretKey, Side, TimeInForce, Transaction,
    TransactionHash,
};

use super::ledger::Ledger;
use zellbook_server::outbox::Outbox;

/// The number of traders.
const TRADERS: u8 = 6;

/// All traders, and the issuer that funds them.
pub struct Traders {
    issuer: Trader,
    traders: Vec<Trader>,
}

struct Trader {
    key: SecretKey,
    account: PublicKey,
    nonce: u64,
    orders: Vec<TransactionHash>,
}

pub struct Signed {
    checked: CheckedTransaction,
    /// The JSON.
    element: String,
}

pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32])
        .unwrap_or_else(|error| unreachable!("every small number is a valid key: {error}"))
}

impl Trader {
    fn new(number: u8) -> Self {
        let key = key(number);
        Self { account: key.public_key(), key, nonce: 0, orders: Vec::new() }
    }

    fn sign(&mut self, rules: &Rules, now_ms: u64, until: Option<u64>, action: Action) -> Signed {
        // The convention of real clients. Two transactions in the same millisecond need different nonces.
        self.nonce = now_ms.max(self.nonce + 1);
        let is_order = matches!(action, Action::Order(_));
        let transaction = Transaction {
            account: self.account,
            signer: None,
            nonce: self.nonce,
            valid_until: until,
            action,
        };
        let hash = transaction.hash(&rules.network);
        if is_order {
            // Noted before it is accepted, so that some cancels name orders that never existed.
            self.orders.push(hash);
        }
        let element = transaction.sign(&rules.network, &self.key).to_json();
        // The API makes the same check before it submits a transaction.
        let checked = check_element(rules, &element)
            .unwrap_or_else(|invalid| unreachable!("traders sign valid transactions: {invalid:?}"));
        Signed { checked, element }
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or(Decimal::ZERO)
}

impl Traders {
    /// `issuer` is the number of the issuer's key.
    pub fn new(issuer: u8) -> Self {
        Self {
            issuer: Trader::new(issuer),
            traders: (0..TRADERS).map(|number| Trader::new(100 + number)).collect(),
        }
    }

    /// The deposits that fund the traders.
    pub fn deposits(&mut self, rules: &Rules, now_ms: u64) -> Vec<Signed> {
        let mut signed = Vec::new();
        for (number, trader) in self.traders.iter().enumerate() {
            for (token, amount) in [("ETH", "50"), ("USDT", "100000")] {
                let action = Action::Deposit {
                    token: token.into(),
                    to: trader.account,
                    amount: decimal(amount),
                    reference: format!("{token}-{number}"),
                };
                signed.push(self.issuer.sign(rules, now_ms, None, action));
            }
        }
        signed
    }

    /// Orders of one trader that fill nothing, and that its balance can pay.
    #[cfg(test)]
    pub fn burst(&mut self, rules: &Rules, now_ms: u64, count: usize) -> Vec<Signed> {
        let order = Order {
            market: "ETH/USDT".into(),
            side: Side::Buy,
            quantity: decimal("0.1"),
            price: decimal("100"),
            time_in_force: TimeInForce::Ioc,
            expires: None,
            self_trade: SelfTrade::CancelOldest,
            client_id: None,
        };
        let sign = |_| self.traders[0].sign(rules, now_ms, None, Action::Order(order.clone()));
        (0..count).map(sign).collect()
    }

    /// A random transaction of a random trader.
    pub fn next(&mut self, rules: &Rules, now_ms: u64, rng: &mut Rng) -> Signed {
        let count = self.traders.len();
        let (from, to) = (rng.usize(0..count), rng.usize(0..count));
        let to = self.traders[to].account;
        let trader = &mut self.traders[from];
        // One in ten may expire in the outbox.
        let until = (rng.u32(0..10) == 0).then(|| now_ms + rng.u64(500..20_000));
        let action = match rng.u32(0..100) {
            0..65 => Action::Order(order(now_ms, rng)),
            65..85 if !trader.orders.is_empty() => {
                let index = rng.usize(0..trader.orders.len());
                // By the hash of the transaction, since a trader here never learns the id of its order.
                Action::Cancel(OrderRef::Transaction(trader.orders.swap_remove(index)))
            }
            85..87 => Action::CancelAll { market: None },
            _ => Action::Transfer {
                token: if rng.bool() { "ETH" } else { "USDT" }.into(),
                to,
                amount: decimal(&format!("{}", rng.u32(1..5))),
            },
        };
        trader.sign(rules, now_ms, until, action)
    }
}

fn order(now_ms: u64, rng: &mut Rng) -> Order {
    let time_in_force = match rng.u32(0..10) {
        0 => TimeInForce::Ioc,
        1 => TimeInForce::PostOnly,
        2 => TimeInForce::Gtd,
        _ => TimeInForce::Gtc,
    };
    let expires = (time_in_force == TimeInForce::Gtd).then(|| now_ms + rng.u64(1000..20_000));
    Order {
        market: "ETH/USDT".into(),
        side: if rng.bool() { Side::Buy } else { Side::Sell },
        quantity: decimal(&format!("0.{}", rng.u32(1..10))),
        // A narrow range, so that many orders match.
        price: decimal(&format!("{}", rng.u32(1980..2021))),
        time_in_force,
        expires,
        self_trade: SelfTrade::CancelOldest,
        client_id: None,
    }
}

/// Submits a transaction, and records it if it is accepted. Like real clients, tries again a few times if
/// there is no answer.
pub async fn submit(outbox: Outbox, ledger: Ledger, replica: usize, signed: Signed) {
    let submitted = Instant::now();
    for _ in 0..3 {
        // Only a confirmed transaction is recorded. One without an answer may be lost, and that is no failure.
        if outbox.submit(&signed.checked, signed.element.clone()).await.is_ok() {
            ledger.accept(signed.checked, replica, submitted);
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
