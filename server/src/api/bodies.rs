//! Reads the bodies of requests, whose memory is bounded together.
//!
//! A small body is simply read: there are only so many connections. A larger one needs a share of a budget
//! before it may grow. Where the budget is used up, the body that has been arriving for longest makes room,
//! so that clients who send slowly cannot keep others out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::error::ApiError;

/// The longest body of a request.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Bodies up to this length need no share of the budget. Transactions have at most 4 KiB.
const SMALL_BYTES_MAX: usize = 16 << 10;
/// The memory of all larger bodies together. Reading a body as transactions takes a few times as much.
const BUDGET_BYTES: usize = 32 << 20;
/// How long a body waits for its share. Bodies that arrive make room at once, and those that are being
/// processed soon.
const BUDGET_WAIT: Duration = Duration::from_secs(5);

pub struct Bodies {
    /// A permit for each KiB.
    budget: Arc<Semaphore>,
    arriving: Mutex<Arriving>,
}

/// The larger bodies that have a share of the budget and are not complete, oldest first.
#[derive(Default)]
struct Arriving {
    last: u64,
    /// The share of each, in KiB, and what tells it to give it up.
    bodies: BTreeMap<u64, (u32, Arc<Notify>)>,
}

impl Default for Bodies {
    fn default() -> Self {
        let budget = Arc::new(Semaphore::new(BUDGET_BYTES >> 10));
        Self { budget, arriving: Mutex::default() }
    }
}

impl Bodies {
    fn arriving(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a body. The permit is the body's share of the budget, if it needs one.
    pub async fn read(
        &self,
        body: Body,
        length: Option<usize>,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), ApiError> {
        if length.is_some_and(|length| length > REQUEST_BYTES_MAX) {
            return Err(too_large());
        }
        let mut share = None;
        let mut stream = body.into_data_stream();
        let mut bytes = Vec::with_capacity(length.unwrap_or_default().min(SMALL_BYTES_MAX));
        loop {
            let next = match &share {
                None => stream.next().await,
                Some(Share { arrival, .. }) => tokio::select! {
                    next = stream.next() => next,
                    () = arrival.superseded.notified() => return Err(busy()),
                },
            };
            let Some(next) = next else { break };
            let next = next.map_err(|error| {
                ApiError::bad_request("bad_request", format!("the body cannot be read: {error}"))
            })?;
            let total = bytes.len() + next.len();
            if total > REQUEST_BYTES_MAX {
                return Err(too_large());
            }
            if total > SMALL_BYTES_MAX && share.is_none() {
                // A chunked body does not say its length, so it may be the longest.
                share = Some(self.share(length.unwrap_or(REQUEST_BYTES_MAX)).await?);
            }
            bytes.extend_from_slice(&next);
        }
        Ok((bytes.into(), share.map(|share| share.permit)))
    }

    /// Waits for a share of the budget.
    async fn share(&self, bytes: usize) -> Result<Share<'_>, ApiError> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let acquire = || Arc::clone(&self.budget).acquire_many_owned(kib);
        let permit = match Arc::clone(&self.budget).try_acquire_many_owned(kib) {
            Ok(permit) => permit,
            Err(_) => {
                self.make_room(kib);
                let permit = timeout(BUDGET_WAIT, acquire()).await;
                // Fails only if the semaphore is closed, which never happens.
                permit.map_err(|_| busy())?.map_err(|_| busy())?
            }
        };
        let mut arriving = self.arriving();
        arriving.last += 1;
        let (id, superseded) = (arriving.last, Arc::new(Notify::new()));
        arriving.bodies.insert(id, (kib, Arc::clone(&superseded)));
        drop(arriving);
        Ok(Share { permit, arrival: Arrival { id, superseded, bodies: self } })
    }

    /// Tells the bodies that have been arriving for longest to give up their shares.
    fn make_room(&self, kib: u32) {
        let mut arriving = self.arriving();
        let mut freed = 0;
        while freed < kib {
            // Removed at once, so that the next newcomer asks the next one.
            let Some((_, (share, oldest))) = arriving.bodies.pop_first() else { return };
            oldest.notify_one();
            freed += share;
        }
    }
}

struct Share<'a> {
    permit: OwnedSemaphorePermit,
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

fn too_large() -> ApiError {
    let message = format!("the body is larger than {REQUEST_BYTES_MAX} bytes");
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

    /// A body that arrives in pieces, and its sender.
    fn slow() -> (mpsc::UnboundedSender<Vec<u8>>, Body) {
        let (sender, receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        let pieces = stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), receiver))
        });
        (sender, Body::from_stream(pieces))
    }

    #[tokio::test]
    async fn the_body_that_has_been_arriving_for_longest_makes_room() {
        let bodies = Arc::new(Bodies::default());
        let fit = BUDGET_BYTES / REQUEST_BYTES_MAX;
        let mut tasks = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..fit {
            let (sender, body) = slow();
            sender.send(vec![0; SMALL_BYTES_MAX + 1]).unwrap();
            let reader = Arc::clone(&bodies);
            let task = async move { reader.read(body, Some(REQUEST_BYTES_MAX)).await };
            tasks.push(tokio::spawn(task));
            while bodies.arriving().bodies.len() <= senders.len() {
                tokio::task::yield_now().await;
            }
            senders.push(sender);
        }
        let (small, _) = bodies.read(vec![1; SMALL_BYTES_MAX].into(), None).await.unwrap();
        assert_eq!(small.len(), SMALL_BYTES_MAX, "a small body needs no share");
        let large = bodies.read(vec![1; REQUEST_BYTES_MAX].into(), None).await.unwrap();
        assert_eq!(large.0.len(), REQUEST_BYTES_MAX);
        let error = tasks.remove(0).await.unwrap().unwrap_err();
        assert_eq!(error.detail().code, "busy", "the oldest gave up its share");
        drop(large);
        for (sender, task) in senders.drain(1..).zip(tasks) {
            sender.send(vec![0; 9]).unwrap();
            drop(sender);
            assert_eq!(task.await.unwrap().unwrap().0.len(), SMALL_BYTES_MAX + 10);
        }
        assert_eq!(bodies.budget.available_permits(), BUDGET_BYTES >> 10);
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_not_read() {
        let bodies = Bodies::default();
        let (_sender, body) = slow();
        let error = bodies.read(body, Some(REQUEST_BYTES_MAX + 1)).await.unwrap_err();
        assert_eq!(error.detail().code, "body_too_large");
        let body = vec![0; REQUEST_BYTES_MAX + 1];
        let error = bodies.read(body.into(), None).await.unwrap_err();
        assert_eq!(error.detail().code, "body_too_large");
    }
}
