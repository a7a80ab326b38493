//! The requests in progress, bounded for each client.
//!
//! Connections are bounded for each client already. Behind a proxy, a client has no connection of its own, so
//! its requests are counted: from when a request's head has arrived, since before that nobody knows whose it is, until
//! the response is written.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::{Body as _, Frame, SizeHint};

use crate::client_address::ClientAddress;
use crate::listen::CONNECTIONS_PER_CLIENT_MAX;

/// As many as a client without a proxy can have, since a connection has one request at a time.
pub const REQUESTS_PER_CLIENT_MAX: usize = CONNECTIONS_PER_CLIENT_MAX;

/// The number of requests of each client. Has no entry for a client without requests.
#[derive(Default)]
pub struct InProgress(Mutex<HashMap<ClientAddress, usize>>);

impl InProgress {
    fn counts(&self) -> MutexGuard<'_, HashMap<ClientAddress, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn count(&self, client: ClientAddress) -> usize {
        self.counts().get(&client).copied().unwrap_or_default()
    }

    /// Counts a request, unless the client has too many.
    pub fn begin(self: &Arc<Self>, client: ClientAddress) -> Option<Counted> {
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= REQUESTS_PER_CLIENT_MAX {
            return None;
        }
        *count += 1;
        Some(Counted { all: Arc::clone(self), client })
    }
}

/// One counted request, until it is dropped.
pub struct Counted {
    all: Arc<InProgress>,
    client: ClientAddress,
}

impl Counted {
    /// Counts the request until the response's body is sent or given up.
    pub fn until_sent(self, response: Response) -> Response {
        response.map(|body| {
            // What ends with its head need not be wrapped.
            if body.is_end_stream() {
                body
            } else {
                Body::new(CountedBody { body, _counted: self })
            }
        })
    }
}

/// The body of a response to a counted request.
struct CountedBody {
    body: Body,
    _counted: Counted,
}

impl hyper::body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_a_bound_of_its_own() {
        let all = Arc::new(InProgress::default());
        let client = |number| ClientAddress::new([10, 0, 0, number].into());
        let mut requests: Vec<_> =
            (0..REQUESTS_PER_CLIENT_MAX).map(|_| all.begin(client(1)).unwrap()).collect();
        assert!(all.begin(client(1)).is_none());
        assert!(all.begin(client(2)).is_some());
        requests.pop();
        requests.push(all.begin(client(1)).unwrap());
        assert!(all.begin(client(1)).is_none());
        drop(requests);
        assert!(all.counts().is_empty());
    }

    #[tokio::test]
    async fn a_request_counts_until_its_response_is_sent() {
        let all = Arc::new(InProgress::default());
        let client = ClientAddress::new([10, 0, 0, 1].into());
        let respond = |body: Body| all.begin(client).unwrap().until_sent(Response::new(body));
        let long = respond("long".into());
        assert_eq!(long.body().size_hint().exact(), Some(4), "the length is still known");
        let given_up = respond("long".into());
        let _empty = respond(Body::empty());
        assert_eq!(all.count(client), 2);
        drop(given_up);
        assert_eq!(all.counts().get(&client), Some(&1));
        let bytes = axum::body::to_bytes(long.into_body(), 9).await.unwrap();
        assert_eq!(bytes, "long");
        assert!(all.counts().is_empty());
    }
}
