//! One replica of the exchange: it reads the finalized batches of a sequencer network, checks their
//! proofs, applies them with `zellbook-core` and stores the result, and serves the API and the page.
//! The command line is here too. The program `zellbook` (`server/bin`) puts it together with the
//! emulated network of `zellbook-testnet`, for which some modules are public; outside this repository
//! nobody needs to depend on this crate.
#![allow(missing_docs, reason = "only the two crates of this repository use what is public here")]

mod api;
pub mod attester;
mod bootstrap;
pub mod cli;
pub mod clock;
pub mod config;
mod evidence;
pub mod listen;
mod metrics;
pub mod outbox;
mod prover;
pub mod published;
pub mod replica;
pub mod sequencer;
mod snapshots;
pub mod store;
