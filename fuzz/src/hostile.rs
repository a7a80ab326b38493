//! Hostile batches with valid signatures: elements in every form that parsing accepts, with numbers at limits,
//! and with references to what the state contains.

use zellbook_core::protocol::{CheckedTransaction, Invalid, KeyGrant, OrderRef, ReplayGuard};
use zellbook_core::state::RestingOrder;
use zellbook_core::types::{MarketIndex, SelfTrade, TokenIndex};
use zellbook_core::{
    Action, Batch, Decimal, Exchange, Market, Order, PublicKey, Reject, Side, TimeInForce,
    TransactionHash,
};

use crate::input::Input;
use crate::venue::cast;

/// Returns the next batch with at most the given number of elements.
pub fn batch(input: &mut Input, exchange: &Exchange, most: usize) -> Batch {
    let Some(index) = exchange.counters().batch.checked_add(1) else { panic!("no batch follows") };
    if input.chance(4) {
        let length = usize::from(input.u16());
        return Batch::check(exchange.rules(), index, input.bytes(length));
    }
    let count = input.below(most + 1);
    let mut maker = Maker { input, exchange, position: 0 };
    let mut transactions = Vec::with_capacity(count);
    for position in 0..count {
        maker.position = position;
        transactions.push(maker.element());
        if maker.input.is_empty() {
            break;
        }
    }
    Batch { index, body_hash: [9; 32], transactions }
}

/// The generator of elements. They refer to the state before the batch.
struct Maker<'a, 'b> {
    input: &'a mut Input<'b>,
    exchange: &'a Exchange,
    position: usize,
}

impl Maker<'_, '_> {
    fn element(&mut self) -> Result<CheckedTransaction, Invalid> {
        if self.input.chance(3) {
            return Err(Invalid { kind: None, reject: Reject::Malformed(String::new()) });
        }
        let account = self.account();
        let (account, action) = self.action(account);
        let is_guide = self.input.chance(12) && self.exchange.rules().genesis.guide_orders;
        let hash = self.hash();
        // The guide's format can say nothing else about an order.
        if let (true, Action::Order(order)) = (is_guide, &action) {
            let order = Order {
                time_in_force: TimeInForce::Gtc,
                expires: None,
                self_trade: SelfTrade::CancelNewest,
                client_id: None,
                ..order.clone()
            };
            let action = Action::Order(order);
            let replay_guard = ReplayGuard::Signature;
            let (signer, valid_until) = (account, None);
            return Ok(CheckedTransaction {
                hash,
                account,
                signer,
                replay_guard,
                valid_until,
                action,
            });
        }
        let signer = match self.input.byte() {
            200.. => self.session_key(account),
            190..200 => self.account(),
            _ => account,
        };
        let valid_until = self.input.chance(20).then(|| self.time());
        let replay_guard = ReplayGuard::Nonce(self.nonce());
        Ok(CheckedTransaction { hash, account, signer, replay_guard, valid_until, action })
    }

    fn account(&mut self) -> PublicKey {
        let cast = cast();
        match self.input.byte() {
            0..220 => self.input.pick(&cast.traders),
            220..230 => self.input.pick(&cast.session_keys),
            230..240 => self.input.pick(&cast.replicas),
            240..247 => cast.issuer,
            247..252 => cast.stranger,
            _ => cast.fees,
        }
    }

    fn session_key(&mut self, account: PublicKey) -> PublicKey {
        let own = self.exchange.engine().session_keys_of(&account);
        let own: Vec<PublicKey> = own.map(|(key, _)| *key).collect();
        if own.is_empty() { self.input.pick(&cast().session_keys) } else { self.input.pick(&own) }
    }

    /// A key other than the account, which parsing would refuse.
    fn other(&mut self, account: PublicKey) -> PublicKey {
        let mut all = cast().all();
        all.retain(|key| *key != account);
        self.input.pick(&all)
    }

    /// Usually a new nonce, so that the transaction has an effect.
    fn nonce(&mut self) -> u64 {
        if self.input.chance(30) {
            return self.input.number64();
        }
        let batch = self.exchange.counters().batch;
        let position = u64::try_from(self.position).unwrap();
        batch.wrapping_mul(64).wrapping_add(position).wrapping_add(1 << 20)
    }

    fn hash(&mut self) -> TransactionHash {
        let mut hash = [self.input.byte() % 64; 32];
        // Prefixes repeat often, whole values rarely.
        hash[31] = self.input.byte();
        hash[30] = u8::try_from(self.position).unwrap_or(0);
        TransactionHash(hash)
    }

