//! The chaos test: real replicas on an emulated network that fails, in virtual time.
//!
//! Clients submit transactions while faults are injected at random: nodes crash, lie and lose messages, links
//! are cut, replicas are killed. Then all faults end, the replicas catch up, and the result is compared with
//! an independent pass over the finalized batches. A seed determines the whole history to the byte, so a
//! failure can be repeated.

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
