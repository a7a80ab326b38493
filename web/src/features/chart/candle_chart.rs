//! Candles with volume and the account's own fills, kept up by the tape; the same as a table for who does
//! not see them.

use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::closure::Closure;
use zellbook_core::wire::CandlesResponse;
use zellbook_core::{Market, Side};

use super::Chosen;
use super::library::{self, Chart};
use crate::candles::{Candle, Candles, Change, INTERVALS, Interval};
use crate::later::{MakeView, NotLoaded, wasm_split};
use crate::state::{State, use_state};
use crate::{api, clock, format};

/// Candles that are asked for at once.
const PAGE: usize = 500;
/// Candles that the table has.
const TABLE_ROWS: usize = 100;

/// A number for the chart library, which draws with floats.
fn float(text: &str) -> f64 {
    js_sys::Number::parse_float(text)
}

/// Asks for candles of a market, newest first, that begin before a time.
async fn ask(
    market: &str,
    interval: &str,
    before_ms: Option<u64>,
) -> api::ApiResult<CandlesResponse> {
    let market = market.replacen('/', "-", 1);
    let before = before_ms.map(|time| format!("&before={time}")).unwrap_or_default();
    let path = format!("/v1/markets/{market}/candles?interval={interval}&limit={PAGE}{before}");
    api::parse(&api::text(&path).await?)
}

/// Six numbers a candle, as `web/chart.js` reads them.
fn rows(market: &Market, candles: &[Candle]) -> Vec<f64> {
    let row = |candle: &Candle| {
        let price = |price| float(&market.format_price(price));
        [
            float(&candle.start_ms.to_string()),
            price(candle.open),
            price(candle.high),
            price(candle.low),
            price(candle.close),
            float(&market.format_quantity(candle.volume)),
        ]
    };
    candles.iter().flat_map(row).collect()
}

/// What the view has.
#[derive(Clone, Copy)]
struct Shown {
    state: State,
    interval: RwSignal<Interval>,
    candles: RwSignal<Option<Candles>>,
    problem: RwSignal<Option<String>>,
    /// Counts what was asked for: an answer to an earlier question counts no more.
    asked: StoredValue<u32>,
    is_asking_older: StoredValue<bool>,
    chart: StoredValue<Option<Chart>, LocalStorage>,
    /// The beginning of the candle under the pointer.
    pointed: RwSignal<Option<u64>>,
}

impl Shown {
    /// Asks for the last candles of the market on show.
    fn ask(self) {
        let Some((_, market)) = untrack(|| self.state.listed_market()) else { return };
        let interval = self.interval.get_untracked();
        self.asked.update_value(|count| *count = count.wrapping_add(1));
        let count = self.asked.get_value();
        spawn_local(async move {
            let answer = ask(&market.name, interval.name, None).await;
            if self.asked.try_get_value() != Some(count) {
                return;
            }
            match answer {
                Ok(body) => {
                    let mut candles = Candles::read(market, interval, PAGE, &body);
                    // The tape may be ahead of the answer; where it has a gap, it asks again.
                    self.state.trades.with_untracked(|tape| candles.take(tape));
                    self.candles.set(Some(candles));
                    self.problem.set(None);
                    self.draw_all();
                }
                Err(problem) => self.problem.set(Some(problem.to_string())),
            }
        });
    }

    /// Asks for those before the first.
    fn ask_older(self) {
        let before = self.candles.with_untracked(|candles| {
            let candles = candles.as_ref().filter(|candles| candles.has_older)?;
            let first = candles.list.first()?.start_ms;
            Some((candles.market.clone(), candles.interval, first))
        });
        let Some((market, interval, first)) = before else { return };
        if self.is_asking_older.get_value() {
            return;
        }
        self.is_asking_older.set_value(true);
        let count = self.asked.get_value();
        spawn_local(async move {
            let answer = ask(&market.name, interval.name, Some(first)).await;
            self.is_asking_older.try_set_value(false);
            let (Ok(body), true) = (answer, self.asked.try_get_value() == Some(count)) else {
                return;
            };
            let older = Candles::read(market, interval, PAGE, &body);
            self.candles.update(|candles| {
                if let Some(candles) = candles {
                    candles.add_older(older);
                }
            });
            self.draw(|chart, candles| chart.set_older(&rows(&candles.market, &candles.list)));
        });
    }

