//! Session keys: authorizing, checking and ending them.

use alloc::format;
use alloc::string::String;

use super::engine::Engine;
use super::failure::Failure;
use crate::protocol::{Action, CheckedTransaction, Event, KeyGrant, Order, Reject};
use crate::rules::Rules;
use crate::state::{LeafKey, SessionKey, Spending, Timer};
use crate::types::{Atoms, Corrupt, Decimal, MarketIndex, PublicKey};

impl Engine {
    /// The limits of a session key, if the account has authorized it.
    pub fn session_key(&self, account: &PublicKey, key: &PublicKey) -> Option<&SessionKey> {
        self.session_keys.get(&(*account, *key))
    }

    /// The session keys of an account, in ascending order of the keys.
    pub fn session_keys_of(
        &self,
        account: &PublicKey,
    ) -> impl Iterator<Item = (&PublicKey, &SessionKey)> {
        let first = (*account, PublicKey::LOWEST);
        let account = *account;
        self.session_keys
            .range(first..)
            .take_while(move |((owner, _), _)| *owner == account)
            .map(|((_, key), session)| (key, session))
    }

    /// Rejects 6 and 7: the signer must be allowed to do this for the account. Returns the market
    /// that a session key is bound to, if it is bound to one.
    pub(crate) fn check_signer(
        &self,
        rules: &Rules,
        transaction: &CheckedTransaction,
    ) -> Result<Option<MarketIndex>, Reject> {
        let CheckedTransaction { account, signer, action, .. } = transaction;
        if signer == account {
            return Ok(None);
        }
        // Not compared with `expires`: a key is removed as soon as the exchange's time reaches it
        // (I10).
        let session = self
            .session_key(account, signer)
            .ok_or(Reject::KeyNotAuthorized { signer: *signer })?;
        let bound = session.market.and_then(|market| rules.listing.market_at(market));
        let problem = match action {
            Action::Order(order) | Action::Replace { order, .. } => {
                session.order_problem(rules, order)
            }
            // Only the order shows its market: `cancel` compares it, for reject 30.
            Action::Cancel(_) => None,
            Action::CancelAll { market } => bound
                .filter(|bound| market.as_ref() != Some(&bound.name))
                .map(|bound| format!("this session key may cancel in {} only", bound.name)),
            Action::CancelAllAfter { .. } => bound.map(|bound| {
                format!("this session key is for {}, and a switch is for all markets", bound.name)
            }),
            // Everything else, above all what moves funds or authorizes keys, is too much for a key
            // that can be stolen.
            _ => Some(format!("a session key may not sign {}", action.kind())),
        };
        match problem {
            Some(problem) => Err(Reject::KeyNotAllowed { problem }),
            None => Ok(session.market),
        }
    }

    /// Reject 35: the spending limit of a session key must cover what the order gives away.
    pub(crate) fn check_spending(
        &self,
        rules: &Rules,
        account: &PublicKey,
        signer: &PublicKey,
        value: Atoms,
    ) -> Result<(), Reject> {
        let session = self.session_key(account, signer);
        let Some(Spending { token, limit, spent }) = session.and_then(|session| session.spending)
        else {
            return Ok(());
        };
        let left = limit.checked_sub(spent).unwrap_or_default();
        if value > left {
            let (token, decimals) = rules
                .listing
                .token_at(token)
                .map_or((String::new(), 0), |token| (token.symbol.clone(), token.decimals));
            let (needed, left) =
                (Decimal::of_atoms(value, decimals), Decimal::of_atoms(left, decimals));
            return Err(Reject::KeyLimit { token, needed, left });
        }
        Ok(())
    }

