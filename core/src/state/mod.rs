//! What replicas agree on, part by part, and the authenticated tree over it.

mod account;
mod attestations;
pub(crate) mod book;
mod counters;
mod leaf_key;
mod ledger;
mod open_orders;
mod order_details;
mod order_leaf;
mod proof;
mod session_key;
mod timers;
pub(crate) mod tree;
mod withdrawal;

pub use account::{Account, Balance};
pub use attestations::{Attestations, Latest};
pub(crate) use book::crosses;
pub use book::{Book, HashPrefix, Level, RestingOrder, Slot};
pub use counters::Counters;
pub use leaf_key::LeafKey;
pub use ledger::Ledger;
pub use order_details::OrderDetails;
pub use order_leaf::OrderLeaf;
pub use proof::{Proof, ProofEnd, ProofError};
pub use session_key::{SessionKey, Spending};
pub(crate) use timers::{Timer, Timers};
pub(crate) use tree::StateTree;
pub use withdrawal::Withdrawal;
