//! Reads the bodies of requests, whose memory is bounded together.
//!
//! A small body is simply read: there are only so many connections. A larger one needs a place before it may grow, and
//! clients take turns in the places. Where none is free, the body that has been arriving for longest makes room, so that
//! clients who send slowly cannot keep others out.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::error::ApiError;
use crate::client_address::ClientAddress;
use crate::turns::{Turn, Turns};

/// The longest body of a request.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bodies up to this length need no place. Transactions have at most 4 KiB.
pub const SMALL_BYTES_MAX: usize = 16 << 10;
/// The places for larger bodies, so that these take 32 MiB at most. Reading a body as transactions takes a few times as
/// much.
const PLACES: usize = 32;
/// The places that one client may have.
const PLACES_PER_CLIENT: usize = 8;
/// How long a body waits for a place. Bodies that arrive make room at once, and those that are being processed soon.
const PLACE_WAIT: Duration = Duration::from_secs(5);

pub struct Bodies {
    places: Arc<Turns>,
    arriving: Mutex<Arriving>,
}

/// The larger bodies that have a place and are not complete, oldest first.
#[derive(Default)]
struct Arriving {
    last: u64,
    /// The client of each, and what tells it to give its place up.
    bodies: BTreeMap<u64, (ClientAddress, Arc<Notify>)>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { places: Turns::new(PLACES, PLACES_PER_CLIENT), arriving: Mutex::default() }
    }
}

impl Bodies {
    fn arriving(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a body of at most so many bytes. The turn is the body's place, if it needs one.
    pub async fn read(
        &self,
        client: ClientAddress,
        body: Body,
        length: Option<usize>,
        bytes_max: usize,
    ) -> Result<(Bytes, Option<Turn>), ApiError> {
        if length.is_some_and(|length| length > bytes_max) {
            return Err(too_large(bytes_max));
        }
        let mut place = None;
        let mut stream = body.into_data_stream();
        let mut bytes = Vec::with_capacity(length.unwrap_or_default().min(SMALL_BYTES_MAX));
        loop {
            let next = match &place {
                None => stream.next().await,
                Some(Place { arrival, .. }) => tokio::select! {
                    next = stream.next() => next,
                    () = arrival.superseded.notified() => return Err(busy()),
                },
            };
            let Some(next) = next else { break };
            let next = next.map_err(|error| {
                ApiError::bad_request("bad_request", format!("the body cannot be read: {error}"))
            })?;
            let total = bytes.len() + next.len();
            if total > bytes_max {
                return Err(too_large(bytes_max));
            }
            if total > SMALL_BYTES_MAX && place.is_none() {
                place = Some(self.place(client).await?);
            }
            bytes.extend_from_slice(&next);
        }
        Ok((bytes.into(), place.map(|place| place.turn)))
    }

    /// Waits for a place.
    async fn place(&self, client: ClientAddress) -> Result<Place<'_>, ApiError> {
        let mut taken = pin!(self.places.take(client, false));
        let turn = match taken.as_mut().now_or_never() {
            Some(turn) => turn,
            None => {
                self.make_room(client);
                timeout(PLACE_WAIT, taken).await.map_err(|_| busy())?
            }
        };
        let mut arriving = self.arriving();
        arriving.last += 1;
        let (id, superseded) = (arriving.last, Arc::new(Notify::new()));
        arriving.bodies.insert(id, (client, Arc::clone(&superseded)));
        drop(arriving);
        Ok(Place { turn, arrival: Arrival { id, superseded, bodies: self } })
    }

    /// Tells the body that has been arriving for longest to give up its place. A client that has as many places as it may
    /// have loses one of its own.
    fn make_room(&self, client: ClientAddress) {
        let own_only = self.places.count(client) >= PLACES_PER_CLIENT;
        let mut arriving = self.arriving();
        let mut bodies = arriving.bodies.iter();
        let oldest = bodies.find(|(_, (owner, _))| !own_only || *owner == client);
        let oldest = oldest.map(|(id, _)| *id);
        // Removed at once, so that the next newcomer asks the next one.
        if let Some((_, superseded)) = oldest.and_then(|id| arriving.bodies.remove(&id)) {
            superseded.notify_one();
        }
    }
}

struct Place<'a> {
    turn: Turn,
    arrival: Arrival<'a>,
}

/// An entry among the arriving bodies, removed when this is dropped.
struct Arrival<'a> {
    id: u64,
    superseded: Arc<Notify>,
    bodies: &'a Bodies,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.bodies.arriving().bodies.remove(&self.id);
    }
}