    /// Adds what an order spends to what its session key has spent. The sum was checked to be within the
    /// limit.
    pub(crate) fn spend(
        &mut self,
        account: &PublicKey,
        signer: &PublicKey,
        value: Atoms,
    ) -> Result<(), Corrupt> {
        let session = self.session_keys.get_mut(&(*account, *signer));
        let session = session.ok_or(Corrupt("a session key ended while it was used"))?;
        if let Some(spending) = &mut session.spending {
            spending.spent = spending
                .spent
                .checked_add(value)
                // `check_spending` allowed the whole order, and at most that is spent.
                .filter(|spent| *spent <= spending.limit)
                .ok_or(Corrupt("a session key spent more than its limit"))?;
            self.touch(LeafKey::SessionKey(*account, *signer));
        }
        Ok(())
    }

    /// Authorizes a session key, or replaces its limits. Replacing them also resets what it has
    /// spent.
    pub(crate) fn authorize_key(
        &mut self,
        rules: &Rules,
        account: PublicKey,
        grant: &KeyGrant,
    ) -> Result<(), Failure> {
        let market = match &grant.market {
            Some(name) => Some(
                rules.listing.market(name).ok_or_else(|| rules.listing.unknown_market(name))?.index,
            ),
            None => None,
        };
        let spending = match &grant.spend {
            Some((token, limit)) => {
                let (token, _, limit) = rules.listing.amount(token, *limit)?;
                Some(Spending { token, limit, spent: Atoms::ZERO })
            }
            None => None,
        };
        self.check_in_future("expires", Some(grant.expires))?;
        // A key that is authorized again replaces itself, so it needs no room.
        let most = rules.genesis.limits.session_keys_per_account;
        if self.session_key(&account, &grant.key).is_none()
            && self.session_keys_of(&account).count() >= usize::try_from(most).unwrap_or(usize::MAX)
        {
            return Err(Reject::TooManyKeys { most }.into());
        }
        self.set_session_key(
            account,
            grant.key,
            SessionKey { expires: grant.expires, market, spending },
        );
        self.touch(LeafKey::SessionKey(account, grant.key));
        self.note(Event::KeyAuthorized { account, key: grant.key, expires: grant.expires });
        Ok(())
    }

    /// Stores a session key and its timer.
    pub(crate) fn set_session_key(
        &mut self,
        account: PublicKey,
        key: PublicKey,
        session: SessionKey,
    ) {
        // The old timer goes before the new one is added: at the same time they are one entry.
        if let Some(before) = self.session_keys.insert((account, key), session) {
            self.timers.remove(before.expires, Timer::SessionKey(account, key));
        }
        self.timers.add(session.expires, Timer::SessionKey(account, key));
    }

    pub(crate) fn revoke_key(&mut self, account: PublicKey, key: PublicKey) -> Result<(), Failure> {
        let session = self.session_key(&account, &key).ok_or(Reject::UnknownKey { key })?;
        self.timers.remove(session.expires, Timer::SessionKey(account, key));
        self.end_session_key(account, key, true);
        Ok(())
    }

    /// Removes a session key, whose timer was already removed. Its nonces stay: if the key is
    /// authorized again, its old transactions must not be valid again.
    pub(crate) fn end_session_key(&mut self, account: PublicKey, key: PublicKey, is_revoked: bool) {
        self.session_keys.remove(&(account, key));
        self.touch(LeafKey::SessionKey(account, key));
        self.note(Event::KeyEnded { account, key, is_revoked });
    }
}

impl SessionKey {
    /// Why the key may not place this order; `None` if it may, or if the market does not exist,
    /// which is another reject.
    fn order_problem(&self, rules: &Rules, order: &Order) -> Option<String> {
        if let Some(bound) = self.market.and_then(|market| rules.listing.market_at(market))
            && bound.name != order.market
        {
            return Some(format!("this session key may trade in {} only", bound.name));
        }
        // A limit in one token bounds no loss if the key may spend others: a thief could sell
        // everything else at a price of one tick. So a key with a limit may spend its own token
        // only (decision 0006).
        let token = self.spending?.token;
        if rules.listing.market(&order.market)?.cost_token(order.side) == token {
            return None;
        }
        let symbol = rules.listing.token_at(token).map_or("", |token| token.symbol.as_str());
        Some(format!("this session key may spend {symbol} only"))
    }
}
