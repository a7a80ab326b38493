//! A second implementation of the state machine, written from `docs/protocol.md` alone.
//!
//! It shares no code with the engine: it uses vectors, loops and plain integers. It is slow and obvious, so
//! that it can be compared with the specification line by line. If the two disagree, the specification decides.

use std::rc::Rc;

use sha2::{Digest, Sha256};

/// The bytes of a public key.
pub type Key = [u8; 33];
pub type Hash = [u8; 32];
/// A leaf of the state: key and value.
pub type Leaf = (Vec<u8>, Vec<u8>);

/// The maximum supply of a token in atoms.
pub const ATOMS_MAX: u128 = 10u128.pow(38) - 1;
/// The number of nonces stored for a key.
const NONCES: usize = 64;
/// The limit of due timers and their cancellations in one batch.
const TIMERS: usize = 4096;
/// The numbers of votes stored for a replica and of certified roots stored.
const VOTES: usize = 32;
const ROOTS: usize = 64;

/// A decimal that is not negative, without needless zeros after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    pub digits: u128,
    pub places: u32,
}

enum Steps {
    Whole(u128),
    OffStep,
    TooLarge,
}

impl Number {
    pub fn new(mut digits: u128, mut places: u32) -> Self {
        while places > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            places -= 1;
        }
        Self { digits, places }
    }

    fn steps(self, step: Number) -> Steps {
        if self.places > step.places {
            return Steps::OffStep;
        }
        let scale = 10u128.checked_pow(step.places - self.places);
        let Some(k) = scale.and_then(|scale| self.digits.checked_mul(scale)) else {
            return if self.digits == 0 { Steps::Whole(0) } else { Steps::TooLarge };
        };
        if k.is_multiple_of(step.digits) { Steps::Whole(k / step.digits) } else { Steps::OffStep }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        let places = self.places as usize;
        let text = format!("{:0>width$}", self.digits, width = places + 1);
        let (whole, part) = text.split_at(text.len() - places);
        if part.is_empty() { write!(out, "{whole}") } else { write!(out, "{whole}.{part}") }
    }
}

#[derive(Clone, Debug)]
pub struct Token {
    pub symbol: String,
    pub decimals: u32,
    pub issuer: Key,
}

#[derive(Clone, Debug)]
pub struct Market {
    pub base: usize,
    pub quote: usize,
    pub tick: Number,
    pub lot: Number,
    pub notional_min: Number,
    pub maker_bps: u128,
    pub taker_bps: u128,
}

#[derive(Clone, Debug)]
pub struct Genesis {
    pub tokens: Vec<Token>,
    pub markets: Vec<Market>,
    pub fee_account: Key,
    pub open_orders: usize,
    pub makers: usize,
    pub session_keys: usize,
    /// Key and weight.
    pub replicas: Vec<(Key, u64)>,
}

