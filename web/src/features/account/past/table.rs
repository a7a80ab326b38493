//! A list of the account's past as a table.

use std::collections::BTreeMap;
use std::time::Duration;

use leptos::leptos_dom::helpers::set_timeout;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::PublicKey;

use super::csv;
use super::lists::{Cell, Entry, Past};
use crate::features::market::{Markets, use_markets};
use crate::features::wallet::{Session, use_session};
use crate::platform::api::{self, ApiResult};

/// The rows of a page.
const PAGE: usize = 50;
/// The rows of a page when all are asked for: as many as a replica gives.
const PAGE_MAX: usize = 200;
/// The most rows of a file. A replica could send pages without end.
const FILE_ROWS_MAX: usize = 500_000;
/// How long a table waits after a change of the account, so that it asks once for many of them.
const REFRESH_AFTER: Duration = Duration::from_millis(300);

/// Asks for a page of entries with lower numbers.
async fn ask(
    Shown { past, markets, .. }: Shown,
    account: &str,
    before: Option<u64>,
    limit: usize,
) -> ApiResult<Vec<Entry>> {
    let before = before.map(|number| format!("&before={number}")).unwrap_or_default();
    let path = format!("/v1/accounts/{account}/{}?limit={limit}{before}", past.path);
    let json = api::text(&path).await?;
    // Rows depend on the listing, which is a signal. A task is not run again when a signal changes.
    untrack(|| (past.read)(markets, &json))
}

/// What the table shows.
#[derive(Clone, Copy)]
struct Shown {
    past: &'static Past,
    markets: Markets,
    session: Session,
    entries: RwSignal<Option<BTreeMap<u64, Entry>>>,
    has_older: RwSignal<bool>,
    is_busy: RwSignal<bool>,
    problem: RwSignal<Option<String>>,
}

impl Shown {
    /// The active account, once the markets are known: they say how the numbers are written.
    fn account(self) -> Option<PublicKey> {
        self.markets.listing.with(|listing| listing.as_ref().map(drop))?;
        self.session.key()
    }

    fn account_text(self) -> Option<String> {
        untrack(|| self.account()).map(|account| account.to_string())
    }

    /// Asks for the newest entries, or for those before the oldest one shown.
    async fn load(self, is_older: bool) {
        let Some(account) = self.account_text() else { return };
        let lowest = move || {
            let lowest = self.entries.try_with_untracked(|entries| {
                entries.as_ref().and_then(|entries| entries.keys().next().copied())
            });
            lowest.flatten()
        };
        let before = if is_older { lowest() } else { None };
        let answer = ask(self, &account, before, PAGE).await;
        // By now another account may be active, and its table must not get these rows.
        if self.account_text() != Some(account) {
            return;
        }
        // Or the table has started again from a newer page, and below that these rows would leave a gap.
        if is_older && lowest() != before {
            return;
        }
        let page = match answer {
            Ok(page) => page,
            Err(problem) => {
                // The rows shown stay, though the newest may be missing. Here and below `try_` is for a tab that was
                // closed meanwhile.
                let _ = self.problem.try_set(Some(problem.to_string()));
                return;
            }
        };
        let is_full = page.len() >= PAGE;
        // If even the oldest entry of a full new page is newer than everything shown, entries between them may be
        // missing. Then the table starts again from the new page.
        let is_apart =
            !is_older && is_full && page.last().map(|entry| entry.number) > self.highest();
        let is_first = self.entries.try_with_untracked(Option::is_none).unwrap_or(true);
        // A newest page that joins the rows shown says nothing about what is older than those.
        if is_older || is_first || is_apart {
            let _ = self.has_older.try_set(is_full);
        }
        let _ = self.entries.try_update(|entries| {
            let entries = entries.get_or_insert_default();
            if is_apart {
                entries.clear();
            }
            // A map by number: pages may overlap or arrive in another order, and each entry still appears once, in its
            // place.
            entries.extend(page.into_iter().map(|entry| (entry.number, entry)));
        });
        let _ = self.problem.try_set(None);
    }

    fn highest(self) -> Option<u64> {
        self.entries
            .try_with_untracked(|entries| entries.as_ref()?.keys().next_back().copied())
            .flatten()
    }

