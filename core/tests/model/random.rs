//! Random exchanges and transactions. The generators are biased: they look at the state of the model, so that
//! most transactions have an effect and many are close to a limit.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::model::{
    ATOMS_MAX, Action, Element, Genesis, Hash, Key, Market, Model, Number, Open, Order, SelfTrade,
    Target, TimeInForce, Token, Transaction,
};

pub const TIMES_IN_FORCE: [TimeInForce; 5] =
    [TimeInForce::Gtc, TimeInForce::Gtd, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly];
pub const SELF_TRADES: [SelfTrade; 3] =
    [SelfTrade::CancelNewest, SelfTrade::CancelOldest, SelfTrade::CancelBoth];
/// Maker and taker fee in basis points.
pub const FEES: [(u128, u128); 5] = [(0, 0), (10, 20), (1000, 1000), (0, 25), (7, 3)];

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

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    /// A number from 0 to `most`, inclusive.
    fn up_to(&mut self, most: u128) -> u128 {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        if most == u128::MAX { wide } else { wide % (most + 1) }
    }

    /// A number at a boundary: 0, 1, a power of two, a limit of the engine, or one more or less.
    fn edge(&mut self) -> u128 {
        let edge = match self.below(6) {
            0 => 0,
            1 => 1u128 << self.below(128),
            2 => u128::from(u64::MAX),
            3 => ATOMS_MAX,
            4 => 10u128.pow(self.below(39) as u32),
            _ => 1 << self.below(64),
        };
        match self.below(3) {
            0 => edge.saturating_sub(1),
            1 => edge,
            _ => edge.saturating_add(1),
        }
    }

    fn edge64(&mut self) -> u64 {
        u64::try_from(self.edge()).unwrap_or(u64::MAX)
    }

    fn hash(&mut self) -> Hash {
        let mut hash = [0; 32];
        for part in hash.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        hash
    }
}

/// All participants.
#[derive(Clone)]
pub struct Cast {
    pub traders: Vec<Key>,
    pub replicas: Vec<Key>,
    pub session_keys: Vec<Key>,
    pub issuer: Key,
    pub fees: Key,
    /// Has no role and no deposit.
    pub stranger: Key,
}

impl Cast {
    pub fn all(&self) -> Vec<Key> {
        let lists = [&self.traders, &self.replicas, &self.session_keys];
        let mut all: Vec<Key> = lists.into_iter().flatten().copied().collect();
        all.extend([self.issuer, self.fees, self.stranger]);
        all
    }

    pub fn name(&self, key: Key) -> String {
        let place = |list: &[Key]| list.iter().position(|other| *other == key);
        if let Some(trader) = place(&self.traders) {
            return ["alice", "bob", "carol", "dave"][trader].into();
        }
        if let Some(replica) = place(&self.replicas) {
            return format!("replica{replica}");
        }
        if let Some(session_key) = place(&self.session_keys) {
            return format!("key{session_key}");
        }
        let others = [(self.issuer, "issuer"), (self.fees, "fees"), (self.stranger, "stranger")];
        others.iter().find(|(other, _)| *other == key).map_or("?", |(_, name)| name).into()
    }
}

/// Returns a number of steps as a decimal, if its text has at most 38 digits, including a zero before the point.
pub fn decimal(steps: u128, step: Number) -> Option<Number> {
    let number = Number::new(steps.checked_mul(step.digits)?, step.places);
    let digits = number.to_string().bytes().filter(u8::is_ascii_digit).count();
    (digits <= 38).then_some(number)
}

/// Decimals of the base, of the quote, of the third token; tick and lot size of both markets.
struct Units {
    decimals: [u32; 3],
    tick_lot: [(Number, Number); 2],
    /// The second market: third token for the quote of the first, or the quote for the third.
    chained: bool,
}

fn units(choice: usize) -> Units {
    let number = |digits, places| Number { digits, places };
    let one = number(1, 0);
    match choice {
        0 => Units {
            decimals: [3, 4, 8],
            tick_lot: [(number(5, 1), number(1, 2)), (one, number(1, 4))],
            chained: false,
        },
        1 => Units { decimals: [0, 0, 0], tick_lot: [(one, one), (one, one)], chained: true },
        2 => Units {
            decimals: [18, 6, 18],
            tick_lot: [(number(1, 2), number(1, 4)), (number(25, 3), number(2, 0))],
            chained: false,
        },
        _ => Units {
            decimals: [18, 18, 0],
            tick_lot: [(one, one), (number(10, 0), number(2, 0))],
            chained: true,
        },
    }
}

