//! The walk over pages, which lets batches out only up to a signature that verifies.
//!
//! A gateway cuts long answers, and a page can end without a signature over its last batches. The
//! walker therefore keeps two positions: `proven`, up to which a signature covers everything, and the
//! end of the batches that it holds back behind it. Each page must continue the chain of its own
//! hashes, so a gateway cannot skip, repeat or change a batch without the next signature failing.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::chain::{SignedState, chain};
use crate::limits::{BATCH_OVERHEAD, PENDING_BYTES_MAX};
use crate::page::Page;
use crate::page_error::PageError;
use crate::proof::{FinalitySignature, Verifier};

/// A position in an app's sequence: an index and the chaining hash there. It is all that a reader must
/// store to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The index of the last batch up to here; 0 before the first batch.
    pub index: u64,
    /// The chaining hash as 32 lower-case hex digits; empty at index 0.
    pub chaining_hash: String,
}

impl Position {
    /// Returns the position before the first batch.
    pub const fn start() -> Self {
        Self { index: 0, chaining_hash: String::new() }
    }
}

/// A batch that a finality signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenBatch {
    /// Its index in the app's sequence, from 1.
    pub index: u64,
    /// The text that the app posted.
    pub body: String,
    /// The chaining hash after it, as 32 lower-case hex digits.
    pub chaining_hash: String,
}

/// Batches with the signature that proves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenGroup {
    /// At least one batch, in ascending order without a gap.
    pub batches: Vec<ProvenBatch>,
    /// The finality signature over the last of them.
    pub signature: FinalitySignature,
}

/// Estimates the memory that a held batch takes, in bytes.
const fn cost(body: &str) -> usize {
    body.len().saturating_add(BATCH_OVERHEAD)
}

/// Takes pages one after another and lets batches out only up to a signature that verifies.
#[derive(Clone, Debug)]
pub struct Walker {
    proven: Position,
    /// Batches after `proven` that no signature covers yet, at most [`PENDING_BYTES_MAX`] bytes.
    pending: VecDeque<ProvenBatch>,
    pending_bytes: usize,
}

impl Walker {
    /// Starts after a position that the caller knows to be proven.
    pub const fn new(proven: Position) -> Self {
        Self { proven, pending: VecDeque::new(), pending_bytes: 0 }
    }

    /// Returns the last proven position.
    pub const fn proven(&self) -> &Position {
        &self.proven
    }

    /// Returns the index to ask for next (`?after=`): that of the last batch held, proven or not.
    pub fn after(&self) -> u64 {
        self.pending.back().map_or(self.proven.index, |batch| batch.index)
    }

    /// Drops the batches that are not proven. Call it before asking another gateway, which may have cut
    /// its answers elsewhere.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
    }

    /// Takes an answer without data.
    ///
    /// # Errors
    ///
    /// Fails, and drops the batches that are not proven, if there are any: an honest node has a
    /// signature over its last batch.
    pub fn take_nothing(&mut self) -> Result<(), PageError> {
        let (last, proven) = (self.after(), self.proven.index);
        self.forget_pending();
        if last == proven { Ok(()) } else { Err(PageError::TipNotSigned { last, proven }) }
    }

    /// Takes the answer to `?after=` [`Walker::after`]. Returns what it proves and what is wrong with it.
    /// Both can be there: a bad signature does not discard what the signatures before it proved. After
    /// an error the batches that are not proven are dropped.
    pub fn take(
        &mut self,
        verifier: &Verifier,
        page: Page,
    ) -> (Vec<ProvenGroup>, Option<PageError>) {
        let mut groups = Vec::new();
        let result = self.take_page(verifier, page, &mut groups);
        if result.is_err() {
            self.forget_pending();
        }
        (groups, result.err())
    }

    fn take_page(
        &mut self,
        verifier: &Verifier,
        page: Page,
        groups: &mut Vec<ProvenGroup>,
    ) -> Result<(), PageError> {
        self.check_first(&page)?;
        for body in page.batches {
            let previous = self.pending.back();
            let previous =
                previous.map_or(&self.proven.chaining_hash, |batch| &batch.chaining_hash);
            // Computed from the body. What the sender claims is only ever compared with it.
            let chaining_hash = chain(previous, &body);
            let index = self.after().checked_add(1).ok_or(PageError::TooLarge)?;
            self.pending_bytes = self.pending_bytes.saturating_add(cost(&body));
            // Only a gateway that sends page after page without a signature gets here. `take` then drops all
            // of them.
            if self.pending_bytes > PENDING_BYTES_MAX {
                return Err(PageError::TooLarge);
            }
            self.pending.push_back(ProvenBatch { index, body, chaining_hash });
        }
        for (position, signature) in page.finalized_signatures.into_iter().enumerate() {
            let signature =
                signature.map_err(|error| PageError::SignatureForm { position, error })?;
            // The batches behind the cut, and with them this signature, are asked for again.
            if page.is_cut && signature.index > self.after() {
                break;
            }
            groups.push(self.take_signature(verifier, signature)?);
        }
        Ok(())
    }

    /// Checks that the first hash continues our history. Without this check a fork would only show at
    /// the next signature, which does not tell where it begins.
    pub(crate) fn check_first(&self, page: &Page) -> Result<(), PageError> {
        let first = page.batches.first().ok_or(PageError::Empty)?;
        let previous = self.pending.back();
        let previous = previous.map_or(&self.proven.chaining_hash, |batch| &batch.chaining_hash);
        let expected = chain(previous, first);
        if expected == page.first_chaining_hash {
            return Ok(());
        }
        let found = page.first_chaining_hash.chars().take(64).collect();
        Err(PageError::FirstChainingHash { found, expected, after: self.after() })
    }

    fn take_signature(
        &mut self,
        verifier: &Verifier,
        signature: FinalitySignature,
    ) -> Result<ProvenGroup, PageError> {
        let index = signature.index;
        let proven = self.proven.index;
        // Each signature must prove something new. So a page cannot have one signature checked again and
        // again, each time with a slow pairing.
        let count = index.checked_sub(proven).filter(|count| *count > 0);
        let count = count.ok_or(PageError::SignatureOutOfOrder { index, proven })?;
        let last = self.after();
        let offset = usize::try_from(count).ok().and_then(|count| count.checked_sub(1));
        let batch = offset
            .and_then(|offset| self.pending.get(offset))
            .ok_or(PageError::SignatureBeyondPage { index, last })?;
        if let Some(claimed) = &signature.chaining_hash
            && *claimed != batch.chaining_hash
        {
            return Err(PageError::ChainingHash {
                index,
                found: claimed.chars().take(64).collect(),
                expected: batch.chaining_hash.clone(),
            });
        }
        verifier
            .verify(SignedState::Locked, &signature, &batch.chaining_hash)
            .map_err(|error| PageError::Proof { index, error })?;
        // Only after the signature was verified. Everything before this line leaves `proven` as it was.
        self.proven = Position { index, chaining_hash: batch.chaining_hash.clone() };
        let mut batches = Vec::new();
        while self.pending.front().is_some_and(|batch| batch.index <= index) {
            if let Some(batch) = self.pending.pop_front() {
                self.pending_bytes = self.pending_bytes.saturating_sub(cost(&batch.body));
                batches.push(batch);
            }
        }
        Ok(ProvenGroup { batches, signature })
    }
}
