//! A client of another replica's API, with bounds on size and time, because that replica is not trusted.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zellbook_core::wire::ErrorBody;
use zellular::PageError;

use super::error::BootstrapError;
use crate::replica::explained;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a complete JSON response may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait for the next bytes of a response.
const SILENCE_MAX: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub struct Peer {
    client: Client,
    url: String,
}

impl Peer {
    /// The replica at `url`, for example `http://127.0.0.1:8080`.
    pub fn new(url: &str) -> Result<Self, BootstrapError> {
        let url = url.trim_end_matches('/').to_string();
        // A redirect would let another server respond under this replica's name, and a proxy would see every
        // request.
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            .build();
        match client {
            Ok(client) => Ok(Self { client, url }),
            Err(error) => Err(BootstrapError::Peer { url, error: error.to_string() }),
        }
    }

    /// The error for a replica that does not respond properly.
    pub fn failure(&self, error: impl ToString) -> BootstrapError {
        BootstrapError::Peer { url: self.url.clone(), error: error.to_string() }
    }

    /// The error for a replica that sent something false.
    pub fn lie(&self, lie: impl ToString) -> BootstrapError {
        BootstrapError::Lie { url: self.url.clone(), lie: lie.to_string() }
    }

    /// The error for a page that the network's nodes did not sign. A network that asks fewer of them to sign than this
    /// replica makes no liar of the one that passes its proofs on.
    pub fn unproven(&self, error: &PageError) -> BootstrapError {
        let text = explained(error);
        if error.is_dishonest() { self.lie(text) } else { self.failure(text) }
    }

    /// The error for a replica that lacks what is needed.
    pub fn nothing(&self, why: impl ToString) -> BootstrapError {
        BootstrapError::Nothing { url: self.url.clone(), why: why.to_string() }
    }

    /// Parses a number in its response.
    pub fn number(&self, field: &str, text: &str) -> Result<u64, BootstrapError> {
        // The peer chose this text, so the message repeats only its start.
        let start: String = text.chars().take(40).collect();
        text.parse().map_err(|_| self.lie(format!("{field} {start:?} is not a whole number")))
    }

    /// Requests a path, from a byte offset on.
    pub async fn open(&self, path: &str, from: u64) -> Result<Response, BootstrapError> {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        request.send().await.map_err(|error| self.failure(cause(&error)))
    }

    /// The next piece of a response; `None` at its end.
    pub async fn piece(&self, response: &mut Response) -> Result<Option<Vec<u8>>, BootstrapError> {
        let piece = response.chunk().await.map_err(|error| self.failure(cause(&error)))?;
        Ok(piece.map(|piece| piece.to_vec()))
    }

    /// Fetches JSON of at most `bytes_max` bytes; `None` if the status is 404.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        bytes_max: usize,
    ) -> Result<Option<T>, BootstrapError> {
        let asked = async {
            // The limit applies to the bodies of errors too, so the body is read before the status is
            // looked at.
            let mut response = self.open(path, 0).await?;
            let status = response.status();
            let mut bytes = Vec::new();
            while let Some(piece) = self.piece(&mut response).await? {
                if bytes.len() + piece.len() > bytes_max {
                    return Err(
                        self.lie(format!("{path}: the response is longer than {bytes_max} bytes"))
                    );
                }
                bytes.extend_from_slice(&piece);
            }
            if status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            if status != StatusCode::OK {
                let body = serde_json::from_slice::<ErrorBody>(&bytes);
                let message = body.map_or_else(|_| String::new(), |body| body.error.message);
                let message: String = message.chars().take(200).collect();
                return Err(self.failure(format!("{path}: HTTP status {status} {message}")));
            }
            let body = serde_json::from_slice(&bytes);
            body.map(Some)
                .map_err(|error| self.failure(format!("{path}: unexpected response: {error}")))
        };
        let late =
            || self.failure(format!("{path}: no complete response within {ANSWER_TIMEOUT:?}"));
        // `SILENCE_MAX` alone would let the peer send one byte every few seconds for ever.
        timeout(ANSWER_TIMEOUT, asked).await.unwrap_or_else(|_| Err(late()))
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
