//! A Zellular network over HTTP: several gateways, one of them in use, the next where one fails.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use zellbook_core::finality::{Page, PageError};
use zellbook_core::limits::PAGE_BYTES_MAX;
use zellbook_core::wire::GatewayBody;

use super::{GatewayError, Sequencer};

/// How long a whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
    in_use: usize,
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
            .build()?;
        let list = gateways
            .into_iter()
            .map(|url| Gateway { url: url.trim_end_matches('/').to_string(), fault: None })
            .collect();
        let gateways = Mutex::new(Gateways { list, in_use: 0 });
        Ok(Self { client, app_name: app_name.into(), gateways })
    }

    fn with_gateways<T>(&self, act: impl FnOnce(&mut Gateways) -> T) -> T {
        act(&mut self.gateways.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn url(&self) -> String {
        self.with_gateways(|gateways| {
            gateways
                .list
                .get(gateways.in_use)
                .map_or_else(String::new, |gateway| gateway.url.clone())
        })
    }

    /// Notes what went wrong with a gateway, and moves on if it is still the one in use.
    fn fault(&self, url: &str, fault: &str) {
        self.with_gateways(|gateways| {
            let Some(position) = gateways.list.iter().position(|gateway| gateway.url == url) else {
                return;
            };
            if gateways.list[position].fault.as_deref() != Some(fault) {
                tracing::warn!("gateway {url}: {fault}");
            }
            gateways.list[position].fault = Some(fault.to_string());
            if gateways.in_use == position {
                gateways.in_use = (position + 1) % gateways.list.len();
            }
        });
    }

    fn works(&self, url: &str) {
        self.with_gateways(|gateways| {
            if let Some(gateway) = gateways.list.iter_mut().find(|gateway| gateway.url == url) {
                gateway.fault = None;
            }
        });
    }

    async fn get_page(&self, url: &str, after: u64) -> Result<Option<Page>, GatewayError> {
        let app = &self.app_name;
        let request = self
            .client
            .get(format!("{url}/node/{app}/batches/finalized"))
            .query(&[("after", after)]);
        let response = request.send().await.map_err(connection)?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(status_error(status, &read(response, ANSWER_BYTES_MAX).await?));
        }
        Ok(Page::read(&read(response, PAGE_BYTES_MAX).await?)?)
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
        if String::from_utf8_lossy(&answer).contains("BatchSizeExceededError") {
            return Err(GatewayError::TooLarge(String::from_utf8_lossy(&answer).into_owned()));
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

impl Sequencer for Zellular {
    async fn finalized(&self, after: u64) -> Result<Option<Page>, GatewayError> {
        let url = self.url();
        let result = self.get_page(&url, after).await;
        match &result {
            Ok(_) => self.works(&url),
            Err(error) => self.fault(&url, &error.to_string()),
        }
        result
    }

    async fn post(&self, body: String) -> Result<(), GatewayError> {
        let url = self.url();
        let result = self.put_body(&url, body).await;
        if let Err(error) = &result
            && !matches!(error, GatewayError::TooLarge(_))
        {
            self.fault(&url, &error.to_string());
        }
        result
    }

    fn report(&self, error: &PageError) {
        self.fault(&self.url(), &error.to_string());
    }

    fn gateways(&self) -> Vec<GatewayBody> {
        self.with_gateways(|gateways| {
            let in_use = gateways.in_use;
            let bodies = gateways.list.iter().enumerate().map(|(position, gateway)| GatewayBody {
                url: gateway.url.clone(),
                in_use: position == in_use,
                fault: gateway.fault.clone(),
            });
            bodies.collect()
        })
    }
}
