//! A history of signed orders and cancels, the same bytes from a seed everywhere.

use zellbook_core::protocol::OrderRef;
use zellbook_core::types::SelfTrade;
use zellbook_core::{
    Action, Decimal, Genesis, Order, PublicKey, Rules, SecretKey, Side, TimeInForce, Transaction,
};

use crate::random::Random;

/// How many orders and cancels are in a body.
const PER_BODY: usize = 12;

/// A genesis and the bodies of batches.
pub struct History {
    /// The genesis file.
    pub genesis: String,
    /// The bodies, in sequence.
    pub bodies: Vec<String>,
    /// How many orders and cancels they have. The deposits before them are not counted.
    pub orders: usize,
}

fn secret(number: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number + 1).to_be_bytes());
    SecretKey::from_bytes(&bytes).expect("small numbers are keys")
}

fn number(text: &str) -> Decimal {
    Decimal::parse(text).expect("this is a number")
}

/// Signs transactions and packs them into bodies.
struct Signer {
    rules: Rules,
    nonce: u64,
    open: Vec<String>,
    bodies: Vec<String>,
}

impl Signer {
    /// Signs with the key of this number.
    fn sign(&mut self, key: u64, action: Action) {
        let key = secret(key);
        self.nonce += 1;
        let (account, nonce) = (key.public_key(), self.nonce);
        let transaction = Transaction { account, signer: None, nonce, valid_until: None, action };
        self.open.push(transaction.sign(&self.rules.network, &key).to_json());
        if self.open.len() == PER_BODY {
            self.close();
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.bodies.push(format!("[{}]", self.open.join(",")));
            self.open.clear();
        }
    }
}

impl History {
    /// Makes so many orders and cancels of so many keys. Half of them are orders near one price, most of which trade; a quarter are orders
    /// far from it, and the others cancel these by their client ids. Nothing is rejected.
    pub fn generate(seed: u64, traders: u64, orders: usize) -> Self {
        let rules = Genesis::development(secret(traders).public_key())
            .check()
            .expect("the development genesis is valid");
        let genesis = serde_json::to_string(&rules.genesis).expect("a genesis is JSON");
        let mut random = Random::new(seed);
        let mut signer =
            Signer { rules, nonce: 1_795_910_400_000, open: Vec::new(), bodies: Vec::new() };
        for trader in 0..traders {
            let to: PublicKey = secret(trader).public_key();
            for token in ["ETH", "USDT"] {
                let reference = format!("{token}-{trader}");
                let amount = number("1000000000");
                signer
                    .sign(traders, Action::Deposit { token: token.into(), to, amount, reference });
            }
        }
        signer.close();
        let mut far = vec![Vec::new(); traders as usize];
        for at in 0..orders {
            let trader = random.below(traders);
            let far: &mut Vec<String> = &mut far[trader as usize];
            let kind = random.below(4);
            let action = if kind == 0 && !far.is_empty() {
                Action::Cancel(OrderRef::ClientId(far.swap_remove(0)))
            } else {
                let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
                let cents = 250_000 + random.below(2_000);
                let cents = match side {
                    _ if kind > 1 => cents,
                    Side::Buy => cents - 100_000,
                    Side::Sell => cents + 100_000,
                };
                let price = format!("{}.{:02}", cents / 100, cents % 100);
                let price = price.trim_end_matches('0').trim_end_matches('.');
                let id = format!("o{at}");
                if kind <= 1 {
                    far.push(id.clone());
                }
                Action::Order(Order {
                    market: "ETH/USDT".into(),
                    side,
                    quantity: number("0.5"),
                    price: number(price),
                    time_in_force: TimeInForce::Gtc,
                    expires: None,
                    self_trade: SelfTrade::CancelNewest,
                    client_id: Some(id),
                })
            };
            signer.sign(trader, action);
        }
        signer.close();
        Self { genesis, bodies: signer.bodies, orders }
    }
}
