//! The browser's clock and timers.

use gloo_timers::future::TimeoutFuture;
use js_sys::Date;

/// A time of the browser in whole milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clock in milliseconds; a value that is not a number becomes zero"
)]
pub const fn milliseconds(time: f64) -> u64 {
    time as u64
}

/// The current time in Unix milliseconds.
pub fn now() -> u64 {
    milliseconds(Date::now())
}

/// Unix milliseconds of a date and time of the reader's own time zone, written like `2030-01-31T15:45`.
pub fn of_local(text: &str) -> Option<u64> {
    // `Date.parse` gives NaN for a text that is no date, which becomes zero.
    Some(milliseconds(Date::parse(text))).filter(|time| *time > 0)
}

/// Waits. Browsers wait longer than this in a tab that is hidden.
pub async fn sleep(milliseconds: u32) {
    TimeoutFuture::new(milliseconds).await;
}