/// Returns a genesis in which the participants have their roles.
pub fn genesis(random: &mut Random, cast: &Cast, fees: [(u128, u128); 2]) -> Genesis {
    let Units { decimals, tick_lot, chained } = units(random.below(4) as usize);
    let issuer = if random.percent(20) { cast.traders[1] } else { cast.issuer };
    let tokens = ["AAA", "BBB", "CCC"].iter().zip(decimals).map(|(symbol, decimals)| Token {
        symbol: (*symbol).into(),
        decimals,
        issuer: if decimals == 0 { cast.issuer } else { issuer },
    });
    let pairs = if chained { [(0, 1), (1, 2)] } else { [(0, 1), (2, 1)] };
    let markets = pairs.iter().zip(tick_lot).zip(fees).map(
        |((&(base, quote), (tick, lot)), (maker_bps, taker_bps))| Market {
            base,
            quote,
            tick,
            lot,
            notional_min: Number { digits: 1, places: decimals[quote] },
            maker_bps,
            taker_bps,
        },
    );
    let weights =
        random.pick(&[[1, 1, 1], [5, 3, 1], [9, 2, 2], [2, 1, 1], [u32::MAX.into(), 1, 2]]);
    let mut genesis = Genesis {
        tokens: tokens.collect(),
        markets: markets.collect(),
        fee_account: random.pick(&[cast.fees, cast.fees, cast.traders[0], cast.replicas[0]]),
        open_orders: random.pick(&[4, 4, 1, 12]),
        makers: random.pick(&[3, 3, 1, 8]),
        session_keys: random.pick(&[2, 2, 1, 0]),
        replicas: cast.replicas.iter().copied().zip(weights).collect(),
    };
    for market in 0..2 {
        if random.percent(50) {
            let atoms = random.up_to(60) * genesis.atoms_per_tick_lot(market);
            let quote = genesis.markets[market].quote;
            genesis.markets[market].notional_min = Number::new(atoms.max(1), decimals[quote]);
        }
    }
    genesis
}

/// How a case chooses its nonces.
#[derive(Clone, Copy, PartialEq)]
enum Nonces {
    Rising,
    /// From a small range, so that many repeat.
    Small,
    /// Jumps forward and back by about the size of the window.
    Jumping,
    Edges,
}

/// Kinds of steps, with the weights by which they are chosen unless a case changes them.
const KINDS: [(&str, u64); 15] = [
    ("order", 70),
    ("funded order", 5),
    ("guide order", 2),
    ("replace", 14),
    ("funded replace", 3),
    ("cancel", 5),
    ("cancel_all", 2),
    ("cancel_all_after", 3),
    ("transfer", 4),
    ("withdraw", 3),
    ("deposit", 4),
    ("authorize_key", 7),
    ("revoke_key", 2),
    ("attest", 10),
    ("bad element", 1),
];

/// The generator of one case's transactions.
pub struct Generator {
    pub random: Random,
    cast: Cast,
    genesis: Rc<Genesis>,
    weights: Vec<u64>,
    /// The ticks around which a market trades, and the distance of prices from them.
    centre: [(u64, u64); 2],
    lots_max: [u64; 2],
    /// The share of actions in the second market, in percent.
    second: u64,
    nonces: Nonces,
    nonce: u64,
    clock_step: u64,
    /// Whether one trader sends nearly all transactions.
    busy: bool,
    /// The replica that sends nearly all attestations.
    loner: Option<usize>,
    /// The share of new hashes that begin like an older one, in percent.
    alike: u64,
    hashes: Vec<Hash>,
    waiting: VecDeque<Element>,
}

