//! The depth of the book: how much can be bought or sold up to each price.

use std::time::Duration;

use leptos::leptos_dom::helpers::set_timeout;
use leptos::prelude::*;
use zellbook_core::{Atoms, Listing, Lots, Market, Side, Ticks};

use crate::features::market::{Level, Markets, use_markets};
use crate::platform::{format, pointer};
use crate::ui::later::{MakeView, NotLoaded, wasm_split};

/// The least time between two drawings. Nobody reads faster.
const EVERY: Duration = Duration::from_millis(250);
/// The most levels of a side that are drawn: as many as a replica reports.
const LEVELS: usize = 500;
/// The size of the drawing in its own units, which the browser scales. They are fine enough for whole numbers.
const WIDTH: u128 = 1000;
const HEIGHT: u128 = 400;

/// The sums of all orders of a side from its best price to this one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Point {
    side: Side,
    price: Ticks,
    quantity: u128,
    quote: Atoms,
}

/// The sums of both sides, lowest price first.
#[derive(Clone, PartialEq, Eq)]
struct Depth {
    market: Market,
    base: String,
    quote: (String, u8),
    points: Vec<Point>,
}

fn sums(markets: Markets, market: &Market, side: Side) -> Vec<Point> {
    let (mut quantity, mut quote) = (0_u128, Atoms::ZERO);
    let point = |Level { price, lots, .. }: Level| {
        quantity = quantity.checked_add(lots)?;
        let worth = market.quote_atoms(price, Lots(u64::try_from(lots).ok()?))?;
        quote = quote.checked_add(worth)?;
        Some(Point { side, price, quantity, quote })
    };
    // A sum that overflows ends the side: the levels closer to the spread are still right. Untracked, because the timer
    // below decides when to draw.
    markets.book.with_untracked(|book| book.levels(side).take(LEVELS).map_while(point).collect())
}

impl Depth {
    fn new(markets: Markets) -> Option<Self> {
        let (listing, market) = untrack(|| markets.shown_market())?;
        if !markets.book.with_untracked(|book| book.is_there) {
            return None;
        }
        let mut points = sums(markets, &market, Side::Buy);
        points.reverse();
        points.extend(sums(markets, &market, Side::Sell));
        let token = |listing: &Listing, index| {
            listing.token_at(index).map(|token| (token.symbol.clone(), token.decimals))
        };
        let (base, _) = token(&listing, market.base)?;
        Some(Self { base, quote: token(&listing, market.quote)?, market, points })
    }

    fn ends(&self) -> (u64, u64) {
        let price = |point: Option<&Point>| point.map_or(0, |point| point.price.0);
        let (low, high) = (price(self.points.first()), price(self.points.last()));
        // `x` divides by the distance, so a book of one price must have one too, also at the highest price there is.
        let low = low.min(u64::MAX - 1);
        (low, high.max(low + 1))
    }

    /// The horizontal position of a price.
    fn x(&self, price: Ticks) -> u128 {
        let (low, high) = self.ends();
        u128::from(price.0.saturating_sub(low)) * WIDTH / u128::from(high - low)
    }

    /// The vertical position of a sum, from above.
    fn y(&self, quantity: u128) -> u128 {
        let most = self.points.iter().map(|point| point.quantity).max().unwrap_or(0).max(1);
        // The largest sum takes 95 % of the height, so that its line is not cut off at the edge.
        HEIGHT - (quantity.saturating_mul(HEIGHT * 19 / 20) / most).min(HEIGHT)
    }

    /// The outline of a side, in steps from its best price outwards.
    fn outline(&self, side: Side) -> String {
        let mut points: Vec<&Point> =
            self.points.iter().filter(|point| point.side == side).collect();
        if side == Side::Buy {
            points.reverse();
        }
        let Some(best) = points.first() else { return String::new() };
        let mut path = format!("M{} {HEIGHT}", self.x(best.price));
        // First across, then up: the sum grows at the price itself and not before it.
        for point in &points {
            path += &format!("H{}V{}", self.x(point.price), self.y(point.quantity));
        }
        let end = if side == Side::Buy { 0 } else { WIDTH };
        path + &format!("H{end}V{HEIGHT}Z")
    }

    /// The point nearest to a horizontal position.
    fn nearest(&self, x: u128) -> Option<usize> {
        let points = self.points.iter().enumerate();
        points.min_by_key(|(_, point)| self.x(point.price).abs_diff(x)).map(|(index, _)| index)
    }

    /// A point in words.
    fn words(&self, point: &Point) -> String {
        let price = format::in_steps(&self.market.format_price(point.price), self.market.tick_size);
        let quantity = format::number(&self.market.format_quantity(point.quantity), 0);
        let (symbol, decimals) = &self.quote;
        let quote = zellbook_core::Decimal::of_atoms(point.quote, *decimals);
        let quote = format::number(&quote.to_string(), 0);
        let (what, way) = match point.side {
            Side::Buy => ("Bids", "down"),
            Side::Sell => ("Asks", "up"),
        };
        format!("{what} {way} to {price}: {quantity} {} for {quote} {symbol}", self.base)
    }
}

