//! Submitting transactions, and following them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::value::RawValue;
use zellbook_core::batch::{CheckedTransaction, Once, check_element};
use zellbook_core::key::decode_hex;
use zellbook_core::receipt::Receipt;
use zellbook_core::reject::Reject;
use zellbook_core::transaction::TransactionHash;
use zellbook_core::wire::{ReceiptBody, RejectBody, SubmitResponse, Submitted, TransactionStatus};

use super::{ApiError, App, Shared};

/// Transactions of one request, at most.
const TRANSACTIONS_MAX: usize = 1000;
/// A nonce may be so far ahead of our clock, as clients use milliseconds.
const NONCE_AHEAD_MS: u64 = 24 * 3_600_000;

/// A transaction that was taken.
pub struct Taken {
    hash: TransactionHash,
    /// None if it has its outcome already.
    receipt: Option<ReceiptBody>,
}

impl From<Taken> for Submitted {
    fn from(taken: Taken) -> Self {
        Self { hash: Some(taken.hash.to_string()), receipt: taken.receipt, error: None }
    }
}

impl App {
    /// Checks a transaction as far as that needs no state, and takes it into the outbox.
    pub async fn take(&self, element: &str) -> Result<Taken, Refused> {
        let checked = self.check(element)?;
        let hash = checked.hash;
        let is_done = self.reader.read(move |view| view.has_transaction(&hash.0)).await;
        if is_done.map_err(|error| Refused::Unavailable(error.into()))? {
            return Ok(Taken { hash, receipt: None });
        }
        self.submit(checked, element.into()).await
    }

    fn check(&self, element: &str) -> Result<CheckedTransaction, Refused> {
        let checked = check_element(&self.rules, element).map_err(|invalid| invalid.reject)?;
        if let Once::Nonce(nonce) = checked.once {
            let most = self.clock.now_ms().saturating_add(NONCE_AHEAD_MS);
            if nonce > most {
                return Err(Refused::NonceAhead { nonce, most });
            }
        }
        // What genesis alone would reject is refused here, before it costs a nonce.
        self.rules.listing.check_action(&checked.action)?;
        Ok(checked)
    }

    async fn submit(&self, checked: CheckedTransaction, element: String) -> Result<Taken, Refused> {
        let hash = checked.hash;
        let received_ms = self.outbox.submit(&checked, element).await;
        let received_ms = received_ms.map_err(|error| Refused::Unavailable(error.into()))?;
        Ok(Taken { hash, receipt: Some(self.receipt(hash, received_ms)) })
    }

    /// The receipt for a transaction: the same one each time.
    fn receipt(&self, transaction: TransactionHash, received_ms: u64) -> ReceiptBody {
        let network = self.rules.network;
        Receipt { network, transaction, received_ms }.sign(&self.replica_key)
    }
}

/// Why a transaction was not taken.
pub enum Refused {
    /// It would be rejected.
    Reject(Reject),
    /// A nonce further ahead than this replica relays.
    NonceAhead {
        /// The nonce.
        nonce: u64,
        /// The highest that is relayed now.
        most: u64,
    },
    /// This replica cannot take it now.
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
            Refused::NonceAhead { nonce, most } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nonce_ahead",
                format!(
                    "nonce {nonce} is more than a day ahead of this replica's clock in milliseconds; use at most {most}"
                ),
            ),
            Refused::Unavailable(error) => error,
        }
    }
}

