//! The requests to the nodes of a network, and what their answers mean.
//!
//! This layer proves nothing. It asks the gateway that is read from, keeps record of how each gateway
//! does, and hands pages to a [`Walker`](crate::Walker), whose verdict comes back by
//! [`NetworkClient::report`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::eigenlayer::Operators;
use super::error::GatewayError;
use super::gateway::{GatewayAddress, GatewayFailure, GatewayStatus, NodeClaim, Use};
use super::gateways::Gateways;
use super::lane::Route;
use super::transport::{Answer, Bounds, Method, Request, Transport};
use crate::limits::PAGE_BYTES_MAX;
use crate::page::{Page, read_last};
use crate::page_error::PageError;
use crate::proof::FinalitySignature;

/// The limits of a page of batches.
const PAGE: Bounds = Bounds { bytes_max: PAGE_BYTES_MAX, time_max: Duration::from_secs(60) };
/// The limits of a `finalized/last` answer: one batch with its signatures.
const LAST: Bounds = Bounds { bytes_max: 8 << 20, time_max: Duration::from_secs(15) };
/// The limits of an answer to a PUT.
const PUT: Bounds = Bounds { bytes_max: 64 << 10, time_max: Duration::from_secs(15) };
/// The limits of an answer to `/node/state`. The time is short, since a survey waits for its slowest node.
const STATE: Bounds = Bounds { bytes_max: 256 << 10, time_max: Duration::from_secs(3) };
/// The limits of a `finalized/last` answer of a gateway that failed. A survey waits for it, too.
const RETRY: Bounds = Bounds { bytes_max: 8 << 20, time_max: Duration::from_secs(3) };
/// The number of gateways that one post tries before it fails.
const TRIES_MAX: usize = 5;
/// The largest number of nodes that one survey asks.
const SURVEYED_MAX: usize = 64;
/// The time between the first two surveys, and between later ones. Lag needs two surveys to show, so the
/// second one follows soon.
const SURVEY_INTERVALS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The time between two requests for the current operators, on networks that register them on a chain.
const OPERATORS_INTERVAL: Duration = Duration::from_secs(120);

/// A client of one app on a network: posts batches, asks for pages, and chooses gateways. It does not
/// check proofs; [`Client`](crate::client::Client) does.
#[derive(Debug)]
pub struct NetworkClient<T> {
    transport: T,
    app_name: String,
    gateways: Mutex<Gateways>,
    /// The operators, on networks that register them on a chain.
    operators: Option<Operators<T>>,
    operators_are_gateways: bool,
}

impl<T: Transport> NetworkClient<T> {
    /// Makes a client of some gateways. `rng` decides between gateways that are equally good.
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

    /// Adds operators that are registered on a chain and can change. If `are_gateways`, their addresses become
    /// the gateways at each change.
    pub fn with_operators(mut self, operators: Operators<T>, are_gateways: bool) -> Self {
        (self.operators, self.operators_are_gateways) = (Some(operators), are_gateways);
        self
    }

    /// Asks for the network's current operators every two minutes. Returns at once if they cannot change.
    /// Run it as a task of its own.
    pub async fn refresh_operators(self: Arc<Self>) {
        let Some(operators) = &self.operators else { return };
        loop {
            tokio::time::sleep(OPERATORS_INTERVAL).await;
            match operators.gateways().await {
                Ok(addresses) if self.operators_are_gateways => {
                    self.with_gateways(|gateways| gateways.set(addresses));
                }
                Ok(_) => {}
                // The gateways known so far stay in use.
                Err(error) => tracing::warn!("asking for the network's operators failed: {error}"),
            }
        }
    }

