//! The interface that every measured matching engine implements.

use crate::operation::Operation;
use crate::tape::Tape;

/// A matching engine under measurement.
///
/// Engines run as generic code, so the trait adds no cost to the measured calls.
pub trait Engine {
    /// The engine's name in reports.
    const NAME: &'static str;
    /// The largest preload that the engine can hold in the memory of a small machine.
    const PRELOAD_MAX: u64 = u64::MAX;
    /// An operation in the engine's own format.
    type Input;

    /// Returns an engine with an empty book.
    fn new() -> Self;

    /// Translates an operation. Every operation is translated once and in order, always before the
    /// clock starts, so that engines are not charged for a foreign format.
    fn prepare(&mut self, operation: &Operation) -> Self::Input;

    /// Runs one operation and records its trades with the ids of the stream.
    fn apply(&mut self, input: &Self::Input, tape: &mut Tape);

    /// Runs operations in order. An engine that can prefetch memory for later operations may override this.
    #[inline]
    fn run(&mut self, inputs: &[Self::Input], tape: &mut Tape) {
        for input in inputs {
            self.apply(input, tape);
        }
    }
}
