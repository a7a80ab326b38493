//! How a number is known: marks beside it, and a sheet that checks it step by step in this page. What
//! checks is a part of the page that is loaded when something is first checked.

mod check;
mod gather;
mod sheet;

use leptos::prelude::*;

use crate::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::state::{State, use_state};

/// What is checked.
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

/// How far a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The connection is lost: it may be old.
    Stale,
    /// This replica says so.
    Reported,
    /// This page checked it.
    Proven,
    /// This page checked it, and that replicas agree on it.
    Certified,
    /// This page found it to be false.
    False,
}

impl Word {
    const fn text(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Reported => "reported",
            Self::Proven => "proven",
            Self::Certified => "certified",
            Self::False => "false",
        }
    }

    /// Where a number comes from, in a sentence that begins with "Source:".
    const fn source(self) -> &'static str {
        match self {
            Self::Stale => "this replica, before the connection was lost",
            Self::Reported => "this replica (not verified here)",
            Self::Proven => "proven (verified in this browser)",
            Self::Certified => "certified by replicas (verified in this browser)",
            Self::False => "false (does not match its evidence)",
        }
    }

    /// The header has room for one word, and it is one that a trader knows.
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

/// What was checked last, with the numbers as they were then.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Checked {
    subject: Subject,
    numbers: String,
    word: Word,
}

/// What is being checked, and what was.
#[derive(Clone, Copy)]
pub struct Evidence {
    open: RwSignal<Option<Subject>>,
    checked: RwSignal<Vec<Checked>>,
}

impl Evidence {
    /// For all of the page.
    pub fn provide() {
        provide_context(Self { open: RwSignal::new(None), checked: RwSignal::default() });
    }

    /// That of the page.
    pub fn of_page() -> Self {
        expect_context()
    }

    /// Opens the sheet that checks something.
    pub fn check(self, subject: Subject) {
        self.open.set(Some(subject));
    }

    fn remember(self, subject: Subject, numbers: String, word: Word) {
        self.checked.update(|checked| {
            checked.retain(|other| other.subject != subject);
            checked.push(Checked { subject, numbers, word });
        });
    }
}

/// The numbers of a subject that the page shows, as one text.
fn numbers(state: State, subject: &Subject) -> String {
    match subject {
        Subject::Transaction(hash) => hash.clone(),
        Subject::Balances(_) => state.account.with(|account| {
            let balances = account.iter().flat_map(|account| &account.balances);
            balances.map(|it| format!("{} {} {};", it.token, it.available, it.locked)).collect()
        }),
        Subject::Orders(_) => state.account.with(|account| {
            let orders = account.iter().flat_map(|account| &account.open_orders);
            orders
                .map(|it| format!("{} {} {} {};", it.id, it.price, it.quantity, it.filled))
                .collect()
        }),
        Subject::LastBatch => state.status.with(|status| {
            status.as_ref().map(|it| format!("{} {}", it.batch, it.root)).unwrap_or_default()
        }),
    }
}

const TITLE: &str = "How is this known?";

/// Says how a number is known, and opens the sheet that checks it.
#[component]
pub fn Known(
    subject: Signal<Option<Subject>>,
    of: &'static str,
    #[prop(optional)] is_in_header: bool,
) -> impl IntoView {
    let (state, evidence) = (use_state(), Evidence::of_page());
    let word = Memo::new(move |_| {
        let subject = subject.get()?;
        if !state.connected.get() {
            return Some(Word::Stale);
        }
        let now = numbers(state, &subject);
        let is_it = |checked: &&Checked| checked.subject == subject && checked.numbers == now;
        let known = evidence.checked.with(|all| all.iter().find(is_it).map(|it| it.word));
        Some(known.unwrap_or(Word::Reported))
    });
    move || {
        word.get().map(|word| {
            let open = move |_| {
                if let Some(subject) = subject.get_untracked() {
                    evidence.check(subject);
                }
            };
            let shown = if is_in_header { word.in_header() } else { word.source() };
            // The name has the words on show, so that speech input finds the button by them.
            let label = format!("{of}: {}. {shown}", word.text());
            view! {
                <button type="button" class=word.class() aria-label=label title=TITLE on:click=open>
                    {shown}
                </button>
            }
        })
    }
}

/// The sheet, while something is checked.
#[component]
pub fn EvidenceSheet() -> impl IntoView {
    let evidence = Evidence::of_page();
    view! {
        <Show when=move || evidence.open.with(Option::is_some)>
            <Later part=|| Box::pin(verifier()) />
        </Show>
    }
}

/// What checks.
#[wasm_split(verifier, wasm_split_path = ::leptos::wasm_split, fallible)]
fn verifier() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <sheet::Sheet /> }.into_any())
}