impl Generator {
    pub fn new(mut random: Random, cast: Cast, genesis: Rc<Genesis>) -> Self {
        let mut weights: Vec<u64> = KINDS.iter().map(|(_, weight)| *weight).collect();
        if random.percent(50) {
            let kind = random.below(weights.len() as u64) as usize;
            weights[kind] = (weights[kind] * 10).min(60);
        }
        let mut loner = None;
        if random.percent(6) {
            // Enough attestations to fill the stored votes and certified roots.
            let attest = KINDS.iter().position(|(kind, _)| *kind == "attest").unwrap();
            weights[attest] = 2000;
            loner = Some(random.pick(&[0, 0, 1, 2]));
        }
        let mut centre = [(100, 5); 2];
        let mut lots_max = [20; 2];
        for market in 0..2 {
            centre[market] = random.pick(&[
                (100, 5),
                (100, 5),
                (100, 2),
                (3, 2),
                (1 << 32, 3),
                (u64::MAX - 3, 3),
            ]);
            lots_max[market] = random.pick(&[20, 20, 5, 1000, 1 << 33, u64::MAX]);
            // Mostly so that many such orders can be paid.
            let fits = |price: u64, lots: u64| {
                let lots = u128::from(lots.min(1 << 40)) * 1000;
                genesis.notional(market, price.into(), lots).is_some()
            };
            if random.percent(95) {
                if !fits(centre[market].0, 1) {
                    centre[market] = (100, 5);
                }
                while lots_max[market] > 1 && !fits(centre[market].0, lots_max[market]) {
                    lots_max[market] /= 2;
                }
            }
        }
        let busy = random.percent(12);
        let nonces = match random.below(20) {
            // Old nonces, if the window is full.
            _ if busy && random.percent(40) => Nonces::Jumping,
            0..15 => Nonces::Rising,
            15..17 => Nonces::Small,
            17..19 => Nonces::Jumping,
            _ => Nonces::Edges,
        };
        Self {
            weights,
            centre,
            lots_max,
            second: random.pick(&[5, 10, 40]),
            nonces,
            nonce: 1 + random.below(1000),
            clock_step: random.pick(&[20, 100, 1000]),
            busy,
            loner,
            alike: random.pick(&[0, 0, 0, 3, 60]),
            hashes: Vec::new(),
            waiting: VecDeque::new(),
            random,
            cast,
            genesis,
        }
    }

    /// The deposits with which all participants start.
    pub fn deposits(&mut self) -> Vec<Element> {
        let mut elements = Vec::new();
        let poor = self.random.percent(25);
        for trader in self.cast.traders.clone() {
            for token in 0..3 {
                // Some orders of the usual size, on both sides.
                let sizes = (0..2).map(|market| {
                    let Market { base, quote, .. } = self.genesis.markets[market];
                    let lots = u128::from(self.lots_max[market].min(1 << 40));
                    if token == base {
                        lots * self.genesis.atoms_per_lot(market)
                    } else if token == quote {
                        let price = u128::from(self.centre[market].0);
                        self.genesis.notional(market, price, lots).unwrap_or(0)
                    } else {
                        0
                    }
                });
                let size = sizes.max().unwrap().clamp(1, ATOMS_MAX / 500);
                let most = if poor { size * 3 } else { size * 30 };
                let atoms = 1 + self.random.up_to(most);
                let Some(amount) = self.amount(token, atoms) else { continue };
                let issuer = self.genesis.tokens[token].issuer;
                let action = Action::Deposit {
                    token: self.genesis.tokens[token].symbol.clone(),
                    to: trader,
                    amount,
                    reference: format!("start-{}", elements.len()),
                };
                let nonce = Some(elements.len() as u64);
                elements.push(Ok(Transaction { nonce, ..self.sign(issuer, issuer, action) }));
            }
        }
        elements
    }

    fn amount(&self, token: usize, atoms: u128) -> Option<Number> {
        decimal(atoms, Number { digits: 1, places: self.genesis.tokens[token].decimals })
    }

