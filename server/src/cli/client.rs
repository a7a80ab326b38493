//! A client of a replica's API, for the commands that talk to one.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zellbook_core::wire::{ErrorBody, Stage, SubmitResponse, TransactionStatus};
use zellbook_core::{Genesis, Rules};

use super::failure::Failure;

/// The longest response that is read: a hostile replica must not fill the memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;

pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// A client of the replica at `url`, for example `http://127.0.0.1:8080`.
    pub fn new(url: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { http, url: url.trim_end_matches('/').into() })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let mut response =
            request.send().await.map_err(|error| format!("{}: {}", self.url, cause(&error)))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(format!(
                    "{}: the response is longer than {ANSWER_BYTES_MAX} bytes",
                    self.url
                )
                .into());
            }
        }
        if !status.is_success() {
            return Err(match serde_json::from_slice::<ErrorBody>(&bytes) {
                Ok(body) => Failure {
                    // 422 is the API's status for what the exchange would reject.
                    code: if status == 422 { 4 } else { 1 },
                    message: body.error.message.clone(),
                    answer: Some(body.error),
                },
                Err(_) => {
                    format!("{}: HTTP status {status} without an error message", self.url).into()
                }
            });
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("{}: unexpected response: {error}", self.url).into())
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(self.http.get(format!("{}{path}", self.url))).await
    }

    /// The rules of the replica's genesis. The network id is computed here, so the replica cannot claim
    /// the id of another genesis.
    pub async fn rules(&self) -> Result<Rules, Failure> {
        let genesis: Box<RawValue> = self.get("/v1/genesis").await?;
        Ok(Genesis::read(genesis.get().as_bytes())?)
    }

    pub async fn submit(&self, json: String) -> Result<(), Failure> {
        let request = self.http.post(format!("{}/v1/transactions", self.url));
        let request = request.header("content-type", "application/json").body(json);
        // The hash in the response is not used: the caller has computed it from what was signed.
        self.send::<SubmitResponse>(request).await.map(drop)
    }

    /// The status of a transaction, or `None` if the replica does not know it.
    pub async fn known(&self, hash: &str) -> Result<Option<TransactionStatus>, Failure> {
        match self.get(&format!("/v1/transactions/{hash}")).await {
            Ok(status) => Ok(Some(status)),
            Err(failure) => {
                // By code and not by the status 404, which a wrong URL has too.
                let code = failure.answer.as_ref().map(|answer| answer.code.as_str());
                if code == Some("unknown_transaction") { Ok(None) } else { Err(failure) }
            }
        }
    }

    /// Waits for the outcome of a transaction, and reports every new stage.
    pub async fn wait(
        &self,
        hash: &str,
        longest: Duration,
        mut report: impl FnMut(&TransactionStatus),
    ) -> Result<TransactionStatus, Failure> {
        let mut reported = None;
        let mut problem = "it has no outcome yet".to_string();
        let asking = async {
            loop {
                match self.get::<TransactionStatus>(&format!("/v1/transactions/{hash}")).await {
                    Ok(status) => {
                        if reported != Some(status.status) {
                            reported = Some(status.status);
                            report(&status);
                        }
                        // The stages are in order. From `Applied` on, the replica does nothing more for the
                        // transaction.
                        if status.status >= Stage::Applied {
                            return status;
                        }
                    }
                    // Keep asking: the replica may be restarting, and its outbox survives a restart.
                    Err(failure) => problem = failure.message,
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // A limit on the time and not on the number of requests, each of which can take a minute.
        let waited = tokio::time::timeout(longest, asking).await;
        waited.map_err(|_| {
            format!("{hash} was submitted, but its outcome is unknown after {longest:?}: {problem}. Check its status before you submit it again").into()
        })
    }
}

/// The innermost cause. The outer errors of reqwest only repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    use std::error::Error;
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_silent_replica_does_not_hold_a_command_longer_than_it_waits() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Connections are accepted by the system, and nobody answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&format!("http://{}", silent.local_addr().unwrap())).ok().unwrap();
        let began = Instant::now();
        let waited = client.wait("aa", Duration::from_millis(300), |_| ()).await;
        let failure = waited.map(|status| status.status).expect_err("there is no outcome");
        // One request alone may take a minute.
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert!(failure.message.contains("aa was submitted"), "{}", failure.message);
    }
}
