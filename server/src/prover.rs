//! Proofs of the state. The writer alone has the tree that they come from: it is asked by a bounded
//! channel and answers between commits, in microseconds.

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use zellbook_core::exchange::Exchange;
use zellbook_core::leaf::LeafKey;
use zellbook_core::state_root::{Hash, Proof};

/// Questions that wait, at most.
const WAITING_MAX: usize = 256;
/// Questions that are answered between two commits, at most.
const ANSWERS_AT_ONCE: usize = 64;

/// A leaf's value, or its absence, with the proof that a root commits to it.
#[derive(Debug)]
pub struct StateProof {
    /// The last batch.
    pub batch: u64,
    /// The root after it.
    pub root: Hash,
    /// The leaf's value, if there is one.
    pub value: Option<Vec<u8>>,
    /// The proof.
    pub proof: Proof,
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProveError {
    /// Too many wait.
    #[error("this replica has too many proofs to make; try again")]
    Busy,
    /// The replica halted.
    #[error("this replica halted and proves nothing more; try another")]
    Halted,
}

struct Question {
    key: LeafKey,
    answer: oneshot::Sender<StateProof>,
}

/// Asks the writer.
#[derive(Clone)]
pub struct Prover(mpsc::Sender<Question>);

/// The writer's end.
pub struct Questions(mpsc::Receiver<Question>);

/// Both ends.
pub fn prover() -> (Prover, Questions) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Prover(sender), Questions(receiver))
}

impl Prover {
    /// A proof of a leaf's value or absence after the last commit.
    pub async fn prove(&self, key: LeafKey) -> Result<StateProof, ProveError> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Question { key, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProveError::Busy,
            mpsc::error::TrySendError::Closed(_) => ProveError::Halted,
        })?;
        answered.await.map_err(|_| ProveError::Halted)
    }
}

impl Questions {
    /// Answers until something else is done.
    pub async fn answer_until<T>(
        &mut self,
        exchange: &mut Exchange,
        done: impl Future<Output = T>,
    ) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            tokio::select! {
                biased;
                output = &mut done => return output,
                Some(question) = self.0.recv() => answer(exchange, question),
            }
        }
    }

    /// Answers those that wait, but not too many.
    pub fn answer_waiting(&mut self, exchange: &mut Exchange) {
        for _ in 0..ANSWERS_AT_ONCE {
            let Ok(question) = self.0.try_recv() else { return };
            answer(exchange, question);
        }
    }
}

fn answer(exchange: &mut Exchange, Question { key, answer }: Question) {
    let (value, proof) = exchange.prove(&key);
    let batch = exchange.counters().batch;
    // Whoever asked may be gone.
    let _ = answer.send(StateProof { batch, root: exchange.root(), value, proof });
}
