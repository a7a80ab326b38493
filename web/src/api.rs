//! The replica's HTTP interface, as the page uses it.

use gloo_net::http::{Request, Response};
use serde::de::DeserializeOwned;
use zellbook_core::genesis::{Genesis, Rules};
use zellbook_core::wire::{ErrorBody, MarketsResponse, SubmitResponse, TransactionStatus};

/// A sentence for the user.
pub type ApiResult<T> = Result<T, String>;

const UNREACHABLE: &str =
    "The replica does not answer. What you signed is not lost: it can be sent again.";

async fn read<T: DeserializeOwned>(response: Response) -> ApiResult<T> {
    let text = response.text().await.map_err(|_| UNREACHABLE.to_string())?;
    if response.ok() {
        return serde_json::from_str(&text).map_err(|error| {
            format!("The replica answered in a form that this page does not know: {error}")
        });
    }
    Err(serde_json::from_str::<ErrorBody>(&text).map_or_else(
        |_| format!("The replica answered with status {}.", response.status()),
        |body| body.error.message,
    ))
}

async fn get<T: DeserializeOwned>(path: &str) -> ApiResult<T> {
    read(Request::get(path).send().await.map_err(|_| UNREACHABLE.to_string())?).await
}

async fn post<T: DeserializeOwned>(path: &str, body: String) -> ApiResult<T> {
    let request = Request::post(path).header("content-type", "application/json").body(body);
    let request = request.map_err(|error| error.to_string())?;
    read(request.send().await.map_err(|_| UNREACHABLE.to_string())?).await
}

/// The rules of this exchange, with the network id computed here.
pub async fn rules() -> ApiResult<Rules> {
    let genesis: Genesis = get("/v1/genesis").await?;
    genesis.check().map_err(|error| error.to_string())
}

/// Tokens and markets with their figures of the last day.
pub async fn markets() -> ApiResult<MarketsResponse> {
    get("/v1/markets").await
}

/// Hands a signed transaction in.
pub async fn submit(json: String) -> ApiResult<SubmitResponse> {
    post("/v1/transactions", json).await
}

/// How far a transaction has come.
pub async fn transaction(hash: &str) -> ApiResult<TransactionStatus> {
    get(&format!("/v1/transactions/{hash}")).await
}

/// Asks for test tokens.
pub async fn faucet(account: &str) -> ApiResult<SubmitResponse> {
    post("/v1/faucet", format!("{{\"account\":\"{account}\"}}")).await
}
