//! The order book and the trades of the market shown.

mod ladder;
mod tape;

pub use ladder::Ladder;
pub use tape::Tape;
