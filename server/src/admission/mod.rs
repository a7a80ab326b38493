//! Early refusal: what the committed state would reject is refused before it is stored or posted.
//!
//! The exchange's own checks decide, on the leaves that concern a transaction ([`zellbook_core::admission`]). A
//! refusal uses no nonce, so it is never worse than the reject. It must not be worse than waiting either: what is in
//! flight can change the state before the transaction arrives. [`InFlight`] knows what waits in this replica's
//! outbox, and what came earlier in the same request. A reject that any of it could prevent refuses nothing. Other
//! replicas have more in flight, which this one cannot know; a client that is refused for it tries again.

mod in_flight;
mod judge;
#[cfg(test)]
mod tests;

pub use in_flight::InFlight;
pub use judge::Judge;