impl Genesis {
    /// The canonical text; its hash is the network id.
    pub fn text(&self) -> String {
        let tokens = self.tokens.iter().map(|token| {
            format!(
                r#"{{"symbol":"{}","decimals":{},"issuer":"{}"}}"#,
                token.symbol,
                token.decimals,
                hex(&token.issuer)
            )
        });
        let markets = self.markets.iter().map(|market| {
            format!(
                concat!(
                    r#"{{"base":"{}","quote":"{}","tick_size":"{}","lot_size":"{}","#,
                    r#""notional_min":"{}","maker_fee_bps":{},"taker_fee_bps":{}}}"#
                ),
                self.tokens[market.base].symbol,
                self.tokens[market.quote].symbol,
                market.tick,
                market.lot,
                market.notional_min,
                market.maker_bps,
                market.taker_bps
            )
        });
        let replicas = self
            .replicas
            .iter()
            .map(|(key, weight)| format!(r#"{{"public_key":"{}","weight":{weight}}}"#, hex(key)));
        format!(
            concat!(
                r#"{{"version":1,"name":"Model","app_name":"model","guide_orders":true,"#,
                r#""tokens":[{}],"markets":[{}],"fee_account":"{}","#,
                r#""limits":{{"open_orders_per_account_and_market":{},"makers_per_order":{},"#,
                r#""session_keys_per_account":{}}},"replicas":[{}]}}"#
            ),
            tokens.collect::<Vec<_>>().join(","),
            markets.collect::<Vec<_>>().join(","),
            hex(&self.fee_account),
            self.open_orders,
            self.makers,
            self.session_keys,
            replicas.collect::<Vec<_>>().join(",")
        )
    }

    pub fn market_name(&self, market: usize) -> String {
        let Market { base, quote, .. } = self.markets[market];
        format!("{}/{}", self.tokens[base].symbol, self.tokens[quote].symbol)
    }

    fn market(&self, name: &str) -> Option<usize> {
        (0..self.markets.len()).find(|market| self.market_name(*market) == name)
    }

    fn token(&self, symbol: &str) -> Option<usize> {
        self.tokens.iter().position(|token| token.symbol == symbol)
    }

    pub fn atoms_per_lot(&self, market: usize) -> u128 {
        let Market { base, lot, .. } = self.markets[market];
        lot.digits * 10u128.pow(self.tokens[base].decimals - lot.places)
    }

    pub fn atoms_per_tick_lot(&self, market: usize) -> u128 {
        let Market { quote, tick, lot, .. } = self.markets[market];
        tick.digits * lot.digits * 10u128.pow(self.tokens[quote].decimals)
            / 10u128.pow(tick.places + lot.places)
    }

    fn notional_min(&self, market: usize) -> u128 {
        let Market { quote, notional_min, .. } = self.markets[market];
        notional_min.digits * 10u128.pow(self.tokens[quote].decimals - notional_min.places)
    }

    /// The value in quote atoms; `None` if that is more than the maximum supply.
    pub fn notional(&self, market: usize, price: u128, lots: u128) -> Option<u128> {
        let atoms = price.checked_mul(lots)?.checked_mul(self.atoms_per_tick_lot(market))?;
        (atoms <= ATOMS_MAX).then_some(atoms)
    }
}

/// `ceil(amount * bps / 10000)`. The product can have more than 128 bits, so the amount is split.
pub fn fee(amount: u128, bps: u128) -> u128 {
    amount / 10_000 * bps + (amount % 10_000 * bps).div_ceil(10_000)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeInForce {
    Gtc,
    Gtd,
    Ioc,
    Fok,
    PostOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::enum_variant_names, reason = "the names of the protocol")]
pub enum SelfTrade {
    CancelNewest,
    CancelOldest,
    CancelBoth,
}

#[derive(Clone, Debug)]
pub struct Order {
    pub market: String,
    pub buy: bool,
    pub quantity: Number,
    pub price: Number,
    pub time_in_force: TimeInForce,
    /// Present with `gtd` and only with it.
    pub expires: Option<u64>,
    pub self_trade: SelfTrade,
    pub client_id: Option<String>,
}

#[derive(Clone, Debug)]
pub enum Target {
    Id(u64),
    Transaction(Hash),
    ClientId(String),
}

#[derive(Clone, Debug)]
pub enum Action {
    Order(Order),
    Replace { target: Target, order: Order },
    Cancel(Target),
    CancelAll { market: Option<String> },
    CancelAllAfter { time: u64 },
    Transfer { token: String, to: Key, amount: Number },
    Withdraw { token: String, amount: Number, destination: String },
    Deposit { token: String, to: Key, amount: Number, reference: String },
    AuthorizeKey { key: Key, expires: u64, market: Option<String>, spend: Option<(String, Number)> },
    RevokeKey { key: Key },
    Attest { batch: u64, root: Hash, clock: u64 },
}

#[derive(Clone, Debug)]
pub struct Transaction {
    pub hash: Hash,
    pub account: Key,
    pub signer: Key,
    /// `None` in the guide's format, where the hash is used once instead.
    pub nonce: Option<u64>,
    pub valid_until: Option<u64>,
    pub action: Action,
}

/// An element of a batch: a transaction, or 1 (malformed) or 2 (bad signature).
pub type Element = Result<Transaction, u16>;

/// The events that are compared with those of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    Trade {
        trade: u64,
        maker_order: u64,
        taker_order: u64,
        price: u128,
        lots: u128,
        maker_fee: u128,
        taker_fee: u128,
    },
    Cancelled {
        order: u64,
        lots: u128,
        reason: &'static str,
    },
}

#[derive(Debug)]
pub struct Outcome {
    /// The events of timers at the start of the batch.
    pub due: Vec<Done>,
    pub results: Vec<Result<Vec<Done>, u16>>,
}

#[derive(Clone, Debug)]
pub struct Open {
    pub id: u64,
    pub market: usize,
    pub account: Key,
    pub buy: bool,
    pub price: u128,
    pub total: u128,
    pub rested: u128,
    pub remaining: u128,
    pub transaction: [u8; 8],
    /// 0: none.
    pub expires: u64,
    /// Empty: none.
    pub client_id: String,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub account: Key,
    pub key: Key,
    pub expires: u64,
    pub market: Option<usize>,
    /// Token, limit, spent.
    pub spend: Option<(usize, u128, u128)>,
}

#[derive(Clone, Debug)]
struct Withdrawal {
    account: Key,
    token: usize,
    amount: u128,
    destination: String,
}

#[derive(Clone, Debug)]
struct Vote {
    batch: u64,
    replica: usize,
    root: Hash,
}

/// An order whose numbers were checked.
struct Terms<'a> {
    market: usize,
    price: u128,
    lots: u128,
    order: &'a Order,
}

/// A timer, in the order in which timers fire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Order(u64),
    Key(Key, Key),
    Switch(Key),
}

#[derive(Clone)]
pub struct Model {
    pub genesis: Rc<Genesis>,
    pub batch: u64,
    chain: Hash,
    pub last_order: u64,
    last_trade: u64,
    pub time: u64,
    pub supply: Vec<u128>,
    /// Only available balances. The model computes locked balances from the open orders.
    available: Vec<(Key, usize, i128)>,
    nonces: Vec<(Key, Vec<u64>)>,
    /// By id.
    pub orders: Vec<Open>,
    references: Vec<(usize, String)>,
    guide: Vec<Hash>,
    pub grants: Vec<Grant>,
    withdrawals: Vec<Withdrawal>,
    /// Last attested batch and clock, and whether the replica ever attested.
    pub replicas: Vec<(u64, u64, bool)>,
    votes: Vec<Vote>,
    certified: Vec<(u64, Hash)>,
    pub switches: Vec<(Key, u64)>,
    /// Rare things that happened; the tests assert that they did.
    pub marks: Vec<&'static str>,
}

