//! The SDK of the [Zellular Sequencer](https://docs.zellular.xyz).
//!
//! Zellular is a network of nodes that puts an app's *batches* (texts of the app's choice) into one
//! sequence and signs each with an aggregated BLS signature. Every reader who checks these proofs sees
//! the same number of batches in the same order, whichever node it asks, and the same texts up to
//! collisions of xxh128, which can be made on purpose (see [`chain`]). This crate checks the proofs; it
//! knows nothing of any app.
//!
//! # Without features
//!
//! The crate is `no_std` + `alloc`, does no I/O and does not panic:
//!
//! - [`NodeList`]: the nodes of a network with their stakes and keys, and [`Membership`], which lists
//!   apply when.
//! - [`chain`]: the chaining hash over an app's batches.
//! - [`Verifier`]: checks a [`FinalitySignature`] over a chaining hash.
//! - [`Page`]: an answer to "the finalized batches after index N", read within [`limits`].
//! - [`Walker`]: keeps the chain over pages and lets batches out only up to a signature that verifies.
//! - [`bls`]: BLS signatures on BN254 as the network makes them.
//!
//! # With the feature `client`
//!
//! The module `client` has an async client on tokio: it posts batches, reads finalized ones only as far as
//! they are proven, chooses and changes gateways, resumes from an index and hash, and reads the operator sets
//! of networks that EigenLayer keeps on a chain. `examples/follow.rs` prints an app's proven batches.
//!
//! # Example
//!
//! A page of a real network, proven:
//!
//! ```
//! use zellular::{NodeList, Page, Position, Threshold, Verifier, Walker};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What the network publishes, and what a node answered to
//! // `GET /node/orderbook/batches/finalized?after=0`.
//! let nodes = include_bytes!("../tests/vectors/equal4/nodes.json");
//! let answer = include_bytes!("../tests/vectors/equal4/finalized_after_0.json");
//!
//! let verifier = Verifier {
//!     app_name: "orderbook".into(),
//!     nodes: NodeList::read(nodes)?.into(),
//!     threshold: Threshold::DEFAULT,
//! };
//! let mut walker = Walker::new(Position::start());
//! let page = Page::read(answer)?.ok_or("nothing is finalized yet")?;
//! let (groups, error) = walker.take(&verifier, page);
//! assert_eq!(error, None);
//! for group in groups {
//!     for batch in group.batches {
//!         println!("batch {}: {}", batch.index, batch.body);
//!     }
//! }
//! // To go on later, also in another process: keep this index and hash.
//! assert_eq!(walker.proven().index, 14);
//! # Ok(())
//! # }
//! ```
//!
//! # Sources
//!
//! Formats and rules are those of the reference sequencer v0.1.7 and the Python SDK `zellular`
//! 0.2.10, as captured from a running network in `tests/vectors`. Where the Python SDK is open to
//! forgery, this crate is stricter; each place says so.

#![cfg_attr(not(any(feature = "client", test)), no_std)]
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

pub mod bls;
mod bounded;
mod chain;
#[cfg(feature = "client")]
pub mod client;
pub mod limits;
mod nodes;
mod page;
mod page_error;
mod proof;
mod threshold;
mod walker;

pub use chain::{SignedState, bls_message, chain, message, xxh128_hex};
pub use nodes::{Membership, Node, NodeList, NodeListError};
pub use page::{Page, read_last};
pub use page_error::PageError;
pub use proof::{DecimalProof, FinalitySignature, InvalidNumber, ProofError, Verifier};
pub use threshold::{InvalidThreshold, Threshold};
pub use walker::{Position, ProvenBatch, ProvenGroup, Walker};

/// The example of the README, which the tests compile.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
