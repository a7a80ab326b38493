//! The endpoints that submit transactions and show their status.
//!
//! A submitted transaction is checked without state (form, signature, genesis) and by the committed state, stored
//! durably in the outbox, and acknowledged with a signed receipt. Whether it succeeds is decided by the
//! exchange when a batch with it is applied.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use futures_util::future::join_all;
use serde_json::value::RawValue;
use zellbook_core::protocol::{CheckedTransaction, ReplayGuard, check_elements};
use zellbook_core::types::decode_hex;
use zellbook_core::wire::{
    ReceiptBody, RejectBody, Stage, SubmitResponse, Submitted, TransactionStatus,
};
use zellbook_core::{PublicKey, Receipt, Reject, TransactionHash};

use super::app::{App, Shared};
use super::error::ApiError;
use super::rate_limit::RateLimit;
use super::reads::Reads;
use crate::admission::{InFlight, Judge};
use crate::client_address::ClientAddress;
use crate::store::{QueryError, View};

/// The most transactions in one request.
const TRANSACTIONS_MAX: usize = 1000;
/// How much later than this replica's clock a nonce may be. Clients use the time in milliseconds;
/// one with a wrong clock could otherwise fill its key's nonce window with values that lock out later orders.
const NONCE_IN_FUTURE_MAX_MS: u64 = 24 * 3_600_000;

/// A transaction that is in the outbox or has been applied.
pub struct Taken {
    hash: TransactionHash,
    /// When the outbox took it; `None` if it already has its outcome.
    received_ms: Option<u64>,
    /// `None` until it is signed, and if the transaction already has its outcome.
    receipt: Option<ReceiptBody>,
    /// What its account may still submit; `None` if the transaction already has its outcome.
    rate_limit: Option<RateLimit>,
}

/// A transaction that the committed state does not refuse.
enum Admitted {
    New(Box<CheckedTransaction>),
    /// It has its outcome already.
    Ended(TransactionHash),
}

impl From<Taken> for Submitted {
    fn from(taken: Taken) -> Self {
        Self { hash: Some(taken.hash.to_string()), receipt: taken.receipt, error: None }
    }
}