impl Model {
    pub fn new(genesis: Rc<Genesis>) -> Self {
        Self {
            batch: 0,
            chain: Sha256::digest(genesis.text()).into(),
            last_order: 0,
            last_trade: 0,
            time: 0,
            supply: vec![0; genesis.tokens.len()],
            available: Vec::new(),
            nonces: Vec::new(),
            orders: Vec::new(),
            references: Vec::new(),
            guide: Vec::new(),
            grants: Vec::new(),
            withdrawals: Vec::new(),
            replicas: vec![(0, 0, false); genesis.replicas.len()],
            votes: Vec::new(),
            certified: Vec::new(),
            switches: Vec::new(),
            marks: Vec::new(),
            genesis,
        }
    }

    pub fn apply(&mut self, body_hash: Hash, elements: &[Element]) -> Outcome {
        self.batch += 1;
        self.chain = Sha256::digest([self.chain, body_hash].concat()).into();
        let due = self.run_timers();
        let results = elements
            .iter()
            .map(|element| match element {
                Ok(transaction) => self.transact(transaction),
                Err(code) => Err(*code),
            })
            .collect();
        Outcome { due, results }
    }

    // Time.

    /// The latest time that the clocks of more than half of the weight have reached.
    fn median(&self) -> u64 {
        let weights = || self.genesis.replicas.iter().map(|(_, weight)| *weight);
        let total: u64 = weights().sum();
        let reached = |clock: u64| {
            let replicas = self.replicas.iter().zip(weights());
            let there = replicas.filter(|((_, theirs, _), _)| *theirs >= clock);
            2 * there.map(|(_, weight)| weight).sum::<u64>() > total
        };
        let clocks = self.replicas.iter().map(|(_, clock, _)| *clock);
        clocks.filter(|clock| reached(*clock)).max().unwrap_or(0)
    }

    fn next_timer(&self) -> Option<(u64, Timer)> {
        let orders = self.orders.iter().filter(|order| order.expires != 0);
        let orders = orders.map(|order| (order.expires, Timer::Order(order.id)));
        let grants = self.grants.iter();
        let keys = grants.map(|grant| (grant.expires, Timer::Key(grant.account, grant.key)));
        let switches = self.switches.iter().map(|(account, time)| (*time, Timer::Switch(*account)));
        orders.chain(keys).chain(switches).min()
    }

    fn run_timers(&mut self) -> Vec<Done> {
        let median = self.median();
        let mut done = Vec::new();
        let mut count = 0;
        loop {
            let Some((time, timer)) = self.next_timer().filter(|(time, _)| *time <= median) else {
                self.time = self.time.max(median);
                return done;
            };
            if count >= TIMERS {
                self.marks.push("timers wait");
                self.time = self.time.max(time - 1);
                return done;
            }
            count += 1;
            match timer {
                Timer::Order(id) => done.push(self.cancel(id, "expired")),
                Timer::Key(account, key) => {
                    self.marks.push("key expired");
                    self.grants.retain(|grant| (grant.account, grant.key) != (account, key));
                }
                Timer::Switch(account) => {
                    let cancelled = self.cancel_all(account, None, "switch");
                    count += cancelled.len();
                    done.extend(cancelled);
                    self.switches.retain(|(owner, _)| *owner != account);
                    self.marks.push("switch fired");
                }
            }
        }
    }

    // Balances.

    pub fn available(&self, account: Key, token: usize) -> u128 {
        let entry = self.available.iter().find(|entry| (entry.0, entry.1) == (account, token));
        entry.map_or(0, |entry| u128::try_from(entry.2).expect("a balance is never below zero"))
    }

    fn add(&mut self, account: Key, token: usize, atoms: i128) {
        let entry = self.available.iter_mut().find(|entry| (entry.0, entry.1) == (account, token));
        match entry {
            Some(entry) => entry.2 += atoms,
            None => self.available.push((account, token, atoms)),
        }
    }

    fn credit(&mut self, account: Key, token: usize, atoms: u128) {
        self.add(account, token, i128::try_from(atoms).unwrap());
    }

    fn debit(&mut self, account: Key, token: usize, atoms: u128) {
        self.add(account, token, -i128::try_from(atoms).unwrap());
    }

    /// The token that an order locks.
    fn locks(&self, market: usize, buy: bool) -> usize {
        let Market { base, quote, .. } = self.genesis.markets[market];
        if buy { quote } else { base }
    }

    /// What a resting order locks.
    pub fn lock(&self, order: &Open) -> u128 {
        if !order.buy {
            return order.remaining * self.genesis.atoms_per_lot(order.market);
        }
        let filled = order.rested - order.remaining;
        let quote = self.quote(order.market, order.price, order.remaining);
        quote + self.maker_fee(order, order.rested) - self.maker_fee(order, filled)
    }

    /// The amount that an order counts against a spending limit, without fees.
    fn spends(&self, market: usize, buy: bool, price: u128, lots: u128) -> u128 {
        if buy {
            self.quote(market, price, lots)
        } else {
            lots * self.genesis.atoms_per_lot(market)
        }
    }

    fn quote(&self, market: usize, price: u128, lots: u128) -> u128 {
        self.genesis.notional(market, price, lots).expect("checked when the order was placed")
    }

    /// H of the protocol: a maker's total fee when this many of its rested lots are filled.
    fn maker_fee(&self, order: &Open, lots: u128) -> u128 {
        let bps = self.genesis.markets[order.market].maker_bps;
        fee(self.quote(order.market, order.price, lots), bps)
    }

