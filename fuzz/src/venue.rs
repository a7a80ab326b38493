//! Exchanges with a rich state, for four kinds of genesis: everyday numbers, the largest steps, the smallest
//! steps, and one in which few accounts have all the roles.

use std::sync::{Arc, OnceLock};

use zellbook_core::protocol::{CheckedTransaction, KeyGrant, OrderRef, ReplayGuard};
use zellbook_core::types::SelfTrade;
use zellbook_core::{
    Action, Batch, Decimal, Exchange, Genesis, Order, PublicKey, Rules, SecretKey, Side,
    TimeInForce, TransactionHash,
};

/// The number of kinds.
pub const KINDS: usize = 4;

/// All participants, computed once because a point of the curve takes long to compute.
pub struct Cast {
    pub traders: Vec<PublicKey>,
    pub session_keys: Vec<PublicKey>,
    pub replicas: Vec<PublicKey>,
    pub issuer: PublicKey,
    pub fees: PublicKey,
    /// Starts with nothing, so the state does not know it.
    pub stranger: PublicKey,
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

pub fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(|| {
        let keys = |seeds: std::ops::Range<u8>| seeds.map(|seed| key(seed).public_key()).collect();
        Cast {
            traders: keys(1..4),
            session_keys: keys(4..6),
            replicas: keys(6..9),
            issuer: key(9).public_key(),
            fees: key(10).public_key(),
            stranger: key(11).public_key(),
        }
    })
}

impl Cast {
    pub fn all(&self) -> Vec<PublicKey> {
        let lists = [&self.traders, &self.session_keys, &self.replicas];
        let all = lists.into_iter().flatten().copied();
        all.chain([self.issuer, self.fees, self.stranger]).collect()
    }
}

struct Kind {
    /// Decimals of AAA, BBB and CCC.
    decimals: [u8; 3],
    /// Base, quote, tick size, lot size, minimum order value, fees of maker and taker.
    markets: [(&'static str, &'static str, &'static str, &'static str, &'static str, u16, u16); 2],
    /// The limits of open orders, makers and session keys.
    limits: [u32; 3],
    weights: [u32; 3],
    guide_orders: bool,
}

fn kind(kind: usize) -> Kind {
    match kind {
        0 => Kind {
            decimals: [3, 4, 8],
            markets: [
                ("AAA", "BBB", "0.5", "0.01", "0.01", 3, 7),
                ("CCC", "BBB", "1", "0.0001", "0.0001", 0, 25),
            ],
            limits: [4, 3, 2],
            weights: [1, 1, 1],
            guide_orders: true,
        },
        1 => Kind {
            decimals: [0, 0, 0],
            markets: [
                ("AAA", "BBB", "18446744073709551615", "1", "1", 1000, 1000),
                ("CCC", "BBB", "1", "18446744073709551615", "1", 1000, 0),
            ],
            limits: [2, 1, 1],
            weights: [u32::MAX, 1, 2],
            guide_orders: true,
        },
        2 => Kind {
            decimals: [18, 18, 18],
            markets: [
                ("AAA", "BBB", "0.000000000000000001", "1", "0.000000000000000001", 10, 1000),
                ("BBB", "CCC", "1", "0.000000000000000001", "0.000000000000000001", 1, 1),
            ],
            limits: [6, 1000, 1],
            weights: [5, 3, 1],
            guide_orders: true,
        },
        _ => Kind {
            decimals: [6, 6, 0],
            markets: [
                ("AAA", "BBB", "0.01", "0.0001", "0.000001", 7, 3),
                ("BBB", "AAA", "0.01", "0.0001", "0.000001", 1000, 1000),
            ],
            limits: [3, 2, 0],
            weights: [9, 2, 2],
            guide_orders: false,
        },
    }
}

/// Returns the genesis of a kind. In the last one a trader issues all tokens and receives all fees.
pub fn genesis(number: usize) -> Arc<Rules> {
    let Kind { decimals, markets, limits, weights, guide_orders } = kind(number);
    let cast = cast();
    let (issuer, fees) =
        if number == 3 { (cast.traders[0], cast.traders[0]) } else { (cast.issuer, cast.fees) };
    let tokens = ["AAA", "BBB", "CCC"].into_iter().zip(decimals).map(
        |(symbol, decimals)| serde_json::json!({"symbol": symbol, "decimals": decimals, "issuer": issuer}),
    );
    let markets = markets.into_iter().map(|(base, quote, tick, lot, least, maker, taker)| {
        serde_json::json!({
            "base": base, "quote": quote, "tick_size": tick, "lot_size": lot,
            "notional_min": least, "maker_fee_bps": maker, "taker_fee_bps": taker,
        })
    });
    let replicas = cast.replicas.iter().zip(weights);
    let replicas =
        replicas.map(|(key, weight)| serde_json::json!({"public_key": key, "weight": weight}));
    let json = serde_json::json!({
        "version": 1,
        "name": "Fuzz",
        "app_name": "fuzz",
        "guide_orders": guide_orders,
        "tokens": tokens.collect::<Vec<_>>(),
        "markets": markets.collect::<Vec<_>>(),
        "fee_account": fees,
        "limits": {
            "open_orders_per_account_and_market": limits[0],
            "makers_per_order": limits[1],
            "session_keys_per_account": limits[2],
        },
        "replicas": replicas.collect::<Vec<_>>(),
    });
    Arc::new(Genesis::read(json.to_string().as_bytes()).unwrap())
}

/// Returns the exchange of a kind with leaves of every kind.
pub fn rich(number: usize) -> &'static Exchange {
    static RICH: OnceLock<Vec<Exchange>> = OnceLock::new();
    &RICH.get_or_init(|| (0..KINDS).map(|kind| build(kind, true)).collect())[number % KINDS]
}

/// Returns the same with few leaves, for targets that restore it often.
pub fn lean(number: usize) -> &'static Exchange {
    static LEAN: OnceLock<Vec<Exchange>> = OnceLock::new();
    &LEAN.get_or_init(|| (0..KINDS).map(|kind| build(kind, false)).collect())[number % KINDS]
}

