//! A Zellular network over HTTP: several gateways, one of them in use, the next where one fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use zellbook_core::finality::{Page, PageError};
use zellbook_core::limits::PAGE_BYTES_MAX;
use zellbook_core::wire::GatewayBody;

use super::{GatewayError, Sequencer};

/// How long a whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a gateway may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a `finalized/last` answer: a batch, and what is known of it.
const LAST_BYTES_MAX: usize = 8 << 20;
/// Bytes of an answer to a PUT that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// A client of a Zellular network.
#[derive(Debug)]
pub struct Zellular {
    client: Client,
    app_name: String,
    gateways: Mutex<Gateways>,
}

#[derive(Debug)]
struct Gateways {
    list: Vec<Gateway>,
    /// The one that is read.
    reading: usize,
    /// The one that is posted to.
    posting: usize,
    /// The one that gave the last answer.
    answered: usize,
}

#[derive(Debug)]
struct Gateway {
    url: String,
    fault: Option<String>,
}

impl Zellular {
    /// A client of these gateways (at least one), such as `http://127.0.0.1:6001`.
    pub fn new(app_name: &str, gateways: Vec<String>) -> Result<Self, reqwest::Error> {
        // Redirects would let one node speak for another; a proxy would see all.
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        let mut list: Vec<Gateway> = Vec::new();
        for url in gateways {
            let url = url.trim_end_matches('/').to_string();
            if !list.iter().any(|gateway| gateway.url == url) {
                list.push(Gateway { url, fault: None });
            }
        }
        let gateways = Gateways { list, reading: 0, posting: 0, answered: 0 };
        Ok(Self { client, app_name: app_name.into(), gateways: Mutex::new(gateways) })
    }

    fn with_gateways<T>(&self, act: impl FnOnce(&mut Gateways) -> T) -> T {
        act(&mut self.gateways.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Position and address of the gateway that a cursor is at.
    fn at(&self, cursor: impl FnOnce(&mut Gateways) -> usize) -> (usize, String) {
        self.with_gateways(|gateways| {
            let position = cursor(gateways);
            let gateway = gateways.list.get(position);
            (position, gateway.map_or_else(String::new, |gateway| gateway.url.clone()))
        })
    }

    /// Notes what went wrong with a gateway; what was at it moves on to the next.
    fn fault(&self, position: usize, fault: &str) {
        self.with_gateways(|gateways| {
            let count = gateways.list.len();
            let Some(gateway) = gateways.list.get_mut(position) else { return };
            if gateway.fault.as_deref() != Some(fault) {
                tracing::warn!("gateway {}: {fault}", gateway.url);
            }
            gateway.fault = Some(fault.to_string());
            let next = (position + 1) % count;
            if gateways.reading == position {
                gateways.reading = next;
            }
            if gateways.posting == position {
                gateways.posting = next;
            }
        });
    }

    fn works(&self, position: usize) {
        self.with_gateways(|gateways| {
            gateways.answered = position;
            if let Some(gateway) = gateways.list.get_mut(position) {
                gateway.fault = None;
            }
        });
    }

    async fn get(&self, url: &str, path: &str, bytes_max: usize) -> Result<Vec<u8>, GatewayError> {
        let app = &self.app_name;
        let request = self.client.get(format!("{url}/node/{app}/batches/finalized{path}"));
        let response = request.send().await.map_err(connection)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(status_error(status, &read(response, ANSWER_BYTES_MAX).await?));
        }
        read(response, bytes_max).await
    }

    async fn put_body(&self, url: &str, body: String) -> Result<(), GatewayError> {
        let app = &self.app_name;
        let request = self
            .client
            .put(format!("{url}/node/{app}/batches"))
            .header("content-type", "text/plain")
            .body(body);
        let response = request.send().await.map_err(connection)?;
        let status = response.status();
        let answer = read(response, ANSWER_BYTES_MAX).await?;
        if status == StatusCode::OK {
            return Ok(());
        }
        let is_too_large = status == StatusCode::TOO_MANY_REQUESTS
            && String::from_utf8_lossy(&answer).contains("BatchSizeExceededError");
        if is_too_large {
            return Err(GatewayError::TooLarge);
        }
        Err(status_error(status, &answer))
    }
}

fn connection(error: reqwest::Error) -> GatewayError {
    use std::error::Error;
    // The cause says what happened; the outer message repeats the address.
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    GatewayError::Connection(cause.to_string())
}

fn status_error(status: StatusCode, answer: &[u8]) -> GatewayError {
    let message = String::from_utf8_lossy(answer).chars().take(200).collect();
    GatewayError::Status { status: status.as_u16(), message }
}

/// Reads an answer up to a bound.
async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, GatewayError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(connection)? {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(PageError::TooLarge.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// The part of a `finalized/last` answer that is read.
#[derive(Deserialize)]
struct LastAnswer {
    data: Option<LastBatch>,
}

#[derive(Deserialize)]
struct LastBatch {
    index: u64,
}

impl Zellular {
    /// Asks the gateway that is read, and notes whether it answered well.
    async fn ask<T>(
        &self,
        path: &str,
        bytes_max: usize,
        take: impl FnOnce(&[u8]) -> Result<T, PageError>,
    ) -> Result<T, GatewayError> {
        let (position, url) = self.at(|gateways| gateways.reading);
        let bytes = self.get(&url, path, bytes_max).await;
        let result = bytes.and_then(|bytes| Ok(take(&bytes)?));
        match &result {
            Ok(_) => self.works(position),
            Err(error) => self.fault(position, &error.to_string()),
        }
        result
    }
}

impl Sequencer for Zellular {
    async fn finalized(&self, after: u64) -> Result<Option<Page>, GatewayError> {
        self.ask(&format!("?after={after}"), PAGE_BYTES_MAX, Page::read).await
    }

    async fn last_finalized(&self) -> Result<u64, GatewayError> {
        self.ask("/last", LAST_BYTES_MAX, |bytes| {
            let answer: LastAnswer = serde_json::from_slice(bytes)
                .map_err(|error| PageError::Json(error.to_string().chars().take(200).collect()))?;
            Ok(answer.data.map_or(0, |last| last.index))
        })
        .await
    }

    async fn post(&self, body: String, is_again: bool) -> Result<(), GatewayError> {
        let (position, url) = self.at(|gateways| {
            if is_again {
                gateways.posting = (gateways.posting + 1) % gateways.list.len();
            }
            gateways.posting
        });
        let result = self.put_body(&url, body).await;
        if let Err(error) = &result {
            self.fault(position, &error.to_string());
        }
        result
    }

    fn report(&self, fault: &str) {
        let (position, _) = self.at(|gateways| gateways.answered);
        self.fault(position, fault);
    }

    fn gateways(&self) -> Vec<GatewayBody> {
        self.with_gateways(|gateways| {
            let reading = gateways.reading;
            let bodies = gateways.list.iter().enumerate().map(|(position, gateway)| GatewayBody {
                url: gateway.url.clone(),
                in_use: position == reading,
                fault: gateway.fault.clone(),
            });
            bodies.collect()
        })
    }
}