    /// The available balance that placing an order needs.
    pub fn need(
        &self,
        market: usize,
        buy: bool,
        price: u128,
        lots: u128,
        tif: TimeInForce,
    ) -> u128 {
        if !buy {
            return lots * self.genesis.atoms_per_lot(market);
        }
        let quote = self.quote(market, price, lots);
        quote + self.fee_reserve(market, quote, tif)
    }

    /// F of the protocol.
    fn fee_reserve(&self, market: usize, quote: u128, tif: TimeInForce) -> u128 {
        let Market { maker_bps, taker_bps, .. } = self.genesis.markets[market];
        let (maker, taker) = (fee(quote, maker_bps), fee(quote, taker_bps));
        match tif {
            TimeInForce::PostOnly => maker,
            TimeInForce::Ioc | TimeInForce::Fok => taker,
            TimeInForce::Gtc | TimeInForce::Gtd if maker_bps > 0 && taker_bps > 0 => {
                maker.max(taker) + 1
            }
            TimeInForce::Gtc | TimeInForce::Gtd => maker.max(taker),
        }
    }

    // Transactions.

    fn transact(&mut self, transaction: &Transaction) -> Result<Vec<Done>, u16> {
        let Transaction { hash, account, signer, action, .. } = transaction;
        let account = *account;
        match transaction.nonce {
            Some(nonce) => self.check_nonce(*signer, nonce)?,
            None if self.guide.contains(hash) => return Err(3),
            None => {}
        }
        if !self.knows(*signer)
            && !self.grants.iter().any(|grant| is_grant(grant, account, *signer))
        {
            return Err(8);
        }
        match transaction.nonce {
            Some(nonce) => self.use_nonce(*signer, nonce),
            None => self.guide.push(*hash),
        }
        if transaction.valid_until.is_some_and(|until| self.time >= until) {
            return Err(5);
        }
        let mut grant = None;
        if *signer != account {
            let position = self
                .grants
                .iter()
                .position(|grant| is_grant(grant, account, *signer))
                .ok_or(6u16)?;
            if !self.may(&self.grants[position], action) {
                return Err(7);
            }
            grant = Some(position);
        }
        match action {
            Action::Order(order) => {
                let terms = self.check_order(order)?;
                self.place(transaction, grant, &terms, terms.lots, None)
            }
            Action::Replace { target, order } => self.replace(transaction, grant, target, order),
            Action::Cancel(target) => {
                let bound = grant.and_then(|grant| self.grants[grant].market);
                let found = self.find(account, target);
                let found = found.filter(|open| bound.is_none_or(|bound| bound == open.market));
                let id = found.ok_or(30u16)?.id;
                Ok(vec![self.cancel(id, "requested")])
            }
            Action::CancelAll { market: None } => Ok(self.cancel_all(account, None, "requested")),
            Action::CancelAll { market: Some(name) } => {
                let market = self.genesis.market(name).ok_or(10u16)?;
                Ok(self.cancel_all(account, Some(market), "requested"))
            }
            Action::CancelAllAfter { time } => {
                if *time != 0 && *time <= self.time {
                    return Err(18);
                }
                self.switches.retain(|(owner, _)| *owner != account);
                if *time != 0 {
                    self.switches.push((account, *time));
                }
                Ok(Vec::new())
            }
            Action::Transfer { token, to, amount } => {
                let (token, atoms) = self.check_amount(token, *amount)?;
                if *to == account {
                    return Err(22);
                }
                if self.available(account, token) < atoms {
                    return Err(40);
                }
                self.debit(account, token, atoms);
                self.credit(*to, token, atoms);
                Ok(Vec::new())
            }
            Action::Withdraw { token, amount, destination } => {
                let (token, amount) = self.check_amount(token, *amount)?;
                if self.available(account, token) < amount {
                    return Err(40);
                }
                self.debit(account, token, amount);
                self.supply[token] -= amount;
                let destination = destination.clone();
                self.withdrawals.push(Withdrawal { account, token, amount, destination });
                Ok(Vec::new())
            }
            Action::Deposit { token, to, amount, reference } => {
                let (token, atoms) = self.check_amount(token, *amount)?;
                if self.supply[token] + atoms > ATOMS_MAX {
                    return Err(16);
                }
                if self.genesis.tokens[token].issuer != account {
                    return Err(20);
                }
                let pair = (token, reference.clone());
                if self.references.contains(&pair) {
                    return Err(21);
                }
                self.references.push(pair);
                self.supply[token] += atoms;
                self.credit(*to, token, atoms);
                Ok(Vec::new())
            }
            Action::AuthorizeKey { key, expires, market, spend } => {
                self.authorize(account, *key, *expires, market.as_deref(), spend.as_ref())
            }
            Action::RevokeKey { key } => {
                let is_it = |grant: &Grant| grant.account == account && grant.key == *key;
                let position = self.grants.iter().position(is_it).ok_or(27u16)?;
                self.grants.remove(position);
                Ok(Vec::new())
            }
            Action::Attest { batch, root, clock } => self.attest(account, *batch, *root, *clock),
        }
    }

    pub fn nonces(&self, key: Key) -> &[u64] {
        let kept = self.nonces.iter().find(|(owner, _)| *owner == key);
        kept.map_or(&[], |(_, kept)| kept)
    }

