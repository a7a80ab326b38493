//! Accounts.

use axum::Json;
use axum::extract::{Path, State};
use zellbook_core::key::PublicKey;
use zellbook_core::wire::AccountBody;

use super::{ApiError, App, Shared};

/// A public key of a path, body or channel.
pub fn parse_account(text: &str) -> Result<PublicKey, ApiError> {
    text.parse()
        .map_err(|error| ApiError::bad_request("bad_account", format!("no account: {error}")))
}

impl App {
    /// Balances, orders and fills of an account.
    pub async fn account(&self, account: PublicKey) -> Result<AccountBody, ApiError> {
        let body = self.reader.read(move |view| view.account(&account)).await?;
        self.shown(&body.batch).await;
        Ok(body)
    }
}

/// `GET /v1/accounts/{public key}`. An account that was never used has nothing.
pub async fn account(
    State(app): Shared,
    Path(account): Path<String>,
) -> Result<Json<AccountBody>, ApiError> {
    Ok(Json(app.account(parse_account(&account)?).await?))
}
