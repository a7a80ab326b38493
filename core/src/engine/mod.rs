//! What changes the state: one file for each kind of transaction, and for what comes due by itself.

mod attest;
mod cancel;
mod commit;
mod dispatch;
mod due;
#[expect(clippy::module_inception, reason = "the struct that this module is about")]
mod engine;
mod failure;
mod funds;
mod invariants;
mod leaves;
mod note;
mod open_orders;
mod place;
mod placing;
mod plan;
mod prefetch;
mod replace;
mod restore;
mod sessions;
mod touched;

pub use engine::Engine;
pub use failure::Failure;
pub use invariants::BrokenInvariant;
pub use note::Note;
pub use placing::Placing;
pub use plan::{
    Maker, MatchEnd, MatchStep, Rest, check_balance, check_crossing, check_filled,
    check_open_orders, plan, rest,
};
pub use prefetch::{BookPart, Footprint};
pub(crate) use restore::StoredOrder;
