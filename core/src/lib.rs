//! Everything that Zellbook replicas agree on: numbers, keys, signatures, transactions, matching,
//! balances, the state root and finality proofs.
//!
//! Promises: no I/O, no clock, no randomness, no floats, no iteration in an order that depends on
//! hashing, no panics; the same bits on every platform. What bytes in a batch say ends in an outcome
//! or a numbered [`reject::Reject`]; what our own reasoning excludes is [`event::Corrupt`].
//!
//! # Invariants
//!
//! [`invariants`] recounts I1 to I6, I9 and I10; tests hold the engine to the others.
//!
//! - **I1** For each token, what was deposited = the sum of all available and locked balances.
//! - **I2** What an account has locked = what its open orders need.
//! - **I3** No book is crossed.
//! - **I4** Within a price level, orders stand in the order in which they were accepted.
//! - **I5** No price level is empty, and each counts its orders and quantity rightly.
//! - **I6** An open order is in exactly one book and in its account's list, with
//!   0 < remaining ≤ quantity.
//! - **I7** A fill is at the maker's price, within the taker's limit, and never between orders of
//!   one account.
//! - **I8** Filled + remaining + cancelled = the quantity of the order.
//! - **I9** A nonce of a key is used at most once.
//! - **I10** An account has at most as many open orders in a market as genesis allows.
//! - **I11** A rejected transaction changes nothing but its nonce (in the guide's format: its used
//!   signature), and not that if the signature or the nonce itself is bad.
//! - **I12** The root of a replayed, a live and a reloaded state is the same.

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

pub mod batch;
pub mod bls;
pub mod book;
pub mod event;
pub mod exchange;
mod fields;
pub mod finality;
pub mod genesis;
pub mod guide;
pub mod invariants;
pub mod key;
pub mod ledger;
pub mod limits;
mod matching;
pub mod reject;
pub mod state;
pub mod state_root;
pub mod terms;
pub mod transaction;
pub mod units;
pub mod wire;
