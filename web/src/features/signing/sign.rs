//! The path of a request: from a form to a signed transaction that is on its way.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::{Action, PublicKey, SignedTransaction, Transaction};
use zellbook_vault::VaultError;

use super::request::{Outcome, SignRequest};
use super::sent::Sent;
use super::state::{Done, OnSheet, Signing};
use super::trading_key;
use crate::features::wallet::{Wallet, keys, nonce};
use crate::ui::later::{NotLoaded, wasm_split};

/// How long a signed transaction can take effect, unless the user chooses otherwise on the sheet.
pub const DEFAULT_VALIDITY_MS: Option<u64> = Some(60 * 60_000);

impl Signing {
    /// Has a request signed: by a trading key at once if one may, otherwise by the user on the sheet. Calls `done` when
    /// it is signed or dismissed.
    pub fn sign(self, request: SignRequest, done: impl FnOnce(Outcome) + 'static) {
        let done: Done = Box::new(done);
        spawn_local(async move {
            if sign_part(self, request, done).await.is_err() {
                let text = "The wallet could not be loaded: the replica does not answer, or it now serves a different version of the page. Reload the page.";
                self.interface.report(text);
            }
        });
    }

    async fn sign_or_ask(self, request: SignRequest, done: Done) {
        if self.is_preparing.get_value() {
            return done(Outcome::Dismissed);
        }
        self.is_preparing.set_value(true);
        let is_signed = self.sign_with_trading_key(&request).await;
        // If the sheet opens now, a second request is harmless: it takes the place of the first.
        self.is_preparing.set_value(false);
        if is_signed {
            // The sheet says it otherwise.
            if let Some(note) = untrack(|| self.connection.clock_note()) {
                self.interface.report(note);
            }
            return done(Outcome::Signed);
        }
        // A trading key that fails has sent nothing, because the last step that can fail comes before sending. So
        // asking the user cannot place the order twice. The nonce is taken now and not at the signature: whatever is
        // signed on this sheet, after an error or late, has the same nonce, so only one of them takes effect.
        match self.transaction(request.action.clone(), None, DEFAULT_VALIDITY_MS).await {
            Ok(transaction) => self.open_sheet(OnSheet { request, transaction }, done),
            Err(error) => {
                self.interface.report(error.to_string());
                done(Outcome::Dismissed);
            }
        }
    }

    /// Returns whether a trading key has signed.
    async fn sign_with_trading_key(self, request: &SignRequest) -> bool {
        let Some(key) = trading_key::usable(self, &request.action) else {
            return false;
        };
        let action = request.action.clone();
        match self.transaction(action, Some(key), DEFAULT_VALIDITY_MS).await {
            Ok(transaction) => self.sign_and_send(request.title.clone(), transaction).await.is_ok(),
            Err(_) => false,
        }
    }

    fn open_sheet(self, on_sheet: OnSheet, done: Done) {
        // The form whose request is on the sheet has to know that nobody signed it.
        self.end(Outcome::Dismissed);
        self.done.set_value(Some(done));
        self.on_sheet.set(Some(on_sheet));
    }

    /// Signs what is on the sheet.
    pub(super) async fn confirm(self) -> Result<(), VaultError> {
        let Some(OnSheet { request, transaction }) = self.on_sheet.get_untracked() else {
            return Ok(());
        };
        let nonce = transaction.nonce;
        self.sign_and_send(request.title, transaction).await?;
        // An Ethereum wallet may take minutes. By now the sheet may be closed, or another request may be on it.
        let is_this = |sheet: &OnSheet| sheet.transaction.nonce == nonce;
        if self.on_sheet.with_untracked(|sheet| sheet.as_ref().is_some_and(is_this)) {
            self.end(Outcome::Signed);
        }
        Ok(())
    }

    /// Closes the sheet, if a request is on it.
    pub(super) fn end(self, outcome: Outcome) {
        // Closing the sheet makes the dialog close, whose event calls this function again.
        if self.on_sheet.with_untracked(Option::is_none) {
            return;
        }
        self.on_sheet.set(None);
        // The callback leaves its place before it runs, because it may ask for the next signature.
        let done = self.done.try_update_value(Option::take).flatten();
        if let Some(done) = done {
            done(outcome);
        }
    }

    /// Signs without asking, if a trading key may or the account's own key is unlocked. Otherwise does nothing.
    pub async fn sign_unattended(self, title: String, action: Action) -> Result<(), VaultError> {
        let signer = trading_key::usable(self, &action);
        if signer.is_none() && !self.session.wallet.with_untracked(Wallet::signs_alone) {
            return Ok(());
        }
        let transaction = self.transaction(action, signer, None).await?;
        self.sign_and_send(title, transaction).await
    }

    /// An action as a transaction, as it would be signed now, with a nonce of its own.
    async fn transaction(
        self,
        action: Action,
        signer: Option<PublicKey>,
        valid_for_ms: Option<u64>,
    ) -> Result<Transaction, VaultError> {
        let account = self.session.key_untracked().ok_or(VaultError::Locked)?;
        // Nonces belong to the key that signs (docs/protocol.md, section 7). A nonce of a request that is dismissed
        // is lost, which does no harm: nonces may have gaps.
        let nonce = nonce::next(signer.unwrap_or(account), self.now()).await?;
        let valid_until = valid_for_ms.map(|length| self.time_after(length));
        Ok(Transaction { account, signer, nonce, valid_until, action })
    }

    /// The time `length_ms` after now, with now rounded up to whole seconds. "Now" is the exchange's: by this
    /// browser's clock, a transaction could expire before it arrives, or never.
    pub fn time_after(self, length_ms: u64) -> u64 {
        self.now().next_multiple_of(1000).saturating_add(length_ms)
    }

    /// The present time in Unix milliseconds, as the exchange sees it.
    pub fn now(self) -> u64 {
        self.connection.now()
    }

    /// Signs a transaction, stores it and sends it. The text is the one that was on the sheet.
    async fn sign_and_send(
        self,
        title: String,
        transaction: Transaction,
    ) -> Result<(), VaultError> {
        // The network id is the hash of genesis, which this page computed. Nothing is signed for a network that the
        // replica only names.
        let rules = self.markets.rules.get_untracked().ok_or(VaultError::Unavailable)?;
        let network = rules.network;
        // The sheet has no button in this case. Trading keys and renewals come here without a sheet.
        let is_other = |known: &str| known != network.to_string();
        if self.session.wallet.with_untracked(|wallet| {
            wallet.settings.network(&transaction.account).is_some_and(is_other)
        }) {
            return Err(VaultError::OtherNetwork);
        }
        let text = transaction.text(&network);
        let hash = transaction.hash(&network).to_string();
        let key = transaction.signing_key();
        let (scheme, signature) = keys::sign(self.session, key, &text).await?;
        let json = SignedTransaction { transaction, scheme, signature }.to_json();
        let sent = Sent::new(title, hash, text, Some(json));
        // Stored before it is sent: a page that is closed now sends it when it is opened again.
        sent.store().await?;
        self.send(sent);
        Ok(())
    }
}

/// Everything after the request is in the part of the page for people with a wallet.
#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn sign_part(signing: Signing, request: SignRequest, done: Done) -> Result<(), NotLoaded> {
    spawn_local(signing.sign_or_ask(request, done));
    Ok(())
}
