//! What can be checked, how far the page trusts it, and the mark beside a number that says so.

use leptos::prelude::*;

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
    /// This page checked it.
    Proven,
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
            Self::Proven => "proven",
            Self::Certified => "certified",
            Self::False => "false",
        }
    }

    /// The source of a number, for a sentence that begins with "Source:".
    const fn source(self) -> &'static str {
        match self {
            Self::Stale => "this replica, before the connection was lost",
            Self::Reported => "this replica (not verified here)",
            Self::Proven => "proven (verified in this browser)",
            Self::Certified => "certified by replicas (verified in this browser)",
            Self::False => "false (does not match its evidence)",
        }
    }

    /// One word for the header, which has no room for more. It is one that a trader knows.
    const fn in_header(self) -> &'static str {
        match self {
            Self::Stale => "Stale",
            Self::Reported => "Verify",
            Self::Proven | Self::Certified => "Verified",
            Self::False => "False",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Proven | Self::Certified => "known good",
            Self::Stale | Self::Reported => "known",
            Self::False => "known bad",
        }
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
    /// The subject of the open sheet.
    pub(super) open: Reader<Option<Subject>>,
    set_open: RwSignal<Option<Subject>>,
    checked: RwSignal<Vec<Checked>>,
}

impl Evidence {
    pub fn new() -> Self {
        let (open, set_open) = reader(None);
        Self { open, set_open, checked: RwSignal::default() }
    }

    /// Opens the sheet, which checks the subject at once.
    pub fn check(self, subject: Subject) {
        self.set_open.set(Some(subject));
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

/// The numbers of a subject that the page shows, as one text.
pub fn numbers(session: Session, connection: Connection, subject: &Subject) -> String {
    match subject {
        // A transaction never changes, so its result stays valid.
        Subject::Transaction(hash) => hash.clone(),
        Subject::Balances(_) => session.account.with(|account| {
            let balances = account.iter().flat_map(|account| &account.balances);
            balances.map(|it| format!("{} {} {};", it.token, it.available, it.locked)).collect()
        }),
        Subject::Orders(_) => session.account.with(|account| {
            let orders = account.iter().flat_map(|account| &account.open_orders);
            orders
                .map(|it| format!("{} {} {} {};", it.id, it.price, it.quantity, it.filled))
                .collect()
        }),
        Subject::LastBatch => connection.status.with(|status| {
            status.as_ref().map(|it| format!("{} {}", it.batch, it.root)).unwrap_or_default()
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
        let now = numbers(session, connection, &subject);
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
