//! What can be checked, how far the page trusts it, and the mark beside a number that says so.

use leptos::prelude::*;
use zellbook_core::wire::AccountBody;

use crate::features::replica::{Connection, use_connection};
use crate::features::wallet::{Session, use_session};
use crate::ui::reader::{Reader, reader};

/// Something that this page can check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A transaction, by its hash.
    Transaction(String),
    /// All balances of an account, by its public key.
    Balances(String),
    /// All open orders of an account, by its public key.
    Orders(String),
    /// The last batch and its root.
    LastBatch,
}

/// How far a number can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustLevel {
    /// The connection is lost, so the number may be old.
    Stale,
    /// Only this replica says so.
    Reported,
    /// This page checked that it belongs to a state root, and only this replica says that the root is right.
    Consistent,
    /// This page checked that the network's nodes signed it. That binds the sequence, and no state.
    Sequenced,
    /// This page checked it, and checked that replicas agree on it.
    Certified,
    /// This page found it to be false.
    False,
}

impl TrustLevel {
    pub const fn text(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Reported => "reported",
            Self::Consistent => "consistent",
            Self::Sequenced => "sequenced",
            Self::Certified => "certified",
            Self::False => "false",
        }
    }

    /// The source of a number, for a sentence that begins with "Source:".
    const fn source(self) -> &'static str {
        match self {
            Self::Stale => "this replica, before the connection was lost",
            Self::Reported => "this replica (not checked here)",
            Self::Consistent => "consistent with this replica’s state root (not certified)",
            Self::Sequenced => "sequenced (checked in this browser)",
            Self::Certified => "certified by replicas (checked in this browser)",
            Self::False => "false (does not match its evidence)",
        }
    }

    /// One word for the header, which has no room for more. It is one that a trader knows.
    const fn in_header(self) -> &'static str {
        match self {
            Self::Stale => "Stale",
            Self::Reported | Self::Consistent => "Verify",
            Self::Sequenced => "Sequenced",
            Self::Certified => "Certified",
            Self::False => "False",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Certified => "known good",
            Self::Stale | Self::Reported | Self::Consistent | Self::Sequenced => "known",
            Self::False => "known bad",
        }
    }
}

/// Numbers as one text, to compare them, and the batch that they are of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    pub batch: String,
    pub text: String,
}

impl Numbers {
    pub fn of_balances(body: &AccountBody) -> Self {
        let text = body.balances.iter();
        let text = text.map(|it| format!("{} {} {};", it.token, it.available, it.locked));
        Self { batch: body.batch.clone(), text: text.collect() }
    }

    /// Everything about open orders that a state root commits to.
    pub fn of_orders(body: &AccountBody) -> Self {
        let text = body.open_orders.iter().map(|it| {
            let (expires, name) = (it.expires_ms.as_deref(), it.client_id.as_deref());
            format!(
                "{} {} {} {} {} {} {} {} {};",
                it.id,
                it.market,
                it.side,
                it.price,
                it.quantity,
                it.filled,
                it.remaining,
                expires.unwrap_or_default(),
                name.unwrap_or_default(),
            )
        });
        Self { batch: body.batch.clone(), text: text.collect() }
    }

    pub fn of_last_batch(batch: &str, root: &str) -> Self {
        Self { batch: batch.into(), text: format!("{batch} {root}") }
    }
}

/// The last check of a subject, with the numbers that it was about. The result does not count for other numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Checked {
    subject: Subject,
    numbers: String,
    level: TrustLevel,
}

/// What is on the sheet, and what was checked before.
#[derive(Clone, Copy)]
pub struct Evidence {
    /// The subject of the open sheet, with its numbers as a view of the explorer shows them.
    pub(super) open: Reader<Option<(Subject, Option<Numbers>)>>,
    set_open: RwSignal<Option<(Subject, Option<Numbers>)>>,
    checked: RwSignal<Vec<Checked>>,
}

impl Evidence {
    pub fn new() -> Self {
        let (open, set_open) = reader(None);
        Self { open, set_open, checked: RwSignal::default() }
    }

    /// Opens the sheet, which checks the subject at once.
    pub fn check(self, subject: Subject) {
        self.set_open.set(Some((subject, None)));
    }

    /// Like [`Self::check`], for numbers of an account that need not be the session's.
    pub fn check_shown(self, subject: Subject, shown: Option<Numbers>) {
        self.set_open.set(Some((subject, shown)));
    }

    pub(super) fn close(self) {
        self.set_open.set(None);
    }

    /// Stores the result of a check.
    pub(super) fn remember(self, subject: Subject, numbers: String, level: TrustLevel) {
        self.checked.update(|checked| {
            // One result for each subject, so that the list does not grow with each check.
            checked.retain(|other| other.subject != subject);
            checked.push(Checked { subject, numbers, level });
        });
    }
}

pub fn use_evidence() -> Evidence {
    expect_context()
}

/// The numbers of a subject that the page shows beside its mark.
pub fn numbers(session: Session, connection: Connection, subject: &Subject) -> Option<Numbers> {
    let of_session = |account: &str, read: fn(&AccountBody) -> Numbers| {
        session.account.with(|body| body.as_ref().filter(|body| body.account == account).map(read))
    };
    match subject {
        // A transaction never changes, so its result stays valid.
        Subject::Transaction(_) => None,
        Subject::Balances(account) => of_session(account, Numbers::of_balances),
        Subject::Orders(account) => of_session(account, Numbers::of_orders),
        Subject::LastBatch => connection.status.with(|status| {
            status.as_ref().map(|status| Numbers::of_last_batch(&status.batch, &status.root))
        }),
    }
}

const TITLE: &str = "How is this known?";

/// Says how far a number can be trusted, and opens the sheet that checks it.
#[component]
pub fn Known(
    subject: Signal<Option<Subject>>,
    of: &'static str,
    #[prop(optional)] is_in_header: bool,
) -> impl IntoView {
    let (session, connection, evidence) = (use_session(), use_connection(), use_evidence());
    // A memo: status and account change with each batch, and making the button again would take the focus from it.
    let level = Memo::new(move |_| {
        let subject = subject.get()?;
        // Also for numbers that were checked: they were true of a batch that may no longer be the last.
        if !connection.is_connected.get() {
            return Some(TrustLevel::Stale);
        }
        let now = numbers(session, connection, &subject).unwrap_or_default().text;
        let is_it = |checked: &&Checked| checked.subject == subject && checked.numbers == now;
        let known = evidence.checked.with(|all| all.iter().find(is_it).map(|it| it.level));
        Some(known.unwrap_or(TrustLevel::Reported))
    });
    move || {
        level.get().map(|level| {
            let open = move |_| {
                if let Some(subject) = subject.get_untracked() {
                    evidence.check(subject);
                }
            };
            let shown = if is_in_header { level.in_header() } else { level.source() };
            // The label contains the words shown, so that speech input finds the button by them.
            let label = format!("{of}: {}. {shown}", level.text());
            view! {
                <button type="button" class=level.class() aria-label=label title=TITLE on:click=open>
                    {shown}
                </button>
            }
        })
    }
}
