//! The ways in which a gateway can lie. The node behind it may be honest with the other nodes: a lie
//! changes only what the gateway shows to clients.

/// What a gateway does instead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Claims a version and indexes that nobody has.
    State,
    /// Shows nothing newer than a certain index, and takes posts.
    Stale {
        /// The index.
        until: u64,
    },
    /// Leaves out all signatures but the last: which is no lie, and may not harm.
    FewSignatures,
    /// Leaves out the last signatures too.
    NoSignatures,
    /// Shows one batch a page: which is no lie either.
    ShortPages,
    /// Another body in place of the last one.
    Tamper,
    /// Another body at every request.
    Equivocate,
    /// A history that this node alone made and signed.
    Forge,
    /// Signatures that are right, but not in their one form.
    Encoding,
    /// Names non-signers that nobody knows.
    Nonsigners,
    /// Answers that are cut off within.
    Garbage,
    /// An answer without any batch.
    Empty,
    /// Fails.
    Errors,
    /// Takes batches and forgets them.
    DropPosts,
    /// Answers to posts only that it took them, when it took them twice.
    DoublePosts,
}

impl Lie {
    /// All of them, to draw from.
    pub const ALL: [Self; 15] = [
        Self::State,
        Self::Stale { until: 0 },
        Self::FewSignatures,
        Self::NoSignatures,
        Self::ShortPages,
        Self::Tamper,
        Self::Equivocate,
        Self::Forge,
        Self::Encoding,
        Self::Nonsigners,
        Self::Garbage,
        Self::Empty,
        Self::Errors,
        Self::DropPosts,
        Self::DoublePosts,
    ];
}
