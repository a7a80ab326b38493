//! Turns the true responses of a gateway into the lies that it tells. Most lies change one thing and leave the rest
//! consistent, so that exactly one check of the client can find them.

use std::sync::Arc;

use zellbook_server::sequencer::node::{Aggregated, NodePage, NodeStatus, SignedBatch};
use zellular::{SignedState, chain, message};

use super::lie::Lie;
use super::node::NodeCore;
use super::signing::aggregate;

/// The page that a lying gateway sends instead of the true one.
pub(super) fn page(
    lie: Lie,
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
    match lie {
        Lie::FewSignatures => {
            let last = page.signatures.pop();
            page.signatures = last.into_iter().collect();
        }
        Lie::NoSignatures => page.signatures.clear(),
        // Such a page may have no signature. The reader must put several together before it can release a batch.
        Lie::ShortPages => {
            page.bodies.truncate(1);
            page.signatures.retain(|signed| signed.index == after + 1);
        }
        // A valid body, so that only the chaining hash gives it away.
        Lie::Tamper => replace(&mut page, "[]".into()),
        Lie::Equivocate => replace(&mut page, format!("[{draw}]")),
        Lie::Empty => page.bodies.clear(),
        // A leading zero, which the network's Python client accepts. A signature must have only one text.
        Lie::Encoding => each(&mut page, |finality| {
            finality.signature = finality.signature.replacen(' ', " 0", 1);
        }),
        // A client that skips unknown non-signers would accept this signature.
        Lie::Nonsigners => each(&mut page, |finality| {
            finality.nonsigners.push("0x00000000000000000000000000000000000000ff".into());
        }),
        Lie::Forge => forge(node, app, &mut page, after),
        // The gateway itself tells these lies, or `status` does.
        Lie::State
        | Lie::Stale { .. }
        | Lie::Garbage
        | Lie::Errors
        | Lie::DropPosts
        | Lie::DoublePosts => {}
    }
    page
}

/// Changes a node's status to that of a lying gateway.
pub(super) fn status(lie: Lie, status: &mut NodeStatus) {
    if lie == Lie::State {
        // The network's Python client prefers the highest version, so one such liar would capture every client.
        status.version = "v9.9.9".into();
        for (_, indexes) in &mut status.apps {
            let huge = u64::from(u32::MAX);
            (indexes.sequenced, indexes.locked, indexes.finalized) = (huge, huge, huge);
        }
    }
}

fn each(page: &mut NodePage, change: impl Fn(&mut Aggregated)) {
    for signed in &mut page.signatures {
        // On a copy: the node's own log keeps the true signature, which its peers and later requests need.
        if let Some(finality) = &mut Arc::make_mut(signed).finalized {
            change(finality);
        }
    }
}

/// Replaces the page by a batch of this node's own, with its own signature as if all nodes had signed.
fn forge(node: &NodeCore, app: &str, page: &mut NodePage, after: u64) {
    let body: Arc<str> = Arc::from("[\"forged\"]");
    let log = node.log(app);
    let previous = log.and_then(|log| log.hash(after)).unwrap_or_default();
    let chaining_hash = chain(previous, &body);
    let index = after + 1;
    let timestamp = page.signatures.first().map_or(0, |signed| signed.timestamp);
    let text = message(app, SignedState::Locked, index, after, timestamp, &chaining_hash);
    let signature = aggregate(std::iter::once(&node.key), &text).unwrap_or_default();
    // Chain and form are right, and an empty list of non-signers claims that all signed. Only the pairing can
    // refuse it.
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
