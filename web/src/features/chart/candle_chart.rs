//! The chart of candles with volume and the account's own fills, kept up to date by the trades of the feed.

use leptos::html::Div;
use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::wire::CandlesResponse;
use zellbook_core::{Market, Side};

use super::candle_table::{readout, table};
use super::candles::{Candle, Candles, Change, ChosenInterval, DAY_MS, INTERVALS, Interval};
use crate::features::market::{Markets, use_markets};
use crate::features::wallet::{Session, use_session};
use crate::platform::chart_library::{self, Chart, MountedChart, float};
use crate::platform::{api, clock};
use crate::ui::later::{MakeView, NotLoaded, wasm_split};

/// The candles of one request.
const PAGE: usize = 500;

/// Asks for candles of a market, newest first. With `before_ms`, for those that begin before that time.
async fn ask(
    market: &str,
    interval: &str,
    before_ms: Option<u64>,
) -> api::ApiResult<CandlesResponse> {
    // In a path the slash would begin another segment.
    let market = market.replacen('/', "-", 1);
    let before = before_ms.map(|time| format!("&before={time}")).unwrap_or_default();
    let path = format!("/v1/markets/{market}/candles?interval={interval}&limit={PAGE}{before}");
    api::parse(&api::text(&path).await?)
}

/// Six numbers a candle, as the chart library takes them.
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
    // One flat list crosses to JavaScript as one array. An object for each candle would take several calls.
    candles.iter().flat_map(row).collect()
}

/// The chart's state.
#[derive(Clone, Copy)]
struct Shown {
    markets: Markets,
    session: Session,
    interval: RwSignal<Interval>,
    candles: RwSignal<Option<Candles>>,
    problem: RwSignal<Option<String>>,
    /// Counts requests: the answer to an earlier one is out of date.
    asked: StoredValue<u32>,
    is_asking_older: StoredValue<bool>,
    chart: StoredValue<Option<MountedChart>, LocalStorage>,
    /// The start of the candle under the pointer.
    pointed: RwSignal<Option<u64>>,
}

impl Shown {
    /// Asks for the last candles of the market shown.
    fn ask(self) {
        let Some((_, market)) = untrack(|| self.markets.shown_market()) else { return };
        let interval = self.interval.get_untracked();
        self.asked.update_value(|count| *count = count.wrapping_add(1));
        let count = self.asked.get_value();
        spawn_local(async move {
            let answer = ask(&market.name, interval.name, None).await;
            // Another market or interval was chosen meanwhile, or the chart was removed.
            if self.asked.try_get_value() != Some(count) {
                return;
            }
            match answer {
                Ok(body) => {
                    let mut candles = Candles::read(market, interval, PAGE, &body);
                    // The feed's trades may be newer than the answer. A gap is ignored here, as the next trade finds it again.
                    self.markets.trades.with_untracked(|tape| candles.add_trades(tape));
                    self.candles.set(Some(candles));
                    self.problem.set(None);
                    self.draw_all();
                }
                Err(problem) => self.problem.set(Some(problem.to_string())),
            }
        });
    }

