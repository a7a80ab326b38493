//! The chart's panel: candles, or the depth of the book.

use leptos::prelude::*;

use super::candle_chart::candle_chart;
use super::candles::{ChosenInterval, INTERVALS};
use super::depth::depth_chart;
use crate::ui::later::Later;

#[component]
pub fn ChartPanel() -> impl IntoView {
    let is_depth = RwSignal::new(false);
    // Here and not in the candle chart: that is removed while the depth is shown, and the choice must outlast it.
    provide_context(ChosenInterval(RwSignal::new(INTERVALS[2])));
    let tab = move |name: &'static str, value: bool| {
        view! {
            <button
                type="button"
                role="tab"
                aria-selected=move || (is_depth.get() == value).to_string()
                class:active=move || is_depth.get() == value
                on:click=move |_| is_depth.set(value)
            >
                {name}
            </button>
        }
    };
    view! {
        <section class="chart" aria-label="Chart">
            <div class="tabs" role="tablist" aria-label="Chart type">
                {tab("Candles", false)} {tab("Depth", true)}
            </div>
            {move || {
                if is_depth.get() {
                    view! { <Later part=|| Box::pin(depth_chart()) /> }.into_any()
                } else {
                    view! { <Later part=|| Box::pin(candle_chart()) /> }.into_any()
                }
            }}
        </section>
    }
}
