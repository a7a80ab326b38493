//! Sends a signed transaction to the replica and follows it to its outcome.
//!
//! While the replica does not answer, the transaction is sent again and again. That is safe: its nonce lets it take
//! effect only once.

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::wire::Stage;

use super::sent::{SENT_MAX, Sent};
use super::state::Signing;
use crate::platform::api::{self, Problem};
use crate::platform::clock;

/// How often a transaction without an outcome is asked for.
const POLL_MS: u32 = 150;
/// The wait after a request that failed.
const RETRY_MS: u32 = 1500;

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
            list.truncate(SENT_MAX);
        });
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
        // Newer transactions have pushed it off the list. Storage has it as unfinished, so the next visit asks for
        // it.
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

    /// Sends a transaction until the replica answers, and follows it to its outcome. One that may have been sent before
    /// is asked for first, and sent again only if the replica does not know it.
    async fn send_and_follow(self, hash: String, is_new: bool) {
        let json = self.sent.with_untracked(|list| {
            list.iter().find(|sent| sent.hash == hash).and_then(|sent| sent.json.clone())
        });
        // `unsent` is to be sent now. `unasked` is to be sent once the replica says that it does not know the
        // transaction. At most one of them is set.
        let mut unsent = json.clone().filter(|_| is_new);
        let mut unasked = json.filter(|_| !is_new);
        loop {
            let problem = match &unsent {
                Some(json) => api::submit(json.clone()).await.err(),
                None => match api::transaction(&hash).await {
                    Ok(status) => {
                        unasked = None;
                        // Expired and superseded are above applied. The replica has given these up, and they are
                        // rejected if a batch still contains them.
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
                        None
                    }
                    // Whatever the reason, sending it is safe, and its answer is the better one.
                    Err(Problem::Refused(_)) if unasked.is_some() => {
                        unsent = unasked.take();
                        continue;
                    }
                    Err(problem) => Some(problem),
                },
            };
            let is_refused = matches!(problem, Some(Problem::Refused(_)));
            // The replica refused it: sending it again would not help.
            let is_over = is_refused && unsent.is_some();
            let wait = if problem.is_some() { RETRY_MS } else { POLL_MS };
            if problem.is_none() {
                // The transaction is on the replica's disk, which will post it. From here on it is enough to ask.
                unsent = None;
            }
            let problem = problem.map(|problem| problem.to_string());
            self.update(&hash, |sent| {
                sent.problem = problem;
                sent.is_over = is_over;
            })
            .await;
            if is_over {
                return;
            }
            clock::sleep(wait).await;
        }
    }
}