    /// Does something with chart and candles, where both are there.
    fn draw(self, draw: impl FnOnce(&Chart, &Candles)) {
        self.chart.try_with_value(|chart| {
            self.candles.with_untracked(|candles| {
                if let (Some(chart), Some(candles)) = (chart, candles) {
                    draw(chart, candles);
                }
            });
        });
    }

    fn draw_all(self) {
        self.draw(|chart, candles| {
            let Candles { market, interval, list, .. } = candles;
            let tick = market.tick_size;
            let is_of_days = interval.length_ms >= 86_400_000;
            chart.set_all(&rows(market, list), tick.scale(), float(&tick.to_string()), is_of_days);
        });
        self.draw_marks();
    }

    /// Marks the account's fills.
    fn draw_marks(self) {
        self.draw(|chart, candles| {
            let first = candles.list.first().map_or(u64::MAX, |candle| candle.start_ms);
            let mut marks = self.state.account.with_untracked(|account| {
                let fills = account.iter().flat_map(|account| &account.fills);
                let fills = fills.filter(|fill| fill.trade.market == candles.market.name);
                let mark = |fill: &zellbook_core::wire::FillBody| {
                    let start = candles.start_of(fill.trade.time_ms.parse().ok()?);
                    (start >= first).then_some((start, fill.side == Side::Buy))
                };
                fills.filter_map(mark).collect::<Vec<_>>()
            });
            marks.sort_unstable();
            marks.dedup();
            let mark = |(start, is_buy): (u64, bool)| {
                [float(&start.to_string()), if is_buy { 1.0 } else { 0.0 }]
            };
            chart.set_marks(&marks.into_iter().flat_map(mark).collect::<Vec<_>>());
        });
    }

    /// Follows the tape.
    fn take_tape(self) {
        let change = self.state.trades.with(|tape| {
            let mut change = Change::Nothing;
            // Without telling: most changes of the tape are none of these.
            self.candles.update_untracked(|candles| {
                if let Some(candles) = candles {
                    change = candles.take(tape);
                }
            });
            change
        });
        match change {
            Change::Nothing => {}
            Change::Gap => self.ask(),
            Change::From(first) => {
                self.candles.notify();
                self.draw(|chart, candles| {
                    let changed = candles.list.get(first..).unwrap_or_default();
                    chart.set_from(&rows(&candles.market, changed), first);
                });
                self.draw_marks();
            }
        }
    }
}

/// The chart of candles, a part of its own: it comes with the chart library.
#[wasm_split(chart, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn candle_chart() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <CandleChart /> }.into_any())
}

#[component]
fn CandleChart() -> impl IntoView {
    let state = use_state();
    let Chosen(interval) = expect_context();
    let shown = Shown {
        state,
        interval,
        candles: RwSignal::new(None),
        problem: RwSignal::new(None),
        asked: StoredValue::new(0),
        is_asking_older: StoredValue::new(false),
        chart: StoredValue::new_local(None),
        pointed: RwSignal::new(None),
    };
    let is_table = RwSignal::new(false);
    let place: NodeRef<Div> = NodeRef::new();
    Effect::new(move || {
        interval.track();
        state.market.track();
        state.listing.track();
        shown.candles.set(None);
        shown.pointed.set(None);
        shown.ask();
    });
    Effect::new(move || shown.take_tape());
    // Only fills of the account's own draw marks anew.
    let fills = Memo::new(move |_| {
        state.account.with(|account| Some(account.as_ref()?.fills.first()?.trade.id.clone()))
    });
    Effect::new(move || {
        fills.get();
        shown.draw_marks();
    });
    let point = StoredValue::new_local(Closure::<dyn FnMut(f64)>::new(move |time: f64| {
        shown.pointed.set((time >= 0.0).then(|| clock::milliseconds(time)));
    }));
    let oldest = StoredValue::new_local(Closure::<dyn FnMut()>::new(move || shown.ask_older()));
    Effect::new(move || {
        let Some(element) = place.get() else { return };
        spawn_local(async move {
            if library::load().await.is_none() {
                let text = "The chart could not be loaded. The table shows the same values.";
                shown.problem.try_set(Some(text.into()));
                return;
            }
            let mounted = point.try_with_value(|point| {
                oldest.with_value(|oldest| library::mount(&element, point, oldest))
            });
            if let Some(chart) = mounted {
                shown.chart.set_value(Some(chart));
                shown.draw_all();
            }
        });
    });
    on_cleanup(move || {
        if let Some(chart) = shown.chart.get_value() {
            chart.remove();
        }
    });
    let is_empty = move || {
        shown
            .candles
            .with(|candles| candles.as_ref().is_some_and(|candles| candles.list.is_empty()))
    };
    let label = move || {
        format!(
            "{} candles, {} each. The table shows their values.",
            state.market.get(),
            interval.get().words
        )
    };
    view! {
        <div class="chart-bar">
            <div class="choices" role="group" aria-label="Candle interval">
                {INTERVALS.map(|value| choice(interval, value)).collect_view()}
            </div>
            <button
                type="button"
                class="small"
                aria-pressed=move || is_table.get().to_string()
                on:click=move |_| is_table.update(|is_table| *is_table = !*is_table)
            >
                "Table"
            </button>
        </div>
        <p class="readout">{move || readout(shown)}</p>
        <div class="chart-place">
            <div class="canvas" class:hidden=move || is_table.get() node_ref=place role="img" aria-label=label></div>
            {move || is_table.get().then(|| table(shown))}
            <Show when=is_empty>
                <p class="empty over-chart">"No trades in this market yet. The first trade starts the chart."</p>
            </Show>
            <Show when=move || shown.candles.with(Option::is_none) && shown.problem.with(Option::is_none)>
                <p class="skeleton over-chart" role="status"><span class="visually-hidden">"Loading candles"</span></p>
            </Show>
        </div>
        <p class="chart-foot">
            <span role="status">{move || shown.problem.get()}</span>
            <a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">
                "TradingView Lightweight Charts™, © TradingView, Inc."
            </a>
        </p>
    }
}

