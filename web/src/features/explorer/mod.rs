//! The explorer: views of batches, transactions, accounts, markets and replicas, each at a path of its own. It is loaded
//! when it is first opened.
//!
//! Its views are plain elements and no components: see [`crate::platform::dom`]. `load` asks the replica for what a
//! view shows, `parts` is what views are made of.

mod account;
mod batch;
mod batches;
mod context;
mod load;
mod market;
mod nodes;
mod parts;
mod past;
mod replicas;
mod transaction;
mod view;

pub use view::explorer;
