//! The recovery phrase, to be written down, and the check that it was.

use leptos::prelude::*;
use zeroize::Zeroizing;

use super::attempt::attempt;
use super::keys;
use super::session::use_session;
use crate::platform::focus::focus_open_sheet;
use crate::platform::random;
use crate::ui::interface::use_interface;

/// The phrase that is shown, while one is.
pub type ShownPhrase = RwSignal<Option<Zeroizing<String>>>;

/// The number of words that are asked for in the check.
const ASKED: usize = 3;

/// [`ASKED`] different numbers below `count`, ascending, chosen at random.
fn choose(count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..count).collect();
    while left.len() > ASKED {
        left.remove(random::below(left.len()));
    }
    left
}

#[component]
pub fn PhraseView(phrase: ShownPhrase) -> impl IntoView {
    let is_checking = RwSignal::new(false);
    let interface = use_interface();
    let later = move |_| {
        phrase.set(None);
        interface.close_wallet();
    };
    // The form that had the focus is gone.
    request_animation_frame(focus_open_sheet);
    let words = move || {
        let text = phrase.get().unwrap_or_default();
        text.split(' ').map(|word| view! { <li>{word.to_string()}</li> }).collect_view()
    };
    view! {
        <Show
            when=move || is_checking.get()
            fallback=move || {
                view! {
                    <h3>"Write down your recovery phrase"</h3>
                    <p class="note">
                        "Write the words on paper, in this order, and keep them secret. They restore your wallet if this browser loses it, and anyone who has them controls your funds. You can also do it later: the page reminds you until it is done."
                    </p>
                    <ol class="phrase">{words}</ol>
                    <p class="actions">
                        <button type="button" class="quiet" on:click=later>"Remind me later"</button>
                        <button type="button" class="main" autofocus on:click=move |_| is_checking.set(true)>
                            "I've written them down"
                        </button>
                    </p>
                }
            }
        >
            <Check phrase is_checking />
        </Show>
    }
}

/// The check, which asks for some of the words.
#[component]
fn Check(phrase: ShownPhrase, is_checking: RwSignal<bool>) -> impl IntoView {
    let (session, interface) = (use_session(), use_interface());
    let count =
        phrase.with_untracked(|phrase| phrase.iter().flat_map(|text| text.split(' ')).count());
    let asked: Vec<_> =
        choose(count).into_iter().map(|at| (at, RwSignal::new(String::new()))).collect();
    let message = RwSignal::new(None::<String>);
    let fields = asked.clone();
    let first = asked.first().map(|(at, _)| *at);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let wrong = phrase.with_untracked(|phrase| {
            let words: Vec<&str> = phrase.iter().flat_map(|text| text.split(' ')).collect();
            let is_wrong = |(at, text): &&(usize, RwSignal<String>)| {
                // Keyboards of phones add capitals and spaces.
                let given = text.get_untracked().trim().to_ascii_lowercase();
                words.get(*at) != Some(&given.as_str())
            };
            asked.iter().find(is_wrong).map(|(at, _)| at + 1)
        });
        match wrong {
            Some(number) => {
                message.set(Some(format!("Word {number} is wrong. Check what you wrote down.")));
            }
            None => {
                phrase.set(None);
                attempt(interface, keys::set(session, |settings| settings.is_backed_up = true));
            }
        }
    };
    request_animation_frame(focus_open_sheet);
    let field = move |(at, text): (usize, RwSignal<String>)| {
        let id = format!("word-{}", at + 1);
        view! {
            <div class="field">
                <label for=id.clone()>{format!("Word {}", at + 1)}</label>
                <div class="input">
                    <input
                        id=id
                        autofocus=first == Some(at)
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        on:input=move |event| text.set(event_target_value(&event))
                    />
                </div>
            </div>
        }
    };
    view! {
        <h3>"Confirm your recovery phrase"</h3>
        <form on:submit=submit>
            <div class="words">{fields.into_iter().map(field).collect_view()}</div>
            <p class="error" role="alert">{move || message.get()}</p>
            <p class="actions">
                <button type="button" class="quiet" on:click=move |_| is_checking.set(false)>"Show the words again"</button>
                <button type="submit" class="main">"Confirm"</button>
            </p>
        </form>
    }
}