    /// The next element, chosen to fit the state.
    pub fn element(&mut self, model: &Model) -> Element {
        if let Some(element) = self.waiting.pop_front() {
            return element;
        }
        let mut ticket = self.random.below(self.weights.iter().sum());
        let kind = self.weights.iter().position(|weight| {
            let mine = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            mine
        });
        let kind = KINDS[kind.unwrap()].0;
        let account = if self.busy && self.random.percent(90) {
            self.cast.traders[0]
        } else {
            self.random.pick(&self.cast.traders)
        };
        let mut account = account;
        if self.random.percent(3) {
            account = self.unknown();
        }
        if matches!(kind, "replace" | "funded replace" | "cancel" | "cancel_all")
            && self.random.percent(85)
            && let Some(open) = self.some_order(model, account, 0)
        {
            account = open.account;
        }
        let (account, mut action) = match kind {
            "bad element" => return Err(self.random.pick(&[1, 2])),
            "order" => {
                let order = self.order(model, account);
                (account, Action::Order(order))
            }
            "funded order" => {
                let order = self.order(model, account);
                let action = Action::Order(order.clone());
                return self.funded(model, account, action, &order, None);
            }
            "funded replace" => {
                let (target, order) = self.replacement(model, account);
                let replaced = model.find(account, &target);
                let action = Action::Replace { target, order: order.clone() };
                return self.funded(model, account, action, &order, replaced);
            }
            "guide order" => return self.guide_order(model, account),
            "replace" => {
                let (target, order) = self.replacement(model, account);
                (account, Action::Replace { target, order })
            }
            "cancel" => {
                let open = self.some_order(model, account, 80);
                (account, Action::Cancel(self.target(open)))
            }
            "cancel_all" => {
                let market = if self.random.percent(60) { Some(self.market()) } else { None };
                (account, Action::CancelAll { market })
            }
            "cancel_all_after" => {
                let time = if self.random.percent(20) { 0 } else { self.time(model) };
                (account, Action::CancelAllAfter { time })
            }
            "transfer" => {
                let (token, amount) = self.some_amount(model, account);
                let to = self.receiver();
                (account, Action::Transfer { token, to, amount })
            }
            "withdraw" => {
                let (token, amount) = self.some_amount(model, account);
                let destination = self.random.pick(&["bank:/a@b+c", "x", &"z".repeat(128)]).into();
                (account, Action::Withdraw { token, amount, destination })
            }
            "deposit" => self.deposit(model),
            "authorize_key" => {
                let others = [self.cast.replicas[0], self.cast.issuer];
                let account =
                    if self.random.percent(12) { self.random.pick(&others) } else { account };
                let action = self.authorize(model, account);
                (account, action)
            }
            "revoke_key" => {
                let own = model.grants.iter().filter(|grant| grant.account == account);
                let own: Vec<Key> = own.map(|grant| grant.key).collect();
                let key = if own.is_empty() || self.random.percent(20) {
                    self.other_key(account)
                } else {
                    self.random.pick(&own)
                };
                (account, Action::RevokeKey { key })
            }
            _ => self.attest(model),
        };
        let often = matches!(action, Action::Order(_) | Action::Replace { .. });
        let mut signer = self.signer(model, account, if often { 60 } else { 30 });
        // Mostly what the session key may spend.
        if let Some(buy) = self.side_of(model, account, signer, &action)
            && self.random.percent(80)
        {
            match &mut action {
                Action::Order(order) => order.buy = buy,
                Action::Replace { order, .. } if order.buy != buy => signer = account,
                Action::Replace { order, .. } => {
                    // A larger quantity, so that a new order is placed and spends.
                    order.quantity = decimal(3, order.quantity).unwrap_or(order.quantity);
                }
                _ => {}
            }
        }
        Ok(self.signed(model, account, signer, action))
    }

    // Who signs, and how.

    /// The account's own key, or a session key of it.
    fn signer(&mut self, model: &Model, account: Key, session: u64) -> Key {
        let own = model.grants.iter().filter(|grant| grant.account == account);
        let own: Vec<Key> = own.map(|grant| grant.key).collect();
        if !own.is_empty() && self.random.percent(session) {
            self.random.pick(&own)
        } else if self.random.percent(2) {
            self.other_key(account)
        } else {
            account
        }
    }

    /// The side that a session key with a spending limit may take in the market of an order.
    fn side_of(&self, model: &Model, account: Key, signer: Key, action: &Action) -> Option<bool> {
        let (Action::Order(order) | Action::Replace { order, .. }) = action else { return None };
        let market = (0..2).find(|market| self.genesis.market_name(*market) == order.market)?;
        let mut grants = model.grants.iter();
        let grant = grants.find(|grant| grant.account == account && grant.key == signer)?;
        let Market { base, quote, .. } = self.genesis.markets[market];
        let (token, _, _) = grant.spend?;
        (token == base || token == quote).then_some(token == quote)
    }

