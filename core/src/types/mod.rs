//! The basic types: numbers and their units, ids, hashes, keys and signatures, and all limits of the protocol.

mod bytes;
mod corrupt;
mod decimal;
mod hash;
mod hex;
mod ids;
pub mod limits;
mod names;
mod public_key;
mod secret_key;
mod self_trade;
mod side;
mod signature;
mod time_in_force;
mod units;

pub(crate) use bytes::{ByteReader, NO_POINT};
pub use corrupt::Corrupt;
pub use decimal::{Decimal, DecimalError, StepError};
pub use hash::{Hash, NetworkId, TransactionHash};
pub use hex::decode_hex;
pub use ids::{AccountIndex, MarketIndex, ReplicaIndex, TokenIndex};
pub use names::UnknownName;
pub(crate) use names::names;
pub use public_key::{PublicKey, PublicKeyError};
pub use secret_key::{SecretKey, SecretKeyError};
pub use self_trade::SelfTrade;
pub use side::Side;
pub use signature::{Scheme, Signature, SignatureError};
pub use time_in_force::TimeInForce;
pub use units::{Atoms, Lots, Ticks};
