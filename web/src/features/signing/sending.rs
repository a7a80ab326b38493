//! Sends a signed transaction to the replica and follows it to its outcome.
//!
//! Only the replica's own refusal ends a transaction before its outcome. After any other answer, and without one, it is
//! not known whether the replica has the transaction, so it is sent again and again. That is safe: its nonce lets it
//! take effect only once.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::wire::Stage;

use super::refusal;
use super::sent::{SENT_MAX, Sent};
use super::state::Signing;
use crate::platform::api::{self, Problem, Reason};
use crate::platform::clock;

/// How the problem of a transaction begins that the replica refused.
pub const REFUSED: &str = "Refused: ";
/// How often a transaction without an outcome is asked for.
const POLL_MS: u32 = 150;
/// The wait after a request that failed.
const RETRY_MS: u32 = 1500;
/// The longest wait that a replica can ask for.
const WAIT_MAX_S: u32 = 30;

impl Signing {
    /// Sends a transaction that was just signed, and follows it.
    pub(super) fn send(self, sent: Sent) {
        let hash = sent.hash.clone();
        self.add(sent);
        spawn_local(async move { self.send_and_follow(hash, true).await });
    }

    /// Follows a transaction that somebody else signed and sent, for example the faucet's deposit.
    pub fn follow(self, title: String, hash: String) {
        self.add(Sent::new(title, hash.clone(), String::new(), None));
        spawn_local(async move { self.send_and_follow(hash, false).await });
    }

    fn add(self, sent: Sent) {
        self.write_sent.update(|list| {
            list.insert(0, sent);
            // One without an outcome stays, however many are newer: its owner waits for it.
            let mut over = 0;
            list.retain(|sent| {
                over += usize::from(sent.is_over);
                !sent.is_over || over <= SENT_MAX
            });
        });
    }

    /// Forgets everything that was sent. What is in the outbox of a replica still takes effect.
    pub fn forget(self) {
        self.write_sent.set(Vec::new());
    }

    /// Goes on with what was signed before the page was opened. Other tabs may do the same: a transaction that is
    /// sent twice takes effect once.
    pub async fn resume(self) {
        let mut stored = Sent::load_all().await;
        // Something may have been signed while the database was read, and is being sent already.
        stored.retain(|sent| {
            self.sent.with_untracked(|list| list.iter().all(|new| new.hash != sent.hash))
        });
        // The tasks start after this function has ended, so they find their transactions in the list.
        for sent in stored.iter().filter(|sent| !sent.is_over) {
            let hash = sent.hash.clone();
            spawn_local(async move { self.send_and_follow(hash, false).await });
        }
        self.write_sent.update(|list| list.extend(stored));
    }

    /// Changes what the page knows of a transaction, and stores it if it came a step further.
    async fn update(self, hash: &str, change: impl FnOnce(&mut Sent)) {
        let find = |list: &[Sent]| list.iter().find(|sent| sent.hash == hash).cloned();
        let Some(before) = self.sent.with_untracked(|list| find(list)) else { return };
        let mut sent = before.clone();
        change(&mut sent);
        // A poll that brings nothing new must not run the effects of the list.
        if sent == before {
            return;
        }
        self.write_sent.update(|list| {
            if let Some(known) = list.iter_mut().find(|known| known.hash == hash) {
                *known = sent.clone();
            }
        });
        // Polls come several times a second and a step only rarely. Without its JSON a transaction cannot be sent
        // again, so there is no use in storing it.
        let is_further = sent.stage() != before.stage() || sent.is_over != before.is_over;
        if is_further && sent.json.is_some() {
            // If this fails, a page that is opened again asks for the outcome once more.
            let _ = sent.store().await;
        }
    }

    /// Sends a transaction until the replica has it, and follows it to its outcome. One that may have been sent before is
    /// asked for first, and sent again only if the replica does not know it.
    async fn send_and_follow(self, hash: String, is_new: bool) {
        let json = self.sent.with_untracked(|list| {
            list.iter().find(|sent| sent.hash == hash).and_then(|sent| sent.json.clone())
        });
        let mut is_sent = !is_new;
        // A transaction leaves the list when its wallet is removed.
        while self.sent.with_untracked(|list| list.iter().any(|sent| sent.hash == hash)) {
            let unsent = json.clone().filter(|_| !is_sent);
            let was_unsent = unsent.is_some();
            let mut refused = None;
            if let Some(json) = unsent {
                match api::submit(json).await {
                    // The transaction is on the replica's disk, which will post it. From here on it is enough to ask.
                    Ok(_) => is_sent = true,
                    Err(Problem::Refused(Reason { code, message })) => {
                        let why = refusal::no_effect(&code, &message);
                        refused = Some(format!("{REFUSED}{why}"));
                    }
                    Err(problem) => {
                        self.wait_after(&hash, problem).await;
                        continue;
                    }
                }
            }
            match api::transaction(&hash).await {
                Ok(status) => {
                    is_sent = true;
                    // Expired and superseded are above applied. The replica has given these up, and they are rejected
                    // if a batch still contains them.
                    let is_over = status.status >= Stage::Applied;
                    self.update(&hash, |sent| {
                        sent.status = Some(status);
                        sent.is_over = is_over;
                        sent.problem = None;
                    })
                    .await;
                    if is_over {
                        return;
                    }
                }
                // It refuses the transaction and does not know it. Without this question, one that was sent before
                // could be refused for the very nonce that it used when it was applied.
                Err(Problem::Refused(_)) if refused.is_some() => {
                    self.update(&hash, |sent| {
                        sent.problem = refused;
                        sent.is_over = true;
                    })
                    .await;
                    return;
                }
                // Another replica may answer at this address, or this one lost its disk. It gets the transaction.
                Err(Problem::Refused(_)) if json.is_some() && !was_unsent => is_sent = false,
                Err(problem) => {
                    self.wait_after(&hash, problem).await;
                    continue;
                }
            }
            clock::sleep(POLL_MS).await;
        }
    }

    /// Shows why the outcome is not known, and waits.
    async fn wait_after(self, hash: &str, problem: Problem) {
        let (text, wait_s) = match &problem {
            Problem::Unclear { reason, wait_s } => (
                format!("Not known yet: {} The page asks again.", refusal::not_now(reason)),
                *wait_s,
            ),
            _ => (problem.to_string(), None),
        };
        self.update(hash, |sent| sent.problem = Some(text)).await;
        let wait_ms = wait_s.unwrap_or_default().min(WAIT_MAX_S).saturating_mul(1000);
        clock::sleep(wait_ms.max(RETRY_MS)).await;
    }
}
