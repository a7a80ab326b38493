//! Batch bodies: as full as the network takes them.

use std::time::Duration;

use tokio::time::Instant;

/// After which time a refusal is no longer believed.
const REFUSAL_LASTS: Duration = Duration::from_secs(600);
/// Where the search for the network's limit stops, in bytes.
const CLOSE_ENOUGH: usize = 64;

/// A batch body in the making, or made.
#[derive(Clone, Debug)]
pub struct Body {
    /// `[` and elements with commas between; `]` when it is made.
    pub text: String,
    /// The entries in it.
    pub sequences: Vec<u64>,
}

impl Body {
    /// With a first element.
    pub fn new(element: &str) -> Self {
        Self { text: format!("[{element}"), sequences: Vec::new() }
    }

    /// Whether one more element fits: a comma before it, and a bracket behind.
    pub fn takes(&self, element: &str, bytes_max: usize) -> bool {
        self.text.len() + element.len() + 2 <= bytes_max
    }

    /// Adds an element.
    pub fn add(&mut self, element: &str) {
        self.text.push(',');
        self.text.push_str(element);
    }

    /// Puts an element and its entry into the last of several bodies, or into one more, of which there
    /// are at most so many. Returns whether there was room.
    pub fn put(
        bodies: &mut Vec<Self>,
        (sequence, element): (u64, &str),
        bytes_max: usize,
        most: usize,
    ) -> bool {
        let count = bodies.len();
        match bodies.last_mut().filter(|body| body.takes(element, bytes_max)) {
            Some(body) => body.add(element),
            None if count >= most => return false,
            None => bodies.push(Self::new(element)),
        }
        if let Some(body) = bodies.last_mut() {
            body.sequences.push(sequence);
        }
        true
    }
}

/// How large a body may be: what the operator says, and less where the network refuses that.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    most: usize,
    /// The longest body that a gateway took by the single call, which tells of what is too large.
    taken: usize,
    /// The shortest that all gateways asked found too large, and when.
    refused: Option<(usize, Instant)>,
}

impl BodyLimit {
    /// With the operator's limit.
    pub const fn new(most: usize) -> Self {
        Self { most, taken: 0, refused: None }
    }

    /// Bytes of a body, at most. One element goes alone whatever its size.
    pub fn bytes_max(&self) -> usize {
        match self.refused.filter(|(_, at)| at.elapsed() < REFUSAL_LASTS) {
            None => self.most,
            Some((refused, _)) if refused > self.taken + CLOSE_ENOUGH => {
                self.taken + (refused - self.taken) / 2
            }
            Some(_) => self.taken,
        }
    }

    /// What the bulk call may carry: it drops what is too large in silence.
    pub const fn known_good(&self) -> usize {
        self.taken
    }

    /// Notes that a gateway took a body of so many bytes.
    pub fn takes(&mut self, bytes: usize) {
        self.taken = self.taken.max(bytes);
        self.refused = self.refused.filter(|(refused, _)| *refused > bytes);
    }

    /// Notes that gateways found so many bytes too large.
    pub fn refuses(&mut self, bytes: usize) {
        let least = self.refused.map_or(bytes, |(refused, _)| refused.min(bytes));
        self.refused = Some((least, Instant::now()));
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
        body.text.push(']');
        assert_eq!((body.text.as_str(), body.text.len()), ("[1234,5]", 8));
    }
}
