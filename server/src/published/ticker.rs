//! The figures of a market's last 24 hours: first, highest and lowest price, and volume.

use std::collections::VecDeque;

use zellbook_core::Ticks;

const DAY_MINUTES: u64 = 24 * 60;

/// The trades of the last 24 hours, summed by minute so that their number does not matter.
#[derive(Clone, Debug, Default)]
pub struct Ticker {
    minutes: VecDeque<Minute>,
    last: Option<Ticks>,
}

#[derive(Clone, Copy, Debug)]
struct Minute {
    minute: u64,
    open: Ticks,
    high: Ticks,
    low: Ticks,
    quantity: u128,
}

/// The figures of the last 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// First, highest and lowest price; `None` without a trade.
    pub prices: Option<(Ticks, Ticks, Ticks)>,
    /// The volume in lots.
    pub quantity: u128,
}

impl Ticker {
    /// Adds a trade with the time of its proof, as of `now_ms`. Times may go back a little, since they come
    /// from the clocks of different nodes; such a trade counts for the latest minute.
    pub fn add(&mut self, price: Ticks, quantity: u64, time_ms: u64, now_ms: u64) {
        self.last = Some(price);
        let now = now_ms / 60_000;
        // No trade is of the future. One proof with a time far ahead would otherwise remove all older minutes
        // and take in all later trades, until that time comes. A clock of our own that was ahead and was put
        // back does the same.
        let minute = (time_ms / 60_000).min(now);
        for ahead in self.minutes.iter_mut().rev().take_while(|back| back.minute > now) {
            ahead.minute = now;
        }
        match self.minutes.back_mut() {
            // Minutes stay in ascending order this way, and the oldest one is always at the front.
            Some(back) if back.minute >= minute => {
                back.high = back.high.max(price);
                back.low = back.low.min(price);
                back.quantity += u128::from(quantity);
            }
            _ => self.minutes.push_back(Minute {
                minute,
                open: price,
                high: price,
                low: price,
                quantity: quantity.into(),
            }),
        }
        while self.minutes.front().is_some_and(|front| front.minute + DAY_MINUTES < minute) {
            self.minutes.pop_front();
        }
    }

    /// The price of the last trade, however old.
    pub const fn last(&self) -> Option<Ticks> {
        self.last
    }

    /// Sets the last price, for a market without a trade in the last 24 hours.
    pub fn set_last(&mut self, price: Ticks) {
        self.last = Some(price);
    }

    /// The figures of the 24 hours before a time.
    pub fn day(&self, now_ms: u64) -> Day {
        // By the time of the request: without new trades, nothing else would remove the old ones from the
        // figures.
        let since = (now_ms / 60_000).saturating_sub(DAY_MINUTES);
        let mut day = Day::default();
        for minute in self.minutes.iter().filter(|minute| minute.minute > since) {
            day.quantity += minute.quantity;
            day.prices = Some(match day.prices {
                Some((open, high, low)) => (open, high.max(minute.high), low.min(minute.low)),
                None => (minute.open, minute.high, minute.low),
            });
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_cover_exactly_the_last_24_hours() {
        let mut ticker = Ticker::default();
        let minute = 60_000;
        let mut add =
            |price, quantity, time_ms| ticker.add(Ticks(price), quantity, time_ms, time_ms);
        add(50, 1, minute);
        add(10, 2, 100 * minute);
        add(30, 3, 100 * minute + 5);
        add(20, 4, 1500 * minute);
        let day = ticker.day(1500 * minute);
        assert_eq!(day, Day { prices: Some((Ticks(10), Ticks(30), Ticks(10))), quantity: 9 });
        assert_eq!(ticker.day(1600 * minute).quantity, 4);
        assert_eq!(ticker.day(5000 * minute), Day::default());
        assert_eq!(ticker.last(), Some(Ticks(20)));
    }

    #[test]
    fn a_time_far_in_the_future_neither_removes_older_trades_nor_takes_in_later_ones() {
        let (minute, year) = (60_000, 365 * 86_400_000);
        let mut ticker = Ticker::default();
        ticker.add(Ticks(10), 1, 100 * minute, 100 * minute);
        ticker.add(Ticks(20), 2, year, 110 * minute);
        ticker.add(Ticks(30), 4, 120 * minute, 120 * minute);
        assert_eq!(ticker.day(120 * minute).quantity, 7);
        // The three leave the figures one after the other, as a day passes.
        let day = DAY_MINUTES * minute;
        assert_eq!(ticker.day(day + 105 * minute).quantity, 6);
        assert_eq!(ticker.day(day + 115 * minute).quantity, 4);
        assert_eq!(ticker.day(day + 125 * minute), Day::default());
        // The clock was a year ahead, and is right again.
        ticker.add(Ticks(40), 8, year, year);
        ticker.add(Ticks(50), 16, 130 * minute, 130 * minute);
        assert_eq!(ticker.day(130 * minute).quantity, 24);
        assert_eq!(ticker.day(day + 135 * minute), Day::default());
    }
}
