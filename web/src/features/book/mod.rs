//! The order book and the trades of the market on show.

mod ladder;
mod tape;

pub use ladder::Ladder;
pub use tape::Tape;
