//! From a request to its outcome: a form asks for a signature, a trading key or the user on the sheet signs, the
//! transaction goes to the replica and is followed until it is applied or rejected.
//!
//! `sign.rs` has the path as calls, in this order:
//!
//! 1. [`Signing::sign`] takes the request of a form. This much is in the part of the page that is loaded first.
//! 2. A trading key signs at once if one may, otherwise the sheet opens with the exact text (`sheet.rs`).
//! 3. `Signing::confirm` signs what is on the sheet.
//! 4. Both ways end in `Signing::sign_and_send`, which stores what was signed before it sends it (`sending.rs`).

mod preview;
pub mod refusal;
mod request;
mod sending;
mod sent;
mod sheet;
mod sign;
mod state;
pub mod trading_key;

pub use preview::{load_preview, preview};
pub use request::{Outcome, SignRequest};
pub use sending::REFUSED;
pub use sent::Sent;
pub use sheet::SignSheet;
pub use state::{Signing, use_signing};