impl App {
    /// Checks transactions, first without state and then by the committed state, and stores them in the outbox.
    /// The result has one entry for each, in the same order.
    pub async fn take(
        self: &Arc<Self>,
        client: ClientAddress,
        elements: Vec<String>,
    ) -> Result<Vec<Result<Taken, Refused>>, ApiError> {
        let app = Arc::clone(self);
        let check = move |elements: &[&str]| app.check(elements);
        let checked = self.checks.run(client, elements, check, is_bad_signature).await?;
        // Before the state is read: what leaves the outbox in between is then in the state, and counts twice
        // instead of not at all.
        let mut in_flight = self.in_flight(checked.iter().flat_map(|(_, checked)| checked));
        let app = Arc::clone(self);
        let judge = move |view: &View<'_>| {
            let mut judge = Judge::new(view);
            let judged = checked.into_iter().map(|(element, checked)| {
                let admitted = match checked {
                    Ok(checked) => app.admit(&mut judge, &mut in_flight, checked)?,
                    Err(refused) => Err(refused),
                };
                Ok((element, admitted))
            });
            judged.collect::<Result<Vec<_>, QueryError>>()
        };
        let judged = self.read_to_judge(client, judge).await?;
        let submits = judged.into_iter().map(|(element, admitted)| async {
            match admitted? {
                Admitted::Ended(hash) => {
                    Ok(Taken { hash, received_ms: None, receipt: None, rate_limit: None })
                }
                Admitted::New(checked) => self.submit(*checked, element).await,
            }
        });
        // The outbox keeps the order of submission, and `join_all` polls the futures in order for the first
        // time. Submitting all of them at once lets them share commits.
        let submitted = join_all(submits).await;
        let app = Arc::clone(self);
        let sign = move |taken: Result<Taken, Refused>| {
            taken.map(|taken| {
                let receipt = taken.received_ms.map(|time| app.receipt(taken.hash, time));
                Taken { receipt, ..taken }
            })
        };
        Ok(self.checks.sign(client, submitted, sign).await?)
    }

    /// Like [`Self::take`], for one transaction.
    pub async fn take_one(
        self: &Arc<Self>,
        client: ClientAddress,
        element: String,
    ) -> Result<Taken, Refused> {
        let mut taken = self.take(client, vec![element]).await.map_err(Refused::Unavailable)?;
        taken.pop().unwrap_or_else(|| Err(Refused::Unavailable(ApiError::stopping())))
    }

    fn check(&self, elements: &[&str]) -> Vec<Result<CheckedTransaction, Refused>> {
        let checked = check_elements(&self.rules, elements).into_iter();
        let checked = checked.map(|checked| checked.map_err(|invalid| invalid.reject.into()));
        checked.map(|checked| checked.and_then(|checked| self.check_rules(checked))).collect()
    }

    fn check_rules(&self, checked: CheckedTransaction) -> Result<CheckedTransaction, Refused> {
        if let ReplayGuard::Nonce(nonce) = checked.replay_guard {
            let max = self.clock.now_ms().saturating_add(NONCE_IN_FUTURE_MAX_MS);
            if nonce > max {
                return Err(Refused::NonceInFuture { nonce, max });
            }
        }
        // Refuse now what the rules of genesis would reject later: a rejected transaction uses up its
        // nonce, a refused one does not.
        self.rules.listing.check_action(&checked.action)?;
        Ok(checked)
    }

    /// What waits in the outbox for the accounts and signers of these transactions.
    fn in_flight<'a>(
        &self,
        transactions: impl Iterator<Item = &'a CheckedTransaction>,
    ) -> InFlight {
        let keys: HashSet<PublicKey> =
            transactions.flat_map(|checked| [checked.account, checked.signer]).collect();
        let mut in_flight = InFlight::default();
        for waiting in keys.iter().flat_map(|key| self.outbox.pending_of(key)) {
            in_flight.add(&waiting);
        }
        in_flight
    }

    /// Refuses a transaction that the committed state would reject, unless what is in flight can prevent that.
    fn admit(
        &self,
        judge: &mut Judge<'_>,
        in_flight: &mut InFlight,
        checked: CheckedTransaction,
    ) -> Result<Result<Admitted, Refused>, QueryError> {
        // A transaction with an outcome must not enter the outbox again. If one is applied between this
        // look-up and its submission, it is posted once more, which its replay guard makes harmless.
        if judge.view().has_transaction(&checked.hash.0)? {
            return Ok(Ok(Admitted::Ended(checked.hash)));
        }
        // What waits already is confirmed again. Its own effect must not refuse it.
        let waits = self.outbox.element(&checked.hash.0).is_some();
        if !waits && let Some(reject) = judge.refusal(&checked, in_flight)? {
            // It may be the very transaction that used up the nonce, and then it was applied.
            if let (ReplayGuard::Nonce(nonce), true) =
                (checked.replay_guard, self.start > 0 && is_replay(&reject))
                && judge.view().was_used_before_start(&checked.signer, nonce)?
            {
                return Ok(Err(Refused::BeforeStart { start: self.start }));
            }
            return Ok(Err(reject.into()));
        }
        in_flight.add(&checked);
        Ok(Ok(Admitted::New(Box::new(checked))))
    }

    async fn submit(&self, checked: CheckedTransaction, element: String) -> Result<Taken, Refused> {
        let hash = checked.hash;
        let received_ms = self.outbox.submit(&checked, element).await;
        let received_ms = received_ms.map_err(|error| Refused::Unavailable(error.into()))?;
        let rate_limit = RateLimit::new(self.outbox.allowance(&checked.account));
        let (received_ms, rate_limit) = (Some(received_ms), Some(rate_limit));
        Ok(Taken { hash, received_ms, receipt: None, rate_limit })
    }

    /// The receipt for a transaction. Repeated requests get the same one, since the time is stored.
    pub(super) fn receipt(&self, transaction: TransactionHash, received_ms: u64) -> ReceiptBody {
        let network = self.rules.network;
        (&Receipt { network, transaction, received_ms }.sign(&self.replica_key)).into()
    }
}