    fn signed(&mut self, model: &Model, account: Key, signer: Key, action: Action) -> Transaction {
        let mut transaction = self.sign(account, signer, action);
        let kept = model.nonces(signer);
        if !kept.is_empty() && self.random.percent(3) {
            let old = if self.random.percent(50) { kept[0] } else { self.random.pick(kept) };
            transaction.nonce = Some(old.saturating_sub(self.random.below(3)));
        }
        if kept.len() == 64 && self.random.percent(10) {
            transaction.nonce = Some(kept[0].saturating_sub(1));
        }
        if self.random.percent(8) {
            let until = match self.random.below(4) {
                0 => self.random.edge64(),
                _ => model.time.saturating_add(3).saturating_sub(self.random.below(5)),
            };
            transaction.valid_until = Some(until);
        }
        transaction
    }

    pub fn sign(&mut self, account: Key, signer: Key, action: Action) -> Transaction {
        let nonce = match self.nonces {
            Nonces::Small => self.random.below(200),
            Nonces::Edges if self.random.percent(20) => self.random.edge64(),
            Nonces::Jumping if self.random.percent(20) => {
                self.nonce = self.nonce + self.random.below(240) - self.nonce.min(120);
                self.nonce
            }
            _ => {
                self.nonce += 1;
                self.nonce
            }
        };
        let hash = self.hash();
        Transaction { hash, account, signer, nonce: Some(nonce), valid_until: None, action }
    }

    /// A new hash; sometimes one that begins like an older one.
    fn hash(&mut self) -> Hash {
        let mut hash = self.random.hash();
        if !self.hashes.is_empty() && self.random.percent(self.alike) {
            let old = self.hashes[self.random.below(self.hashes.len().min(3) as u64) as usize];
            hash[..8].copy_from_slice(&old[..8]);
        }
        self.hashes.push(hash);
        hash
    }

    fn receiver(&mut self) -> Key {
        let all = self.cast.all();
        if self.random.percent(75) {
            self.random.pick(&self.cast.traders)
        } else {
            self.random.pick(&all)
        }
    }

    /// A key that starts with nothing. What it receives makes it known.
    fn unknown(&mut self) -> Key {
        let keys = [self.cast.session_keys.as_slice(), &[self.cast.stranger]].concat();
        self.random.pick(&keys)
    }

    fn other_key(&mut self, account: Key) -> Key {
        let mut keys = [self.cast.session_keys.clone(), self.cast.traders.clone()].concat();
        keys.retain(|key| *key != account);
        self.random.pick(&keys)
    }

    // Orders.

    fn market(&mut self) -> String {
        if self.random.percent(2) {
            return self.random.pick(&["AAA/CCC", "BBB/AAA", "X/Y"]).into();
        }
        let other = self.random.percent(self.second);
        self.genesis.market_name(usize::from(other))
    }

    fn time(&mut self, model: &Model) -> u64 {
        match self.random.below(20) {
            0 => self.random.edge64(),
            1 => model.time,
            2 => model.time.saturating_sub(self.random.below(50)),
            // Times that other timers have too.
            3..8 => (model.time / 100).saturating_add(1).saturating_mul(100),
            _ => model.time.saturating_add(1 + self.random.below(self.clock_step)),
        }
    }

    fn price(&mut self, market: usize) -> Number {
        let tick = self.genesis.markets[market].tick;
        let (centre, spread) = self.centre[market];
        let near = centre - spread + self.random.below(2 * spread + 1);
        match self.random.below(200) {
            0 => Number { digits: 0, places: 0 },
            // Half a tick.
            1 => Number::new(u128::from(near) * tick.digits * 10 + 5, tick.places + 1),
            2 => decimal(self.random.edge(), tick).unwrap_or(tick),
            3 => decimal(ATOMS_MAX - u128::from(self.random.below(3)), Number::new(1, 0)).unwrap(),
            4 => decimal(u128::from(u64::MAX) + u128::from(self.random.below(3)), tick).unwrap(),
            _ => decimal(near.into(), tick).unwrap(),
        }
    }