    fn with_gateways<R>(&self, act: impl FnOnce(&mut Gateways) -> R) -> R {
        // Never held over an await, so a plain mutex serves. After a panic elsewhere at worst a ranking is
        // wrong, so a poisoned lock is used as it is.
        act(&mut self.gateways.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks all nodes for their state every ten seconds, to choose gateways by. Never returns: run it as a
    /// task of its own.
    pub async fn survey_nodes(self: Arc<Self>) {
        let mut wait = SURVEY_INTERVALS.0;
        loop {
            self.survey().await;
            tokio::time::sleep(wait).await;
            wait = SURVEY_INTERVALS.1;
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
        self.try_again().await;
    }

    /// Asks the gateways that failed, and that are not read from, whether they work again. Otherwise a gateway that
    /// is not needed any more would look broken for ever.
    async fn try_again(&self) {
        let urls = self.with_gateways(|gateways| gateways.failed());
        let tries = join_all(urls.into_iter().map(|url| async {
            let last = self.get(&url, "/last", RETRY).await;
            let works = last.is_ok_and(|last| read_last(&last).is_ok());
            (url, works)
        }));
        let works = tries.await.into_iter().filter(|(_, works)| *works);
        self.with_gateways(|gateways| works.for_each(|(url, _)| gateways.works_again(&url)));
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

    /// Asks the gateway that is read from, and records whether it answered well.
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
            // By address and not by position: the list may have changed while the answer was on its way.
            Ok(_) => gateways.answers(&url),
            Err(error) => {
                gateways.fails(&url, &GatewayFailure::Unavailable(error.to_string()));
            }
        });
        result
    }
}

/// Tells what a refusal means. The network uses status 429 for a batch that is too large, too; only the
/// error code in the body tells the two apart.
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

/// The parts of a `/node/state` answer that are read.
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

/// The requests that an app makes to a network.
impl<T: Transport> NetworkClient<T> {
    /// Asks for the finalized batches after an index. Returns `None` if there is nothing new. By asking, the
    /// caller states that all signatures up to `after` were valid.
    ///
    /// After an error, and after [`NetworkClient::report`], the next call may ask another gateway. Drop the
    /// batches that are not proven by then.
    ///
    /// # Errors
    ///
    /// Fails if the gateway gave no page. The failure is recorded already.
    pub async fn finalized(&self, after: u64) -> Result<Option<Page>, GatewayError> {
        let page = self.ask(&format!("?after={after}"), PAGE, Page::read).await?;
        match page {
            Some(page) => {
                // This notes only that the gateway is available. A lie is found by the walker.
                self.with_gateways(Gateways::read_well);
                self.admit(after, page).await.map(Some)
            }
            None => {
                self.with_gateways(|gateways| gateways.nothing_after(after));
                if let Some(operators) = &self.operators {
                    operators.proven(after)?;
                }
                Ok(None)
            }
        }
    }

    /// Asks a gateway other than `except` for the finalized batches after an index, to compare its bodies with
    /// those of `except`: the signatures cover xxh128 of the bodies, for which collisions can be made. The
    /// gateway that is read from stays the same. Returns the gateway's URL with its page, or `None` if there is
    /// no other gateway.
    ///
    /// # Errors
    ///
    /// Fails if the gateway gave no page. The failure is recorded already.
    pub async fn finalized_elsewhere(
        &self,
        after: u64,
        except: &str,
    ) -> Result<Option<(Arc<str>, Option<Page>)>, GatewayError> {
        let Some(url) = self.with_gateways(|gateways| gateways.other_than(except)) else {
            return Ok(None);
        };
        let answer = self.get(&url, &format!("?after={after}"), PAGE).await;
        match answer.and_then(|bytes| Ok(Page::read(&bytes)?)) {
            Ok(page) => Ok(Some((url.into(), page))),
            Err(error) => {
                self.fails(&url, &GatewayFailure::Unavailable(error.to_string()));
                Err(error)
            }
        }
    }

    /// Prepares a page that is not from a gateway for verification, as [`NetworkClient::finalized`] does
    /// with those of gateways: on networks that keep their operators on a chain, it learns the operators
    /// at the blocks that the signatures name. `page` must be the answer to a request for the batches after `after`.
    ///
    /// # Errors
    ///
    /// Fails if the operators are not known.
    pub async fn admit(&self, after: u64, page: Page) -> Result<Page, GatewayError> {
        match &self.operators {
            Some(operators) => Ok(operators.admit(after, page).await?),
            None => Ok(page),
        }
    }

    /// Asks for the signature over the gateway's last batch, with the chaining hash that it claims. It is
    /// not checked. Returns `None` if the app has no batch yet.
    ///
    /// # Errors
    ///
    /// Fails if the gateway gave no such answer. The failure is recorded already.
    pub async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        let mut last = self.ask("/last", LAST, read_last).await?;
        if let (Some(operators), Some(last)) = (&self.operators, &mut last) {
            // The tag is not signed: a gateway could name a block at which the stakes suited it better.
            last.tag = operators.at_least(last.tag);
        }
        Ok(last)
    }

