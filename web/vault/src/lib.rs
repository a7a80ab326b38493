//! The vault: holds and uses the page's secret keys, in a wasm module of its own that runs in a worker.
//!
//! The page must never be able to read a key, not even by a bug. So the module (`module/`) imports nothing: it has no
//! clock, no randomness, no network and no document. It turns the bytes of a [`Request`] into those of an [`Answer`],
//! and the unlocked keys are only in its own memory. An answer contains a secret only where the user asked to see one:
//! a phrase that was just created, or the secret of a [`Request::Reveal`], which needs the passphrase again.

mod error;
mod ethereum;
mod message;
mod phrase;
mod random;
mod sealed;
mod vault;

pub use error::{PASSPHRASE_LENGTH_MIN, VaultError};
pub use message::{Answer, Request, Source};
pub use random::{Randomness, SEED_LENGTH};
pub use sealed::{Origin, Record, SealedKey, WalletFile};
pub use vault::Vault;