    /// Whether genesis names the key, or a leaf of nonces or of a balance is its own.
    pub fn knows(&self, key: Key) -> bool {
        let Genesis { tokens, fee_account, replicas, .. } = &*self.genesis;
        *fee_account == key
            || replicas.iter().any(|(replica, _)| *replica == key)
            || tokens.iter().any(|token| token.issuer == key)
            || !self.nonces(key).is_empty()
            || (0..tokens.len()).any(|token| self.available(key, token) > 0)
            // An open order locks something.
            || self.orders.iter().any(|open| open.account == key)
    }

    fn check_nonce(&self, key: Key, nonce: u64) -> Result<(), u16> {
        let kept = self.nonces(key);
        if kept.contains(&nonce) {
            return Err(3);
        }
        if kept.len() == NONCES && nonce < kept[0] {
            return Err(4);
        }
        Ok(())
    }

    fn use_nonce(&mut self, key: Key, nonce: u64) {
        if !self.nonces.iter().any(|(owner, _)| *owner == key) {
            self.nonces.push((key, Vec::new()));
        }
        let (_, kept) = self.nonces.iter_mut().find(|(owner, _)| *owner == key).unwrap();
        kept.push(nonce);
        kept.sort();
        if kept.len() > NONCES {
            kept.remove(0);
            self.marks.push("nonce dropped");
        }
    }

    /// Whether a session key may sign this.
    fn may(&self, grant: &Grant, action: &Action) -> bool {
        let bound = grant.market.map(|market| self.genesis.market_name(market));
        let names = |market: &String| bound.as_ref().is_none_or(|bound| bound == market);
        match action {
            Action::Order(order) | Action::Replace { order, .. } => {
                let pays = |market: usize| match grant.spend {
                    Some((token, _, _)) => self.locks(market, order.buy) == token,
                    None => true,
                };
                names(&order.market) && self.genesis.market(&order.market).is_none_or(pays)
            }
            Action::Cancel(_) => true,
            Action::CancelAll { market: Some(market) } => names(market),
            Action::CancelAll { market: None } | Action::CancelAllAfter { .. } => bound.is_none(),
            _ => false,
        }
    }

    fn check_amount(&self, symbol: &str, amount: Number) -> Result<(usize, u128), u16> {
        let token = self.genesis.token(symbol).ok_or(11u16)?;
        if amount.digits == 0 {
            return Err(12);
        }
        match amount.steps(Number { digits: 1, places: self.genesis.tokens[token].decimals }) {
            Steps::OffStep => Err(15),
            Steps::Whole(atoms) if atoms <= ATOMS_MAX => Ok((token, atoms)),
            Steps::Whole(_) | Steps::TooLarge => Err(16),
        }
    }