fn too_large(bytes_max: usize) -> ApiError {
    let message = format!("the body is larger than {bytes_max} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

fn busy() -> ApiError {
    let message = "too many large bodies arrive at once; try again";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(1)
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::sync::mpsc;

    use super::*;

    fn client(number: usize) -> ClientAddress {
        ClientAddress::new([10, 0, 0, u8::try_from(number).unwrap()].into())
    }

    /// A body that arrives in pieces, and its sender.
    fn slow() -> (mpsc::UnboundedSender<Vec<u8>>, Body) {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        let pieces = stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), receiver))
        });
        (sender, Body::from_stream(pieces))
    }

    type Reading = tokio::task::JoinHandle<Result<(Bytes, Option<Turn>), ApiError>>;

    /// Bodies that have begun to arrive, and what sends the rest of each.
    async fn begin(
        bodies: &Arc<Bodies>,
        count: usize,
        client: impl Fn(usize) -> ClientAddress,
    ) -> Vec<(mpsc::UnboundedSender<Vec<u8>>, Reading)> {
        let mut all = Vec::new();
        for number in 0..count {
            let (sender, body) = slow();
            sender.send(vec![0; SMALL_BYTES_MAX + 1]).unwrap();
            let (reader, client) = (Arc::clone(bodies), client(number));
            let before = bodies.arriving().last;
            let read = async move { reader.read(client, body, None, REQUEST_BYTES_MAX).await };
            all.push((sender, tokio::spawn(read)));
            while bodies.arriving().last == before {
                tokio::task::yield_now().await;
            }
        }
        all
    }

    /// Reads a body of a client that is complete.
    async fn read(
        bodies: &Bodies,
        client: ClientAddress,
        length: usize,
    ) -> Result<(Bytes, Option<Turn>), ApiError> {
        bodies.read(client, vec![1; length].into(), Some(length), REQUEST_BYTES_MAX).await
    }

    #[tokio::test]
    async fn the_body_that_has_been_arriving_for_longest_makes_room() {
        let bodies = Arc::new(Bodies::default());
        let mut arriving = begin(&bodies, PLACES, client).await;
        let (small, place) = read(&bodies, client(99), SMALL_BYTES_MAX).await.unwrap();
        assert_eq!(small.len(), SMALL_BYTES_MAX);
        assert!(place.is_none(), "a small body needs no place");
        let large = read(&bodies, client(99), REQUEST_BYTES_MAX).await.unwrap();
        assert_eq!(large.0.len(), REQUEST_BYTES_MAX);
        let error = arriving.remove(0).1.await.unwrap().unwrap_err();
        assert_eq!(error.detail().code, "busy", "the oldest gave up its place");
        drop(large);
        for (sender, task) in arriving {
            sender.send(vec![0; 9]).unwrap();
            drop(sender);
            assert_eq!(task.await.unwrap().unwrap().0.len(), SMALL_BYTES_MAX + 10);
        }
        assert_eq!(begin(&bodies, PLACES, client).await.len(), PLACES, "all places are free again");
    }

    #[tokio::test]
    async fn a_client_with_all_its_places_makes_room_for_itself_alone() {
        let bodies = Arc::new(Bodies::default());
        let other = begin(&bodies, 1, |_| client(1)).await;
        let mut own = begin(&bodies, PLACES_PER_CLIENT, |_| client(2)).await;
        assert!(read(&bodies, client(2), REQUEST_BYTES_MAX).await.is_ok());
        assert_eq!(own.remove(0).1.await.unwrap().unwrap_err().detail().code, "busy");
        assert!(!other[0].1.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_one_client_has_sent_do_not_keep_others_out() {
        let bodies = Bodies::default();
        let mut held = Vec::new();
        for _ in 0..PLACES_PER_CLIENT {
            held.push(read(&bodies, client(1), REQUEST_BYTES_MAX).await.unwrap());
        }
        let error = read(&bodies, client(1), REQUEST_BYTES_MAX).await.unwrap_err();
        assert_eq!(error.detail().code, "busy");
        let started = tokio::time::Instant::now();
        assert!(read(&bodies, client(2), REQUEST_BYTES_MAX).await.is_ok());
        assert_eq!(started.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_not_read() {
        let bodies = Bodies::default();
        let (_sender, body) = slow();
        let error = bodies.read(client(1), body, Some(1001), 1000).await.unwrap_err();
        assert_eq!(error.detail().code, "body_too_large");
        let body = vec![0; 1001];
        let error = bodies.read(client(1), body.into(), None, 1000).await.unwrap_err();
        assert_eq!(error.detail().code, "body_too_large");
    }
}
