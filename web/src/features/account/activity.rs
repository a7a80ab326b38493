//! The transactions that this page sent, each with its steps: signed, posted, sequenced, applied or rejected,
//! certified.

use leptos::prelude::*;
use zellbook_core::wire::Stage;

use crate::features::evidence::{Subject, use_evidence};
use crate::features::replica::use_connection;
use crate::features::signing::{Sent, refusal, use_signing};
use crate::platform::format;

#[component]
pub fn SentList() -> impl IntoView {
    let signing = use_signing();
    let list = move || {
        signing.sent.get().into_iter().map(|sent| view! { <SentView sent /> }).collect_view()
    };
    view! {
        <Show
            when=move || signing.sent.with(|sent| !sent.is_empty())
            fallback=|| view! { <p class="empty">"Transactions you sign appear here, with the status of each step."</p> }
        >
            <ol class="sent" aria-live="polite">{list}</ol>
        </Show>
    }
}

/// The steps: name, time and class of each.
fn steps(sent: &Sent) -> Vec<(&'static str, Option<String>, &'static str)> {
    let status = sent.status.as_ref();
    let stage = status.map(|status| status.status);
    let time = |time: fn(&zellbook_core::wire::TransactionStatus) -> Option<&String>| {
        status.and_then(time).map(|time| format::time(time))
    };
    // These two come last in the order of stages, but such a transaction was in no batch.
    let is_given_up = matches!(stage, Some(Stage::Expired | Stage::Superseded));
    let reached = |least: Stage| !is_given_up && stage.is_some_and(|stage| stage >= least);
    let is_posted = reached(Stage::Posted)
        || status.is_some_and(|status| is_given_up && status.posted_ms.is_some());
    let class = |is_reached: bool, is_next: bool| match (is_reached, is_next) {
        (true, _) => "done",
        (false, true) => "now",
        _ => "later",
    };
    let last = match stage {
        Some(Stage::Rejected) => "rejected",
        Some(Stage::Expired) => "expired",
        Some(Stage::Superseded) => "superseded",
        Some(Stage::BeforeStart) => "unknown outcome",
        // The replica did not take it.
        None if sent.is_over => "refused",
        _ => "applied",
    };
    let is_rejected = last != "applied";
    vec![
        // This time is the browser's. The others are the replica's or the network's, so they can seem to go back.
        ("signed", Some(format::time(&sent.signed_ms)), "done"),
        // `received` has no step of its own: until it is posted, a transaction is on its way to that.
        ("posted", time(|status| status.posted_ms.as_ref()), class(is_posted, !sent.is_over)),
        (
            "sequenced",
            time(|status| status.sequenced_ms.as_ref()),
            class(reached(Stage::Sequenced), stage == Some(Stage::Posted)),
        ),
        (
            last,
            time(|status| status.applied_ms.as_ref()),
            if is_rejected {
                "bad"
            } else {
                class(reached(Stage::Applied), stage == Some(Stage::Sequenced))
            },
        ),
    ]
}

#[component]
fn SentView(sent: Sent) -> impl IntoView {
    let step = |(name, time, class): (&'static str, Option<String>, &'static str)| {
        let mark = match class {
            "done" => "✓",
            "bad" => "✕",
            "now" => "…",
            _ => "·",
        };
        view! {
            <li class=class>
                <span aria-hidden="true">{mark}</span>
                {name}
                <small>{time}</small>
            </li>
        }
    };
    // A reject is the exchange's outcome. `problem` comes from the replica or the connection: the
    // transaction may still be applied unless the replica refused it.
    let rejection = sent
        .status
        .as_ref()
        .and_then(|status| status.reject.as_ref())
        .map(|reject| refusal::no_effect(&reject.name, &reject.message));
    let batch = sent.status.as_ref().and_then(|status| status.batch.clone());
    let index = batch.as_ref().and_then(|batch| batch.parse().ok());
    let connection = use_connection();
    let hash = sent.hash.clone();
    let evidence = use_evidence();
    let subject = Subject::Transaction(hash.clone());
    let check = move |_| evidence.check(subject.clone());
    view! {
        <li>
            <div class="sent-head">
                <strong>{sent.title.clone()}</strong>
                <a class="hash" href=format!("/transactions/{hash}") title=hash.clone()>{format::short(&hash)}</a>
                {batch.map(|batch| view! { <a href=format!("/batches/{batch}")>"batch " {batch.clone()}</a> })}
                <button type="button" class="known" aria-label=format!("Check {}", sent.title) on:click=check>"check"</button>
            </div>
            <ol class="steps">
                {steps(&sent).into_iter().map(step).collect_view()}
                {index.map(|index| move || {
                    let class = if connection.is_certified(index) { "done" } else { "now" };
                    step(("certified", None, class))
                })}
            </ol>
            {rejection.map(|text| view! { <p class="error">"Rejected: " {text}</p> })}
            {sent.problem.clone().map(|text| view! { <p class="error">{text}</p> })}
            {(!sent.text.is_empty())
                .then(|| view! { <details><summary>"Signed message"</summary><pre class="text">{sent.text.clone()}</pre></details> })}
        </li>
    }
}