/// Builds a state with one transaction in each batch.
struct Builder {
    exchange: Exchange,
    nonce: u64,
}

impl Builder {
    fn act(&mut self, account: PublicKey, action: Action) {
        self.nonce += 1;
        self.apply(account, account, ReplayGuard::Nonce(self.nonce), action);
    }

    fn apply(
        &mut self,
        account: PublicKey,
        signer: PublicKey,
        replay_guard: ReplayGuard,
        action: Action,
    ) {
        let mut hash = TransactionHash([3; 32]);
        hash.0[0] = self.exchange.counters().batch.to_be_bytes()[7];
        let transaction =
            CheckedTransaction { hash, account, signer, replay_guard, valid_until: None, action };
        let index = self.exchange.counters().batch + 1;
        let transactions = vec![Ok(transaction.clone())];
        let outcome = self.exchange.apply(&Batch { index, body_hash: [7; 32], transactions });
        let result = &outcome.unwrap().transactions[0].result;
        assert!(result.is_ok(), "{transaction:?}: {result:?}");
    }

    /// Places an order unless the account already has the maximum.
    fn place(&mut self, account: PublicKey, signer: PublicKey, is_guide: bool, order: Order) {
        let rules = self.exchange.rules();
        let limit = rules.genesis.limits.open_orders_per_account_and_market as usize;
        let index = rules.listing.market(&order.market).unwrap().index;
        let open = self.exchange.account(&account).unwrap().open_orders_in(index);
        if open < limit {
            self.nonce += 1;
            let replay_guard =
                if is_guide { ReplayGuard::Signature } else { ReplayGuard::Nonce(self.nonce) };
            self.apply(account, signer, replay_guard, Action::Order(order));
        }
    }

    /// Returns a quantity and a price for numbers of lots and ticks.
    fn order(&self, market: usize, side: Side, lots: u64, ticks: u64) -> Order {
        let market = &self.exchange.rules().listing.markets[market];
        Order {
            market: market.name.clone(),
            side,
            quantity: Decimal::of_steps(lots.into(), market.lot_size).unwrap(),
            price: Decimal::of_steps(ticks.into(), market.tick_size).unwrap(),
            time_in_force: TimeInForce::Gtc,
            expires: None,
            self_trade: SelfTrade::CancelNewest,
            client_id: None,
        }
    }

