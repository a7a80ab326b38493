//! Everything that Zellbook replicas agree on: numbers, keys, signatures, transactions, matching,
//! balances and the state root.
//!
//! Promises: no I/O, no clock, no randomness, no floats, no iteration in an order that depends on
//! hashing, no panics; the same bits on every platform. What bytes in a batch say ends in an outcome
//! or a numbered [`Reject`]; what our own reasoning excludes is [`Corrupt`].
//!
//! # Invariants
//!
//! [`Exchange::recount`] recounts I1 to I6, I9 and I10; tests hold the engine to the others.
//!
//! - **I1** For each token, deposits less withdrawals = the sum of all available and locked balances,
//!   the fee account's among them.
//! - **I2** What an account has locked = what its open orders need.
//! - **I3** No book is crossed.
//! - **I4** Within a price level, orders stand in the order in which they were accepted.
//! - **I5** No price level is empty, and each counts its orders and quantity rightly.
//! - **I6** An open order is in exactly one book and in its account's list, with
//!   0 < remaining ≤ rested ≤ quantity; its client id and timer lead to it, and nothing else does.
//! - **I7** A fill is at the maker's price, within the taker's limit, and never between orders of
//!   one account.
//! - **I8** Filled + remaining + cancelled (+ taken off by `replace`) = the quantity of the order.
//! - **I9** A nonce of a signing key is used at most once.
//! - **I10** Open orders, session keys, votes and certified roots keep to their bounds; nothing is
//!   there whose time has come.
//! - **I11** A rejected transaction changes nothing but its nonce (in the guide's format: its used
//!   signature), and not that if the signature or the nonce itself is bad.
//! - **I12** Each batch continues the chain over all bodies, and no batch is passed over.
//! - **I13** The root of a replayed, a live, a reloaded state, and of a snapshot with the batches after
//!   it, is the same.
//! - **I14** When every order is cancelled and every balance withdrawn, nothing exists and nothing is
//!   locked.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod certificate;
pub mod engine;
pub mod exchange;
pub mod protocol;
pub mod rules;
pub mod simulation;
pub mod snapshot;
pub mod state;
pub mod types;
pub mod wire;

pub use exchange::Exchange;
pub use protocol::{
    Action, Batch, Event, Order, Outcome, Receipt, Reject, SignedTransaction, Transaction,
};
pub use rules::{Genesis, Listing, Market, Rules};
pub use simulation::{Simulation, simulate};
pub use state::{LeafKey, Proof};
pub use types::{
    Atoms, Corrupt, Decimal, Hash, Lots, NetworkId, PublicKey, SecretKey, Side, Ticks, TimeInForce,
    TransactionHash,
};
