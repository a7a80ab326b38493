//! The lies that a gateway can tell its clients. Towards the other nodes, the node behind it stays honest.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Reports a version and indexes that nobody has.
    State,
    /// Returns no batches after an index, but accepts posts.
    Stale { until: u64 },
    /// Leaves out all signatures but the last. This is allowed, and must do no harm.
    FewSignatures,
    /// Leaves out all signatures.
    NoSignatures,
    /// Returns one batch per page. This is allowed too.
    ShortPages,
    /// Replaces the last body of a page.
    Tamper,
    /// Replaces the last body by another one at every request.
    Equivocate,
    /// Returns a history that this node alone made and signed.
    Forge,
    /// Returns valid signatures in a form that is not canonical.
    Encoding,
    /// Names non-signers that do not exist.
    Nonsigners,
    /// Returns responses that are cut off.
    Garbage,
    /// Returns pages without batches.
    Empty,
    /// Responds with errors.
    Errors,
    /// Accepts batches and discards them.
    DropPosts,
    /// Accepts batches and posts them twice.
    DoublePosts,
}

impl Lie {
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
