//! Asks the replica for what a check needs, and checks it, one step after the other.

use std::collections::BTreeSet;
use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;
use zellbook_core::Rules;
use zellbook_core::wire::{
    AccountBody, BalanceProofBody, BatchBody, BatchesResponse, CertifiedBody, ContentsBody,
    NetworkBody, OrderProofBody, SignedBody, StatusBody, TransactionStatus,
};

use super::check::{self, Outcome, Step};
use super::trust::{Numbers, Subject, TrustLevel};
use crate::features::market::{Markets, genesis};
use crate::platform::api;

/// The most answers that are read for the bodies up to a proof. A replica could send endlessly small ones.
const ANSWERS_MAX: usize = 8;
/// The most open orders that are checked. Each takes a request.
const ORDERS_MAX: usize = 100;

/// Checks a subject. Each step is shown as soon as it is done. `shown` returns the numbers that the page shows. The
/// result is about the numbers that are returned with it.
pub async fn check(
    markets: Markets,
    subject: Subject,
    steps: RwSignal<Vec<Step>>,
    shown: impl Fn() -> Option<Numbers>,
) -> (TrustLevel, Numbers) {
    let rules = match genesis::rules(markets).await {
        Ok(rules) => rules,
        Err(problem) => {
            let step = Step::new("Not started", Outcome::Open, problem.to_string());
            let _ = steps.try_update(|steps| steps.push(step));
            return (TrustLevel::Reported, Numbers::default());
        }
    };
    let mut gathering = Gathering { rules, steps, checked: None };
    gathering.add(check::network(&gathering.rules));
    let mut done = match &subject {
        Subject::Transaction(hash) => gathering.transaction(hash).await,
        Subject::Balances(account) => gathering.balances(account).await,
        Subject::Orders(account) => gathering.orders(account).await,
        Subject::LastBatch => gathering.last_batch().await,
    };
    if let Err(stopped) = &done {
        // Not a failed step: an answer that does not come, or cannot be read, proves no lie.
        gathering.add(Step::new("Not finished", Outcome::Open, stopped.clone()));
    }
    let checked = gathering.checked.take().unwrap_or_default();
    // The numbers that the page shows now, at the end: a check takes a while, and they may have become the ones that
    // were checked.
    if let Some(shown) = shown().filter(|_| done.is_ok()) {
        let step = check::shown(&shown, &checked);
        if step.outcome == Outcome::Open {
            done = Ok(TrustLevel::Reported);
        }
        gathering.add(step);
    }
    // One false answer outweighs everything that holds, also if the check could not be finished.
    let has_failed = |steps: &Vec<Step>| steps.iter().any(|step| step.outcome == Outcome::Fails);
    match done {
        // If the sheet was closed, nobody waits for the result.
        _ if steps.try_with_untracked(has_failed).unwrap_or(false) => (TrustLevel::False, checked),
        Ok(level) => (level, checked),
        Err(_) => (TrustLevel::Reported, checked),
    }
}

/// The state roots that leaves lead to, and the batch after which each was the state root.
type Roots = BTreeSet<(String, String)>;

struct Gathering {
    rules: Arc<Rules>,
    steps: RwSignal<Vec<Step>>,
    /// The numbers that are being checked.
    checked: Option<Numbers>,
}

async fn get<T: DeserializeOwned>(path: &str) -> Result<T, String> {
    let text = api::text(path).await.map_err(|problem| problem.to_string())?;
    api::parse(&text).map_err(|problem| problem.to_string())
}

impl Gathering {
    fn add(&mut self, step: Step) {
        let _ = self.steps.try_update(|steps| steps.push(step));
    }

    fn add_all(&mut self, all: Vec<Step>) {
        all.into_iter().for_each(|step| self.add(step));
    }

    async fn transaction(&mut self, hash: &str) -> Result<TrustLevel, String> {
        let signed: SignedBody = get(&format!("/v1/transactions/{hash}/signed")).await?;
        let steps = check::signed(&self.rules, hash, &signed);
        self.add_all(steps);
        let status: TransactionStatus = get(&format!("/v1/transactions/{hash}")).await?;
        let (Some(batch), Some(position)) = (&status.batch, &status.position) else {
            return Err(
                "The transaction is in no sequenced batch yet, so there is nothing more to check."
                    .into(),
            );
        };
        let (batch, position): (u64, usize) = batch
            .parse()
            .ok()
            .zip(position.parse().ok())
            .ok_or("The replica sent no position in the batch.")?;
        let bodies = self.sequenced(batch).await?;
        // Without the batch's body nothing shows that the transaction is in it, so this step fails then.
        let body = bodies.first().map_or("", String::as_str);
        self.add(check::in_body(batch, body, position, &signed.element));
        // The state has no leaf for an outcome, so only a replay can show it.
        let message = match &status.reject {
            Some(reject) => format!("Rejected: {}.", reject.message),
            None => "Applied.".into(),
        };
        let message = format!(
            "{message} This outcome is reported by this replica. To check it, replay all batches up to this one (zellbook replay)."
        );
        self.add(Step::new("Outcome", Outcome::Open, message));
        // The result does not count: even a certified root does not say what became of this transaction.
        self.agreed(batch, None).await?;
        Ok(TrustLevel::Sequenced)
    }