/// `POST /v1/transactions`: one transaction as an object, or up to 1,000 in an array. 202 if it was
/// taken; with several, each entry says for itself.
pub async fn submit(
    State(app): Shared,
    body: Bytes,
) -> Result<(StatusCode, Json<SubmitResponse>), ApiError> {
    let text = std::str::from_utf8(&body).map_err(|error| {
        ApiError::bad_request("not_utf8", format!("the body is not UTF-8: {error}"))
    })?;
    if !text.trim_start().starts_with('[') {
        let element = compact(text)?;
        let taken = app.take(&element).await?;
        return Ok((
            StatusCode::ACCEPTED,
            Json(SubmitResponse { transactions: vec![taken.into()] }),
        ));
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        ApiError::bad_request("not_json", format!("the body is no JSON array: {error}"))
    })?;
    if elements.len() > TRANSACTIONS_MAX {
        let count = elements.len();
        let message = format!("{count} transactions; send at most {TRANSACTIONS_MAX} at once");
        return Err(ApiError::bad_request("too_many", message));
    }
    let mut texts = Vec::with_capacity(elements.len());
    for element in elements {
        texts.push(compact(element.get())?);
    }
    // A signature takes some 80 microseconds.
    let checking = Arc::clone(&app);
    let check = move || {
        let checked = texts.into_iter().map(|element| {
            let checked = checking.check(&element);
            (element, checked)
        });
        checked.collect::<Vec<_>>()
    };
    let taken =
        tokio::task::spawn_blocking(check).await.map_err(|error| ApiError::internal(&error))?;
    // The outbox keeps the order in which it is first asked, so the futures are asked in order; all
    // at once, so that they share its commits.
    let hashes: Vec<[u8; 32]> =
        taken.iter().filter_map(|(_, checked)| checked.as_ref().ok()).map(|ok| ok.hash.0).collect();
    let known = app.reader.read(move |view| view.known_transactions(&hashes)).await?;
    let takes = taken.into_iter().map(|(element, checked)| async {
        let checked = checked?;
        let hash = checked.hash;
        if known.contains(&hash.0) {
            return Ok(Taken { hash, receipt: None });
        }
        app.submit(checked, element).await
    });
    let results = futures_util::future::join_all(takes).await;
    let transactions = results.into_iter().map(entry).collect();
    Ok((StatusCode::ACCEPTED, Json(SubmitResponse { transactions })))
}

fn entry(result: Result<Taken, Refused>) -> Submitted {
    let error = match result {
        Ok(taken) => return taken.into(),
        Err(Refused::Reject(reject)) => RejectBody::from(&reject),
        Err(refused) => {
            let error = ApiError::from(refused);
            let detail = error.detail();
            let (name, message) = (detail.code.clone(), detail.message.clone());
            RejectBody { code: "0".into(), name, message }
        }
    };
    Submitted { hash: None, receipt: None, error: Some(error) }
}

/// Without the white space between tokens, which would only fill batches.
fn compact(element: &str) -> Result<String, ApiError> {
    let value: Box<RawValue> = serde_json::from_str(element).map_err(|error| {
        ApiError::bad_request("not_json", format!("the body is no JSON object: {error}"))
    })?;
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

/// A transaction's hash of a path.
pub fn parse_hash(text: &str) -> Result<[u8; 32], ApiError> {
    decode_hex(text).ok_or_else(|| {
        ApiError::bad_request("bad_hash", "a transaction's hash is 64 lower-case hex digits")
    })
}

/// What is said of a transaction that is neither in the outbox nor in the store.
pub fn unknown_transaction() -> ApiError {
    ApiError::not_found(
        "unknown_transaction",
        "this replica has not seen this transaction; it may be in the outbox of another",
    )
}

/// `GET /v1/transactions/{hash}`.
pub async fn status(
    State(app): Shared,
    Path(hash): Path<String>,
) -> Result<Json<TransactionStatus>, ApiError> {
    let bytes = parse_hash(&hash)?;
    // The outbox first: what leaves it is in the store already.
    let sighting = app.outbox.sighting(&bytes);
    let receipt =
        sighting.map(|sighting| app.receipt(TransactionHash(bytes), sighting.received_ms));
    let stored = app.reader.read(move |view| view.transaction(&bytes)).await?;
    match (stored, sighting) {
        (Some(mut status), sighting) => {
            app.shown(status.batch.as_deref().unwrap_or_default()).await?;
            status.received_ms = sighting.map(|sighting| sighting.received_ms.to_string());
            status.posted_ms =
                sighting.and_then(|sighting| sighting.posted_ms).map(|time| time.to_string());
            status.posts = sighting.map(|sighting| sighting.posts.to_string());
            status.receipt = receipt;
            Ok(Json(status))
        }
        (None, Some(sighting)) => Ok(Json(TransactionStatus {
            hash,
            status: sighting.stage,
            kind: None,
            account: None,
            received_ms: Some(sighting.received_ms.to_string()),
            posted_ms: sighting.posted_ms.map(|time| time.to_string()),
            posts: Some(sighting.posts.to_string()),
            receipt,
            finalized_ms: None,
            applied_ms: None,
            batch: None,
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
    fn compacting_keeps_all_but_white_space_between_tokens() {
        let text = "{ \"a b\" : \"c \\\" d\\\\\" ,\n\"e\":\"\t\" }";
        assert!(compact(text).is_err(), "a raw tab in a string is no JSON");
        let text = "{ \"a b\" : \"c \\\" d\\\\\" ,\n\"e\":\" \" }";
        assert_eq!(compact(text).unwrap(), "{\"a b\":\"c \\\" d\\\\\",\"e\":\" \"}");
    }
}