const fn is_replay(reject: &Reject) -> bool {
    matches!(reject, Reject::NonceUsed | Reject::NonceTooOld { .. })
}

fn is_bad_signature(checked: &Result<CheckedTransaction, Refused>) -> bool {
    matches!(checked, Err(Refused::Reject(Reject::BadSignature { .. })))
}

/// Why a transaction was not accepted into the outbox.
pub enum Refused {
    /// The exchange would reject it.
    Reject(Reject),
    /// The nonce is too far in the future.
    NonceInFuture { nonce: u64, max: u64 },
    /// Its nonce was used up before the snapshot that this replica started from, perhaps by this very transaction.
    BeforeStart { start: u64 },
    /// This replica cannot accept it now.
    Unavailable(ApiError),
}

impl From<Reject> for Refused {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Reject(reject) => Self::from(&reject),
            Refused::NonceInFuture { nonce, max } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nonce_in_future",
                format!(
                    "nonce {nonce} is more than a day later than this replica's clock, in milliseconds; use at most {max}"
                ),
            ),
            Refused::BeforeStart { start } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "before_start",
                format!(
                    "the nonce was used up before this replica's start (batch {start}), perhaps by this very transaction, which can have been applied; ask a replica whose start is 0"
                ),
            ),
            Refused::Unavailable(error) => error,
        }
    }
}

/// `POST /v1/transactions`: one transaction as an object, or up to 1,000 in an array. The status of a single
/// one is 202 or its error; the response to an array is always 202, with a hash or an error per entry.
pub async fn submit(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Json<SubmitResponse>), ApiError> {
    match app.checks.read(client, body, read).await?? {
        Submission::One(element) => {
            let taken = app.take_one(client, element).await?;
            let headers = headers(taken.rate_limit);
            let transactions = vec![taken.into()];
            Ok((StatusCode::ACCEPTED, headers, Json(SubmitResponse { transactions })))
        }
        Submission::Array(elements) => {
            let results = app.take(client, elements).await?;
            // Those of the account with the least room left, so that a client of several knows when to wait.
            let rate_limits = results.iter().filter_map(|result| match result {
                Ok(taken) => taken.rate_limit,
                Err(Refused::Unavailable(error)) => error.rate_limit(),
                Err(_) => None,
            });
            let mut headers = headers(rate_limits.min());
            // The longest wait of those that were refused for lack of room. Only these can be sent again as they are.
            let waits = results.iter().filter_map(|result| match result {
                Err(Refused::Unavailable(error)) => error.retry_after_s(),
                _ => None,
            });
            if let Some(seconds) = waits.max() {
                headers.insert(header::RETRY_AFTER, seconds.into());
            }
            let transactions = results.into_iter().map(entry).collect();
            Ok((StatusCode::ACCEPTED, headers, Json(SubmitResponse { transactions })))
        }
    }
}

fn headers(rate_limit: Option<RateLimit>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(rate_limit) = rate_limit {
        rate_limit.write(&mut headers);
    }
    headers
}

/// The transactions in a body, without white space between tokens.
enum Submission {
    One(String),
    Array(Vec<String>),
}

fn read(body: &[u8]) -> Result<Submission, ApiError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        ApiError::bad_request("not_utf8", format!("the body is not UTF-8: {error}"))
    })?;
    if !text.trim_start().starts_with('[') {
        return Ok(Submission::One(compact(text)?));
    }
    // As raw text, so that the strict reader sees each element as the client sent it, with repeated keys
    // and all.
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        ApiError::bad_request("not_json", format!("the body is not a JSON array: {error}"))
    })?;
    if elements.len() > TRANSACTIONS_MAX {
        let count = elements.len();
        let message = format!(
            "the body has {count} transactions; send at most {TRANSACTIONS_MAX} in one request"
        );
        return Err(ApiError::bad_request("too_many", message));
    }
    let elements = elements.into_iter().map(|element| compact(element.get()));
    Ok(Submission::Array(elements.collect::<Result<_, _>>()?))
}