    /// Checks that a batch is in the sequenced chain. Returns the bodies from that batch up to the proof.
    async fn sequenced(&mut self, batch: u64) -> Result<Vec<String>, String> {
        // Only the proof and the hash before the batch are used, so one element is enough.
        let contents: ContentsBody = get(&format!("/v1/batches/{batch}/contents?limit=1")).await?;
        let proof = contents.proof;
        let before = contents.previous_chaining_hash.unwrap_or_default();
        let last: u64 = proof.index.parse().map_err(|_| "The proof has no batch number.")?;
        let mut batches: Vec<BatchBody> = Vec::new();
        let mut after = batch.saturating_sub(1);
        // One proof can cover a group of batches. Its hash is at the end of the group, so all bodies up to there are
        // needed.
        for _ in 0..ANSWERS_MAX {
            if after >= last {
                break;
            }
            let answer: BatchesResponse = get(&format!("/v1/batches?after={after}")).await?;
            for one in answer.batches {
                // The chain needs each body once and in sequence, and none beyond the proof.
                if one.index.parse() != Ok(after.saturating_add(1)) || after >= last {
                    break;
                }
                after = after.saturating_add(1);
                batches.push(one);
            }
        }
        if after < last {
            return Err(format!(
                "The proof covers batches up to {last}, which this replica has not applied yet. Check again in a moment."
            ));
        }
        // Stakes can change with each block. The tag says which block counts for this proof.
        let network: NetworkBody = get(&format!("/v1/network?tag={}", proof.tag)).await?;
        let (bodies, hashes): (Vec<String>, Vec<String>) =
            batches.into_iter().map(|one| (one.body, one.chaining_hash)).unzip();
        let steps = check::sequenced(batch, &before, &bodies, &hashes, &proof, &network);
        self.add_all(steps);
        Ok(bodies)
    }

    /// Checks which root of a batch or a later one the replicas agree on. Returns whether they agree on `root`, of this
    /// very batch.
    async fn agreed(&mut self, batch: u64, root: Option<&str>) -> Result<bool, String> {
        const TITLE: &str = "Certified root";
        // Any failure means "not certified". A replica can hide that a root is certified, but gains nothing by it.
        let Ok(body) = get::<CertifiedBody>(&format!("/v1/certified?from={batch}")).await else {
            let message = format!(
                "No root of batch {batch} or a later batch is certified yet. Replicas attest about once per second while there are batches."
            );
            self.add(Step::new(TITLE, Outcome::Open, message));
            return Ok(false);
        };
        let (of, _, message) = match check::certified(&self.rules, &body) {
            Ok(found) => found,
            Err(message) => {
                self.add(Step::new(TITLE, Outcome::Fails, message));
                return Ok(false);
            }
        };
        // Replicas attest to some batches only, and a batch that was skipped is never certified later. Then the next
        // certified root is the best that there is, and says nothing about the root asked for.
        let (outcome, message) = match root {
            Some(root) if of == batch && body.root != root => (
                Outcome::Fails,
                format!(
                    "{message} This replica reports {root} for that batch, which contradicts them."
                ),
            ),
            Some(_) if of > batch => (
                Outcome::Open,
                format!(
                    "{message} The root of batch {batch} itself is only reported by this replica."
                ),
            ),
            _ if of < batch => (
                Outcome::Fails,
                format!("{message} But the page asked for batch {batch} or later."),
            ),
            None => (
                Outcome::Holds,
                format!(
                    "{message} This replica reports that it covers these bodies: the root commits to their SHA-256, which this page cannot check."
                ),
            ),
            _ => (Outcome::Holds, message),
        };
        self.add(Step::new(TITLE, outcome, message));
        Ok(of == batch && outcome == Outcome::Holds)
    }

