//! A replica of the exchange. It reads the sequenced batches of a sequencer network, checks their proofs,
//! applies them with `zellbook-core`, stores the result, and serves the API and the web page.
//!
//! The command line is here too. The program `zellbook` (`server/bin`) combines it with the emulated network
//! of `zellbook-testnet`, for which some modules are public; no other crate should depend on this one.

mod admission;
mod api;
pub mod assemble;
mod attester;
mod bootstrap;
mod check_ahead;
pub mod cli;
pub mod client_address;
pub mod clock;
mod comparison;
pub mod config;
mod evidence;
pub mod listen;
mod metrics;
pub mod outbox;
mod prover;
pub mod published;
mod replica;
mod rollback;
pub mod sequencer;
mod snapshots;
pub mod store;
mod turns;