    fn quantity(&mut self, model: &Model, account: Key, order: &Order) -> Number {
        let Some(market) = (0..2).find(|market| self.genesis.market_name(*market) == order.market)
        else {
            return Number::new(1, 0);
        };
        let lot = self.genesis.markets[market].lot;
        let lots = 1 + u128::from(self.random.below(self.lots_max[market].min(1 << 40)));
        let lots = match self.random.below(150) {
            0 => 0,
            1 => return Number::new(lots * lot.digits * 10 + 5, lot.places + 1),
            2 => return decimal(ATOMS_MAX - self.random.up_to(2), Number::new(1, 0)).unwrap(),
            3..5 => self.random.edge(),
            5 => u128::from(u64::MAX) + self.random.up_to(2),
            6..9 => {
                // About the maximum supply of quote atoms, so that fees cross the limit.
                let price = ticks(order.price, self.genesis.markets[market].tick).max(1);
                let steps = price.saturating_mul(self.genesis.atoms_per_tick_lot(market));
                (ATOMS_MAX / steps).saturating_sub(self.random.up_to(ATOMS_MAX / steps / 10))
            }
            9..20 => {
                // About the whole balance of the account.
                let Market { base, quote, .. } = self.genesis.markets[market];
                let most = if order.buy {
                    let price = ticks(order.price, self.genesis.markets[market].tick).max(1);
                    let step = price.saturating_mul(self.genesis.atoms_per_tick_lot(market));
                    model.available(account, quote) / step
                } else {
                    model.available(account, base) / self.genesis.atoms_per_lot(market)
                };
                (most + 1).saturating_sub(self.random.up_to(3)).max(1)
            }
            20..50 => {
                // The quantity of the other side, or one more or less.
                let others = model.orders.iter().filter(|open| open.market == market);
                let lots: u128 = others
                    .filter(|open| open.buy != order.buy)
                    .take(1 + self.random.below(3) as usize)
                    .map(|open| open.remaining)
                    .sum();
                (lots + 1).saturating_sub(self.random.up_to(2)).max(1)
            }
            50..55 if self.lots_max[market] == u64::MAX => u64::MAX.into(),
            _ => lots,
        };
        decimal(lots, lot).unwrap_or(lot)
    }

    fn client_id(&mut self) -> Option<String> {
        let long = "L".repeat(36);
        let ids = ["a", "b", "c.1_x:-", "d", "e", "f", &long];
        if self.random.percent(40) { Some(self.random.pick(&ids).into()) } else { None }
    }

