//! What a replica publishes to its readers: the API, the feed and the attester.
//!
//! The replica writes it and the attester only reads it. This module is below both, so that neither imports
//! the other.

mod attestable;
mod network_time;
mod ticker;
mod update;
mod view;
mod watch;

pub use attestable::{Attestable, Vote};
pub use network_time::{ClockReading, DIFFERENCE_MAX, NetworkTime};
pub use ticker::Ticker;
pub use update::{Messages, Update};
pub use view::{BOOK_DEPTH_MAX, Published};
pub use watch::{Health, Watch};
