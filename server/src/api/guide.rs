//! `POST /order`: accepts orders in the format of the Zellular integration guide, and responds like the
//! server of that guide. Its clients expect exactly these statuses and messages.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Form, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde_json::{Value, json};
use zellbook_core::Reject;

use super::app::Shared;
use super::error::ApiError;
use super::gate::is_json;
use super::transactions::Refused;
use crate::client_address::ClientAddress;

const FIELDS: [&str; 7] =
    ["order_type", "base_token", "quote_token", "quantity", "price", "public_key", "signature"];

/// The guide's error responses are `{"message": "..."}`.
type GuideError = (StatusCode, HeaderMap, Json<Value>);

fn error(status: StatusCode, message: impl Into<String>) -> GuideError {
    (status, HeaderMap::new(), Json(json!({ "message": message.into() })))
}

/// Accepts the order's fields as a form, like the guide, or as a JSON object of strings.
pub async fn order(
    State(app): Shared,
    Extension(client): Extension<ClientAddress>,
    request: Request,
) -> Result<Json<Value>, GuideError> {
    if !app.rules.genesis.guide_orders {
        let message =
            "this network does not accept orders in the guide's format; use /v1/transactions";
        return Err(error(StatusCode::BAD_REQUEST, message));
    }
    let fields = read_fields(request).await?;
    // Checked here and not left to core's reader, because clients of the guide expect this message.
    let missing: Vec<_> = FIELDS.into_iter().filter(|name| !fields.contains_key(*name)).collect();
    if !missing.is_empty() {
        let message = format!("Missing fields: {}", missing.join(", "));
        return Err(error(StatusCode::BAD_REQUEST, message));
    }
    // The order of keys may change here: the signature covers the five values, not the JSON (section 5 of
    // the protocol).
    let element = json!(fields).to_string();
    match app.take_one(client, element).await {
        Ok(_) => Ok(Json(json!({ "success": true }))),
        Err(Refused::Reject(Reject::BadSignature { .. })) => {
            Err(error(StatusCode::FORBIDDEN, "Invalid signature"))
        }
        Err(Refused::Reject(reject @ Reject::Malformed(_))) => {
            // The guide's server does not distinguish a malformed key or signature from an invalid one.
            let text = reject.to_string();
            if text.contains("`signature`") || text.contains("`public_key`") {
                return Err(error(StatusCode::FORBIDDEN, "Invalid signature"));
            }
            Err(error(StatusCode::BAD_REQUEST, text))
        }
        Err(Refused::Reject(reject)) => {
            Err(error(StatusCode::UNPROCESSABLE_ENTITY, reject.to_string()))
        }
        // Only `Unavailable` is left: these orders have no nonce, so none can be in the future.
        Err(refused) => {
            let api = ApiError::from(refused);
            let mut error = error(api.status(), api.detail().message.clone());
            error.1.extend(api.retry_after_header());
            Err(error)
        }
    }
}

async fn read_fields(request: Request) -> Result<BTreeMap<String, String>, GuideError> {
    if is_json(request.headers()) {
        let body = Bytes::from_request(request, &())
            .await
            .map_err(|rejection| error(StatusCode::BAD_REQUEST, rejection.body_text()))?;
        return serde_json::from_slice(&body).map_err(|cause| {
            let message = format!("the body is not a JSON object of strings: {cause}");
            error(StatusCode::BAD_REQUEST, message)
        });
    }
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, &())
        .await
        .map_err(|rejection| error(StatusCode::BAD_REQUEST, rejection.body_text()))?;
    Ok(pairs.into_iter().collect())
}
