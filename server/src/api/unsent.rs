//! Bounds the memory of long responses, and of long messages of WebSockets, that clients have not taken yet.
//!
//! A client may read as slowly as the pace of connections permits, and its response waits in memory meanwhile. Where
//! all of these take more than a budget, the client with the most loses its oldest one, with its connection.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Frame, SizeHint};

use super::error::ApiError;
use crate::client_address::ClientAddress;
use crate::listen::Closer;

/// The budget.
const BYTES_MAX: usize = 64 << 20;
/// A response is handed to its connection in pieces of this size. One that is no longer needs no share.
pub const PIECE_BYTES: usize = 64 << 10;

#[derive(Default)]
pub struct Unsent(Mutex<Shares>);

/// The long responses, oldest first.
#[derive(Default)]
struct Shares {
    next: u64,
    bytes: usize,
    shares: BTreeMap<u64, Held>,
}

struct Held {
    client: ClientAddress,
    bytes: usize,
    closer: Closer,
}

impl Unsent {
    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a response a share of the budget until it is sent, if it is long.
    pub async fn hold(
        self: &Arc<Self>,
        client: ClientAddress,
        closer: Closer,
        response: Response,
    ) -> Response {
        let (head, body) = response.into_parts();
        // Without an exact length it is a file that is read in pieces.
        let length = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        let Some(length) = length.filter(|length| *length > PIECE_BYTES) else {
            return Response::from_parts(head, body);
        };
        let share = self.share(client, length, closer);
        match axum::body::to_bytes(body, length).await {
            Ok(bytes) => Response::from_parts(head, Body::new(Pieces { bytes, _share: share })),
            Err(error) => ApiError::internal(&error).into_response(),
        }
    }

    /// A share for a response. It never waits: where there is no room, others lose theirs.
    pub fn share(self: &Arc<Self>, client: ClientAddress, bytes: usize, closer: Closer) -> Share {
        let mut shares = self.shares();
        while shares.bytes + bytes > BYTES_MAX {
            let victim = shares.victim(client, bytes);
            let Some(victim) = victim.and_then(|number| shares.remove(number)) else { break };
            victim.closer.close();
        }
        let number = shares.next;
        shares.next += 1;
        shares.bytes += bytes;
        shares.shares.insert(number, Held { client, bytes, closer });
        Share { all: Arc::clone(self), number }
    }
}

impl Shares {
    /// The oldest response of the client that has the most bytes, those that a client asks for included, and of these
    /// clients the one whose oldest is the oldest.
    fn victim(&self, newcomer: ClientAddress, asked: usize) -> Option<u64> {
        let mut clients: HashMap<ClientAddress, (usize, u64)> = HashMap::new();
        for (number, held) in &self.shares {
            clients.entry(held.client).or_insert((0, *number)).0 += held.bytes;
        }
        if let Some((bytes, _)) = clients.get_mut(&newcomer) {
            *bytes += asked;
        }
        let most = clients.into_values().max_by_key(|(bytes, oldest)| (*bytes, u64::MAX - oldest));
        most.map(|(_, oldest)| oldest)
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.shares.remove(&number)?;
        self.bytes -= held.bytes;
        Some(held)
    }
}

/// One response's share, until it is dropped.
pub struct Share {
    all: Arc<Unsent>,
    number: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        // Nothing is left of one that made room.
        self.all.shares().remove(self.number);
    }
}

/// The rest of a long response.
struct Pieces {
    bytes: Bytes,
    _share: Share,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let length = self.bytes.len().min(PIECE_BYTES);
        // A copy, so that the share can end while the connection has the last piece.
        let piece = Bytes::copy_from_slice(&self.bytes.split_to(length));
        Poll::Ready((length > 0).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> ClientAddress {
        ClientAddress::new([10, 0, 0, number].into())
    }

    pub fn share(all: &Arc<Unsent>, number: u8, mebibytes: usize) -> (Closer, Share) {
        let closer = Closer::default();
        let share = all.share(client(number), mebibytes << 20, closer.clone());
        (closer, share)
    }

    async fn is_closed(closer: &Closer) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, closer.closed()).await.is_ok()
    }

    #[tokio::test]
    async fn the_client_with_the_most_loses_its_oldest() {
        let all = Arc::new(Unsent::default());
        let mut held: Vec<_> = (0..30).map(|_| share(&all, 1, 1)).collect();
        held.extend((0..34).map(|_| share(&all, 2, 1)));
        held.push(share(&all, 3, 1));
        for (at, expected) in [(0, false), (30, true), (31, false), (64, false)] {
            assert_eq!(is_closed(&held[at].0).await, expected, "{at}");
        }
        assert_eq!(all.shares().bytes, BYTES_MAX);
        // One that needs more takes it from several.
        held.push(share(&all, 3, 2));
        for at in [31, 32] {
            assert!(is_closed(&held[at].0).await, "{at}");
        }
        drop(held);
        let shares = all.shares();
        assert_eq!((shares.bytes, shares.shares.len()), (0, 0));
    }

    #[tokio::test]
    async fn of_clients_that_have_as_much_the_one_with_the_oldest_makes_room() {
        let all = Arc::new(Unsent::default());
        let held: Vec<_> = (0..65).map(|number| share(&all, number, 1)).collect();
        assert!(is_closed(&held[0].0).await);
        assert!(!is_closed(&held[1].0).await);
    }

    #[tokio::test]
    async fn what_a_client_asks_for_counts_as_its_own() {
        let all = Arc::new(Unsent::default());
        let held: Vec<_> = (0..64).map(|number| share(&all, 1 + number / 32, 1)).collect();
        let _more = share(&all, 2, 1);
        assert!(!is_closed(&held[0].0).await);
        assert!(is_closed(&held[32].0).await);
    }

    #[tokio::test]
    async fn a_response_holds_its_share_until_its_last_piece_is_taken() {
        let all = Arc::new(Unsent::default());
        let bytes: Vec<u8> = (0..=255).cycle().take(2 * PIECE_BYTES + 5).collect();
        let share = all.share(client(1), bytes.len(), Closer::default());
        let mut body = Body::new(Pieces { bytes: bytes.clone().into(), _share: share });
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64));
        let mut taken = Vec::new();
        while let Some(frame) =
            std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            taken.extend(piece);
            assert_eq!(all.shares().bytes, bytes.len());
        }
        assert_eq!(taken, bytes);
        drop(body);
        assert_eq!(all.shares().bytes, 0);
    }
}