    /// The checks 10 to 18 of `order` and `replace`.
    fn check_order<'a>(&self, order: &'a Order) -> Result<Terms<'a>, u16> {
        let market = self.genesis.market(&order.market).ok_or(10u16)?;
        if order.price.digits == 0 || order.quantity.digits == 0 {
            return Err(12);
        }
        let price = order.price.steps(self.genesis.markets[market].tick);
        let lots = order.quantity.steps(self.genesis.markets[market].lot);
        if matches!(price, Steps::OffStep) {
            return Err(13);
        }
        if matches!(lots, Steps::OffStep) {
            return Err(14);
        }
        let (Steps::Whole(price), Steps::Whole(lots)) = (price, lots) else { return Err(16) };
        if price > u64::MAX.into() || lots > u64::MAX.into() {
            return Err(16);
        }
        let quote = self.genesis.notional(market, price, lots).ok_or(16u16)?;
        let base = lots.checked_mul(self.genesis.atoms_per_lot(market)).ok_or(16u16)?;
        let fees = self.fee_reserve(market, quote, order.time_in_force);
        if base > ATOMS_MAX || quote + fees > ATOMS_MAX {
            return Err(16);
        }
        if quote < self.genesis.notional_min(market) {
            return Err(17);
        }
        if order.expires.is_some_and(|expires| expires <= self.time) {
            return Err(18);
        }
        Ok(Terms { market, price, lots, order })
    }

    /// The account's open order that the target names; the oldest if there are several.
    pub fn find(&self, account: Key, target: &Target) -> Option<&Open> {
        self.orders.iter().filter(|order| order.account == account).find(|order| match target {
            Target::Id(id) => order.id == *id,
            Target::Transaction(hash) => hash.starts_with(&order.transaction),
            Target::ClientId(client_id) => order.client_id == *client_id,
        })
    }

    fn crosses(order: &Open, market: usize, buy: bool, price: u128) -> bool {
        order.market == market
            && order.buy != buy
            && if buy { order.price <= price } else { order.price >= price }
    }

    /// Runs the checks 31 to 40, then places this many lots of the order, instead of `replaced` if there is one.
    fn place(
        &mut self,
        transaction: &Transaction,
        grant: Option<usize>,
        terms: &Terms,
        lots: u128,
        replaced: Option<&Open>,
    ) -> Result<Vec<Done>, u16> {
        let account = transaction.account;
        let Terms { market, price, order, .. } = *terms;
        let tif = order.time_in_force;
        let is_replaced = |open: &Open| replaced.is_some_and(|replaced| replaced.id == open.id);
        let client_id = match (&order.client_id, replaced) {
            (Some(client_id), _) => client_id.clone(),
            (None, Some(replaced)) => replaced.client_id.clone(),
            (None, None) => String::new(),
        };
        let others = || self.orders.iter().filter(|open| open.account == account);
        if !client_id.is_empty()
            && others().any(|open| !is_replaced(open) && open.client_id == client_id)
        {
            return Err(31);
        }
        let crosses = |open: &Open| Self::crosses(open, market, order.buy, price);
        if tif == TimeInForce::PostOnly && self.orders.iter().any(crosses) {
            return Err(32);
        }
        let may_rest = !matches!(tif, TimeInForce::Ioc | TimeInForce::Fok);
        let open = others().filter(|open| open.market == market).count();
        if may_rest && replaced.is_none() && open >= self.genesis.open_orders {
            return Err(33);
        }
        if tif == TimeInForce::Fok {
            let mut trial = self.clone();
            let (_, rest) = trial.execute(transaction, terms, lots, String::new());
            if rest > 0 {
                return Err(34);
            }
        }
        if let Some((_, limit, spent)) = grant.and_then(|grant| self.grants[grant].spend)
            && spent + self.spends(market, order.buy, price, lots) > limit
        {
            return Err(35);
        }
        let freed = replaced.map_or(0, |replaced| self.lock(replaced));
        let token = self.locks(market, order.buy);
        let need = self.need(market, order.buy, price, lots, tif);
        if self.available(account, token) + freed < need {
            return Err(40);
        }
        let mut done = Vec::new();
        if let Some(replaced) = replaced {
            done.push(self.cancel(replaced.id, "replaced"));
        }
        let (events, rest) = self.execute(transaction, terms, lots, client_id);
        done.extend(events);
        let spent_now = self.spends(market, order.buy, price, lots - rest);
        if let Some((_, _, spent)) = grant.and_then(|grant| self.grants[grant].spend.as_mut()) {
            *spent += spent_now;
        }
        Ok(done)
    }

    /// Assigns an id, matches, and lets the rest enter the book if it may. Returns the lots that were cancelled
    /// immediately.
    fn execute(
        &mut self,
        transaction: &Transaction,
        terms: &Terms,
        lots: u128,
        client_id: String,
    ) -> (Vec<Done>, u128) {
        let account = transaction.account;
        let Terms { market, price, order, .. } = *terms;
        let Market { base, quote: quote_token, taker_bps, .. } = self.genesis.markets[market];
        let token = self.locks(market, order.buy);
        self.last_order += 1;
        let id = self.last_order;
        let need = self.need(market, order.buy, price, lots, order.time_in_force);
        self.debit(account, token, need);
        let mut unspent = need;
        let mut done = Vec::new();
        let mut left = lots;
        let mut met = 0;
        let mut taken = 0;
        let mut reason = match order.time_in_force {
            TimeInForce::Ioc => Some("ioc"),
            TimeInForce::Fok => Some("fok"),
            TimeInForce::Gtc | TimeInForce::Gtd | TimeInForce::PostOnly => None,
        };
        while left > 0 {
            // Best price first, then lowest id.
            let crossing = (0..self.orders.len())
                .filter(|i| Self::crosses(&self.orders[*i], market, order.buy, price));
            let first = crossing.min_by_key(|i| {
                let ticks = i128::try_from(self.orders[*i].price).unwrap();
                (if order.buy { ticks } else { -ticks }, self.orders[*i].id)
            });
            let Some(position) = first else { break };
            if met == self.genesis.makers {
                reason = Some("maker_limit");
                break;
            }
            met += 1;
            let before = self.orders[position].clone();
            if before.account == account {
                if order.self_trade != SelfTrade::CancelNewest {
                    done.push(self.cancel(before.id, "self_trade"));
                }
                if order.self_trade != SelfTrade::CancelOldest {
                    reason = Some("self_trade");
                    break;
                }
                continue;
            }
            let traded = left.min(before.remaining);
            left -= traded;
            let quote = self.quote(market, before.price, traded);
            let base_atoms = traded * self.genesis.atoms_per_lot(market);
            let taker_fee = fee(taken + quote, taker_bps) - fee(taken, taker_bps);
            taken += quote;
            let mut after = before.clone();
            after.remaining -= traded;
            let maker_fee = self.maker_fee(&before, before.rested - after.remaining)
                - self.maker_fee(&before, before.rested - before.remaining);
            let unlocked = self.lock(&before) - self.lock(&after);
            if after.remaining == 0 {
                self.orders.remove(position);
            } else {
                self.orders[position] = after;
            }
            if order.buy {
                assert_eq!(unlocked, base_atoms);
                unspent -= quote + taker_fee;
                self.credit(account, base, base_atoms);
                self.credit(before.account, quote_token, quote - maker_fee);
            } else {
                assert_eq!(unlocked, quote + maker_fee);
                unspent -= base_atoms;
                self.credit(account, quote_token, quote - taker_fee);
                self.credit(before.account, base, base_atoms);
            }
            self.credit(self.genesis.fee_account, quote_token, maker_fee + taker_fee);
            self.last_trade += 1;
            done.push(Done::Trade {
                trade: self.last_trade,
                maker_order: before.id,
                taker_order: id,
                price: before.price,
                lots: traded,
                maker_fee,
                taker_fee,
            });
        }
        let mut cancelled = 0;
        if left > 0 {
            if let Some(reason) = reason {
                cancelled = left;
                done.push(Done::Cancelled { order: id, lots: left, reason });
            } else {
                let open = Open {
                    id,
                    market,
                    account,
                    buy: order.buy,
                    price,
                    total: lots,
                    rested: left,
                    remaining: left,
                    transaction: transaction.hash[..8].try_into().unwrap(),
                    expires: order.expires.unwrap_or(0),
                    client_id,
                };
                unspent -= self.lock(&open);
                self.orders.push(open);
            }
        }
        self.credit(account, token, unspent);
        (done, cancelled)
    }

    fn replace(
        &mut self,
        transaction: &Transaction,
        grant: Option<usize>,
        target: &Target,
        order: &Order,
    ) -> Result<Vec<Done>, u16> {
        let account = transaction.account;
        let terms = self.check_order(order)?;
        let here = |open: &Open| open.market == terms.market && open.buy == order.buy;
        let target = self.find(account, target).filter(|open| here(open)).ok_or(30u16)?.clone();
        let filled = target.total - target.remaining;
        if terms.lots <= filled {
            self.marks.push("replaced by nothing");
            return Ok(vec![self.cancel(target.id, "replaced")]);
        }
        let lots = terms.lots - filled;
        let in_place = terms.price == target.price
            && lots <= target.remaining
            && !matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok)
            && order.expires.unwrap_or(0) == target.expires
            && order.client_id.as_ref().is_none_or(|client_id| *client_id == target.client_id);
        if !in_place {
            return self.place(transaction, grant, &terms, lots, Some(&target));
        }
        self.marks.push("replaced in place");
        let mut reduced = target.clone();
        reduced.total = terms.lots;
        reduced.remaining = lots;
        reduced.rested -= target.remaining - lots;
        let freed = self.lock(&target) - self.lock(&reduced);
        self.credit(account, self.locks(target.market, target.buy), freed);
        let position = self.orders.iter().position(|open| open.id == target.id).unwrap();
        self.orders[position] = reduced;
        Ok(Vec::new())
    }

    fn cancel(&mut self, id: u64, reason: &'static str) -> Done {
        let position = self.orders.iter().position(|order| order.id == id).unwrap();
        let order = self.orders.remove(position);
        let token = self.locks(order.market, order.buy);
        self.credit(order.account, token, self.lock(&order));
        Done::Cancelled { order: id, lots: order.remaining, reason }
    }

    /// All open orders of an account, by market, then id.
    fn cancel_all(
        &mut self,
        account: Key,
        market: Option<usize>,
        reason: &'static str,
    ) -> Vec<Done> {
        let mut ids: Vec<(usize, u64)> = self
            .orders
            .iter()
            .filter(|order| order.account == account)
            .filter(|order| market.is_none_or(|market| market == order.market))
            .map(|order| (order.market, order.id))
            .collect();
        ids.sort();
        ids.iter().map(|(_, id)| self.cancel(*id, reason)).collect()
    }

    fn authorize(
        &mut self,
        account: Key,
        key: Key,
        expires: u64,
        market: Option<&str>,
        spend: Option<&(String, Number)>,
    ) -> Result<Vec<Done>, u16> {
        let market = match market {
            Some(name) => Some(self.genesis.market(name).ok_or(10u16)?),
            None => None,
        };
        let spend = match spend {
            Some((symbol, limit)) => {
                let (token, limit) = self.check_amount(symbol, *limit)?;
                Some((token, limit, 0))
            }
            None => None,
        };
        if expires <= self.time {
            return Err(18);
        }
        let terms = Grant { account, key, expires, market, spend };
        let mut own = self.grants.iter_mut().filter(|grant| grant.account == account);
        if let Some(grant) = own.find(|grant| grant.key == key) {
            *grant = terms;
            self.marks.push("authorized again");
            return Ok(Vec::new());
        }
        let keys = self.grants.iter().filter(|grant| grant.account == account).count();
        if keys >= self.genesis.session_keys {
            return Err(26);
        }
        self.grants.push(terms);
        Ok(Vec::new())
    }

    fn attest(
        &mut self,
        account: Key,
        batch: u64,
        root: Hash,
        clock: u64,
    ) -> Result<Vec<Done>, u16> {
        let replicas = Rc::clone(&self.genesis);
        let replicas = &replicas.replicas;
        let replica = replicas.iter().position(|(key, _)| *key == account).ok_or(23u16)?;
        if batch < self.replicas[replica].0 {
            return Err(24);
        }
        if batch >= self.batch {
            return Err(25);
        }
        self.replicas[replica] = (batch, clock, true);
        let certified = self.certified.iter().map(|(batch, _)| *batch).max().unwrap_or(0);
        let voted = |vote: &Vote| vote.batch == batch && vote.replica == replica;
        if batch <= certified || self.votes.iter().any(voted) {
            return Ok(Vec::new());
        }
        self.votes.push(Vote { batch, replica, root });
        let own = || self.votes.iter().filter(|vote| vote.replica == replica);
        if own().count() > VOTES {
            let lowest = own().map(|vote| vote.batch).min().unwrap();
            self.votes.retain(|vote| vote.replica != replica || vote.batch != lowest);
            self.marks.push("vote dropped");
        }
        let agreeing = self.votes.iter().filter(|vote| vote.batch == batch && vote.root == root);
        let weight: u64 = agreeing.map(|vote| replicas[vote.replica].1).sum();
        let total: u64 = replicas.iter().map(|(_, weight)| *weight).sum();
        if 3 * weight > 2 * total {
            self.certified.push((batch, root));
            self.votes.retain(|vote| vote.batch > batch);
            self.marks.push("certified");
            if self.certified.len() > ROOTS {
                self.certified.remove(0);
                self.marks.push("root dropped");
            }
        }
        Ok(Vec::new())
    }

    // The state in bytes.

    /// All leaves, by key.
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        let mut leaf = |kind: u8, key: &[&[u8]], value: &[&[u8]]| {
            let mut whole = vec![kind];
            key.iter().for_each(|part| whole.extend_from_slice(part));
            leaves.push((whole, value.concat()));
        };
        let none = u16::MAX;
        leaf(
            0x00,
            &[],
            &[
                &self.batch.to_be_bytes(),
                &self.chain,
                &self.last_order.to_be_bytes(),
                &self.last_trade.to_be_bytes(),
                &(self.withdrawals.len() as u64).to_be_bytes(),
                &self.time.to_be_bytes(),
            ],
        );
        for (token, supply) in self.supply.iter().enumerate() {
            if *supply > 0 {
                leaf(0x01, &[&two(token)], &[&supply.to_be_bytes()]);
            }
        }
        let mut locked: Vec<(Key, usize, u128)> = Vec::new();
        for order in &self.orders {
            let token = self.locks(order.market, order.buy);
            let lock = self.lock(order);
            match locked.iter_mut().find(|entry| (entry.0, entry.1) == (order.account, token)) {
                Some(entry) => entry.2 += lock,
                None => locked.push((order.account, token, lock)),
            }
        }
        for (account, token, atoms) in &self.available {
            let available = u128::try_from(*atoms).expect("a balance is never below zero");
            let entry = locked.iter().find(|entry| (entry.0, entry.1) == (*account, *token));
            let locked = entry.map_or(0, |entry| entry.2);
            if available > 0 || locked > 0 {
                let value: [&[u8]; 2] = [&available.to_be_bytes(), &locked.to_be_bytes()];
                leaf(0x02, &[account, &two(*token)], &value);
            }
        }
        for (key, kept) in &self.nonces {
            let value: Vec<u8> = kept.iter().flat_map(|nonce| nonce.to_be_bytes()).collect();
            leaf(0x03, &[key], &[&value]);
        }
        for order in &self.orders {
            leaf(
                0x04,
                &[&order.account, &order.id.to_be_bytes()],
                &[
                    &two(order.market),
                    &[u8::from(!order.buy)],
                    &eight(order.price),
                    &eight(order.total),
                    &eight(order.rested),
                    &eight(order.remaining),
                    &order.transaction,
                    &order.expires.to_be_bytes(),
                    order.client_id.as_bytes(),
                ],
            );
        }
        for (token, reference) in &self.references {
            leaf(0x05, &[&two(*token), reference.as_bytes()], &[]);
        }
        for hash in &self.guide {
            leaf(0x06, &[hash], &[]);
        }
        for grant in &self.grants {
            let (token, limit, spent) = grant.spend.unwrap_or((usize::from(none), 0, 0));
            leaf(
                0x07,
                &[&grant.account, &grant.key],
                &[
                    &grant.expires.to_be_bytes(),
                    &two(grant.market.unwrap_or(usize::from(none))),
                    &two(token),
                    &limit.to_be_bytes(),
                    &spent.to_be_bytes(),
                ],
            );
        }
        for (number, withdrawal) in self.withdrawals.iter().enumerate() {
            leaf(
                0x08,
                &[&(number as u64 + 1).to_be_bytes()],
                &[
                    &withdrawal.account,
                    &two(withdrawal.token),
                    &withdrawal.amount.to_be_bytes(),
                    withdrawal.destination.as_bytes(),
                ],
            );
        }
        for (replica, (batch, clock, attested)) in self.replicas.iter().enumerate() {
            if *attested {
                leaf(0x09, &[&two(replica)], &[&batch.to_be_bytes(), &clock.to_be_bytes()]);
            }
        }
        for vote in &self.votes {
            leaf(0x0a, &[&vote.batch.to_be_bytes(), &two(vote.replica)], &[&vote.root]);
        }
        for (batch, root) in &self.certified {
            leaf(0x0b, &[&batch.to_be_bytes()], &[root]);
        }
        for (account, time) in &self.switches {
            leaf(0x0c, &[account], &[&time.to_be_bytes()]);
        }
        leaves.sort();
        leaves
    }
}

