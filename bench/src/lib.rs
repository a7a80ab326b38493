//! Measures matching engines on one and the same stream of operations.
//!
//! A [`Stream`](stream::Stream) is generated in memory from a seed. Each [`Engine`](engine::Engine) first runs
//! its preload and then, timed, its operations. It records every trade on a [`Tape`](tape::Tape). A time counts
//! only if the tape equals that of the simple [`ReferenceBook`](reference::ReferenceBook), trade by trade.

pub mod bulk;
pub mod catalogue;
pub mod catch_up;
pub mod engine;
pub mod history;
pub mod live;
pub mod operation;
pub mod orderbook_rs;
pub mod parts;
pub mod process;
pub mod random;
pub mod reference;
pub mod run;
pub mod signatures;
pub mod state;
pub mod stream;
pub mod tape;
pub mod yardstick;
pub mod zellbook;
