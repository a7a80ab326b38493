//! The rules of Zellbook, a limit-order-book exchange: everything that its replicas must agree on.
//!
//! The sequencer network puts transactions in one order and certifies it. Each replica feeds the same batches
//! to this crate and gets the same orders, trades, balances and state root. The crate is a pure function of
//! those bytes: no I/O, no clock, no randomness, no floats, no iteration in hash order, no panics.
//!
//! # Example
//!
//! A genesis, a deposit, and a proof of the balance that a light client can check with the root alone:
//!
//! ```
//! use std::sync::Arc;
//!
//! use zellbook_core::types::TokenIndex;
//! use zellbook_core::{Action, Batch, Exchange, Genesis, LeafKey, SecretKey, Transaction};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = SecretKey::from_bytes(&[1; 32])?;
//! let alice = SecretKey::from_bytes(&[2; 32])?.public_key();
//! let rules = Arc::new(Genesis::development(issuer.public_key()).check()?);
//!
//! // Sign: a signature is valid for one network only.
//! let deposit = Transaction {
//!     account: issuer.public_key(),
//!     signer: None,
//!     nonce: 1_795_910_400_000,
//!     valid_until: None,
//!     action: Action::Deposit {
//!         token: "USDT".into(),
//!         to: alice,
//!         amount: "2500.5".parse()?,
//!         reference: "bank:1".into(),
//!     },
//! };
//! let signed = deposit.sign(&rules.network, &issuer);
//!
//! // Apply: the body of a batch is a JSON array of signed transactions.
//! let mut exchange = Exchange::new(Arc::clone(&rules));
//! let body = format!("[{}]", signed.to_json());
//! let outcome = exchange.apply(&Batch::check(&rules, 1, body.as_bytes()))?;
//! assert!(outcome.transactions[0].result.is_ok());
//!
//! // Prove: the key, the value and the proof are all that a reader of the root needs.
//! let usdt = TokenIndex(2);
//! let key = LeafKey::Balance(alice, usdt);
//! let (value, proof) = exchange.prove(&key);
//! proof.verify(&outcome.root, &key.to_bytes(), value.as_deref())?;
//! assert_eq!(rules.listing.format_amount(usdt, exchange.balance(&alice, usdt).available), "2500.5");
//! # Ok(())
//! # }
//! ```
//!
//! `examples/replay.rs` replays the batches of a running exchange and compares the roots.
//!
//! # Modules
//!
//! A module uses only modules above it in this list. A program that runs an exchange needs [`Exchange`], [`Batch`] and
//! [`Genesis`]; a client that signs transactions needs [`Transaction`] and [`SecretKey`]; a light client needs
//! [`certificate`] and [`Proof`].
//!
//! | module | contents |
//! | --- | --- |
//! | [`types`] | numbers, ids, hashes, keys, signatures; every limit of the protocol |
//! | [`signatures`] | checks of signatures, alone or many at once |
//! | [`rules`] | the genesis file and what follows from it: tokens, markets, fees |
//! | [`protocol`] | transactions and batches; outcomes, events and rejects; receipts |
//! | [`state`] | order books, accounts, timers, session keys, attestations; the tree over all leaves |
//! | [`engine`] | what transactions and time do to the state |
//! | [`exchange`] | the state machine: rules, engine and tree |
//! | [`snapshot`] | a complete state as bytes |
//! | [`simulation`] | what an order would do now |
//! | [`admission`] | the reject that a transaction would get now, from the few leaves that decide it |
//! | [`certificate`] | attestations that certify a root, for light clients |
//! | [`wire`] | the JSON of the API |
//!
//! # Two kinds of failure
//!
//! The bytes of a batch can be anything. A transaction that breaks a rule has no effect, and its outcome is a numbered
//! [`Reject`], which is part of consensus. [`Corrupt`] is an error that no bytes can cause: this replica is broken,
//! commits nothing and stops. The two are never mixed.
//!
//! # Invariants
//!
//! [`Exchange::recount`] checks I1 to I6, I9 and I10 by counting everything again; tests check the others.
//!
//! - **I1** For each token, deposits less withdrawals equal the sum of all available and locked balances,
//!   including the fee account's.
//! - **I2** The locked balance of an account is what its open orders need.
//! - **I3** No book is crossed.
//! - **I4** Within a price level, orders are in the order in which they were accepted.
//! - **I5** No price level is empty, and each level counts its orders and its quantity correctly.
//! - **I6** An open order is in exactly one book and in its account's list, with
//!   0 < remaining ≤ rested ≤ quantity. Its client id and its timer lead to it, and nothing else does.
//! - **I7** A fill is at the maker's price, within the taker's limit, and never between two orders of one
//!   account.
//! - **I8** Filled, remaining and cancelled quantity, and what `replace` took off, add up to the quantity of the
//!   order.
//! - **I9** A nonce of a signing key is used at most once.
//! - **I10** Open orders, session keys, votes and certified roots stay within their limits; nothing whose time
//!   has passed is left.
//! - **I11** A rejected transaction changes nothing but its nonce (in the guide's format: its used signature),
//!   and not even that if the signature or the nonce itself is invalid, or the signing key unknown.
//! - **I12** Each batch extends the chain over all bodies, and no batch is skipped.
//! - **I13** The root is the same for a replayed state, a live one, one restored from its leaves, and a snapshot
//!   with the batches after it.
//! - **I14** When every order is cancelled and every balance is withdrawn, no tokens exist and none are locked.

#![no_std]
#![warn(missing_docs)]
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

pub mod admission;
#[cfg(feature = "bench")]
pub mod bench;
pub mod certificate;
mod cores;
pub mod engine;
pub mod exchange;
pub mod protocol;
pub mod rules;
pub mod signatures;
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
