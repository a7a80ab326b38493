//! One round of posts on a route: calls one after the other, until one fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::Notify;
use zellular::client::{GatewayError, Route};

use super::body::Body;
use super::entries::Entries;
use crate::clock::Clock;
use crate::sequencer::Sequencer;

/// The most bytes of bodies in one bulk call.
const BULK_BYTES_MAX: usize = 512 << 10;
/// A call that would hold a transaction past its end is given up then, but not before this time: a call to
/// a healthy gateway takes less.
const PATIENCE_MIN: Duration = Duration::from_secs(2);

/// The bodies of one round and what it takes to post them.
pub struct Round<S> {
    pub sequencer: Arc<S>,
    pub route: Route,
    pub bodies: Vec<Body>,
    /// The longest body that may be part of a bulk call.
    pub known_good: usize,
    pub entries: Arc<Mutex<Entries>>,
    pub posted: Arc<Notify>,
    pub clock: Clock,
    pub random: Rng,
}

/// The result of a round.
#[derive(Debug)]
pub struct Posted {
    pub route: Route,
    /// Whether no gateway accepted a body for another reason than its length.
    pub has_failed: bool,
    /// Whether a gateway accepted something.
    pub has_succeeded: bool,
    /// The bodies that no gateway accepted.
    pub left: Vec<Body>,
    /// The length of the longest body that was accepted in a single call.
    pub taken: usize,
    /// The length of a body that was too large, and its entry if it has only one.
    pub too_large: Option<(usize, Option<u64>)>,
}

impl<S: Sequencer> Round<S> {
    /// Posts the bodies in order. What is behind a body that was not accepted stays behind it: it can hold later
    /// transactions of the same accounts.
    pub async fn run(mut self) -> Posted {
        let mut posted = Posted {
            route: self.route,
            has_failed: false,
            has_succeeded: false,
            taken: 0,
            left: Vec::new(),
            too_large: None,
        };
        for body in &mut self.bodies {
            body.text.push(']');
        }
        // Reposts use single calls, each to a different gateway: the previous one may have caused the loss.
        let known_good = if self.route == Route::Repost { 0 } else { self.known_good };
        let mut calls = calls(std::mem::take(&mut self.bodies), known_good).into_iter();
        for call in calls.by_ref() {
            let texts: Vec<String> = call.iter().map(|body| body.text.clone()).collect();
            let longest = texts.iter().map(String::len).max().unwrap_or(0);
            let post = self.sequencer.post(&texts, self.route);
            match tokio::time::timeout(self.patience(&call), post).await {
                Ok(Ok(gateway)) => {
                    posted.has_succeeded = true;
                    let now_ms = self.clock.now_ms();
                    let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
                    for body in &call {
                        entries.posted(body, &gateway, now_ms, &mut self.random);
                    }
                    drop(entries);
                    if let [_] = texts.as_slice() {
                        posted.taken = posted.taken.max(longest);
                    }
                    self.posted.notify_one();
                    continue;
                }
                Ok(Err(GatewayError::BatchTooLarge)) => {
                    let sequences = call.iter().flat_map(|body| &body.sequences);
                    let alone =
                        sequences.clone().next().copied().filter(|_| sequences.count() == 1);
                    posted.too_large = Some((longest, alone));
                }
                Ok(Err(error)) => {
                    tracing::debug!("posting failed, will retry: {error}");
                    posted.has_failed = true;
                }
                Err(_) => {
                    tracing::debug!("posting took too long, will retry");
                    posted.has_failed = true;
                }
            }
            posted.left.extend(call);
            break;
        }
        posted.left.extend(calls.flatten());
        posted
    }

    /// How long a call may take.
    fn patience(&self, call: &[Body]) -> Duration {
        let end_ms = call.iter().filter_map(|body| body.end_ms).min();
        end_ms.map_or(Duration::MAX, |end_ms| {
            Duration::from_millis(end_ms.saturating_sub(self.clock.now_ms())).max(PATIENCE_MIN)
        })
    }
}

/// Groups bodies into calls, in order: bulk calls for bodies that are known not to be too large, single
/// calls for the others.
fn calls(bodies: Vec<Body>, known_good: usize) -> Vec<Vec<Body>> {
    let mut calls: Vec<Vec<Body>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        let length = body.text.len();
        let is_good = |body: &Body| body.text.len() <= known_good;
        // A body of unknown length goes alone, because only the single call says that a body is too large.
        let joins = is_good(&body)
            && bytes + length <= BULK_BYTES_MAX
            && calls.last().is_some_and(|call| call.iter().all(is_good));
        if let Some(call) = calls.last_mut().filter(|_| joins) {
            bytes += length;
            call.push(body);
        } else {
            bytes = length;
            calls.push(vec![body]);
        }
    }
    calls
}
