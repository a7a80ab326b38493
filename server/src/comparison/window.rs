//! The batches that wait for their comparison, on one side or on the other.

use std::collections::VecDeque;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zellbook_core::Hash;
use zellular::{Page, Position, ProvenBatch, chain};

/// The most batches of ours that wait. Beyond it the oldest is given up, so a replica that catches up faster than
/// another gateway can be read compares only samples, and always the newest batches.
const OURS_MAX: usize = 4096;
/// The most bytes of the other gateway's bodies that are kept until we have these batches ourselves.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// Another body than ours under the same chaining hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub index: u64,
    /// The gateway that our body came from; empty if an earlier process read it.
    pub our_gateway: Arc<str>,
    pub their_gateway: Arc<str>,
    pub their_body: String,
}

/// A batch that this replica has applied or is about to apply.
#[derive(Debug)]
struct Ours {
    chaining_hash: String,
    sha256: Hash,
    gateway: Arc<str>,
}

/// A batch of another gateway, with the chaining hash that its bodies lead to.
#[derive(Debug)]
struct Theirs {
    chaining_hash: String,
    body: String,
    gateway: Arc<str>,
}

/// What to ask another gateway for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub after: Position,
    /// The gateway that must not be asked, because our bodies came from it.
    pub except: Arc<str>,
    /// Whether batches are given up because there are too many.
    pub is_behind: bool,
}

/// At most one of the two queues holds batches: what is on both sides is compared at once and removed.
#[derive(Debug)]
pub struct Window {
    /// The last batch that was compared or given up.
    after: Position,
    /// The last batch that was compared; 0 before the first.
    compared: u64,
    /// Our batches after `after`, without a gap.
    ours: VecDeque<Ours>,
    /// Batches after `after` that another gateway has and we have not, without a gap.
    theirs: VecDeque<Theirs>,
    gave_up: bool,
}

fn sha256(body: &str) -> Hash {
    Sha256::digest(body).into()
}

impl Window {
    /// A window whose first batch follows this position.
    pub const fn new(after: Position) -> Self {
        Self { after, compared: 0, ours: VecDeque::new(), theirs: VecDeque::new(), gave_up: false }
    }

    /// The last batch that was compared; 0 before the first.
    pub const fn compared(&self) -> u64 {
        self.compared
    }

    /// Takes our next batch. Returns the other gateway's body if it was here first and differs.
    pub fn take_ours(&mut self, batch: &ProvenBatch, gateway: &Arc<str>) -> Option<Difference> {
        let waiting = u64::try_from(self.ours.len()).unwrap_or(u64::MAX);
        let expected = self.after.index.saturating_add(waiting).saturating_add(1);
        // Only a batch that follows can be compared later. Every caller passes all batches in sequence.
        if batch.index != expected {
            return None;
        }
        if let Some(theirs) = self.theirs.pop_front() {
            // Nothing vouches for their batches but the hash of ours. With another hash they are a lie or a fork, which
            // the replica finds by the network's signatures.
            if theirs.gateway != *gateway && theirs.chaining_hash == batch.chaining_hash {
                self.compare(batch.index, theirs.chaining_hash);
                return (theirs.body != batch.body).then(|| Difference {
                    index: batch.index,
                    our_gateway: Arc::clone(gateway),
                    their_gateway: theirs.gateway,
                    their_body: theirs.body,
                });
            }
            self.theirs.clear();
        }
        self.ours.push_back(Ours {
            chaining_hash: batch.chaining_hash.clone(),
            sha256: sha256(&batch.body),
            gateway: Arc::clone(gateway),
        });
        if self.ours.len() > OURS_MAX
            && let Some(oldest) = self.ours.pop_front()
        {
            self.gave_up = true;
            let index = self.after.index.saturating_add(1);
            self.after = Position { index, chaining_hash: oldest.chaining_hash };
        }
        None
    }

    fn compare(&mut self, index: u64, chaining_hash: String) {
        self.after = Position { index, chaining_hash };
        self.compared = index;
    }

    /// What to ask next. `None` while no batch of ours waits.
    pub fn question(&mut self) -> Option<Question> {
        let oldest = self.ours.front()?;
        let is_behind = std::mem::take(&mut self.gave_up);
        Some(Question { after: self.after.clone(), except: Arc::clone(&oldest.gateway), is_behind })
    }