    fn tokens(&self, token: usize, atoms: u128) -> (String, Decimal) {
        let token = &self.exchange.rules().genesis.tokens[token];
        let amount = Decimal::of_steps(atoms, Decimal::one_atom(token.decimals)).unwrap();
        (token.symbol.clone(), amount)
    }
}

fn build(number: usize, is_rich: bool) -> Exchange {
    let cast = cast();
    let mut builder = Builder { exchange: Exchange::new(genesis(number)), nonce: 1000 };
    let traders = if is_rich { &cast.traders[..] } else { &cast.traders[..2] };
    let tokens = if is_rich { 3 } else { 2 };
    // Everyday amounts in the first kind, almost the maximum supply in the others.
    let most = if number == 0 { 10_u128.pow(9) } else { 10_u128.pow(37) * 2 };
    for (place, trader) in traders.iter().enumerate() {
        for token in 0..tokens {
            let (symbol, amount) = builder.tokens(token, most);
            let issuer = builder.exchange.rules().genesis.tokens[token].issuer;
            let reference = format!("{place}{token}");
            let action = Action::Deposit { token: symbol, to: *trader, amount, reference };
            builder.act(issuer, action);
        }
    }
    let (alice, bob) = (cast.traders[0], cast.traders[1]);
    // Two levels on each side, one of them with two orders.
    for (trader, side, lots, ticks) in [
        (alice, Side::Sell, 20, 11),
        (bob, Side::Sell, 5, 11),
        (bob, Side::Sell, 30, 13),
        (alice, Side::Buy, 20, 9),
        (bob, Side::Buy, 3, 8),
    ] {
        if is_rich || lots >= 20 {
            let order = builder.order(0, side, lots, ticks);
            let order = Order { client_id: Some(format!("c{lots}{ticks}")), ..order };
            builder.place(trader, trader, false, order);
        }
    }
    let until = Order {
        time_in_force: TimeInForce::Gtd,
        expires: Some(700),
        ..builder.order(usize::from(is_rich), Side::Buy, 4, 7)
    };
    builder.place(bob, bob, false, until);
    // A fill, so that one order is partly filled.
    let taker = builder.order(0, Side::Buy, 2, 11);
    builder.place(bob, bob, false, Order { time_in_force: TimeInForce::Ioc, ..taker });
    builder.act(alice, Action::CancelAllAfter { time: 900 });
    let (token, amount) = builder.tokens(1, 5);
    builder.act(bob, Action::Withdraw { token, amount, destination: "bank/1".into() });
    if builder.exchange.rules().genesis.limits.session_keys_per_account > 0 {
        let grant = KeyGrant {
            key: cast.session_keys[0],
            expires: 800,
            market: is_rich.then(|| builder.exchange.rules().listing.markets[0].name.clone()),
            spend: Some(builder.tokens(1, most / 4)),
        };
        builder.act(alice, Action::AuthorizeKey(grant));
        let order = builder.order(0, Side::Buy, 1, 2);
        builder.place(alice, cast.session_keys[0], false, order);
    }
    if builder.exchange.rules().genesis.guide_orders {
        let order = builder.order(0, Side::Sell, 1, 50);
        builder.place(bob, bob, true, order);
    }
    // The two replicas with the most weight agree; a third voted on another batch.
    let replicas = if is_rich { &cast.replicas[..] } else { &cast.replicas[..2] };
    for (place, replica) in replicas.iter().enumerate() {
        let clock = 100 + 100 * u64::try_from(place).unwrap();
        builder.act(*replica, Action::Attest { batch: 5, root: [5; 32], clock });
    }
    builder.act(cast.replicas[1], Action::Attest { batch: 6, root: [6; 32], clock: 300 });
    builder.act(alice, Action::Cancel(OrderRef::Id(1)));
    builder.exchange.recount().unwrap();
    builder.exchange
}
