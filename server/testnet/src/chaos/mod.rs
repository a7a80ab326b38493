//! The chaos test: real replicas on an emulated network that fails, in virtual time. One seed is one
//! history; the same seed gives the same history, to the byte.

mod check;
mod command;
mod disturbance;
mod ledger;
mod options;
mod replica;
mod report;
mod traders;
mod transport;
mod world;

pub use command::{ChaosArguments, chaos};