    /// Takes the answer of another gateway to a question. Returns the first body that differs, or what is wrong
    /// with the answer.
    pub fn take_theirs(
        &mut self,
        question: &Question,
        gateway: &Arc<str>,
        page: Page,
    ) -> Result<Option<Difference>, String> {
        self.theirs.clear();
        let mut previous = question.after.chaining_hash.clone();
        let mut ahead_bytes = 0_usize;
        for (body, index) in page.batches.into_iter().zip(question.after.index.saturating_add(1)..)
        {
            // Always computed from the bodies. What the gateway claims is never read.
            let chaining_hash = chain(&previous, &body);
            previous.clone_from(&chaining_hash);
            // Given up while the question was on its way.
            if index <= self.after.index {
                continue;
            }
            match self.ours.front() {
                Some(ours) => {
                    if ours.chaining_hash != chaining_hash {
                        return Err(format!(
                            "its body of batch {index} leads to the chaining hash {chaining_hash}, but the network signed {}",
                            ours.chaining_hash
                        ));
                    }
                    // A later batch of ours can come from the very gateway that answers here.
                    if ours.gateway == *gateway {
                        return Ok(None);
                    }
                    let (differs, our_gateway) =
                        (ours.sha256 != sha256(&body), Arc::clone(&ours.gateway));
                    self.ours.pop_front();
                    self.compare(index, chaining_hash);
                    if differs {
                        let their_gateway = Arc::clone(gateway);
                        let their_body = body;
                        return Ok(Some(Difference {
                            index,
                            our_gateway,
                            their_gateway,
                            their_body,
                        }));
                    }
                }
                None => {
                    ahead_bytes = ahead_bytes.saturating_add(body.len());
                    if ahead_bytes > AHEAD_BYTES_MAX {
                        return Ok(None);
                    }
                    let gateway = Arc::clone(gateway);
                    self.theirs.push_back(Theirs { chaining_hash, body, gateway });
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(name: &str) -> Arc<str> {
        name.into()
    }

    fn batches(bodies: &[&str]) -> Vec<ProvenBatch> {
        let mut previous = String::new();
        let batch = |(body, index): (&&str, u64)| {
            previous = chain(&previous, body);
            let chaining_hash = previous.clone();
            ProvenBatch { index, body: (*body).into(), chaining_hash }
        };
        bodies.iter().zip(1..).map(batch).collect()
    }

    fn page(bodies: &[&str]) -> Page {
        Page {
            batches: bodies.iter().map(ToString::to_string).collect(),
            first_chaining_hash: "not read".into(),
            finalized_signatures: Vec::new(),
            is_cut: false,
        }
    }

    #[test]
    fn equal_bodies_are_compared_once_whichever_side_comes_first() {
        let mut window = Window::new(Position::start());
        let ours = batches(&["a", "b", "c"]);
        assert_eq!(window.question(), None);
        assert_eq!(window.take_ours(&ours[0], &url("first")), None);
        let question = window.question().unwrap();
        assert_eq!((question.after.index, &*question.except), (0, "first"));
        // The other gateway is ahead by two batches.
        assert_eq!(window.take_theirs(&question, &url("second"), page(&["a", "b", "c"])), Ok(None));
        assert_eq!(window.compared(), 1);
        for batch in &ours[1..] {
            assert_eq!(window.take_ours(batch, &url("first")), None);
        }
        assert_eq!((window.compared(), window.question()), (3, None));
    }

    #[test]
    fn a_gateway_is_never_compared_with_itself() {
        let mut window = Window::new(Position::start());
        let ours = batches(&["a", "b", "c"]);
        window.take_ours(&ours[0], &url("first"));
        window.take_ours(&ours[1], &url("second"));
        let question = window.question().unwrap();
        assert_eq!(window.take_theirs(&question, &url("second"), page(&["a", "b", "c"])), Ok(None));
        assert_eq!(window.compared(), 1);
        let question = window.question().unwrap();
        assert_eq!((question.after.index, &*question.except), (1, "second"));
        // Ahead of us, and then read from the same gateway.
        assert_eq!(window.take_theirs(&question, &url("first"), page(&["b", "c"])), Ok(None));
        assert_eq!(window.compared(), 2);
        window.take_ours(&ours[2], &url("first"));
        assert_eq!((window.compared(), window.question().unwrap().after.index), (2, 2));
    }

    #[test]
    fn another_chaining_hash_is_the_fault_of_the_gateway_and_no_difference() {
        let mut window = Window::new(Position::start());
        let ours = batches(&["a", "b"]);
        window.take_ours(&ours[0], &url("first"));
        let question = window.question().unwrap();
        let error = window.take_theirs(&question, &url("second"), page(&["x"])).unwrap_err();
        assert!(error.contains("its body of batch 1 leads to"), "{error}");
        assert_eq!(window.compared(), 0);
        // Ahead of us, the same shows only when our batch comes.
        let question = window.question().unwrap();
        assert_eq!(window.take_theirs(&question, &url("third"), page(&["a", "x"])), Ok(None));
        assert_eq!(window.take_ours(&ours[1], &url("first")), None);
        assert_eq!(window.compared(), 1);
    }

    #[test]
    fn a_replica_that_is_far_ahead_gives_up_the_oldest_batches_and_compares_the_newest() {
        let mut window = Window::new(Position::start());
        let bodies = vec!["a"; OURS_MAX + 10];
        let ours = batches(&bodies);
        for batch in &ours {
            window.take_ours(batch, &url("first"));
        }
        let question = window.question().unwrap();
        assert_eq!((question.after.index, question.is_behind), (10, true));
        assert_eq!(question.after.chaining_hash, ours[9].chaining_hash);
        let rest = page(&bodies[10..]);
        assert_eq!(window.take_theirs(&question, &url("second"), rest), Ok(None));
        assert_eq!(window.compared(), OURS_MAX as u64 + 10);
    }
}
