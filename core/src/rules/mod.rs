//! The rules of one exchange: its genesis, and what is derived from it.

mod check;
mod development;
mod genesis;
mod genesis_error;
mod listing;
mod market;

pub use check::Rules;
pub use genesis::{Genesis, GenesisLimits, MarketSpec, ReplicaSpec, Token};
pub use genesis_error::GenesisError;
pub use listing::{InvalidMarket, ListedToken, Listing};
pub use market::{Market, fee};
