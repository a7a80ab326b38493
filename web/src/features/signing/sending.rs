//! Signing a transaction, handing it in, and following it to its outcome. What was signed is on disk before it is
//! handed in: a page that is opened again sends what is unsent.

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::{Deserialize, Serialize};
use zellbook_core::wire::{Stage, TransactionStatus};
use zellbook_core::{Action, PublicKey, SignedTransaction, Transaction};

use crate::api::{self, Problem};
use crate::clock;
use crate::state::State;
use crate::wallet::store::{self, Change, SENT};
use crate::wallet::{self, VaultError};

/// How often a transaction without an outcome is asked for.
const POLL_MS: u32 = 150;
/// Wait after a request that brought nothing.
const RETRY_MS: u32 = 1500;
/// Transactions that the page remembers.
const SENT_KEPT: usize = 50;

/// A transaction that this page signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// What it does, in words.
    pub title: String,
    /// Its hash.
    pub hash: String,
    /// The text that was signed.
    pub text: String,
    /// When it was signed, Unix milliseconds.
    pub signed_ms: String,
    /// The signed transaction, where this page signed it.
    pub json: Option<String>,
    /// Whether no further step comes.
    pub is_over: bool,
    /// Whether it was signed since the page was opened.
    #[serde(skip)]
    pub is_new: bool,
    /// What the replica says of it, once it has it.
    pub status: Option<TransactionStatus>,
    /// Why it was not taken, or cannot be followed now.
    pub problem: Option<String>,
}

impl Sent {
    fn new(title: String, hash: String, text: String, json: Option<String>) -> Self {
        Self {
            title,
            hash,
            text,
            signed_ms: clock::now().to_string(),
            json,
            is_over: false,
            is_new: true,
            status: None,
            problem: None,
        }
    }

    fn stage(&self) -> Option<Stage> {
        self.status.as_ref().map(|status| status.status)
    }

    async fn keep(&self) -> Result<(), VaultError> {
        let json = serde_json::to_string(self).map_err(|_| VaultError::Storage)?;
        store::write(vec![Change::Put(SENT, self.hash.clone(), json)]).await
    }
}

/// The transaction of an action as it would be signed now, with a nonce of its own.
pub async fn transaction(
    state: State,
    action: Action,
    signer: Option<PublicKey>,
    valid_for_ms: Option<u64>,
) -> Result<Transaction, VaultError> {
    let account = state.wallet.with_untracked(wallet::Wallet::account).ok_or(VaultError::Locked)?;
    let nonce = wallet::nonce::next(signer.unwrap_or(account)).await?;
    let valid_until = valid_for_ms.map(|length| valid_until(state, length));
    Ok(Transaction { account, signer, nonce, valid_until, action })
}

/// So long from now, by whichever of this clock and the exchange's is ahead, in whole seconds.
pub fn valid_until(state: State, length_ms: u64) -> u64 {
    let time = state.status.with_untracked(|status| status.as_ref()?.time_ms.parse().ok());
    let now = clock::now().max(time.unwrap_or(0));
    now.next_multiple_of(1000).saturating_add(length_ms)
}

/// Signs and sends. The text is the one that was on show.
pub async fn sign_and_send(
    state: State,
    title: String,
    transaction: Transaction,
) -> Result<(), VaultError> {
    let network = state.rules.with_untracked(|rules| rules.as_ref().map(|rules| rules.network));
    let network = network.ok_or(VaultError::Unavailable)?;
    let is_other = |known: &str| known != network.to_string();
    if state.wallet.with_untracked(|wallet| {
        wallet.settings.network(&transaction.account).is_some_and(is_other)
    }) {
        return Err(VaultError::OtherNetwork);
    }
    let text = transaction.text(&network);
    let hash = transaction.hash(&network).to_string();
    let (scheme, signature) = wallet::sign(state.wallet, transaction.signing_key(), &text).await?;
    let json = SignedTransaction { transaction, scheme, signature }.to_json();
    let sent = Sent::new(title, hash.clone(), text, Some(json));
    sent.keep().await?;
    add(state, sent);
    spawn_local(async move { send_and_follow(state, hash, true).await });
    Ok(())
}

