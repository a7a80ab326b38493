//! Reads an account: balances, open orders, session keys, and the newest rows of its history.

use rusqlite::Error::FromSqlConversionFailure;
use rusqlite::params;
use rusqlite::types::Type;
use zellbook_core::state::{Balance, OrderLeaf};
use zellbook_core::types::limits::NO_INDEX;
use zellbook_core::types::{MarketIndex, TokenIndex};
use zellbook_core::wire::{
    AccountBody, BalanceBody, FillBody, MoreBody, OrderBody, SessionKeyBody, WithdrawalBody,
};
use zellbook_core::{Atoms, LeafKey, PublicKey};

use super::account_ids::account_id;
use super::error::QueryError;
use super::reader::{ORDER_COLUMNS, TRADE_COLUMNS, Unsigned, View, text};

const PAST_ORDERS: u32 = 50;
const FILLS: u32 = 100;
const WITHDRAWALS: u32 = 50;

/// Reads big-endian numbers from the front of a leaf's value. Missing bytes read as zero: the value of an
/// absent leaf is empty, and values that exist were written by the engine.
pub(super) struct Numbers<'a>(pub &'a [u8]);

impl Numbers<'_> {
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                *head
            }
            None => [0; N],
        }
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    pub fn atoms(&mut self) -> Atoms {
        Atoms(u128::from_be_bytes(self.take()))
    }
}

/// The balance in a leaf's value; zero without a leaf.
pub fn read_balance(value: Option<&[u8]>) -> Balance {
    let mut numbers = Numbers(value.unwrap_or_default());
    Balance { available: numbers.atoms(), locked: numbers.atoms() }
}

/// Reads an amount that a table stores as text.
pub(super) fn stored_atoms(digits: &str) -> Atoms {
    // Only this program writes these columns, always as digits.
    Atoms(digits.parse().unwrap_or(0))
}

/// Cuts a list to a length, and returns whether it was longer.
fn cut<T>(list: &mut Vec<T>, length: u32) -> bool {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let is_longer = list.len() > length;
    list.truncate(length);
    is_longer
}

