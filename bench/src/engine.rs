//! What an engine must offer, and how a run of it is timed.

use std::time::{Duration, Instant};

use crate::operation::Operation;
use crate::stream::Stream;
use crate::tape::Tape;

/// Operations of the preload that are translated at a time, so that a preload of ten million is not
/// held twice.
const PRELOAD_CHUNK: usize = 1 << 16;

/// A matching engine under measurement.
///
/// Engines are compared as generic code, so that the trait itself costs nothing.
pub trait Engine {
    /// What the report calls it.
    const NAME: &'static str;
    /// Longest preload that it can hold on a machine of this size.
    const PRELOAD_MAX: u64 = u64::MAX;
    /// An operation in the engine's own terms.
    type Input;

    /// An empty book.
    fn new() -> Self;

    /// Translates an operation. Every operation is translated once and in order, always before the
    /// clock starts, so that engines are not charged for a foreign format.
    fn prepare(&mut self, operation: &Operation) -> Self::Input;

    /// Runs one operation and notes its trades under the ids of the stream.
    fn apply(&mut self, input: &Self::Input, tape: &mut Tape);

    /// Runs operations in order. An engine that can look ahead may do better than one by one.
    #[inline]
    fn run(&mut self, inputs: &[Self::Input], tape: &mut Tape) {
        for input in inputs {
            self.apply(input, tape);
        }
    }
}

/// What a run gave.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Wall time of the stream's operations, without its preload.
    pub elapsed: Duration,
    /// The trades.
    pub tape: Tape,
}

/// Runs a stream once in a new engine.
pub fn run<E: Engine>(stream: &Stream) -> Run {
    let mut engine = E::new();
    let mut tape = Tape::default();
    let mut inputs = Vec::new();
    for chunk in stream.preload.chunks(PRELOAD_CHUNK) {
        inputs.clear();
        inputs.extend(chunk.iter().map(|operation| engine.prepare(operation)));
        engine.run(&inputs, &mut tape);
    }
    let inputs: Vec<_> =
        stream.operations.iter().map(|operation| engine.prepare(operation)).collect();

    let start = Instant::now();
    engine.run(&inputs, &mut tape);
    let elapsed = start.elapsed();
    Run { elapsed, tape }
}
