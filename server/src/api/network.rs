//! The endpoint with the nodes whose signatures make batches sequenced.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::value::RawValue;
use zellbook_core::wire::NetworkBody;

use super::app::Shared;
use super::error::ApiError;
use super::markets::parameters;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkQuery {
    /// The block of the operator list, as a sequence proof names it; 0 in networks with fixed nodes.
    tag: Option<u64>,
}

/// `GET /v1/network?tag=N`: the nodes that this replica checks sequence proofs with this tag against.
pub async fn network(
    State(app): Shared,
    query: Result<Query<NetworkQuery>, QueryRejection>,
) -> Result<Json<NetworkBody>, ApiError> {
    let tag = parameters(query)?.tag.unwrap_or(0);
    let verifier = app.verifier.borrow().clone();
    let Some(nodes) = verifier.nodes.at(tag) else {
        let message = format!("this replica has no list of the network's nodes at block {tag}");
        return Err(ApiError::not_found("unknown_tag", message));
    };
    // Cannot fail: `to_json` writes valid JSON.
    // As raw text, because the coordinates of BLS keys are JSON integers of up to 254 bits, and a parsed
    // number would lose digits.
    let nodes = RawValue::from_string(nodes.to_json()).map_err(|_| ApiError::stopping())?;
    Ok(Json(NetworkBody {
        app_name: verifier.app_name.clone(),
        threshold: verifier.threshold.to_string(),
        tag: tag.to_string(),
        nodes,
    }))
}
