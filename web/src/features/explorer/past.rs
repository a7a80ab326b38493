//! An account's past in the explorer, page by page, newest first.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::parts::{self, Row};
use crate::platform::api::{self, ApiResult};
use crate::platform::dom::{Node, button, element, text, with};

/// The rows of a page.
const PAGE: usize = 25;
/// The most rows that are asked for again with each commit: as many as one answer has. More of the past than that does
/// not stay up to date by itself.
const ROWS_LIVE_MAX: usize = 200;

/// An answer, and the number of rows that it was asked for.
struct Page {
    text: String,
    rows: usize,
}

/// What is asked for: rows before an id, or the newest rows, and how many.
type Request = (Option<String>, usize);

/// A list that is loaded page by page.
#[derive(Clone, Copy)]
pub struct Past {
    path: StoredValue<String>,
    pages: RwSignal<Vec<Page>>,
    /// The number of requests so far.
    asked: StoredValue<u32>,
    /// Whether a request has no answer yet.
    waits: StoredValue<bool>,
    /// Whether there was a commit since the last request.
    is_old: StoredValue<bool>,
    /// Why the last request failed, and the request.
    problem: RwSignal<Option<(String, Request)>>,
}

impl Past {
    /// Asks for the newest page at once.
    pub fn new(path: String) -> Self {
        let past = Self {
            path: StoredValue::new(path),
            pages: RwSignal::default(),
            asked: StoredValue::default(),
            waits: StoredValue::default(),
            is_old: StoredValue::default(),
            problem: RwSignal::default(),
        };
        past.ask(None, PAGE);
        past
    }

    /// Asks again for what is shown, and for what is new, with each commit of the replica.
    pub fn live(self, context: Context) -> Self {
        let batch = context.last_batch();
        Effect::new(move |before: Option<Option<String>>| {
            let now = batch.get();
            // The first status says nothing new: `new` has just asked.
            if before.flatten().is_some_and(|before| Some(before) != now) {
                self.refresh();
            }
            now
        });
        self
    }

    /// Asks again for everything shown: once for many commits, and never in place of a request of the reader.
    fn refresh(self) {
        if self.waits.get_value() {
            // The answer on its way may be from before this commit.
            self.is_old.set_value(true);
            return;
        }
        let shown: usize =
            self.pages.with_untracked(|pages| pages.iter().map(|page| page.rows).sum());
        if shown <= ROWS_LIVE_MAX {
            // One request for as many rows as are shown: each of the pages that its answer replaces would need its own.
            self.ask(None, shown.max(PAGE));
        }
    }

    /// Asks for `rows` rows before an id. Without an id, for the newest rows, which replace all others.
    fn ask(self, before: Option<String>, rows: usize) {
        let is_all = before.is_none();
        let request = (before.clone(), rows);
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        let path = format!("{}?limit={rows}{before}", self.path.get_value());
        let asked = self.asked.get_value().wrapping_add(1);
        self.asked.set_value(asked);
        if self.waits.get_value() {
            // The answer on its way will be dropped. If it is that of a refresh, the refresh is still due.
            self.is_old.set_value(true);
        }
        self.waits.set_value(true);
        spawn_local(async move {
            let answer = api::text(&path).await;
            // The view may have been left, or something else may have been asked for meanwhile.
            if self.asked.try_get_value() != Some(asked) {
                return;
            }
            self.waits.set_value(false);
            self.problem.set(answer.as_ref().err().map(|problem| (problem.to_string(), request)));
            if let Ok(text) = answer {
                self.pages.update(|pages| {
                    if is_all {
                        pages.clear();
                    }
                    // As text: only `show` is made once for each type of entry, and parses it.
                    pages.push(Page { text, rows });
                });
                if self.is_old.get_value() {
                    self.is_old.set_value(false);
                    self.refresh();
                }
            }
        });
    }

    /// All pages as one table. `rows` returns the rows of a page and the id of its last one.
    pub fn show<T: DeserializeOwned>(
        self,
        caption: &str,
        columns: &[&str],
        empty: &str,
        rows: impl Fn(&T) -> (Vec<Row>, Option<String>),
    ) -> Vec<Node> {
        let pages: Vec<ApiResult<T>> =
            self.pages.with(|pages| pages.iter().map(|page| api::parse(&page.text)).collect());
        let (mut all, mut oldest, mut is_more) = (Vec::new(), None, false);
        let mut problem = self.problem.get();
        let asked: Vec<usize> =
            self.pages.with(|pages| pages.iter().map(|page| page.rows).collect());
        for (page, asked) in pages.iter().zip(asked) {
            let page = match page {
                Ok(page) => page,
                Err(unreadable) => {
                    // Without this page the list would have a gap, so it is asked for as a whole.
                    problem.get_or_insert_with(|| (unreadable.to_string(), (None, PAGE)));
                    continue;
                }
            };
            let (rows, last) = rows(page);
            // A full page may have another one after it. The last page decides.
            is_more = rows.len() == asked;
            all.extend(rows);
            oldest = last.or(oldest);
        }
        let mut view = Vec::new();
        // A list that cannot be read is not empty.
        if pages.iter().any(Result::is_ok) {
            view.push(parts::table(caption, columns, all, empty));
        }
        let next = match problem {
            Some((problem, request)) => {
                let problem = element("p", "error", vec![text(&problem)]);
                view.push(with(problem, "role", "alert"));
                Some(("Try again", request))
            }
            None => is_more.then_some(("Older", (oldest, PAGE))),
        };
        if let Some((label, (before, rows))) = next {
            let value = before.clone().unwrap_or_default();
            let button = button(label, &value, move || self.ask(before.clone(), rows));
            let button =
                with(button, "aria-label", &format!("{label}: {}", caption.to_ascii_lowercase()));
            view.push(element("p", "actions", vec![button]));
        }
        view
    }
}
