//! A Zellular network over HTTP: what is asked of its nodes, how, and what their answers mean.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;
use zellbook_core::wire::GatewayBody;
use zellular::limits::PAGE_BYTES_MAX;
use zellular::{FinalitySignature, Page, PageError, read_last};

use super::eigenlayer::{EigenLayer, OperatorsError};
use super::gateways::{Fault, GatewayAddress, Gateways, NodeClaim, Use};
use super::transport::{Answer, Bounds, Method, Request, Transport, TransportError};
use super::{GatewayError, Sequencer, Way};

/// Of a page of batches.
const PAGE: Bounds = Bounds { bytes_max: PAGE_BYTES_MAX, time_max: Duration::from_secs(60) };
/// Of a `finalized/last` answer: a batch, and what is known of it.
const LAST: Bounds = Bounds { bytes_max: 8 << 20, time_max: Duration::from_secs(15) };
/// Of an answer to a PUT.
const PUT: Bounds = Bounds { bytes_max: 64 << 10, time_max: Duration::from_secs(15) };
/// Of an answer to `/node/state`.
const STATE: Bounds = Bounds { bytes_max: 256 << 10, time_max: Duration::from_secs(3) };
/// Gateways that are tried with one body before its poster waits.
const TRIES_MAX: usize = 5;
/// Nodes that are asked in one survey, at most.
const SURVEYED_MAX: usize = 64;
/// The time between the first two surveys, and between others.
const SURVEYS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// How often the operators are asked for, where they can change.
const OPERATORS_EVERY: Duration = Duration::from_secs(120);

/// A client of a Zellular network.
#[derive(Debug)]
pub struct Zellular<T> {
    transport: T,
    app_name: String,
    gateways: Mutex<Gateways>,
    /// Where the operators are kept on a chain.
    operators: Option<EigenLayer<T>>,
    operators_are_gateways: bool,
}

impl<T: Transport> Zellular<T> {
    /// A client of these gateways.
    pub fn new(transport: T, app_name: &str, gateways: Vec<GatewayAddress>, rng: Rng) -> Self {
        let gateways = Mutex::new(Gateways::new(gateways, rng));
        Self {
            transport,
            app_name: app_name.into(),
            gateways,
            operators: None,
            operators_are_gateways: false,
        }
    }

    /// With operators that are kept on a chain and can change, and whether their sockets are the gateways.
    pub fn with_operators(mut self, operators: EigenLayer<T>, are_gateways: bool) -> Self {
        (self.operators, self.operators_are_gateways) = (Some(operators), are_gateways);
        self
    }

    /// Asks for the network's operators, again and again, if they can change.
    pub async fn keep_operators(self: Arc<Self>) {
        let Some(operators) = &self.operators else { return };
        loop {
            tokio::time::sleep(OPERATORS_EVERY).await;
            match operators.gateways().await {
                Ok(addresses) if self.operators_are_gateways => {
                    self.with_gateways(|gateways| gateways.set(addresses));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!("the network's operators: {error}"),
            }
        }
    }

    fn with_gateways<R>(&self, act: impl FnOnce(&mut Gateways) -> R) -> R {
        act(&mut self.gateways.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks all nodes for their state, again and again, so that there is something to choose by.
    pub async fn keep_surveyed(self: Arc<Self>) {
        let mut wait = SURVEYS.0;
        loop {
            self.survey().await;
            tokio::time::sleep(wait).await;
            wait = SURVEYS.1;
        }
    }

    async fn survey(&self) {
        let urls = self.with_gateways(|gateways| gateways.sample(SURVEYED_MAX));
        let claims = join_all(urls.into_iter().map(|url| async {
            let request = Request::get(format!("{url}/node/state"));
            let answer = self.transport.send(request, STATE).await.ok();
            let claim = answer.filter(|answer| answer.status == 200);
            (url, claim.and_then(|answer| read_claim(&answer.body, &self.app_name)))
        }));
        let claims = claims.await;
        self.with_gateways(|gateways| gateways.take_survey(&claims));
    }

    async fn get(&self, url: &str, path: &str, bounds: Bounds) -> Result<Vec<u8>, GatewayError> {
        let app = &self.app_name;
        let request = Request::get(format!("{url}/node/{app}/batches/finalized{path}"));
        let answer = self.transport.send(request, bounds).await?;
        if answer.status == 200 { Ok(answer.body) } else { Err(refusal(&answer)) }
    }

    async fn put(&self, url: &str, bodies: &[String]) -> Result<(), GatewayError> {
        let app = &self.app_name;
        let request = match bodies {
            [body] => Request::with_body(
                Method::Put,
                format!("{url}/node/{app}/batches"),
                "text/plain",
                body.clone().into_bytes(),
            ),
            _ => Request::with_body(
                Method::Put,
                format!("{url}/node/batches"),
                "application/json",
                json!({ app: bodies }).to_string().into_bytes(),
            ),
        };
        let answer = self.transport.send(request, PUT).await?;
        if answer.status == 200 { Ok(()) } else { Err(refusal(&answer)) }
    }

    /// Asks the gateway that is read, and notes whether it answered well.
    async fn ask<R>(
        &self,
        path: &str,
        bounds: Bounds,
        take: impl FnOnce(&[u8]) -> Result<R, PageError>,
    ) -> Result<R, GatewayError> {
        let url = self
            .with_gateways(|gateways| gateways.reading().map(|position| gateways.url(position)));
        let url = url.ok_or(GatewayError::NoGateway)?;
        let bytes = self.get(&url, path, bounds).await;
        let result = bytes.and_then(|bytes| Ok(take(&bytes)?));
        self.with_gateways(|gateways| match &result {
            Ok(_) => gateways.answers(&url),
            Err(error) => gateways.fault(&url, &Fault::Fails(error.to_string())),
        });
        result
    }
}

/// What a refusal means.
fn refusal(answer: &Answer) -> GatewayError {
    let message: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    let says = |name: &str| message.contains(name);
    match answer.status {
        429 if says("BatchSizeExceededError") => GatewayError::BatchTooLarge,
        429 => GatewayError::RateLimited,
        503 => GatewayError::Paused(message),
        status => GatewayError::Status { status, message },
    }
}

/// The part of a `/node/state` answer that is read.
#[derive(Deserialize)]
struct StateAnswer<'a> {
    #[serde(borrow)]
    data: StateData<'a>,
}

#[derive(Deserialize)]
struct StateData<'a> {
    sequencer: bool,
    #[serde(borrow)]
    apps: std::collections::BTreeMap<std::borrow::Cow<'a, str>, AppState>,
}

#[derive(Deserialize)]
struct AppState {
    last_finalized_index: u64,
}

fn read_claim(json: &[u8], app_name: &str) -> Option<NodeClaim> {
    let answer: StateAnswer<'_> = serde_json::from_slice(json).ok()?;
    let app = answer.data.apps.get(app_name)?;
    let is_leader = answer.data.sequencer;
    Some(NodeClaim { is_leader, finalized: app.last_finalized_index })
}

impl<T: Transport> Sequencer for Zellular<T> {
    async fn finalized(&self, after: u64) -> Result<Option<Page>, GatewayError> {
        let page = self.ask(&format!("?after={after}"), PAGE, Page::read).await?;
        if page.is_some() {
            self.with_gateways(Gateways::read_well);
        }
        let known = |error: OperatorsError| GatewayError::Operators(error.to_string());
        match (page, &self.operators) {
            (Some(page), _) => self.admit(after, page).await.map(Some),
            (None, operators) => {
                self.with_gateways(|gateways| gateways.nothing_after(after));
                operators.as_ref().map_or(Ok(()), |kept| kept.proven(after)).map_err(known)?;
                Ok(None)
            }
        }
    }

