//! The engine: what transactions and the passing of time do to the state.
//!
//! Every transaction goes through the same steps: its nonce is used up, its signer is checked,
//! everything that can reject it is checked against the unchanged state, and only then is the state
//! changed. The last step cannot fail, so nothing is ever half applied (I11). For an order these
//! steps are a plan of its trades (`plan.rs`), the checks of this plan, and its commit.

mod attest;
mod cancel;
mod commit;
mod dispatch;
mod due;
#[expect(clippy::module_inception, reason = "the struct that this module is about")]
mod engine;
pub(crate) mod failure;
mod funds;
mod invariants;
mod leaves;
pub(crate) mod note;
mod open_orders;
mod place;
pub(crate) mod placing;
mod plan;
pub(crate) mod prefetch;
mod replace;
mod restore;
mod sessions;
mod touched;

pub use engine::Engine;
pub use invariants::BrokenInvariant;
pub use plan::Maker;
pub(crate) use plan::{
    MatchStep, Rest, check_balance, check_crossing, check_filled, check_open_orders, plan, rest,
};
pub(crate) use prefetch::Footprint;
pub(crate) use restore::{OTHER_FORM, StoredOrder};
