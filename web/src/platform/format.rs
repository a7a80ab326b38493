//! Numbers, keys, times and names as people read them, in the reader's own locale.

use js_sys::{Date, Intl, Object};
use wasm_bindgen::JsValue;
use zellbook_core::{Atoms, Decimal, Market, Side, TimeInForce};

/// The reader's separators of groups of three digits and of the fraction. They are read off numbers that the browser
/// formats. Formatting every number that way would take floats, which cannot hold all amounts.
fn separators() -> (String, String) {
    thread_local! {
        // Read once, because making a formatter takes far longer than formatting, and a book has hundreds of numbers.
        static SEPARATORS: (String, String) = {
            let format = Intl::NumberFormat::new(&js_sys::Array::new(), &Object::new());
            let call = |number: f64| {
                let text = format.format().call1(&JsValue::NULL, &number.into());
                text.ok().and_then(|text| text.as_string()).unwrap_or_default()
            };
            // What is left without the digits is the separator. Digits may be those of another script.
            let mark = |text: String| text.chars().filter(|c| !c.is_numeric()).collect::<String>();
            let point = mark(call(1.5));
            // Five digits, because some locales do not group four, for example Spanish.
            (mark(call(11_111.0)), if point.is_empty() { ".".into() } else { point })
        };
    }
    SEPARATORS.with(Clone::clone)
}

/// A decimal text in the reader's form, with at least `decimals_min` decimals.
pub fn number(text: &str, decimals_min: usize) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (group, point) = separators();
    let mut shown = String::new();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            shown.push_str(&group);
        }
        shown.push(digit);
    }
    if !fraction.is_empty() || decimals_min > 0 {
        shown.push_str(&point);
        shown.push_str(fraction);
        shown.extend(std::iter::repeat_n('0', decimals_min.saturating_sub(fraction.len())));
    }
    shown
}

/// A price or quantity with all decimals of its tick or lot, so that columns line up.
pub fn in_steps(text: &str, step: Decimal) -> String {
    number(text, usize::from(step.scale()))
}

/// How many decimals the prices and quantities of a market have: those of its tick and lot. By default numbers are
/// shown as they are.
#[derive(Clone, Copy, Default)]
pub struct Steps {
    tick: usize,
    lot: usize,
}

impl Steps {
    pub fn of(market: &Market) -> Self {
        let decimals = |step: Decimal| usize::from(step.scale());
        Self { tick: decimals(market.tick_size), lot: decimals(market.lot_size) }
    }

    pub fn price(self, text: &str) -> String {
        number(text, self.tick)
    }

    pub fn quantity(self, text: &str) -> String {
        number(text, self.lot)
    }
}

/// A hash or key shortened in the middle.
pub fn short(text: &str) -> String {
    // The text is what the replica sent as a hash or key. A slice that ends within a character would panic.
    match (text.get(..8), text.len().checked_sub(6).and_then(|at| text.get(at..))) {
        (Some(head), Some(tail)) if text.len() > 16 => format!("{head}…{tail}"),
        _ => text.into(),
    }
}

/// The last time that a date of the browser can have, in the year 275760 (ECMA-262, *Time Values*).
const DATE_MAX_MS: f64 = 8.64e15;

/// Unix milliseconds as a date of the browser. None for a text that is not a number, and for a time that no date has.
fn date(milliseconds: &str) -> Option<Date> {
    // JavaScript reads the number, because Rust's reader of floats would add its tables to the page.
    let time = js_sys::Number::parse_float(milliseconds);
    // An expiry can be any number of 64 bits, and `to_iso_string` throws for a date that is not valid. NaN is not in the
    // range either.
    (0.0..=DATE_MAX_MS).contains(&time).then(|| Date::new(&time.into()))
}

/// Unix milliseconds as local time of day. Here and below, a time without a date stays a number.
pub fn time(milliseconds: &str) -> String {
    date(milliseconds)
        .map_or_else(|| milliseconds.into(), |date| date.to_locale_time_string("default").into())
}

/// Unix milliseconds as local date and time of day.
pub fn date_time(milliseconds: &str) -> String {
    let text = |date: Date| date.to_locale_string("default", &JsValue::UNDEFINED).into();
    date(milliseconds).map_or_else(|| milliseconds.into(), text)
}

/// Unix milliseconds as full UTC time.
pub fn utc(milliseconds: &str) -> String {
    date(milliseconds).map_or_else(|| milliseconds.into(), |date| date.to_iso_string().into())
}

/// Basis points in percent, as a decimal text: `0.05` for 5.
pub fn percent_of_bps(bps: u16) -> String {
    Decimal::of_atoms(Atoms(u128::from(bps)), 2).to_string()
}

pub const fn time_in_force_words(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "Good till cancelled (GTC)",
        TimeInForce::Gtd => "Good till date (GTD)",
        TimeInForce::Ioc => "Immediate or cancel (IOC)",
        TimeInForce::Fok => "Fill or kill (FOK)",
        TimeInForce::PostOnly => "Post-only",
    }
}

pub const fn verb(side: Side) -> &'static str {
    match side {
        Side::Buy => "Buy",
        Side::Sell => "Sell",
    }
}