#[wasm_split(more, wasm_split_path = ::leptos::wasm_split, fallible)]
pub fn depth_chart() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <DepthChart /> }.into_any())
}

#[component]
fn DepthChart() -> impl IntoView {
    let markets = use_markets();
    let depth = RwSignal::new(Depth::new(markets));
    let waits = StoredValue::new(false);
    Effect::new(move |before: Option<()>| {
        markets.book.track();
        markets.shown.track();
        // The first change starts the timer, and the drawing then shows all changes until its end. The first run changes nothing:
        // the depth was just made.
        if before.is_some() && !waits.get_value() {
            waits.set_value(true);
            let again = move || {
                // The view may be removed before the timer ends.
                waits.try_set_value(false);
                let _ = depth.try_set(Depth::new(markets));
            };
            set_timeout(again, EVERY);
        }
    });
    // A price and not a position, because levels come and go while the pointer rests.
    let chosen: RwSignal<Option<Ticks>> = RwSignal::new(None);
    let position = move || {
        let price = chosen.get()?;
        depth.with(|depth| depth.as_ref()?.nearest(depth.as_ref()?.x(price)))
    };
    let words = move || {
        let position = position();
        depth.with(|depth| {
            let depth = depth.as_ref()?;
            Some(depth.words(depth.points.get(position?)?))
        })
    };
    let choose = move |find: &dyn Fn(&Depth) -> Option<usize>| {
        let price = depth.with(|depth| {
            let depth = depth.as_ref()?;
            depth.points.get(find(depth)?).map(|point| point.price)
        });
        chosen.set(price);
    };
    let on_pointer = move |event: leptos::ev::PointerEvent| {
        choose(&|depth| depth.nearest(pointer::parts_from_left(&event, WIDTH)?));
    };
    let on_key = move |event: leptos::ev::KeyboardEvent| {
        let now = untrack(position);
        let next = |depth: &Depth| {
            let last = depth.points.len().checked_sub(1)?;
            // Without a choice, the first key chooses the best price in its direction.
            let ask = depth.points.iter().position(|point| point.side == Side::Sell);
            match (event.key().as_str(), now) {
                ("ArrowLeft" | "ArrowDown", now) => {
                    Some(now.or(ask).unwrap_or(last + 1).saturating_sub(1))
                }
                ("ArrowRight" | "ArrowUp", Some(now)) => Some((now + 1).min(last)),
                ("ArrowRight" | "ArrowUp", None) => Some(ask.unwrap_or(last)),
                ("Home", _) => Some(0),
                ("End", _) => Some(last),
                _ => None,
            }
        };
        // Only the keys that move the choice are kept from the page, which would scroll with them.
        if depth.with_untracked(|depth| depth.as_ref().and_then(next)).is_some() {
            event.prevent_default();
            choose(&next);
        }
    };
    let outline = move |side| {
        depth.with(|depth| depth.as_ref().map(|depth| depth.outline(side)).unwrap_or_default())
    };
    let line = move || {
        let position = position();
        depth.with(|depth| {
            let depth = depth.as_ref()?;
            let x = depth.x(depth.points.get(position?)?.price);
            Some(view! { <path class="at" d=format!("M{x} 0V{HEIGHT}") vector-effect="non-scaling-stroke"></path> })
        })
    };
    let end = move |is_high: bool| {
        depth.with(|depth| {
            let depth = depth.as_ref().filter(|depth| !depth.points.is_empty())?;
            let (low, high) = depth.ends();
            let price = depth.market.format_price(Ticks(if is_high { high } else { low }));
            Some(format::in_steps(&price, depth.market.tick_size))
        })
    };
    let last = move || {
        depth.with(|depth| depth.as_ref().map_or(0, |depth| depth.points.len().saturating_sub(1)))
    };
    let is_empty =
        move || depth.with(|depth| depth.as_ref().is_some_and(|depth| depth.points.is_empty()));
    let hint = "Point at a price, or use the arrow keys, to see the total depth up to it.";
    view! {
        <p class="readout">{move || words().unwrap_or_else(|| hint.into())}</p>
        <div
            class="chart-place depth-chart"
            tabindex="0"
            // A screen reader steps through the values of a slider with the arrow keys and reads each one.
            role="slider"
            aria-label="Order book depth by price"
            aria-valuemin="0"
            aria-valuemax=move || last().to_string()
            aria-valuenow=move || position().unwrap_or(0).to_string()
            aria-valuetext=move || words().unwrap_or_else(|| "no price selected".into())
            on:pointermove=on_pointer
            on:pointerdown=on_pointer
            on:pointerleave=move |_| chosen.set(None)
            on:keydown=on_key
        >
            // The drawing is stretched to its panel, but its lines keep their width.
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" aria-hidden="true">
                <path class="bids" d=move || outline(Side::Buy) vector-effect="non-scaling-stroke"></path>
                <path class="asks" d=move || outline(Side::Sell) vector-effect="non-scaling-stroke"></path>
                {line}
            </svg>
            <Show when=is_empty>
                <p class="empty over-chart">"The order book is empty. Each resting limit order adds to this chart."</p>
            </Show>
        </div>
        <p class="chart-foot"><span>{move || end(false)}</span> <span>{move || end(true)}</span></p>
    }
}
