//! Whose signatures prove the sequence.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::value::RawValue;
use zellbook_core::wire::NetworkBody;

use super::markets::parameters;
use super::{ApiError, Shared};

/// Parameters of a request for the nodes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkQuery {
    tag: Option<u64>,
}

/// `GET /v1/network?tag=N`: the nodes by which this replica checks finality proofs with that tag.
pub async fn network(
    State(app): Shared,
    query: Result<Query<NetworkQuery>, QueryRejection>,
) -> Result<Json<NetworkBody>, ApiError> {
    let tag = parameters(query)?.tag.unwrap_or(0);
    let verifier = app.verifier.borrow().clone();
    let Some(nodes) = verifier.nodes.at(tag) else {
        let message = format!("the nodes of the network at block {tag} are not known here");
        return Err(ApiError::not_found("unknown_tag", message));
    };
    // What is written as JSON is JSON.
    let nodes = RawValue::from_string(nodes.to_json()).map_err(|_| ApiError::stopping())?;
    Ok(Json(NetworkBody {
        app_name: verifier.app_name.clone(),
        threshold: verifier.threshold.percent().to_string(),
        tag: tag.to_string(),
        nodes,
    }))
}
