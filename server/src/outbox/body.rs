//! Packs transactions into batch bodies that are as full as the network allows.
//!
//! The operator states the network's limit, but the real limit may be lower. It is found by bisection: a
//! body that a gateway accepts raises the lower bound, one that is refused as too large lowers the upper
//! bound, and the next body is half-way between the two. A refusal is forgotten after ten minutes, since
//! it may have been that of a single misconfigured gateway.

use std::time::Duration;

use tokio::time::Instant;

use super::entry::Entry;

/// How long a refusal counts.
const REFUSAL_LASTS: Duration = Duration::from_secs(600);
/// The bisection stops when the distance of the bounds is at most this.
const CLOSE_ENOUGH: usize = 64;

/// A batch body, complete or still being filled.
#[derive(Clone, Debug)]
pub struct Body {
    /// A JSON array. The closing `]` is missing until the body is posted.
    pub text: String,
    /// The outbox entries in it.
    pub sequences: Vec<u64>,
    /// The earliest end of its transactions.
    pub end_ms: Option<u64>,
}

impl Body {
    pub fn new(element: &str) -> Self {
        Self { text: format!("[{element}"), sequences: Vec::new(), end_ms: None }
    }

    /// Whether one more element fits, with the comma before it and the closing bracket.
    pub fn takes(&self, element: &str, bytes_max: usize) -> bool {
        self.text.len() + element.len() + 2 <= bytes_max
    }

    pub fn add(&mut self, element: &str) {
        self.text.push(',');
        self.text.push_str(element);
    }

    /// Adds an element before all others.
    pub fn put_first(&mut self, element: &str) {
        self.text.insert_str(1, &format!("{element},"));
    }

    /// Adds an entry to the last body, or to a new one if it does not fit and there are fewer than
    /// `bodies_max`. Returns whether it was added.
    pub fn put(bodies: &mut Vec<Self>, entry: &Entry, bytes_max: usize, bodies_max: usize) -> bool {
        let (count, element) = (bodies.len(), &*entry.element);
        match bodies.last_mut().filter(|body| body.takes(element, bytes_max)) {
            Some(body) => body.add(element),
            None if count >= bodies_max => return false,
            // The length is not checked here: an element that is longer than the limit could otherwise never
            // be posted.
            None => bodies.push(Self::new(element)),
        }
        if let Some(body) = bodies.last_mut() {
            body.sequences.push(entry.sequence);
            body.end_ms = body.end_ms.into_iter().chain(entry.end_ms()).min();
        }
        true
    }
}

/// The present limit of a body's length, by what the gateways accepted and refused.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    /// The operator's limit.
    configured: usize,
    /// The longest body that a gateway accepted in a single call. Bulk calls do not count, because they
    /// do not report bodies that are too large.
    taken: usize,
    /// The shortest body that all gateways asked refused as too large, and when.
    refused: Option<(usize, Instant)>,
}

impl BodyLimit {
    pub const fn new(configured: usize) -> Self {
        Self { configured, taken: 0, refused: None }
    }

    /// The maximum length of a body. A single element is posted even if it is longer.
    pub fn bytes_max(&self) -> usize {
        match self.refused.filter(|(_, at)| at.elapsed() < REFUSAL_LASTS) {
            None => self.configured,
            // Each step of the bisection is a real post, and a refused one delays its transactions. The last
            // bytes, fewer than a transaction has, are not worth a step.
            Some((refused, _)) if refused > self.taken + CLOSE_ENOUGH => {
                self.taken + (refused - self.taken) / 2
            }
            Some(_) => self.taken,
        }
    }

    /// The longest body that may be part of a bulk call, which silently drops bodies that are too large.
    pub const fn known_good(&self) -> usize {
        self.taken
    }

    /// Records that a gateway accepted a body of this length.
    pub fn takes(&mut self, bytes: usize) {
        self.taken = self.taken.max(bytes);
        // A refusal of this length or less is out of date: the network takes more than it did, or other
        // gateways were asked.
        self.refused = self.refused.filter(|(refused, _)| *refused > bytes);
    }

    /// Records that the gateways refused a body of this length as too large.
    pub fn refuses(&mut self, bytes: usize) {
        let least = self.refused.map_or(bytes, |(refused, _)| refused.min(bytes));
        self.refused = Some((least, Instant::now()));
        // The network can have lowered its limit since it accepted a longer body. The lower bound must stay
        // below the upper one, or the same length would be tried again and again.
        self.taken = self.taken.min(least.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_networks_limit_is_found_and_forgotten_after_a_while() {
        let network = 4096;
        let mut limit = BodyLimit::new(5120);
        let mut posts = 0;
        while limit.bytes_max() != limit.known_good() {
            posts += 1;
            assert!(posts < 20, "{limit:?}");
            let bytes = limit.bytes_max();
            if bytes > network { limit.refuses(bytes) } else { limit.takes(bytes) }
        }
        assert!(limit.bytes_max() <= network && limit.bytes_max() > network - 2 * CLOSE_ENOUGH);
        tokio::time::advance(REFUSAL_LASTS).await;
        assert_eq!(limit.bytes_max(), 5120);
    }

    #[test]
    fn a_body_is_never_longer_than_it_may_be() {
        let mut body = Body::new("1234");
        assert!(body.takes("5", 8) && !body.takes("5", 7));
        body.add("5");
        body.put_first("0");
        body.text.push(']');
        assert_eq!(body.text, "[0,1234,5]");
    }
}