fn entry(result: Result<Taken, Refused>) -> Submitted {
    let error = match result {
        Ok(taken) => return taken.into(),
        Err(Refused::Reject(reject)) => RejectBody::from(&reject),
        Err(refused) => {
            let error = ApiError::from(refused);
            let detail = error.detail();
            let (name, message) = (detail.code.clone(), detail.message.clone());
            // No reject code is 0, so clients can tell a refusal of this replica from a reject of the
            // exchange.
            RejectBody { code: "0".into(), name, message }
        }
    };
    Submitted { hash: None, receipt: None, error: Some(error) }
}

/// Removes white space between JSON tokens, which would only take up space in batches.
fn compact(element: &str) -> Result<String, ApiError> {
    let value: Box<RawValue> = serde_json::from_str(element).map_err(|error| {
        ApiError::bad_request("not_json", format!("the body is not a JSON object: {error}"))
    })?;
    // The text is valid JSON here. So a quote outside a string begins one, and an escape can only be
    // inside.
    let (mut text, mut in_string, mut escaped) = (String::new(), false, false);
    for character in value.get().chars() {
        if in_string || !character.is_ascii_whitespace() {
            text.push(character);
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    Ok(text)
}

pub fn parse_hash(text: &str) -> Result<[u8; 32], ApiError> {
    decode_hex(text).ok_or_else(|| {
        ApiError::bad_request("bad_hash", "a transaction hash must have 64 lower-case hex digits")
    })
}

/// The error for a transaction that is neither in the outbox nor in the store.
pub fn unknown_transaction() -> ApiError {
    ApiError::not_found(
        "unknown_transaction",
        "this replica does not know this transaction; it may be in the outbox of another replica",
    )
}

/// `GET /v1/transactions/{hash}`.
pub async fn status(
    State(app): Shared,
    reads: Reads,
    Path(hash): Path<String>,
) -> Result<Json<TransactionStatus>, ApiError> {
    let bytes = parse_hash(&hash)?;
    // The outbox is read first: a transaction leaves it only once it is in the store, so reading in this
    // order cannot miss it.
    let progress = app.outbox.progress(&bytes);
    let receipt =
        progress.map(|progress| app.receipt(TransactionHash(bytes), progress.received_ms));
    let stored = reads.read(move |view| view.transaction(&bytes)).await?;
    // A transaction of an unknown signer can be submitted again after its reject. While it waits, it has no
    // outcome.
    let waits =
        progress.is_some_and(|progress| matches!(progress.stage, Stage::Received | Stage::Posted));
    let stored = stored.filter(|stored| {
        !(waits && stored.reject.as_ref().is_some_and(RejectBody::can_be_retried))
    });
    match (stored, progress) {
        (Some(mut status), progress) => {
            // A client that reads `applied` must find the effect in its next request.
            app.wait_published(status.batch.as_deref().unwrap_or_default()).await?;
            status.received_ms = progress.map(|progress| progress.received_ms.to_string());
            status.posted_ms =
                progress.and_then(|progress| progress.posted_ms).map(|time| time.to_string());
            status.posts = progress.map(|progress| progress.posts.to_string());
            status.receipt = receipt;
            Ok(Json(status))
        }
        (None, Some(progress)) => Ok(Json(TransactionStatus {
            hash,
            status: progress.stage,
            kind: None,
            account: None,
            received_ms: Some(progress.received_ms.to_string()),
            posted_ms: progress.posted_ms.map(|time| time.to_string()),
            posts: Some(progress.posts.to_string()),
            receipt,
            sequenced_ms: None,
            applied_ms: None,
            batch: None,
            certified: false,
            position: None,
            reject: None,
            order: None,
        })),
        (None, None) => Err(unknown_transaction()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compacting_removes_only_white_space_between_tokens() {
        let text = "{ \"a b\" : \"c \\\" d\\\\\" ,\n\"e\":\"\t\" }";
        assert!(compact(text).is_err(), "a raw tab in a string is not valid JSON");
        let text = "{ \"a b\" : \"c \\\" d\\\\\" ,\n\"e\":\" \" }";
        assert_eq!(compact(text).unwrap(), "{\"a b\":\"c \\\" d\\\\\",\"e\":\" \"}");
    }
}
