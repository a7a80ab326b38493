//! Measures matching engines on one and the same stream of operations.
//!
//! A [`Stream`](stream::Stream) is made in memory from a seed. Each [`Engine`](engine::Engine) takes its
//! preload unmeasured and its operations against the clock, and notes every trade on a
//! [`Tape`](tape::Tape). Its time counts only if the tape is the one of the plain
//! [`ReferenceBook`](reference::ReferenceBook), trade by trade.

pub mod catalogue;
pub mod engine;
pub mod operation;
pub mod orderbook_rs;
pub mod parts;
pub mod random;
pub mod reference;
pub mod run;
pub mod stream;
pub mod tape;
pub mod zellbook;
