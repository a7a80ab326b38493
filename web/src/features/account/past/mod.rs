//! An account's past, page by page: orders, fills and ledger. New entries come by themselves, older ones when asked for.

mod csv;
mod lists;
mod table;

pub use lists::{FILLS, HISTORY, LEDGER};
pub use table::PastView;