fn is_grant(grant: &Grant, account: Key, key: Key) -> bool {
    grant.account == account && grant.key == key
}

fn two(index: usize) -> [u8; 2] {
    u16::try_from(index).unwrap().to_be_bytes()
}

fn eight(count: u128) -> [u8; 8] {
    u64::try_from(count).unwrap().to_be_bytes()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state root over these leaves.
pub fn root(leaves: &[Leaf]) -> Hash {
    let mut paths: Vec<(Hash, Hash)> = leaves
        .iter()
        .map(|(key, value)| {
            let path: Hash = Sha256::digest(key).into();
            let value: Hash = Sha256::digest(value).into();
            (path, Sha256::digest([&[0], &path[..], &value[..]].concat()).into())
        })
        .collect();
    paths.sort();
    subtree(&paths, 0)
}

fn subtree(leaves: &[(Hash, Hash)], depth: usize) -> Hash {
    match leaves {
        [] => [0; 32],
        [(_, leaf)] => *leaf,
        _ => {
            let right = |(path, _): &&(Hash, Hash)| path[depth / 8] >> (7 - depth % 8) & 1 == 1;
            let middle = leaves.iter().take_while(|leaf| !right(leaf)).count();
            let left = subtree(&leaves[..middle], depth + 1);
            let right = subtree(&leaves[middle..], depth + 1);
            Sha256::digest([&[1], &left[..], &right[..]].concat()).into()
        }
    }
}