    /// Asks for the candles before the first one.
    fn ask_older(self) {
        let before = self.candles.with_untracked(|candles| {
            let candles = candles.as_ref().filter(|candles| candles.has_older)?;
            let first = candles.list.first()?.start_ms;
            Some((candles.market.clone(), candles.interval, first))
        });
        let Some((market, interval, first)) = before else { return };
        // The library asks at each move of the chart near its oldest candle.
        if self.is_asking_older.get_value() {
            return;
        }
        self.is_asking_older.set_value(true);
        // Not counted as a new request: this answer extends the candles and does not replace them.
        let count = self.asked.get_value();
        spawn_local(async move {
            let answer = ask(&market.name, interval.name, Some(first)).await;
            self.is_asking_older.try_set_value(false);
            // A failure needs no report: the next move of the chart asks again.
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

    /// Draws, if both chart and candles are there.
    fn draw(self, draw: impl FnOnce(&Chart, &Candles)) {
        // The view may be removed while a request is on its way.
        self.chart.try_with_value(|chart| {
            self.candles.with_untracked(|candles| {
                if let (Some(mounted), Some(candles)) = (chart, candles) {
                    draw(&mounted.chart, candles);
                }
            });
        });
    }

    fn draw_all(self) {
        self.draw(|chart, candles| {
            let Candles { market, interval, list, .. } = candles;
            let tick = market.tick_size;
            let is_of_days = interval.length_ms >= DAY_MS;
            chart.set_all(&rows(market, list), tick.scale(), float(&tick.to_string()), is_of_days);
        });
        self.draw_marks();
    }

    /// Marks the account's fills below and above the candles.
    fn draw_marks(self) {
        self.draw(|chart, candles| {
            let first = candles.list.first().map_or(u64::MAX, |candle| candle.start_ms);
            let mut marks = self.session.account.with_untracked(|account| {
                let fills = account.iter().flat_map(|account| &account.fills);
                let fills = fills.filter(|fill| fill.trade.market == candles.market.name);
                let mark = |fill: &zellbook_core::wire::FillBody| {
                    let start = candles.start_of(fill.trade.time_ms.parse().ok()?);
                    (start >= first).then_some((start, fill.side == Side::Buy))
                };
                fills.filter_map(mark).collect::<Vec<_>>()
            });
            // Several fills of one candle and side would be drawn over each other. They become one mark, and `dedup` only finds
            // equal neighbours.
            marks.sort_unstable();
            marks.dedup();
            let mark = |(start, is_buy): (u64, bool)| {
                [float(&start.to_string()), if is_buy { 1.0 } else { 0.0 }]
            };
            chart.set_marks(&marks.into_iter().flat_map(mark).collect::<Vec<_>>());
        });
    }

    /// Adds the feed's new trades.
    fn follow_trades(self) {
        let change = self.markets.trades.with(|tape| {
            let mut change = Change::Nothing;
            // Nobody is notified yet, because most changes of the trades are not about these candles.
            self.candles.update_untracked(|candles| {
                if let Some(candles) = candles {
                    change = candles.add_trades(tape);
                }
            });
            change
        });
        match change {
            Change::Nothing => {}
            // The missed trades can belong to any of the candles, so all are requested again.
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

#[wasm_split(chart, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn candle_chart() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <CandleChart /> }.into_any())
}

#[component]
fn CandleChart() -> impl IntoView {
    let (markets, session) = (use_markets(), use_session());
    let ChosenInterval(interval) = expect_context();
    let shown = Shown {
        markets,
        session,
        interval,
        candles: RwSignal::new(None),
        problem: RwSignal::new(None),
        asked: StoredValue::new(0),
        is_asking_older: StoredValue::new(false),
        // JavaScript objects cannot move between threads, and a plain `StoredValue` only takes values that can.
        chart: StoredValue::new_local(None),
        pointed: RwSignal::new(None),
    };
    let is_table = RwSignal::new(false);
    let canvas: NodeRef<Div> = NodeRef::new();
    Effect::new(move || {
        interval.track();
        markets.shown.track();
        markets.listing.track();
        // At once, not when the answer comes: these candles do not belong to the new choice.
        shown.candles.set(None);
        shown.pointed.set(None);
        shown.ask();
    });
    Effect::new(move || shown.follow_trades());
    // The account changes with each batch, but only a new fill changes the marks.
    let fills = Memo::new(move |_| {
        session.account.with(|account| Some(account.as_ref()?.fills.first()?.trade.id.clone()))
    });
    Effect::new(move || {
        fills.get();
        shown.draw_marks();
    });
    Effect::new(move || {
        let Some(element) = canvas.get() else { return };
        spawn_local(async move {
            if chart_library::load().await.is_none() {
                let text = "The chart could not be loaded. The table shows the same values.";
                shown.problem.try_set(Some(text.into()));
                return;
            }
            // The component may have been removed while the library was loaded.
            if shown.chart.is_disposed() {
                return;
            }
            let on_point = move |time: f64| {
                let time = (time >= 0.0).then(|| clock::milliseconds(time));
                let _ = shown.pointed.try_set(time);
            };
            let mounted = MountedChart::new(&element, on_point, move || shown.ask_older());
            shown.chart.set_value(Some(mounted));
            shown.draw_all();
        });
    });
    on_cleanup(move || {
        // The library and `web/chart.js` observe the size of the element and the theme of the page until they are told to stop.
        shown.chart.with_value(|mounted| {
            if let Some(mounted) = mounted {
                mounted.chart.remove();
            }
        });
    });
    let is_empty = move || {
        shown
            .candles
            .with(|candles| candles.as_ref().is_some_and(|candles| candles.list.is_empty()))
    };
    let label = move || {
        format!(
            "{} candles, {} each. The table shows their values.",
            markets.shown.get(),
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
        <p class="readout">{move || readout(shown.candles, shown.pointed.get())}</p>
        <div class="chart-place">
            // Hidden, not removed, while the table is shown: a new chart would forget what the user scrolled and zoomed to.
            <div class="canvas" class:hidden=move || is_table.get() node_ref=canvas role="img" aria-label=label></div>
            {move || is_table.get().then(|| table(shown.candles))}
            <Show when=is_empty>
                <p class="empty over-chart">"No trades in this market yet. The first trade starts the chart."</p>
            </Show>
            <Show when=move || shown.candles.with(Option::is_none) && shown.problem.with(Option::is_none)>
                <p class="skeleton over-chart" role="status"><span class="visually-hidden">"Loading candles"</span></p>
            </Show>
        </div>
        <p class="chart-foot">
            <span role="status">{move || shown.problem.get()}</span>
            // The library's own attribution is turned off: see `web/chart.js`.
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
