//! How a gateway lies. The node behind it may be honest with the others: what it shows is not what it
//! has.

use std::sync::Arc;

use super::node::NodeCore;
use super::rounds::aggregate;
use crate::sequencer::node::{Aggregated, NodePage, NodeStatus, SignedBatch};
use zellbook_core::finality::{SignedState, chain, message};

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

    /// What it makes of a page.
    pub(super) fn page(
        self,
        node: &NodeCore,
        app: &str,
        mut page: NodePage,
        after: u64,
        draw: u64,
    ) -> NodePage {
        let replace = |page: &mut NodePage, with: String| {
            if let Some(last) = page.bodies.last_mut() {
                *last = Arc::from(with);
            }
        };
        match self {
            Self::FewSignatures => {
                let last = page.signatures.pop();
                page.signatures = last.into_iter().collect();
            }
            Self::NoSignatures => page.signatures.clear(),
            Self::ShortPages => {
                page.bodies.truncate(1);
                page.signatures.retain(|signed| signed.index == after + 1);
            }
            Self::Tamper => replace(&mut page, "[]".into()),
            Self::Equivocate => replace(&mut page, format!("[{draw}]")),
            Self::Empty => page.bodies.clear(),
            Self::Encoding => each(&mut page, |finality| {
                finality.signature = finality.signature.replacen(' ', " 0", 1);
            }),
            Self::Nonsigners => each(&mut page, |finality| {
                finality.nonsigners.push("0x00000000000000000000000000000000000000ff".into());
            }),
            Self::Forge => forge(node, app, &mut page, after),
            Self::State
            | Self::Stale { .. }
            | Self::Garbage
            | Self::Errors
            | Self::DropPosts
            | Self::DoublePosts => {}
        }
        page
    }

    /// What it makes of the state.
    pub(super) fn status(self, status: &mut NodeStatus) {
        if self == Self::State {
            status.version = "v9.9.9".into();
            for (_, indexes) in &mut status.apps {
                let huge = u64::from(u32::MAX);
                (indexes.sequenced, indexes.locked, indexes.finalized) = (huge, huge, huge);
            }
        }
    }
}

fn each(page: &mut NodePage, change: impl Fn(&mut Aggregated)) {
    for signed in &mut page.signatures {
        if let Some(finality) = &mut Arc::make_mut(signed).finalized {
            change(finality);
        }
    }
}

/// One batch of this node's own after those that the reader has, with its own signature as if it were
/// everybody's.
fn forge(node: &NodeCore, app: &str, page: &mut NodePage, after: u64) {
    let body: Arc<str> = Arc::from("[\"forged\"]");
    let log = node.log(app);
    let previous = log.and_then(|log| log.hash(after)).unwrap_or_default();
    let chaining_hash = chain(previous, &body);
    let index = after + 1;
    let timestamp = page.signatures.first().map_or(0, |signed| signed.timestamp);
    let text = message(app, SignedState::Locked, index, after, timestamp, &chaining_hash);
    let signature = aggregate(std::iter::once(&node.key), &text).unwrap_or_default();
    let own = Aggregated { signature, nonsigners: Vec::new() };
    page.bodies = vec![body];
    page.first_chaining_hash.clone_from(&chaining_hash);
    page.signatures = vec![Arc::new(SignedBatch {
        index,
        parent_index: after,
        timestamp,
        chaining_hash,
        locked: own.clone(),
        finalized: Some(own),
    })];
}