    fn time(&mut self) -> u64 {
        let time = self.exchange.counters().time;
        match self.input.byte() {
            0..200 => time.saturating_add(u64::from(self.input.byte())),
            200..240 => time.saturating_sub(u64::from(self.input.byte())),
            _ => self.input.number64(),
        }
    }

    fn action(&mut self, account: PublicKey) -> (PublicKey, Action) {
        let action = match self.input.byte() {
            0..120 => Action::Order(self.order(account)),
            120..145 => {
                let (account, target, order) = self.replacement(account);
                return (account, Action::Replace { target, order });
            }
            145..158 => {
                let open = self.some_order();
                let account = open.as_ref().map_or(account, |(account, ..)| *account);
                return (account, Action::Cancel(self.target(open)));
            }
            158..165 => {
                let market = if self.input.chance(128) { Some(self.market_name()) } else { None };
                Action::CancelAll { market }
            }
            165..175 => {
                let time = if self.input.chance(60) { 0 } else { self.time() };
                Action::CancelAllAfter { time }
            }
            175..185 => {
                let (token, amount) = self.amount(account);
                Action::Transfer { token, to: self.account(), amount }
            }
            185..195 => {
                let (token, amount) = self.amount(account);
                Action::Withdraw { token, amount, destination: "x:/@+-".into() }
            }
            195..205 => {
                let (token, amount) = self.amount(account);
                let rules = self.exchange.rules();
                let issuer = rules.listing.token(&token).and_then(|(index, _)| rules.issuer(index));
                let reference = format!("{}", self.input.byte());
                let to = self.account();
                let action = Action::Deposit { token, to, amount, reference };
                let is_issuers = self.input.byte() < 230;
                return (issuer.filter(|_| is_issuers).unwrap_or(account), action);
            }
            205..217 => {
                let market = if self.input.chance(80) { Some(self.market_name()) } else { None };
                let spend = if self.input.chance(160) { Some(self.amount(account)) } else { None };
                let key = self.other(account);
                Action::AuthorizeKey(KeyGrant { key, expires: self.time(), market, spend })
            }
            217..223 => {
                let key = self.session_key(account);
                let key = if key == account { self.other(account) } else { key };
                Action::RevokeKey { key }
            }
            _ => {
                let replica = self.input.pick(&cast().replicas);
                let last = self.exchange.counters().batch;
                let batch = match self.input.byte() {
                    0..128 => last,
                    128..220 => last.saturating_sub(u64::from(self.input.byte() % 16)),
                    _ => self.input.number64(),
                };
                // Only two roots, so that votes for the same root occur.
                let root = [if self.input.chance(40) { 8 } else { 7 }; 32];
                return (replica, Action::Attest { batch, root, clock: self.time() });
            }
        };
        (account, action)
    }

    fn market(&mut self) -> &Market {
        let markets = &self.exchange.rules().listing.markets;
        &markets[usize::from(self.input.chance(70)) % markets.len()]
    }

    fn market_name(&mut self) -> String {
        if self.input.chance(4) { "AAA/CCC".into() } else { self.market().name.clone() }
    }

    /// A number of steps whose decimal has at most 38 digits, so that it can be parsed.
    fn decimal(&mut self, steps: u128, step: Decimal) -> Decimal {
        if self.input.chance(4) {
            // Most likely between two steps.
            let number = Decimal::of_steps(self.input.number(), Decimal::one_atom(18));
            return number.filter(is_readable).unwrap_or(Decimal::ZERO);
        }
        Decimal::of_steps(steps, step).filter(is_readable).unwrap_or(step)
    }

    fn price(&mut self) -> u128 {
        match self.input.byte() {
            // Near the prices of the books.
            0..230 => 5 + u128::from(self.input.byte() % 12),
            _ => self.input.number(),
        }
    }

    fn order(&mut self, account: PublicKey) -> Order {
        let market = self.market().clone();
        let side = if self.input.chance(128) { Side::Buy } else { Side::Sell };
        let price = self.price();
        let lots = match self.input.byte() {
            0..170 => 1 + u128::from(self.input.byte() % 40),
            170..200 => self.affordable(account, &market, side, price),
            _ => self.input.number(),
        };
        let time_in_force = match self.input.byte() {
            0..130 => TimeInForce::Gtc,
            130..165 => TimeInForce::Gtd,
            165..200 => TimeInForce::Ioc,
            200..230 => TimeInForce::Fok,
            _ => TimeInForce::PostOnly,
        };
        let self_trades = [SelfTrade::CancelNewest, SelfTrade::CancelOldest, SelfTrade::CancelBoth];
        Order {
            side,
            quantity: self.decimal(lots, market.lot_size),
            price: self.decimal(price, market.tick_size),
            time_in_force,
            expires: (time_in_force == TimeInForce::Gtd).then(|| self.time()),
            self_trade: self.input.pick(&self_trades),
            client_id: self.client_id(),
            market: if self.input.chance(3) { "AAA/CCC".into() } else { market.name },
        }
    }

