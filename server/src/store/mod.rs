//! The store: an SQLite database with the sequence, the state and the views that the API reads.
//!
//! The effects of a batch, its body, its root and the proof that covers it are written in one transaction,
//! which is on disk before anyone sees the batch (WAL, `synchronous = FULL`). So after a crash at any
//! moment the database holds the state after some whole batch. At start the engine is rebuilt from the
//! stored leaves, and its root must be the one that was stored with the last batch.
//!
//! One connection writes; readers have connections of their own and see a consistent snapshot each.

mod account_ids;
mod accounts;
mod body;
mod candles;
mod changes;
mod contents;
mod database;
mod decisive;
mod error;
mod headers;
mod issuers;
mod ledger;
mod log;
mod reader;
mod restore;
mod rollback;
mod rows;
mod start;
mod write;
mod writer;

pub use accounts::read_balance;
pub(crate) use body::Body;
pub use candles::Interval;
pub use changes::{AccountChanges, account_changes};
pub use database::open_durable;
pub use decisive::Leaves;
pub use error::{QueryError, StoreError};
pub use issuers::IssuerQuery;
pub use reader::{Reader, View};
pub use restore::Loaded;
pub use rows::{AppliedBatch, TradeRow, rows_of};
pub use writer::{Proof, Storage, Store};
