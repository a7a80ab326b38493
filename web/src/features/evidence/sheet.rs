//! The sheet that shows each step of a check.

use leptos::html::Dialog;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::check::{Outcome, Step};
use super::{Evidence, Subject, Word, gather, numbers};
use crate::state::use_state;

/// What a subject is called, and what is to be known of its check beforehand.
const fn about(subject: &Subject) -> (&'static str, &'static str) {
    match subject {
        Subject::Transaction(_) => (
            "Evidence for a transaction",
            "This page computes and checks the hash, signature, chain and finality proof itself. It does not rely on the replica where it can verify.",
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

/// Checks what is open, at once.
#[component]
pub fn Sheet() -> impl IntoView {
    let (state, evidence) = (use_state(), Evidence::of_page());
    let dialog: NodeRef<Dialog> = NodeRef::new();
    let steps = RwSignal::new(Vec::<Step>::new());
    let word = RwSignal::new(None::<Word>);
    Effect::new(move || {
        if let Some(dialog) = dialog.get() {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        }
    });
    let check = move || {
        let Some(subject) = evidence.open.get_untracked() else { return };
        steps.set(Vec::new());
        word.set(None);
        let shown = untrack(|| numbers(state, &subject));
        spawn_local(async move {
            let found = gather::check(state, subject.clone(), steps).await;
            if word.try_set(Some(found)).is_none() && found != Word::Reported {
                evidence.remember(subject, shown, found);
            }
        });
    };
    check();
    let about = evidence.open.get_untracked().as_ref().map(about).unwrap_or_default();
    let step = |step: Step| {
        let (class, sign, said) = match step.outcome {
            Outcome::Holds => ("done", "✓", "valid"),
            Outcome::Fails => ("bad", "✕", "invalid"),
            Outcome::Open => ("open", "○", "not checked here"),
        };
        view! {
            <li class=class>
                <h3>
                    <span aria-hidden="true">{sign}</span>
                    {step.title}
                    <small>{said}</small>
                </h3>
                <p>{step.said}</p>
            </li>
        }
    };
    let is_of_state = evidence.open.with_untracked(|subject| {
        matches!(subject, Some(Subject::Balances(_) | Subject::Orders(_)))
    });
    let verdict = move || {
        let said = match word.get() {
            None => "Checking…",
            Some(Word::False) => {
                "At least one check failed. Do not rely on this replica; use another one."
            }
            Some(Word::Certified) => "All checks passed, and replicas certified this exact root.",
            Some(Word::Reported | Word::Stale) => "Some checks could not be completed.",
            Some(Word::Proven) if is_of_state => {
                "All checks passed against the root that this replica reports. Replicas have not certified that exact root."
            }
            Some(Word::Proven) => "All checks that this page can make have passed.",
        };
        view! { <p class="verdict" class:fault=word.get() == Some(Word::False)>{said}</p> }
    };
    view! {
        <dialog
            node_ref=dialog
            class="sheet evidence"
            aria-labelledby="evidence-title"
            on:close=move |_| evidence.open.set(None)
        >
            <h2 id="evidence-title">{about.0}</h2>
            <p class="note">{about.1}</p>
            <div role="status">{verdict}</div>
            <ol class="checks">{move || steps.get().into_iter().map(step).collect_view()}</ol>
            <p class="actions">
                <button type="button" class="quiet" disabled=move || word.get().is_none() on:click=move |_| check()>"Check again"</button>
                <button type="button" on:click=move |_| evidence.open.set(None)>"Close"</button>
            </p>
        </dialog>
    }
}
