//! Requests for what a view shows, with a skeleton while they have no answer and an explanation when they fail.

use leptos::leptos_dom::helpers::set_timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::parts;
use crate::platform::api::{self, ApiResult};
use crate::platform::dom::{Node, button, element, text, with};

/// How long a view waits after a commit, so that it asks once for many of them.
const REFRESH_AFTER: std::time::Duration = std::time::Duration::from_millis(500);

/// A request and its answer as text. Each view reads it as the type that it shows.
#[derive(Clone, Copy)]
pub struct Load {
    answer: RwSignal<Option<ApiResult<String>>>,
    again: RwSignal<u32>,
}

/// Asks for a path now, and again when the path changes or [`Load::again`] is called.
pub fn load(path: impl Fn() -> String + 'static) -> Load {
    // Boxed here, so that the code below is not made once for each caller.
    ask(Box::new(path))
}

fn ask(path: Box<dyn Fn() -> String>) -> Load {
    let load = Load { answer: RwSignal::new(None), again: RwSignal::new(0) };
    // Not the same as `again`, which does not count a change of the path.
    let count = StoredValue::new(0_u32);
    Effect::new(move || {
        load.again.track();
        count.update_value(|count| *count = count.wrapping_add(1));
        // The path is made here, inside the effect, so that a change of a signal that it reads makes a new request.
        let (asked, path) = (count.get_value(), path());
        spawn_local(async move {
            let answer = api::text(&path).await;
            // The view may have been left, or something else may have been asked for meanwhile.
            if count.try_get_value() == Some(asked) {
                let _ = load.answer.try_set(Some(answer));
            }
        });
    });
    load
}

impl Load {
    /// Asks again. The previous answer stays on screen until the new one arrives.
    pub fn again(self) {
        let _ = self.again.try_update(|count| *count = count.wrapping_add(1));
    }

    /// Asks again after a time.
    pub fn again_after(self, time: std::time::Duration) {
        // If the view was left meanwhile, `again` does nothing.
        set_timeout(move || self.again(), time);
    }

    /// Asks again after commits of the replica, once for many of them.
    pub fn live(self, context: Context) -> Self {
        let batch = context.last_batch();
        let waits = StoredValue::new(false);
        Effect::new(move |before: Option<Option<String>>| {
            let now = batch.get();
            // The first status says nothing new: the view has just asked.
            let is_new = before.flatten().is_some_and(|before| Some(before) != now);
            if is_new && !waits.get_value() {
                waits.set_value(true);
                let ask = move || {
                    waits.try_set_value(false);
                    self.again();
                };
                set_timeout(ask, REFRESH_AFTER);
            }
            now
        });
        self
    }

    /// The answer, or none before the first one arrives.
    pub fn read<T: DeserializeOwned>(self) -> Option<ApiResult<T>> {
        // Parsed whenever it is shown. If the parsed answer were stored, all code of `Load` would be made once for each
        // type.
        match self.answer.get()? {
            Ok(text) => Some(api::parse(&text)),
            Err(problem) => Some(Err(problem)),
        }
    }

    /// Shows the answer, or a skeleton, or the problem.
    pub fn show<T: DeserializeOwned>(self, view: impl FnOnce(T) -> Vec<Node>) -> Vec<Node> {
        match self.read() {
            None => vec![skeleton()],
            Some(Ok(body)) => view(body),
            Some(Err(problem)) => vec![self.problem(&sentence(&problem.to_string()))],
        }
    }

    fn problem(self, problem: &str) -> Node {
        let ways = vec![
            button("Try again", "", move || self.again()),
            with(parts::link("/batches", "Latest batches"), "class", "button"),
        ];
        let message = vec![element("p", "", vec![text(problem)]), element("p", "actions", ways)];
        with(element("div", "panel problem", message), "role", "alert")
    }
}

/// A problem as a sentence. A replica's own messages are parts of sentences.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// Grey lines in place of the text that will come.
fn skeleton() -> Node {
    let mut lines = vec![element("span", "visually-hidden", vec![text("Loading")])];
    let widths = ["half", "whole-line", "most", "whole-line", "half", "most"];
    lines.extend(widths.map(|width| element("span", width, Vec::new())));
    with(element("div", "panel skeleton", lines), "role", "status")
}