    async fn admit(&self, after: u64, page: Page) -> Result<Page, GatewayError> {
        let Some(operators) = &self.operators else { return Ok(page) };
        let admitted = operators.admit(after, page).await;
        admitted.map_err(|error| GatewayError::Operators(error.to_string()))
    }

    async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        let mut last = self.ask("/last", LAST, read_last).await?;
        if let (Some(operators), Some(last)) = (&self.operators, &mut last) {
            last.tag = operators.at_least(last.tag);
        }
        Ok(last)
    }

    async fn post(&self, bodies: &[String], way: Way) -> Result<Arc<str>, GatewayError> {
        let mut tried = Vec::new();
        let mut last = GatewayError::NoGateway;
        // Those that find it too large: one alone may say so to make our batches small.
        let mut found_large: Vec<String> = Vec::new();
        while tried.len() < TRIES_MAX {
            let chosen = self.with_gateways(|gateways| {
                let position = match way {
                    Way::Lane(lane) if tried.is_empty() => gateways.posting(lane),
                    Way::Lane(_) | Way::Again => gateways.choose(Use::Posting, &tried),
                };
                position.map(|position| (position, gateways.url(position)))
            });
            let Some((position, url)) = chosen else { break };
            tried.push(position);
            let result = self.put(&url, bodies).await;
            self.with_gateways(|gateways| match &result {
                Ok(()) => {
                    gateways.takes(&url, way);
                    for url in &found_large {
                        gateways.refuses(url, "it finds too large what others take");
                    }
                }
                Err(GatewayError::BatchTooLarge) => found_large.push(url.clone()),
                Err(error @ GatewayError::Transport(_)) => {
                    gateways.fault(&url, &Fault::Fails(error.to_string()));
                }
                Err(error) => gateways.refuses(&url, &error.to_string()),
            });
            match result {
                Ok(()) => return Ok(url.into()),
                Err(error) => last = error,
            }
        }
        if !found_large.is_empty() && found_large.len() == tried.len() {
            return Err(GatewayError::BatchTooLarge);
        }
        Err(last)
    }

    fn lanes(&self) -> usize {
        self.with_gateways(|gateways| gateways.lanes())
    }

    fn unseen(&self, gateway: &str) {
        self.with_gateways(|gateways| {
            gateways.refuses(gateway, "what it took was not seen finalized in time");
        });
    }

    fn report(&self, fault: Fault) {
        self.with_gateways(|gateways| gateways.report(&fault));
    }

    fn gateways(&self) -> Vec<GatewayBody> {
        self.with_gateways(|gateways| gateways.bodies())
    }
}

impl From<TransportError> for GatewayError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}
