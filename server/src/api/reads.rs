//! Reads of the store, in which clients take turns.

use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::extract::rejection::ExtensionRejection;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::app::App;
use super::error::ApiError;
use crate::client_address::ClientAddress;
use crate::store::{QueryError, View};

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

/// A response that is JSON already. Long ones are written where they are read: on an async thread that would hold up
/// the other requests.
pub struct Written(Vec<u8>);

impl Written {
    pub fn new(body: &impl Serialize) -> Result<Self, ApiError> {
        serde_json::to_vec(body).map(Self).map_err(|error| ApiError::internal(&error))
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
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
    /// Runs a query for the early checks of a client's transactions.
    pub async fn read_to_judge<T: Send + 'static>(
        &self,
        client: ClientAddress,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let turn = self.queues.judged.take(client, false).await;
        self.reader.read(turn, query).await
    }

    /// Runs a query for a message of the feed.
    pub async fn read_for_feed<T: Send + 'static>(
        &self,
        query: impl FnOnce(&View<'_>) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        // Never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.queues.feed).acquire_owned().await;
        self.reader.read(permit, query).await
    }
}