fn choice(interval: RwSignal<Interval>, value: Interval) -> impl IntoView {
    view! {
        <button
            type="button"
            class="small"
            title=value.words
            aria-pressed=move || (interval.get() == value).to_string()
            on:click=move |_| interval.set(value)
        >
            {value.name}
        </button>
    }
}

/// When a candle begins: the day, where it is one.
fn start(candle: &Candle, interval: Interval) -> String {
    let time = candle.start_ms.to_string();
    if interval.length_ms >= 86_400_000 {
        // The date stands before the time of day, which is midnight in UTC.
        format::utc(&time).split('T').next().unwrap_or_default().to_string()
    } else {
        format::date_time(&time)
    }
}

/// The values of a candle, exactly.
fn values(market: &Market, candle: &Candle) -> [String; 5] {
    let price = |price| format::in_steps(&market.format_price(price), market.tick_size);
    let volume = format::in_steps(&market.format_quantity(candle.volume), market.lot_size);
    [price(candle.open), price(candle.high), price(candle.low), price(candle.close), volume]
}

/// The candle under the pointer, or the last.
fn readout(shown: Shown) -> Option<AnyView> {
    let pointed = shown.pointed.get();
    shown.candles.with(|candles| {
        let candles = candles.as_ref()?;
        let at = |start| candles.list.iter().find(|candle| candle.start_ms == start);
        let candle = pointed.and_then(at).or(candles.list.last())?;
        let class = if candle.close < candle.open { "ask" } else { "bid" };
        let sign = if candle.close < candle.open { "▼" } else { "▲" };
        let [open, high, low, close, volume] = values(&candles.market, candle);
        let time = start(candle, candles.interval);
        let value =
            |name: &'static str, value: String| view! { <span>{name} " " <b>{value}</b></span> };
        Some(
            view! {
                <span>{time}</span>
                {value("Open", open)}
                {value("High", high)}
                {value("Low", low)}
                <span class=class>"Close " <b>{close}</b> " " {sign}</span>
                {value("Volume", volume)}
            }
            .into_any(),
        )
    })
}

/// The last candles as a table, newest first.
fn table(shown: Shown) -> impl IntoView {
    let body = move || {
        shown.candles.with(|candles| {
            let candles = candles.as_ref()?;
            let row = |candle: &Candle| {
                let cells = values(&candles.market, candle);
                let cells = cells.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view();
                let time = start(candle, candles.interval);
                view! { <tr><th scope="row">{time}</th>{cells}</tr> }
            };
            let last = candles.list.iter().rev().take(TABLE_ROWS);
            Some(last.map(row).collect_view())
        })
    };
    let head = ["Start", "Open", "High", "Low", "Close", "Volume"];
    let head = head.map(|name| view! { <th scope="col">{name}</th> }).collect_view();
    view! {
        <div class="chart-table" tabindex="0" role="region" aria-label="Candle table">
            <table>
                <thead><tr>{head}</tr></thead>
                <tbody>{body}</tbody>
            </table>
        </div>
    }
}
