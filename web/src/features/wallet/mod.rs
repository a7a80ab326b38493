//! The wallet: accounts of this browser, encrypted where they are stored, and in the vault's memory while they are
//! unlocked. `keys` has everything that can be done with it; the other files are what it shows.

mod accounts;
mod attempt;
mod backup;
mod banner;
mod begin;
mod ethereum_wallets;
mod idle;
pub mod keys;
pub mod nonce;
mod passphrase;
mod phrase;
mod session;
mod settings_form;
mod stored;

pub use accounts::Accounts;
pub use backup::Reminder;
pub use banner::{AccountBanner, HiddenAccount, OtherNetwork, OtherNetworkNote};
pub use begin::{Begin, Refused};
pub use passphrase::{SecretField, UnlockForm};
pub use phrase::{PhraseView, ShownPhrase};
pub use session::{AccountWriter, Session, use_session};
pub use stored::Wallet;
