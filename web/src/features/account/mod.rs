//! What somebody with a wallet sees: balances and funds, the past, what this page sent, trading keys, notices.

mod activity;
mod balances;
mod faucet;
mod first_steps;
mod funds_sheet;
mod notices;
mod past;
mod payment;
mod toasts;
mod trading_keys;

pub use activity::SentList;
pub use balances::Balances;
pub use past::{FILLS, HISTORY, LEDGER, PastView};
pub use toasts::Toasts;
pub use trading_keys::TradingKeys;
