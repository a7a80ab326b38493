//! Who uses this page: the wallet of this browser, and the account that it acts for as the replica reports it.

use leptos::prelude::*;
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::{AccountBody, OrderBody};
use zellbook_core::{Atoms, Decimal, Listing, PublicKey};

use super::stored::Wallet;
use crate::platform::feed::AccountMessage;
use crate::ui::reader::{Reader, reader};

/// The wallet and its account, to read. Only the functions of [`super::keys`] change the wallet.
#[derive(Clone, Copy)]
pub struct Session {
    pub wallet: Reader<Wallet>,
    /// The active account as the replica reports it.
    pub account: Reader<Option<AccountBody>>,
    pub(super) write_wallet: RwSignal<Wallet>,
}

/// Writes what the replica reports about the account.
#[derive(Clone, Copy)]
pub struct AccountWriter {
    session: Session,
    account: RwSignal<Option<AccountBody>>,
}

impl Session {
    pub fn new() -> (Self, AccountWriter) {
        let (wallet, write_wallet) = reader(Wallet::default());
        let (account, set_account) = reader(None);
        let session = Self { wallet, account, write_wallet };
        (session, AccountWriter { session, account: set_account })
    }

    /// Notes that this browser has no wallet. This is known without loading the wallet's code.
    pub fn begin_without_wallet(self) {
        self.write_wallet.update(|wallet| wallet.is_loaded = true);
    }

    /// The key of the active account.
    pub fn key(self) -> Option<PublicKey> {
        self.wallet.with(Wallet::account)
    }

    pub fn key_untracked(self) -> Option<PublicKey> {
        self.wallet.with_untracked(Wallet::account)
    }

    /// Whether the wallet has an account.
    pub fn has_account(self) -> Memo<bool> {
        Memo::new(move |_| self.key().is_some())
    }

    /// The account's open orders in a market, newest first.
    pub fn open_orders(self, market: &str) -> Vec<OrderBody> {
        self.account.with(|account| {
            let orders = account.iter().flat_map(|account| &account.open_orders);
            orders.filter(|order| order.market == market).cloned().collect()
        })
    }

    /// The available balance of a token, if it is known.
    pub fn available(self, token: &str) -> Option<Decimal> {
        self.account.with(|account| {
            let balances = &account.as_ref()?.balances;
            let balance = balances.iter().find(|balance| balance.token == token)?;
            Decimal::parse(&balance.available).ok()
        })
    }

    /// The available balance of a token in atoms.
    pub fn available_atoms(self, listing: &Listing, token: TokenIndex) -> Option<Atoms> {
        let token = listing.token_at(token)?;
        let available = self.available(&token.symbol)?;
        available.in_steps_of(Decimal::one_atom(token.decimals)).ok().map(Atoms)
    }
}

impl AccountWriter {
    pub fn apply(self, messages: Vec<Box<dyn AccountMessage>>) {
        self.account.update(|account| {
            for message in messages {
                *account = message.apply(account.take());
            }
        });
    }

    /// Forgets the account if it is no longer the active one: the order form must not count with the balances and orders
    /// of another account.
    pub fn forget_if_other(self) {
        let active = self.session.key_untracked().map(|key| key.to_string());
        let is_other = |body: &AccountBody| Some(&body.account) != active.as_ref();
        if self.session.account.with_untracked(|body| body.as_ref().is_some_and(is_other)) {
            self.account.set(None);
        }
    }
}

pub fn use_session() -> Session {
    expect_context()
}
