//! Signing a transaction, handing it in, and following it to its outcome.

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::key::Scheme;
use zellbook_core::transaction::{Action, SignedTransaction, Transaction};
use zellbook_core::wire::{Stage, TransactionStatus};

use crate::api::{self, Problem};
use crate::clock;
use crate::state::State;

/// How often a transaction without an outcome is asked for.
const POLL_MS: u32 = 150;
/// Wait after a request that brought nothing.
const RETRY_MS: u32 = 1500;
/// Transactions that the page remembers.
const SENT_KEPT: usize = 20;

/// A transaction that this page signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// What it does, in words.
    pub title: String,
    /// Its hash.
    pub hash: String,
    /// The text that was signed.
    pub text: String,
    /// When it was signed, Unix milliseconds.
    pub signed_ms: String,
    /// What the replica says of it, once it has it.
    pub status: Option<TransactionStatus>,
    /// Why it was not taken, or cannot be followed now.
    pub problem: Option<String>,
}

/// Unix milliseconds, and never the same number twice in this page.
fn nonce() -> u64 {
    thread_local! {
        static LAST: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    LAST.with(|last| {
        last.set(clock::now().max(last.get() + 1));
        last.get()
    })
}

/// The transaction of an action as it would be signed now.
pub fn transaction(state: State, action: Action) -> Option<Transaction> {
    let account = state.wallet.with_untracked(crate::wallet::Wallet::account)?;
    Some(Transaction { account, signer: None, nonce: nonce(), valid_until: None, action })
}

/// Signs with the unlocked key and sends. The text is the one that was on show.
pub fn sign_and_send(state: State, title: String, transaction: Transaction) {
    let Some(rules) = state.rules.get_untracked() else { return };
    let text = transaction.text(&rules.network);
    let hash = transaction.hash(&rules.network).to_string();
    let signature = match crate::wallet::sign(state.wallet, &text) {
        Ok(signature) => signature,
        Err(error) => return state.problem.set(Some(error.to_string())),
    };
    let json = SignedTransaction { transaction, scheme: Scheme::Raw, signature }.to_json();
    let sent = Sent {
        title,
        hash: hash.clone(),
        text,
        signed_ms: clock::now().to_string(),
        status: None,
        problem: None,
    };
    state.sent.update(|list| {
        list.insert(0, sent);
        list.truncate(SENT_KEPT);
    });
    spawn_local(async move { send_and_follow(state, hash, Some(json)).await });
}

/// Follows a transaction that somebody else signed, such as the faucet's.
pub fn follow(state: State, title: String, hash: String) {
    let sent = Sent {
        title,
        hash: hash.clone(),
        text: String::new(),
        signed_ms: clock::now().to_string(),
        status: None,
        problem: None,
    };
    state.sent.update(|list| list.insert(0, sent));
    spawn_local(async move { send_and_follow(state, hash, None).await });
}

fn update(state: State, hash: &str, change: impl FnOnce(&mut Sent)) {
    state.sent.update(|list| {
        if let Some(sent) = list.iter_mut().find(|sent| sent.hash == hash) {
            change(sent);
        }
    });
}

/// Hands a transaction in, again and again while nobody answers, and follows it to its outcome.
async fn send_and_follow(state: State, hash: String, mut unsent: Option<String>) {
    loop {
        let problem = match &unsent {
            Some(json) => api::submit(json.clone()).await.err(),
            None => match api::transaction(&hash).await {
                Ok(status) => {
                    let is_done = status.status >= Stage::Applied;
                    update(state, &hash, |sent| sent.status = Some(status));
                    if is_done {
                        update(state, &hash, |sent| sent.problem = None);
                        return;
                    }
                    None
                }
                Err(problem) => Some(problem),
            },
        };
        let is_refused = matches!(problem, Some(Problem::Refused(_)));
        if is_refused && unsent.is_some() {
            // It was not taken, and sending it again would not help.
            update(state, &hash, |sent| sent.problem = problem.map(|problem| problem.to_string()));
            return;
        }
        let wait = if problem.is_some() { RETRY_MS } else { POLL_MS };
        if problem.is_none() {
            unsent = None;
        }
        update(state, &hash, |sent| sent.problem = problem.map(|problem| problem.to_string()));
        TimeoutFuture::new(wait).await;
    }
}
