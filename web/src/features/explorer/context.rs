//! What the explorer's views have in common.

use leptos::prelude::*;

use crate::features::evidence::{Evidence, use_evidence};
use crate::features::market::{Markets, use_markets};
use crate::features::replica::{Connection, use_connection};
use crate::features::wallet::{Session, use_session};
use crate::platform::dom::Node;
use crate::platform::route::{Router, use_router};

/// Makes the elements of a view. It is called again whenever a signal that it read has changed.
pub type View = Box<dyn Fn() -> Vec<Node>>;

/// The states that views read.
#[derive(Clone, Copy)]
pub struct Context {
    pub markets: Markets,
    pub session: Session,
    pub connection: Connection,
    pub evidence: Evidence,
    pub router: Router,
}

impl Context {
    pub fn of_page() -> Self {
        Self {
            markets: use_markets(),
            session: use_session(),
            connection: use_connection(),
            evidence: use_evidence(),
            router: use_router(),
        }
    }

    /// The last batch that the replica reported. It changes with each commit.
    pub fn last_batch(self) -> Memo<Option<String>> {
        // A memo: the status also changes without a commit, for example when the replica loses the sequencer.
        Memo::new(move |_| {
            self.connection.status.with(|status| Some(status.as_ref()?.batch.clone()))
        })
    }
}
