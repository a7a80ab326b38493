//! Which gateway a post takes.

/// The largest number of lanes.
pub const LANES_MAX: usize = 8;

/// How the gateway of a post is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One of [`LANES_MAX`] lanes. A lane stays with the gateway that took the previous post on it, which
    /// keeps the order of posts, until the gateway fails.
    Lane(usize),
    /// Another gateway than the last one, if there is one: for batches that were posted before and not
    /// seen finalized.
    Repost,
}
