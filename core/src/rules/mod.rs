//! The rules of one exchange: its genesis file, and what is derived from it.
//!
//! [`Genesis`] is the file as an operator writes it. [`Genesis::check`] turns it into [`Rules`]: the same
//! genesis, its hash, and a [`Listing`] of tokens and markets with the conversion factors that the engine
//! computes with. Rules never change: another genesis is another exchange with another network id.

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
