//! Markets: which there are, the rules of genesis, and the data of the market shown.

pub mod book;
pub mod figures;
pub mod genesis;
pub mod info;
pub mod picker;
mod state;

pub use book::{Level, lots, ticks};
pub use state::{Markets, MarketsWriter, use_markets};
