//! Inclusion proofs of the state. They need the tree, which only the replica's task has. So requests go to
//! it over a bounded channel, and it answers between commits; a proof takes microseconds.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use zellbook_core::{Exchange, Hash, LeafKey, Proof};

use crate::client_address::ClientAddress;
use crate::turns::{Turn, Turns};

/// The most requests that may wait. Further ones wait for their clients' turns.
const WAITING_MAX: usize = 256;
/// The most requests of one client that may wait.
const WAITING_PER_CLIENT_MAX: usize = 8;
/// The most requests answered between two commits, so that they cannot delay the batches.
const ANSWERS_AT_ONCE: usize = 64;

/// An inclusion proof of a leaf, or a proof that there is no such leaf.
#[derive(Debug)]
pub struct StateProof {
    pub batch: u64,
    /// The state root after the batch.
    pub root: Hash,
    /// The leaf's value, if there is one.
    pub value: Option<Vec<u8>>,
    pub proof: Proof,
}

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("this replica has halted and makes no proofs any more; use another replica")]
pub struct Halted;

struct Question {
    key: LeafKey,
    answer: oneshot::Sender<StateProof>,
    /// Here, so that it also ends with the question where the client has given up.
    turn: Turn,
}

/// Sends requests for proofs.
#[derive(Clone)]
pub struct Prover {
    questions: mpsc::Sender<Question>,
    turns: Arc<Turns>,
}

/// Receives requests for proofs.
pub struct Questions(mpsc::Receiver<Question>);

/// Both ends of a channel for requests.
pub fn prover() -> (Prover, Questions) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let turns = Turns::new(WAITING_MAX, WAITING_PER_CLIENT_MAX);
    (Prover { questions: sender, turns }, Questions(receiver))
}

impl Prover {
    /// Proves the value or absence of a leaf after the last commit, when it is the client's turn.
    pub async fn prove(&self, client: ClientAddress, key: LeafKey) -> Result<StateProof, Halted> {
        let turn = self.turns.take(client, false).await;
        let (answer, answered) = oneshot::channel();
        self.questions.send(Question { key, answer, turn }).await.map_err(|_| Halted)?;
        // A replica that halts drops its end of the channel, with the requests that wait in it.
        answered.await.map_err(|_| Halted)
    }
}

impl Questions {
    /// Answers requests until a future is done, and returns its output.
    pub async fn answer_until<T>(
        &mut self,
        exchange: &mut Exchange,
        done: impl Future<Output = T>,
    ) -> T {
        let mut done = std::pin::pin!(done);
        loop {
            tokio::select! {
                biased;
                // First, so that a flood of requests cannot delay a page or a pause that has ended.
                output = &mut done => return output,
                // `None` once nobody can ask any more. Then `select!` only waits for the future.
                Some(question) = self.0.recv() => answer(exchange, question),
            }
        }
    }

    /// Whether requests wait.
    pub fn are_waiting(&self) -> bool {
        !self.0.is_empty()
    }

    /// Answers waiting requests, up to a limit.
    pub fn answer_waiting(&mut self, exchange: &mut Exchange) {
        for _ in 0..ANSWERS_AT_ONCE {
            let Ok(question) = self.0.try_recv() else { return };
            answer(exchange, question);
        }
    }
}

fn answer(exchange: &mut Exchange, Question { key, answer, turn: _turn }: Question) {
    let (value, proof) = exchange.prove(&key);
    let batch = exchange.counters().batch;
    // Fails if the client has disconnected.
    let _ = answer.send(StateProof { batch, root: exchange.root(), value, proof });
}