    /// Posts batches: one by the single call, several by the bulk call. The bulk call drops batches that are
    /// too large without a word. Returns the URL of the gateway that took them. That is no promise: a batch
    /// is safe only once it is seen finalized, so keep it until then.
    ///
    /// # Errors
    ///
    /// Fails if none of up to five gateways took them, with [`GatewayError::BatchTooLarge`] if all of them
    /// answered that.
    pub async fn post(&self, bodies: &[String], route: Route) -> Result<Arc<str>, GatewayError> {
        let mut tried = Vec::new();
        let mut last = GatewayError::NoGateway;
        // A single dishonest gateway may call every batch too large to make an app's batches small, so this
        // counts only if all gateways agree.
        let mut found_large: Vec<String> = Vec::new();
        while tried.len() < TRIES_MAX {
            let chosen = self.with_gateways(|gateways| {
                let position = match route {
                    // First the gateway of the lane, which keeps the order of its posts.
                    Route::Lane(lane) if tried.is_empty() => gateways.posting(lane),
                    Route::Lane(_) | Route::Repost => gateways.choose(Use::Posting, &tried),
                };
                position.map(|position| (position, gateways.url(position)))
            });
            let Some((position, url)) = chosen else { break };
            tried.push(position);
            let result = self.put(&url, bodies).await;
            self.with_gateways(|gateways| match &result {
                Ok(()) => {
                    gateways.takes(&url, route);
                    for url in &found_large {
                        gateways.refuses(url, "it calls a batch too large that others take");
                    }
                }
                Err(GatewayError::BatchTooLarge) => found_large.push(url.clone()),
                // No answer speaks against the gateway as a whole, a refusal only against posting to it.
                Err(error @ GatewayError::Transport(_)) => {
                    gateways.fails(&url, &GatewayFailure::Unavailable(error.to_string()));
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

    /// The number of gateways that are good to post to, from 1 to [`LANES_MAX`](crate::client::LANES_MAX). As
    /// many lanes, from the first on, lead to different gateways.
    pub fn lanes(&self) -> usize {
        self.with_gateways(|gateways| gateways.lanes())
    }

    /// Reports that a batch that a gateway took was not seen finalized in time.
    pub fn unseen(&self, gateway: &str) {
        self.with_gateways(|gateways| {
            gateways.refuses(gateway, "a batch that it took was not finalized in time");
        });
    }

    /// Reports what was wrong with the last answer to a read, and changes to another gateway.
    pub fn report(&self, failure: &GatewayFailure) {
        self.with_gateways(|gateways| gateways.report(failure));
    }

    /// Reports a failure of a gateway by its URL.
    pub fn fails(&self, gateway: &str, failure: &GatewayFailure) {
        self.with_gateways(|gateways| gateways.fails(gateway, failure));
    }

    /// Returns the URL of the gateway that gave the last answer to a read.
    pub fn source(&self) -> Arc<str> {
        self.with_gateways(|gateways| gateways.source()).into()
    }

    /// Returns the state of all gateways.
    pub fn gateways(&self) -> Vec<GatewayStatus> {
        self.with_gateways(|gateways| gateways.statuses())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::client::transport::TransportError;

    /// Two nodes without batches, of which the first can be down.
    struct Nodes {
        is_down: AtomicBool,
    }

    impl Transport for Nodes {
        async fn send(&self, request: Request, _bounds: Bounds) -> Result<Answer, TransportError> {
            if request.url.starts_with("http://0/") && self.is_down.load(Ordering::SeqCst) {
                return Err(TransportError::Connection("refused".into()));
            }
            let body = if request.url.ends_with("/state") {
                r#"{"status":"success","data":{"sequencer":false,"apps":{"a":{"last_finalized_index":0}}}}"#
            } else {
                r#"{"status":"success","data":null}"#
            };
            Ok(Answer { status: 200, content_type: None, body: body.into() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_failed_does_not_look_broken_once_it_works_although_another_is_read() {
        let nodes = Nodes { is_down: AtomicBool::new(true) };
        let address = |number| GatewayAddress { url: format!("http://{number}"), stake: 1 };
        let gateways = vec![address(0), address(1)];
        let client = Arc::new(NetworkClient::new(nodes, "a", gateways, Rng::with_seed(1)));
        let surveying = tokio::spawn(Arc::clone(&client).survey_nodes());
        let has_failed = || client.gateways()[0].last_failure.is_some();
        // Gateways are chosen at random, so the first one is asked sooner or later.
        while !has_failed() {
            client.report(&GatewayFailure::Unavailable("change".into()));
            let _ = client.finalized(0).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert!(client.finalized(0).await.is_ok(), "the other one is read from");
        client.transport.is_down.store(false, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!has_failed());
        surveying.abort();
    }
}