    async fn balances(&mut self, account: &str) -> Result<TrustLevel, String> {
        let key = account.parse().map_err(|_| "This is not a public key.")?;
        let body: AccountBody = get(&format!("/v1/accounts/{account}")).await?;
        self.checked = Some(Numbers::of_balances(&body));
        // Before the list is gone through: it could be empty, or endless.
        let tokens = check::tokens(&self.rules, &body.balances);
        let is_complete = tokens.outcome == Outcome::Holds;
        self.add(tokens);
        if !is_complete {
            return Ok(TrustLevel::False);
        }
        let mut roots = Roots::new();
        for shown in &body.balances {
            let path = format!("/v1/accounts/{account}/proof?token={}", shown.token);
            let proof: BalanceProofBody = get(&path).await?;
            let found = check::balance(&self.rules, &key, shown, &proof);
            let outcome = if found.is_ok() { Outcome::Holds } else { Outcome::Fails };
            self.add(Step::new("Balance", outcome, found.unwrap_or_else(|message| message)));
            roots.insert((proof.root, proof.batch));
        }
        self.check_roots("balance", roots).await
    }

    async fn orders(&mut self, account: &str) -> Result<TrustLevel, String> {
        let key = account.parse().map_err(|_| "This is not a public key.")?;
        let body: AccountBody = get(&format!("/v1/accounts/{account}")).await?;
        self.checked = Some(Numbers::of_orders(&body));
        let mut roots = Roots::new();
        for shown in body.open_orders.iter().take(ORDERS_MAX) {
            let path = format!("/v1/accounts/{account}/orders/{}/proof", shown.id);
            let proof: OrderProofBody = get(&path).await?;
            let found = check::order(&self.rules, &key, shown, &proof);
            let outcome = if found.is_ok() { Outcome::Holds } else { Outcome::Fails };
            self.add(Step::new("Order", outcome, found.unwrap_or_else(|message| message)));
            roots.insert((proof.root, proof.batch));
        }
        // Without an order there is no proof and no root, and no step that could fail.
        if body.open_orders.is_empty() {
            return Err("There are no open orders to check.".into());
        }
        let level = self.check_roots("order", roots).await?;
        // The level would be shown beside all orders, also those that were not checked.
        if body.open_orders.len() > ORDERS_MAX {
            return Err(format!("Only the newest {ORDERS_MAX} orders were checked."));
        }
        Ok(level)
    }

    /// Checks the roots that leaves lead to. There may be several: each leaf has a request of its own, and a
    /// batch may come between two of them.
    async fn check_roots(&mut self, leaf: &str, roots: Roots) -> Result<TrustLevel, String> {
        let count = roots.len();
        let mut is_certified = true;
        for (root, batch) in roots {
            let each = if count == 1 { "each" } else { "at least one" };
            let message = format!(
                "A Merkle proof links {each} {leaf} to the state root {root} after batch {batch}."
            );
            self.add(Step::new("State root", Outcome::Holds, message));
            let batch = batch.parse().map_err(|_| "The replica sent no batch number.")?;
            // `&=` and not `&&`: each root is checked, also after one that is not certified.
            is_certified &= self.agreed(batch, Some(&root)).await?;
        }
        // Anyone can compute a tree over any balances. The proofs bind the numbers to a root, and only signatures of
        // the replicas bind the root to the exchange.
        Ok(if is_certified { TrustLevel::Certified } else { TrustLevel::Consistent })
    }

    async fn last_batch(&mut self) -> Result<TrustLevel, String> {
        let status: StatusBody = get("/v1/status").await?;
        self.checked = Some(Numbers::of_last_batch(&status.batch, &status.root));
        let batch: u64 = status.batch.parse().map_err(|_| "The replica sent no batch number.")?;
        if batch == 0 {
            return Err("There are no batches yet.".into());
        }
        self.sequenced(batch).await?;
        let message = format!("This replica reports the root {} after batch {batch}.", status.root);
        // The nodes sign the sequence and no roots, so the sequence proof above says nothing about this one.
        self.add(Step::new("State root", Outcome::Open, message));
        let from = status.certified_batch.as_ref().and_then(|batch| batch.parse().ok());
        let is_certified = match from {
            // The root shown is the one of `status.root`, so that is the one to compare.
            Some(from) if from == batch => self.agreed(batch, Some(&status.root)).await?,
            Some(from) => {
                self.agreed(from, status.certified_root.as_deref()).await?;
                false
            }
            None => {
                self.agreed(batch, None).await?;
                false
            }
        };
        Ok(if is_certified { TrustLevel::Certified } else { TrustLevel::Sequenced })
    }
}