impl View<'_> {
    /// The whole account. One that was never used is empty.
    pub fn account(&self, account: &PublicKey) -> Result<AccountBody, QueryError> {
        let switch = self.leaf(&LeafKey::Switch(*account))?;
        // One more than is shown tells whether there are more.
        let mut past_orders = self.past_orders(account, u64::MAX, PAST_ORDERS + 1)?;
        let mut fills = self.fills(account, u64::MAX, FILLS + 1)?;
        let certified = self.certified_batch()?;
        let mut withdrawals = self.withdrawals(account, certified, WITHDRAWALS + 1)?;
        let more = MoreBody {
            past_orders: cut(&mut past_orders, PAST_ORDERS),
            fills: cut(&mut fills, FILLS),
            withdrawals: cut(&mut withdrawals, WITHDRAWALS),
        };
        Ok(AccountBody {
            account: account.to_string(),
            batch: self.last_batch()?.to_string(),
            certified_batch: certified.map(|batch| batch.to_string()),
            balances: self.balances(account)?,
            open_orders: self.all_open_orders(account)?,
            past_orders,
            fills,
            session_keys: self.session_keys(account)?,
            switch_ms: switch.map(|time| Numbers(&time).u64().to_string()),
            withdrawals,
            more,
        })
    }

    /// The number that stands for an account. One without a number has no rows either.
    pub(super) fn account_id(&self, account: &PublicKey) -> rusqlite::Result<Option<i64>> {
        account_id(self.connection, account)
    }

    fn all_open_orders(&self, account: &PublicKey) -> rusqlite::Result<Vec<OrderBody>> {
        let sql = format!("SELECT {ORDER_COLUMNS} FROM orders WHERE id = ?1");
        let mut order = self.connection.prepare_cached(&sql)?;
        let mut orders = Vec::new();
        // Without a limit, since genesis allows an account at most 5,000 open orders over all markets.
        self.each_open(account, |id, _| {
            orders.push(order.query_row([id.cast_signed()], |row| self.order(row))?);
            Ok(())
        })?;
        orders.reverse();
        Ok(orders)
    }

    /// Calls `each` with the id and the leaf of every open order of an account, oldest first.
    fn each_open(
        &self,
        account: &PublicKey,
        mut each: impl FnMut(u64, &OrderLeaf) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let [first, last] = [0, u64::MAX].map(|id| LeafKey::Order(*account, id).to_bytes());
        let mut leaves = self.connection.prepare_cached(
            "SELECT key, value FROM state WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
        )?;
        let mut rows = leaves.query([first, last])?;
        while let Some(row) = rows.next()? {
            let key = LeafKey::from_bytes(row.get_ref(0)?.as_blob()?);
            let leaf = OrderLeaf::read(row.get_ref(1)?.as_blob()?);
            match (key, leaf) {
                (Ok(LeafKey::Order(_, id)), Ok(leaf)) => each(id, &leaf)?,
                _ => {
                    return Err(FromSqlConversionFailure(
                        1,
                        Type::Blob,
                        "not an order's leaf".into(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// The fills of the account with this number as a maker or as a taker. Two queries, because each uses its own index.
    pub(super) fn fills_as(
        &self,
        account: i64,
        is_maker: bool,
        before: i64,
        limit: u32,
    ) -> rusqlite::Result<Vec<FillBody>> {
        let side = if is_maker { "maker" } else { "taker" };
        let sql = format!(
            "SELECT {TRADE_COLUMNS}, {side}_fee FROM trades
             WHERE {side} = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        );
        self.connection
            .prepare_cached(&sql)?
            .query_map(params![account, before, limit], |row| {
                let trade = self.trade(row)?;
                let (side, order) = if is_maker {
                    (trade.taker_side.opposite(), trade.maker_order.clone())
                } else {
                    (trade.taker_side, trade.taker_order.clone())
                };
                let fee = stored_atoms(row.get_ref(9)?.as_str()?);
                let fee = self.rules.listing.format_amount(self.market(row, 1)?.quote, fee);
                Ok(FillBody { trade, side, order, is_maker, fee })
            })?
            .collect()
    }

    pub fn balance(&self, account: &PublicKey, token: TokenIndex) -> Result<Balance, QueryError> {
        let value = self.leaf(&LeafKey::Balance(*account, token))?;
        Ok(read_balance(value.as_deref()))
    }

    fn balances(&self, account: &PublicKey) -> Result<Vec<BalanceBody>, QueryError> {
        let tokens = (0_u16..).map(TokenIndex).zip(&self.rules.genesis.tokens);
        tokens
            .map(|(index, token)| {
                let balance = self.balance(account, index)?;
                Ok(BalanceBody {
                    token: token.symbol.clone(),
                    available: self.rules.listing.format_amount(index, balance.available),
                    locked: self.rules.listing.format_amount(index, balance.locked),
                })
            })
            .collect()
    }

    fn session_keys(&self, account: &PublicKey) -> rusqlite::Result<Vec<SessionKeyBody>> {
        // A leaf's key consists of its kind, the account and the session key, so the session keys of an
        // account are one range.
        let mut first = LeafKey::SessionKey(*account, *account).to_bytes();
        let owner = first.len() - account.as_bytes().len();
        first.truncate(owner);
        // A public key begins with 02 or 03, so this bound is above all of them.
        let last = [&first[..], &[u8::MAX; 33]].concat();
        self.connection
            .prepare_cached("SELECT key, value FROM state WHERE key BETWEEN ?1 AND ?2")?
            .query_map([&first, &last], |row| {
                let key = row.get_ref(0)?.as_blob()?.get(owner..).unwrap_or_default();
                Ok(self.session_key(key, Numbers(row.get_ref(1)?.as_blob()?)))
            })?
            .collect()
    }

    pub(super) fn session_key(&self, key: &[u8], mut value: Numbers<'_>) -> SessionKeyBody {
        let expires = value.u64();
        let market = Some(value.u16()).filter(|market| *market != NO_INDEX).map(MarketIndex);
        let token = Some(value.u16()).filter(|token| *token != NO_INDEX).map(TokenIndex);
        let (limit, spent) = (value.atoms(), value.atoms());
        let amount = |atoms| token.map(|token| self.rules.listing.format_amount(token, atoms));
        let token_at = token.and_then(|token| self.rules.listing.token_at(token));
        let market_at = market.and_then(|market| self.rules.listing.market_at(market));
        SessionKeyBody {
            key: hex::encode(key),
            expires_ms: expires.to_string(),
            market: market_at.map(|market| market.name.clone()),
            spend_token: token_at.map(|token| token.symbol.clone()),
            spend_limit: amount(limit),
            spent: amount(spent),
        }
    }

    fn withdrawals(
        &self,
        account: &PublicKey,
        certified: Option<u64>,
        limit: u32,
    ) -> rusqlite::Result<Vec<WithdrawalBody>> {
        self.connection
            .prepare_cached(
                "SELECT number, token, amount, destination, batch FROM withdrawals
                 WHERE account = ?1 ORDER BY number DESC LIMIT ?2",
            )?
            .query_map(params![account.as_bytes(), limit], |row| {
                let (token, amount) = self.amount(row, 1)?;
                let batch = row.get::<_, Unsigned>(4)?.0;
                Ok(WithdrawalBody {
                    number: text(row, 0)?,
                    token,
                    amount,
                    destination: row.get(3)?,
                    batch: batch.to_string(),
                    certified: Some(batch) <= certified,
                })
            })?
            .collect()
    }

    /// The number of open orders that an account has in a market.
    pub fn open_orders(
        &self,
        account: &PublicKey,
        market: MarketIndex,
    ) -> Result<usize, QueryError> {
        let mut count = 0;
        self.each_open(account, |_, leaf| {
            count += usize::from(leaf.market == market);
            Ok(())
        })?;
        Ok(count)
    }

    /// The id of the account's open order with this client id.
    pub fn order_of_client_id(
        &self,
        account: &PublicKey,
        client_id: &str,
    ) -> Result<Option<u64>, QueryError> {
        let mut found = None;
        // At most one: no two open orders of an account have the same client id (I6).
        self.each_open(account, |id, leaf| {
            if leaf.client_id.as_deref() == Some(client_id) {
                found = Some(id);
            }
            Ok(())
        })?;
        Ok(found)
    }
}