    /// Asks for all entries and offers them as a file.
    async fn save(self) {
        let Some(account) = self.account_text() else { return };
        // All pages are of this account, even if another one becomes active meanwhile.
        let mut rows = vec![self.past.file.iter().map(ToString::to_string).collect()];
        let mut before = None;
        loop {
            // From number to number and not by position, so entries that arrive meanwhile do not shift the pages.
            match ask(self, &account, before, PAGE_MAX).await {
                Ok(page) => {
                    let is_full = page.len() >= PAGE_MAX;
                    let last = page.last().map(|entry| entry.number);
                    // A replica that ignores `before` would send one page again and again.
                    if before.is_some_and(|before| last >= Some(before)) {
                        let text = "The replica sent the same entries again, so the file would not be right. Try another replica.";
                        let _ = self.problem.try_set(Some(text.into()));
                        return;
                    }
                    before = last;
                    rows.extend(page.into_iter().map(|entry| entry.values));
                    if !is_full {
                        break;
                    }
                    if rows.len() > FILE_ROWS_MAX {
                        let text = format!("The file has only the newest {FILE_ROWS_MAX} entries.");
                        let _ = self.problem.try_set(Some(text));
                        break;
                    }
                }
                Err(problem) => {
                    let _ = self.problem.try_set(Some(problem.to_string()));
                    return;
                }
            }
        }
        let name = format!("zellbook-{}-{}.csv", self.past.path, account.get(..10).unwrap_or(""));
        if csv::save(&name, &rows).is_err() {
            let text =
                "The browser blocked the download. Allow downloads from this page, then try again.";
            let _ = self.problem.try_set(Some(text.into()));
        }
    }

    /// Does some work, unless other work is being done.
    fn busy(self, work: impl Future<Output = ()> + 'static) {
        // Two clicks would ask for the same page twice. Refreshes do not count as work here: they do not wait for a
        // click.
        if self.is_busy.get_untracked() {
            return;
        }
        self.is_busy.set(true);
        spawn_local(async move {
            work.await;
            let _ = self.is_busy.try_set(false);
        });
    }
}

#[component]
pub fn PastView(past: &'static Past) -> impl IntoView {
    let (markets, session) = (use_markets(), use_session());
    let shown = Shown {
        past,
        markets,
        session,
        entries: RwSignal::new(None),
        has_older: RwSignal::new(false),
        is_busy: RwSignal::new(false),
        problem: RwSignal::new(None),
    };
    let account = Memo::new(move |_| shown.account());
    let waits = StoredValue::new(false);
    Effect::new(move |before: Option<Option<PublicKey>>| {
        let now = account.get();
        if before.flatten() != now {
            // Before the request, so that the rows of the other account disappear at once.
            shown.entries.set(None);
            spawn_local(shown.load(false));
        }
        now
    });
    Effect::new(move |before: Option<()>| {
        session.account.track();
        // The first run follows no change: the effect above has asked already.
        if before.is_some() && !waits.get_value() {
            waits.set_value(true);
            let again = move || {
                waits.try_set_value(false);
                spawn_local(shown.load(false));
            };
            set_timeout(again, REFRESH_AFTER);
        }
    });
    let column = |name: &&'static str| view! { <th scope="col" role="columnheader">{*name}</th> };
    let head = move || past.columns.iter().map(column).collect_view();
    let rows = move || {
        shown.entries.with(|entries| {
            let entries = entries.iter().flat_map(|entries| entries.values().rev());
            entries.map(|entry| row(past, entry)).collect_view()
        })
    };
    let has_rows =
        move || shown.entries.with(|entries| entries.as_ref().is_some_and(|it| !it.is_empty()));
    let has_account = move || session.key().is_some();
    let is_loading = move || has_account() && shown.entries.with(Option::is_none);
    view! {
        <Show when=has_rows>
            <div class="table-scroll" tabindex="0" role="region" aria-label=past.path>
                <table role="table" class="past">
                    <thead role="rowgroup"><tr role="row">{head()}</tr></thead>
                    <tbody role="rowgroup">{rows}</tbody>
                </table>
            </div>
        </Show>
        <Show when=move || !has_rows() && !is_loading()>
            <p class="empty">{past.empty}</p>
        </Show>
        <Show when=move || is_loading() && shown.problem.with(Option::is_none)>
            <p class="skeleton" role="status"><span class="visually-hidden">"Loading"</span></p>
        </Show>
        <p class="reason" role="status">{move || shown.problem.get()}</p>
        <p class="actions">
            <Show when=move || has_rows() && shown.has_older.get()>
                <button type="button" disabled=move || shown.is_busy.get() on:click=move |_| shown.busy(shown.load(true))>
                    "Load more"
                </button>
            </Show>
            <Show when=move || has_rows() && !past.file.is_empty()>
                <button type="button" disabled=move || shown.is_busy.get() on:click=move |_| shown.busy(shown.save())>
                    "Export CSV"
                </button>
            </Show>
        </p>
    }
}

fn row(past: &'static Past, entry: &Entry) -> impl IntoView + use<> {
    let cell = |(cell, label): (Cell, &&'static str)| {
        let inner = match cell.link {
            Some(link) => view! { <a href=link>{cell.text}</a> }.into_any(),
            None => cell.text.into_any(),
        };
        view! { <td role="cell" class=cell.class title=cell.title data-label=*label>{inner}</td> }
    };
    let cells = entry.cells.clone().into_iter().zip(past.columns).map(cell).collect_view();
    view! { <tr role="row">{cells}</tr> }
}
