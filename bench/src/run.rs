//! One timed run of an engine over a stream.
//!
//! Only the stream's operations are timed: building the book of the preload, and translating operations into the
//! engine's own format, happen while the clock is stopped.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::stream::Stream;
use crate::tape::Tape;

/// Operations of the preload that are translated at a time, so that a preload of ten million is not
/// held in memory twice.
const PRELOAD_CHUNK: usize = 1 << 16;

/// The result of a run.
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
