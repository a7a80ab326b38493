//! What a replica publishes to its readers: the API, the feed and the attester. It is below both the
//! replica, which writes it, and the attester, which only reads it, so that neither needs the other.

mod attestable;
mod ticker;
mod update;
mod view;
mod watch;

pub use attestable::{Attestable, Vote};
pub use ticker::Ticker;
pub use update::Update;
pub use view::{BOOK_DEPTH_MAX, Published};
pub use watch::{Health, Watch};