/// Follows a transaction that somebody else signed, such as the faucet's.
pub fn follow(state: State, title: String, hash: String) {
    add(state, Sent::new(title, hash.clone(), String::new(), None));
    spawn_local(async move { send_and_follow(state, hash, false).await });
}

fn add(state: State, sent: Sent) {
    state.sent.update(|list| {
        list.insert(0, sent);
        list.truncate(SENT_KEPT);
    });
}

/// Goes on with what was signed before the page was opened.
pub async fn resume(state: State) {
    let Ok(texts) = store::all(SENT).await else { return };
    let mut kept: Vec<Sent> =
        texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    kept.sort_by_key(|sent| std::cmp::Reverse(sent.signed_ms.parse::<u64>().unwrap_or(0)));
    let old: Vec<_> = kept.iter().skip(SENT_KEPT).filter(|sent| sent.is_over).collect();
    let old =
        old.into_iter().map(|sent| Change::Delete(SENT, sent.hash.clone())).collect::<Vec<_>>();
    if !old.is_empty() {
        // What is not removed now is removed next time.
        let _ = store::write(old).await;
    }
    kept.retain(|sent| {
        state.sent.with_untracked(|list| list.iter().all(|new| new.hash != sent.hash))
    });
    for sent in kept.iter().filter(|sent| !sent.is_over) {
        let hash = sent.hash.clone();
        spawn_local(async move { send_and_follow(state, hash, false).await });
    }
    state.sent.update(|list| list.extend(kept));
}

/// Changes what the page has of a transaction, and keeps it where it came a step further.
async fn update(state: State, hash: &str, change: impl FnOnce(&mut Sent)) {
    let find = |list: &[Sent]| list.iter().find(|sent| sent.hash == hash).cloned();
    let Some(before) = state.sent.with_untracked(|list| find(list)) else { return };
    let mut sent = before.clone();
    change(&mut sent);
    if sent == before {
        return;
    }
    state.sent.update(|list| {
        if let Some(place) = list.iter_mut().find(|place| place.hash == hash) {
            *place = sent.clone();
        }
    });
    let is_further = sent.stage() != before.stage() || sent.is_over != before.is_over;
    if is_further && sent.json.is_some() {
        // Without it, a page that is opened again asks for the outcome once more.
        let _ = sent.keep().await;
    }
}

/// Hands a transaction in, again and again while nobody answers, and follows it to its outcome. What was handed
/// in before is asked for first, and handed in again only where the replica does not know it.
async fn send_and_follow(state: State, hash: String, is_new: bool) {
    let json = state.sent.with_untracked(|list| {
        list.iter().find(|sent| sent.hash == hash).and_then(|sent| sent.json.clone())
    });
    let mut unsent = json.clone().filter(|_| is_new);
    let mut unasked = json.filter(|_| !is_new);
    loop {
        let problem = match &unsent {
            Some(json) => api::submit(json.clone()).await.err(),
            None => match api::transaction(&hash).await {
                Ok(status) => {
                    unasked = None;
                    let is_over = status.status >= Stage::Applied;
                    update(state, &hash, |sent| {
                        sent.status = Some(status);
                        sent.is_over = is_over;
                        sent.problem = None;
                    })
                    .await;
                    if is_over {
                        return;
                    }
                    None
                }
                Err(Problem::Refused(_)) if unasked.is_some() => {
                    unsent = unasked.take();
                    continue;
                }
                Err(problem) => Some(problem),
            },
        };
        let is_refused = matches!(problem, Some(Problem::Refused(_)));
        // Where it was not taken, sending it again would not help.
        let is_over = is_refused && unsent.is_some();
        let wait = if problem.is_some() { RETRY_MS } else { POLL_MS };
        if problem.is_none() {
            unsent = None;
        }
        let problem = problem.map(|problem| problem.to_string());
        update(state, &hash, |sent| {
            sent.problem = problem;
            sent.is_over = is_over;
        })
        .await;
        if is_over {
            return;
        }
        TimeoutFuture::new(wait).await;
    }
}
