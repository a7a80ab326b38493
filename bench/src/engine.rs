//! The interface of the matching engines that are compared.

use crate::operation::Operation;
use crate::tape::Tape;

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