    fn client_id(&mut self) -> Option<String> {
        let ids = ["c2011", "c209", "a", "b", "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL"];
        if self.input.chance(90) { Some(self.input.pick(&ids).into()) } else { None }
    }

    /// About the largest quantity that the account can pay.
    fn affordable(&mut self, account: PublicKey, market: &Market, side: Side, price: u128) -> u128 {
        let has = self.exchange.balance(&account, market.cost_token(side)).available.0;
        let one = match side {
            Side::Buy => price.max(1).saturating_mul(market.atoms_per_tick_lot),
            Side::Sell => market.atoms_per_lot,
        };
        let lots = (has / one).saturating_add(1);
        lots.saturating_sub(u128::from(self.input.byte() % 4))
    }

    /// An open order of any account.
    fn some_order(&mut self) -> Option<(PublicKey, MarketIndex, RestingOrder, Option<String>)> {
        let engine = self.exchange.engine();
        let mut open = Vec::new();
        for market in &self.exchange.rules().listing.markets {
            let book = engine.book(market.index)?;
            let orders = book.orders(Side::Buy).chain(book.orders(Side::Sell));
            open.extend(orders.map(|order| (market.index, order)));
        }
        if open.is_empty() {
            return None;
        }
        let (market, order) = self.input.pick(&open);
        let account = engine.ledger().get(order.account)?.key;
        Some((account, market, order, engine.details(order.id).client_id))
    }

    fn target(
        &mut self,
        open: Option<(PublicKey, MarketIndex, RestingOrder, Option<String>)>,
    ) -> OrderRef {
        match (self.input.byte(), open) {
            (0..120, Some((_, _, order, _))) => OrderRef::Id(order.id),
            (120..180, Some((_, _, order, _))) => {
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&order.hash);
                OrderRef::Transaction(TransactionHash(hash))
            }
            (180..220, Some((_, _, _, Some(client_id)))) => OrderRef::ClientId(client_id),
            (0..230, _) => OrderRef::Id(self.input.number64()),
            (230..240, _) => OrderRef::Transaction(self.hash()),
            _ => OrderRef::ClientId("a".into()),
        }
    }

    fn replacement(&mut self, account: PublicKey) -> (PublicKey, OrderRef, Order) {
        let open = self.some_order();
        let account = open.as_ref().map_or(account, |(account, ..)| *account);
        let mut order = self.order(account);
        if let Some((_, index, resting, _)) = &open
            && !self.input.chance(10)
        {
            let market = self.exchange.rules().listing.markets[usize::from(index.0)].clone();
            order.market = market.name;
            order.side = resting.side;
            let filled = resting.quantity.0 - resting.remaining.0;
            let lots = match self.input.byte() {
                0..60 => resting.quantity.0.saturating_sub(u64::from(self.input.byte() % 8)),
                60..100 => resting.quantity.0.saturating_add(u64::from(self.input.byte() % 8)),
                100..150 => filled.saturating_add(u64::from(self.input.byte() % 3)),
                _ => 1 + u64::from(self.input.byte()),
            };
            order.quantity = self.decimal(lots.into(), market.lot_size);
            let price =
                if self.input.chance(80) { self.price() } else { u128::from(resting.price.0) };
            order.price = self.decimal(price, market.tick_size);
        }
        (account, self.target(open), order)
    }

    fn amount(&mut self, account: PublicKey) -> (String, Decimal) {
        if self.input.chance(3) {
            return ("ZZZ".into(), Decimal::ZERO);
        }
        let tokens = &self.exchange.rules().genesis.tokens;
        let token = self.input.below(tokens.len());
        let index = TokenIndex(u16::try_from(token).unwrap());
        let has = self.exchange.balance(&account, index).available.0;
        let atoms = match self.input.byte() {
            0..100 => 1 + u128::from(self.input.byte()),
            100..150 => has.saturating_add(1) - u128::from(self.input.byte() % 2),
            150..180 => {
                let existing = self.exchange.supply(index).0;
                let most = zellbook_core::types::limits::SUPPLY_MAX - existing;
                most + 1 - u128::from(self.input.byte() % 2)
            }
            _ => self.input.number(),
        };
        let atom = Decimal::one_atom(tokens[token].decimals);
        (tokens[token].symbol.clone(), self.decimal(atoms, atom))
    }
}

/// Whether the text of a decimal can be parsed: it has at most 38 digits.
fn is_readable(number: &Decimal) -> bool {
    Decimal::parse(&number.to_string()).is_ok()
}
