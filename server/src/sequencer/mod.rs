//! The sequencer network that a replica uses, and the embedded sequencer, which is a network of one node.

pub mod embedded;
mod embedded_store;
pub mod interface;
mod network;
pub mod node;

pub use network::{Sequencer, gateway_bodies};
