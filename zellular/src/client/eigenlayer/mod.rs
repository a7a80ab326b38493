//! Networks whose operators are registered on a chain by EigenLayer.

mod error;
mod lists;
mod network;
mod operators;
mod subgraph;

pub use error::OperatorsError;
pub use lists::read_lists;
pub use network::EigenLayerNetwork;
pub use operators::Operators;
