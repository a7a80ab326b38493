//! What clients take turns in: the processors, and reads of the store.

use std::num::NonZero;
use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::extract::rejection::ExtensionRejection;
use axum::http::request::Parts;
use tokio::sync::Semaphore;

use super::app::App;
use crate::client_address::ClientAddress;
use crate::store::{QueryError, View};
use crate::turns::Turns;

/// The most reads of one client at a time.
const READS_PER_CLIENT: usize = 4;

/// Where clients wait for their turns. Each kind of reading has its own queue, so that none waits for another.
pub struct Queues {
    /// The work for a request or for a message of a WebSocket, up to where it waits for something.
    pub work: Arc<Turns>,
    /// What clients ask to see.
    shown: Arc<Turns>,
    /// What submitted transactions are judged by.
    judged: Arc<Turns>,
    /// What the feed tells all subscribers of a channel, which no client's queue may hold up.
    feed: Arc<Semaphore>,
}

impl Default for Queues {
    fn default() -> Self {
        // Reads seldom wait for the disk. More than a few for each processor would only slow each other down, and
        // each holds open files.
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let at_once = 2 * processors.max(2);
        let per_client = READS_PER_CLIENT.min(at_once / 2);
        Self {
            work: Turns::new(processors, processors),
            shown: Turns::new(at_once, per_client),
            judged: Turns::new(at_once, per_client),
            feed: Arc::new(Semaphore::new(at_once)),
        }
    }
}

/// The store, as one client reads it.
#[derive(Clone)]
pub struct Reads {
    pub app: Arc<App>,
    pub client: ClientAddress,
}

impl Reads {
    pub const fn new(app: Arc<App>, client: ClientAddress) -> Self {
        Self { app, client }
    }

    /// Runs a query in one read transaction, when it is the client's turn.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let turn = self.app.queues.shown.take(self.client, false).await;
        self.app.reader.read(turn, query).await
    }
}

impl FromRequestParts<Arc<App>> for Reads {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<Self, ExtensionRejection> {
        let Extension(client) = Extension::from_request_parts(parts, app).await?;
        Ok(Self::new(Arc::clone(app), client))
    }
}

impl App {
    /// Reads what a client's transactions are judged by.
    pub async fn read_to_judge<T: Send + 'static>(
        &self,
        client: ClientAddress,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let turn = self.queues.judged.take(client, false).await;
        self.reader.read(turn, query).await
    }

    /// Reads what the feed tells.
    pub async fn read_for_feed<T: Send + 'static>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        // Never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.queues.feed).acquire_owned().await;
        self.reader.read(permit, query).await
    }
}