    pub fn order(&mut self, model: &Model, account: Key) -> Order {
        let weighted = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4];
        let time_in_force = TIMES_IN_FORCE[self.random.pick(&weighted)];
        let expires = (time_in_force == TimeInForce::Gtd).then(|| self.time(model));
        let market = self.market();
        let index = (0..2).find(|index| self.genesis.market_name(*index) == market);
        let mut order = Order {
            buy: self.random.percent(50),
            price: self.price(index.unwrap_or(0)),
            quantity: Number::new(1, 0),
            market,
            time_in_force,
            expires,
            self_trade: self.random.pick(&SELF_TRADES),
            client_id: self.client_id(),
        };
        order.quantity = self.quantity(model, account, &order);
        order
    }

    fn some_order(&mut self, model: &Model, account: Key, own: u64) -> Option<Open> {
        let own = self.random.percent(own);
        let orders: Vec<&Open> =
            model.orders.iter().filter(|open| !own || open.account == account).collect();
        if orders.is_empty() { None } else { Some(self.random.pick(&orders).clone()) }
    }

    fn target(&mut self, open: Option<Open>) -> Target {
        match (self.random.below(3), open) {
            (0, Some(open)) => Target::Id(open.id),
            (1, Some(open)) => {
                // Only the first 8 bytes of the hash are compared.
                let mut hash = self.random.hash();
                hash[..8].copy_from_slice(&open.transaction);
                Target::Transaction(hash)
            }
            (2, Some(open)) if !open.client_id.is_empty() => Target::ClientId(open.client_id),
            (_, Some(open)) => Target::Id(open.id),
            (0, None) => Target::Id(self.random.edge64()),
            (1, None) => Target::Transaction(self.random.hash()),
            (_, None) => Target::ClientId("a".into()),
        }
    }

    fn replacement(&mut self, model: &Model, account: Key) -> (Target, Order) {
        let mut order = self.order(model, account);
        let open = self.some_order(model, account, 93);
        if let Some(open) = &open
            && self.random.percent(95)
        {
            let Market { tick, lot, .. } = self.genesis.markets[open.market];
            let old = (order.market.clone(), order.buy);
            order.market = self.genesis.market_name(open.market);
            order.buy = open.buy;
            if self.random.percent(60) || old != (order.market.clone(), order.buy) {
                order.price = decimal(open.price, tick).unwrap();
            }
            if self.random.percent(30) {
                order.price = self.price(open.market);
            }
            let filled = open.total - open.remaining;
            let lots = match self.random.below(8) {
                0 => filled,
                1 => filled + 1,
                2 => open.total,
                3 => open.total + 1,
                4 => open.total.saturating_sub(1),
                5 => filled.saturating_sub(1),
                6 => 1 + self.random.up_to(open.total),
                _ => 1 + self.random.up_to((open.total * 2).min(u64::MAX.into())),
            };
            let lots = if self.random.percent(90) { lots.max(1) } else { lots };
            order.quantity = if self.random.percent(2) {
                Number::new(5, lot.places + 1)
            } else {
                decimal(lots, lot).unwrap_or(order.quantity)
            };
            if self.random.percent(70) {
                order.expires = (open.expires != 0).then_some(open.expires);
                let without = [TimeInForce::Gtc, TimeInForce::PostOnly, TimeInForce::Gtc];
                order.time_in_force = match order.expires {
                    Some(_) => TimeInForce::Gtd,
                    None => self.random.pick(&without),
                };
            }
            if self.random.percent(70) {
                let same = self.random.percent(50) && !open.client_id.is_empty();
                order.client_id = same.then(|| open.client_id.clone());
            }
        }
        (self.target(open), order)
    }

    /// Moves balance so that the account has exactly what an order needs, or one atom less; then the order
    /// itself.
    fn funded(
        &mut self,
        model: &Model,
        account: Key,
        action: Action,
        order: &Order,
        replaced: Option<&Open>,
    ) -> Element {
        let placed = self.sign(account, account, action);
        let Some(market) = (0..2).find(|market| self.genesis.market_name(*market) == order.market)
        else {
            return Ok(placed);
        };
        let Market { base, quote, tick, lot, .. } = self.genesis.markets[market];
        let price = ticks(order.price, tick);
        let filled = replaced.map_or(0, |open| open.total - open.remaining);
        let freed = replaced.map_or(0, |open| model.lock(open));
        let lots = ticks(order.quantity, lot).saturating_sub(filled);
        let token = if order.buy { quote } else { base };
        let fits = self.genesis.notional(market, price, lots).is_some() && lots <= u64::MAX.into();
        let has = model.available(account, token) + freed;
        let need = if fits {
            model.need(market, order.buy, price, lots, order.time_in_force)
        } else {
            u128::MAX
        };
        let excess = has.checked_sub(need).map(|excess| excess + u128::from(self.random.below(2)));
        let Some(amount) = excess.and_then(|excess| self.amount(token, excess)) else {
            return Ok(placed);
        };
        self.waiting.push_back(Ok(placed));
        let token = self.genesis.tokens[token].symbol.clone();
        let to = self.random.pick(&self.cast.traders);
        Ok(self.sign(account, account, Action::Transfer { token, to, amount }))
    }

    fn guide_order(&mut self, model: &Model, account: Key) -> Element {
        let mut order = self.order(model, account);
        order.time_in_force = TimeInForce::Gtc;
        order.expires = None;
        order.self_trade = SelfTrade::CancelNewest;
        order.client_id = None;
        let mut transaction = self.sign(account, account, Action::Order(order));
        transaction.nonce = None;
        if self.random.percent(30) {
            // A hash that an order in the guide's format already used.
            transaction.hash = self.random.pick(&self.hashes);
        } else if self.random.percent(50) {
            self.waiting.push_back(Ok(transaction.clone()));
        }
        Ok(transaction)
    }

    // The rest.

    fn some_amount(&mut self, model: &Model, account: Key) -> (String, Number) {
        if self.random.percent(2) {
            return ("ZZZ".into(), Number::new(1, 0));
        }
        let token = self.random.below(3) as usize;
        let has = model.available(account, token);
        let atoms = match self.random.below(10) {
            0 => self.random.edge(),
            1 => has + 1,
            2 => has,
            3 => 0,
            _ => 1 + self.random.up_to(has / 4),
        };
        (self.genesis.tokens[token].symbol.clone(), self.odd_amount(token, atoms))
    }

    /// An amount in whole tokens; sometimes with a fraction of an atom or above the maximum supply.
    fn odd_amount(&mut self, token: usize, atoms: u128) -> Number {
        let decimals = self.genesis.tokens[token].decimals;
        match self.random.below(40) {
            0 => Number::new(15, decimals + 1),
            1 => Number::new(ATOMS_MAX, 0),
            _ => self.amount(token, atoms).unwrap_or(Number::new(1, 0)),
        }
    }

    fn deposit(&mut self, model: &Model) -> (Key, Action) {
        let token = self.random.below(3) as usize;
        let atoms = match self.random.below(10) {
            0 => self.random.edge(),
            1 => ATOMS_MAX - model.supply[token] + self.random.up_to(1),
            _ => 1 + self.random.up_to(1_000_000),
        };
        let amount = self.odd_amount(token, atoms);
        let symbol = match self.random.below(30) {
            0 => "ZZZ".into(),
            _ => self.genesis.tokens[token].symbol.clone(),
        };
        let issuer = self.genesis.tokens[token].issuer;
        let account = match self.random.below(20) {
            0 => self.unknown(),
            1..4 => self.cast.traders[0],
            _ => issuer,
        };
        let long = "r".repeat(64);
        let reference = match self.random.below(10) {
            0 => long,
            _ => format!("ref:{}", self.random.below(20)),
        };
        let to = self.receiver();
        (account, Action::Deposit { token: symbol, to, amount, reference })
    }

    fn authorize(&mut self, model: &Model, account: Key) -> Action {
        let market = if self.random.percent(35) { Some(self.market()) } else { None };
        let spend = self.random.percent(60).then(|| {
            let token = self.random.below(3) as usize;
            let has = model.available(account, token);
            let atoms = match self.random.below(8) {
                0 => self.random.edge(),
                1 => ATOMS_MAX,
                2 => has,
                _ => 1 + self.random.up_to(has / 4),
            };
            let symbol = match self.random.below(40) {
                0 => "ZZZ".into(),
                _ => self.genesis.tokens[token].symbol.clone(),
            };
            (symbol, self.odd_amount(token, atoms))
        });
        let key = self.other_key(account);
        let expires = match self.random.below(3) {
            0 => model.time.saturating_add(10_000),
            _ => self.time(model),
        };
        Action::AuthorizeKey { key, expires, market, spend }
    }

    fn attest(&mut self, model: &Model) -> (Key, Action) {
        let any = self.random.below(3) as usize;
        let replica = self.loner.filter(|_| self.random.percent(95)).unwrap_or(any);
        let (last, clock, _) = model.replicas[replica];
        let account = match self.random.below(100) {
            0 => self.unknown(),
            1..3 => self.cast.issuer,
            _ => self.cast.replicas[replica],
        };
        // The model's batch is the one before that which will hold this.
        let batch = match self.random.below(20) {
            _ if self.loner.is_some() && self.random.percent(90) => model.batch,
            0 => last.saturating_sub(1),
            1 => last,
            2 => model.batch + 1,
            3 => self.random.edge64(),
            4 => 0,
            5..8 => last + 1,
            _ => model.batch,
        };
        let now = model.time.max(clock);
        let clock = match self.random.below(40) {
            0 => clock.saturating_sub(self.random.below(100)),
            1 => 0,
            2 if self.random.percent(10) => self.random.edge64(),
            _ => now.saturating_add(self.random.below(self.clock_step)),
        };
        // Two roots only, so that votes meet.
        let root = [if self.random.percent(85) { 7 } else { 8 }; 32];
        (account, Action::Attest { batch, root, clock })
    }
}

/// The steps of a number, 0 if they are no whole number.
pub fn ticks(number: Number, step: Number) -> u128 {
    if number.places > step.places {
        return 0;
    }
    let scaled = 10u128
        .checked_pow(step.places - number.places)
        .and_then(|scale| number.digits.checked_mul(scale));
    scaled.map_or(0, |k| if k.is_multiple_of(step.digits) { k / step.digits } else { 0 })
}
