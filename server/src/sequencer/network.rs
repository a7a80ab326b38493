//! What a replica needs from a sequencer network: bodies are posted, finalized pages are read.
//!
//! It is a trait, so that tests can play a network without HTTP. The one implementation for real networks is
//! the client of the crate `zellular`.

use std::future::Future;
use std::sync::Arc;

use zellbook_core::wire::GatewayBody;
use zellular::client::transport::Transport;
use zellular::client::{GatewayError, GatewayFailure, GatewayStatus, NetworkClient, Route};
use zellular::{FinalitySignature, Page};

/// A gateway, and its page; `None` if it has no batch after the index asked for.
pub type Elsewhere = (Arc<str>, Option<Page>);

/// A sequencer network. The methods are those of [`NetworkClient`], which describes them.
pub trait Sequencer: Send + Sync + 'static {
    /// Asks for the finalized batches after an index. `None` if there is nothing new. After an error, and
    /// after [`Sequencer::report`], the next call may ask another gateway, so the caller drops what is not
    /// under a signature by then.
    fn finalized(
        &self,
        after: u64,
    ) -> impl Future<Output = Result<Option<Page>, GatewayError>> + Send;

    /// Prepares a page that another replica sent for verification. `page` must be the answer to a request for
    /// the batches after `after`.
    fn admit(
        &self,
        after: u64,
        page: Page,
    ) -> impl Future<Output = Result<Page, GatewayError>> + Send {
        // A network with fixed nodes has nothing to learn from a page before it is verified.
        let _ = after;
        async { Ok(page) }
    }

    /// Asks for the signature over the gateway's last batch, unchecked.
    fn last_finalized(
        &self,
    ) -> impl Future<Output = Result<Option<FinalitySignature>, GatewayError>> + Send;

    /// The gateway that gave the last answer to a read; empty if there are no gateways to tell apart.
    fn source(&self) -> Arc<str> {
        Arc::from("")
    }

    /// Asks a gateway other than `except` for the batches after an index. `None` if there is no other.
    fn finalized_elsewhere(
        &self,
        after: u64,
        except: &str,
    ) -> impl Future<Output = Result<Option<Elsewhere>, GatewayError>> + Send {
        let _ = (after, except);
        async { Ok(None) }
    }

    /// Reports a failure of a gateway by its address.
    fn fails(&self, gateway: &str, failure: GatewayFailure) {
        let _ = (gateway, failure);
    }

    /// Posts bodies and returns the gateway that took them. That is no promise that they are finalized.
    fn post(
        &self,
        bodies: &[String],
        route: Route,
    ) -> impl Future<Output = Result<Arc<str>, GatewayError>> + Send;

    /// The number of lanes that lead to different good gateways.
    fn lanes(&self) -> usize;

    /// Reports that a body that a gateway took was not seen finalized in time.
    fn unseen(&self, gateway: &str);

    /// Reports what was wrong with the last answer to a read, and changes to another gateway.
    fn report(&self, failure: GatewayFailure);

    /// The state of all gateways.
    fn gateways(&self) -> Vec<GatewayStatus>;
}

impl<T: Transport> Sequencer for NetworkClient<T> {
    async fn finalized(&self, after: u64) -> Result<Option<Page>, GatewayError> {
        Self::finalized(self, after).await
    }

    async fn admit(&self, after: u64, page: Page) -> Result<Page, GatewayError> {
        Self::admit(self, after, page).await
    }

    async fn last_finalized(&self) -> Result<Option<FinalitySignature>, GatewayError> {
        Self::last_finalized(self).await
    }

    fn source(&self) -> Arc<str> {
        Self::source(self)
    }

    async fn finalized_elsewhere(
        &self,
        after: u64,
        except: &str,
    ) -> Result<Option<Elsewhere>, GatewayError> {
        Self::finalized_elsewhere(self, after, except).await
    }

    fn fails(&self, gateway: &str, failure: GatewayFailure) {
        Self::fails(self, gateway, &failure);
    }

    async fn post(&self, bodies: &[String], route: Route) -> Result<Arc<str>, GatewayError> {
        Self::post(self, bodies, route).await
    }

    fn lanes(&self) -> usize {
        Self::lanes(self)
    }

    fn unseen(&self, gateway: &str) {
        Self::unseen(self, gateway);
    }

    fn report(&self, failure: GatewayFailure) {
        Self::report(self, &failure);
    }

    fn gateways(&self) -> Vec<GatewayStatus> {
        Self::gateways(self)
    }
}

/// The state of gateways as the API shows it.
pub fn gateway_bodies(gateways: Vec<GatewayStatus>) -> Vec<GatewayBody> {
    let body = |gateway: GatewayStatus| GatewayBody {
        url: gateway.url,
        in_use: gateway.is_read_from,
        is_posted_to: gateway.is_posted_to,
        is_leader: gateway.is_leader,
        head: gateway.finalized.map(|index| index.to_string()),
        lags: gateway.lags,
        failures: gateway.failures.to_string(),
        dishonest_answers: gateway.dishonest_answers.to_string(),
        last_failure: gateway.last_failure,
    };
    gateways.into_iter().map(body).collect()
}
