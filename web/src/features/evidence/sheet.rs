//! The sheet that shows each step of a check.

use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::check::{Outcome, Step};
use super::gather;
use super::trust::{Subject, TrustLevel, numbers, use_evidence};
use crate::features::market::use_markets;
use crate::features::replica::use_connection;
use crate::features::wallet::use_session;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};

/// The heading and the introduction of a check.
const fn about(subject: &Subject) -> (&'static str, &'static str) {
    match subject {
        Subject::Transaction(_) => (
            "Evidence for a transaction",
            "This page computes and checks the hash, signature, chain and sequence proof itself. It does not rely on the replica where it can check.",
        ),
        Subject::Balances(_) => (
            "Evidence for balances",
            "Each balance is a leaf of a Merkle tree. This page gets the proof for each leaf and checks it against the state root.",
        ),
        Subject::Orders(_) => (
            "Evidence for open orders",
            "Each open order is a leaf of a Merkle tree. This page gets the proof for each leaf and checks it against the state root. It cannot check that the list is complete.",
        ),
        Subject::LastBatch => (
            "Evidence for the latest batch",
            "The nodes of the network sign the chain of all batches. Replicas apply the batches and sign the state root that results.",
        ),
    }
}

/// The sheet, while something is checked.
#[component]
pub fn EvidenceSheet() -> impl IntoView {
    let evidence = use_evidence();
    view! {
        <Show when=move || evidence.open.with(Option::is_some)>
            <Later part=|| Box::pin(verifier()) />
        </Show>
    }
}

#[wasm_split(verifier, wasm_split_path = ::leptos::wasm_split, fallible)]
fn verifier() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Sheet /> }.into_any())
}

/// Checks the open subject at once.
#[component]
fn Sheet() -> impl IntoView {
    let (markets, evidence) = (use_markets(), use_evidence());
    let (session, connection) = (use_session(), use_connection());
    let dialog: NodeRef<Dialog> = NodeRef::new();
    let steps = RwSignal::new(Vec::<Step>::new());
    let level = RwSignal::new(None::<TrustLevel>);
    Effect::new(move || {
        if let Some(dialog) = dialog.get() {
            // The call fails only for a dialog that is open already.
            let _ = dialog.show_modal();
        }
    });
    let check = move || {
        let Some((subject, shown)) = evidence.open.get_untracked() else { return };
        steps.set(Vec::new());
        level.set(None);
        let of = subject.clone();
        let shown = move || shown.clone().or_else(|| untrack(|| numbers(session, connection, &of)));
        spawn_local(async move {
            let (found, checked) =
                gather::check(markets, subject.clone(), steps, shown.clone()).await;
            // `try_set` returns the value if the sheet was closed meanwhile: then the result is not stored.
            if level.try_set(Some(found)).is_none() && found != TrustLevel::Reported {
                // What holds counts for the numbers that were checked. A lie counts against the numbers shown.
                let lied = shown().filter(|_| found == TrustLevel::False);
                evidence.remember(subject, lied.unwrap_or(checked).text, found);
            }
        });
    };
    check();
    // Untracked here and below: the sheet is modal, so nothing can open another subject while it is shown.
    let about =
        evidence.open.get_untracked().map(|(subject, _)| about(&subject)).unwrap_or_default();
    let step = |step: Step| {
        let (class, sign, result) = match step.outcome {
            Outcome::Holds => ("done", "✓", "valid"),
            Outcome::Fails => ("bad", "✕", "invalid"),
            Outcome::Open => ("open", "○", "not checked here"),
        };
        view! {
            <li class=class>
                <h3>
                    <span aria-hidden="true">{sign}</span>
                    {step.title}
                    <small>{result}</small>
                </h3>
                <p>{step.message}</p>
            </li>
        }
    };
    let verdict = move || {
        let message = match level.get() {
            None => "Checking…",
            Some(TrustLevel::False) => {
                "At least one check failed. Do not rely on this replica; use another one."
            }
            Some(TrustLevel::Certified) => {
                "All checks passed, and replicas certified this exact root."
            }
            Some(TrustLevel::Reported | TrustLevel::Stale) => "Some checks could not be completed.",
            Some(TrustLevel::Consistent) => {
                "All checks passed against the root that this replica reports. Replicas have not certified that exact root, so only this replica says that it is right."
            }
            Some(TrustLevel::Sequenced) => {
                "All checks that this page can make have passed: this is sequenced. The step “Certified root” says what replicas have certified."
            }
        };
        view! { <p class="verdict" class:error=level.get() == Some(TrustLevel::False)>{message}</p> }
    };
    view! {
        <dialog
            node_ref=dialog
            class="sheet evidence"
            aria-labelledby="evidence-title"
            on:close=move |_| evidence.close()
        >
            <h2 id="evidence-title">{about.0}</h2>
            <p class="note">{about.1}</p>
            <div role="status">{verdict}</div>
            <ol class="checks">{move || steps.get().into_iter().map(step).collect_view()}</ol>
            <p class="actions">
                // One check at a time, because two would add their steps to one list.
                <button type="button" class="quiet" disabled=move || level.get().is_none() on:click=move |_| check()>"Check again"</button>
                <button type="button" on:click=move |_| evidence.close()>"Close"</button>
            </p>
        </dialog>
    }
}
