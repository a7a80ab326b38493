//! The browser's clock.

use js_sys::Date;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clock in milliseconds; a cast of what is no number gives zero"
)]
/// A time of the browser in whole milliseconds.
pub const fn milliseconds(time: f64) -> u64 {
    time as u64
}

/// Unix milliseconds.
pub fn now() -> u64 {
    milliseconds(Date::now())
}

/// Unix milliseconds of a date and time of the reader's own zone, as `2030-01-31T15:45`.
pub fn of_local(text: &str) -> Option<u64> {
    Some(milliseconds(Date::parse(text))).filter(|time| *time > 0)
}
