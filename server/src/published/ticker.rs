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
    /// Adds a trade. Times may go back a little, since they come from the clocks of different nodes; such a
    /// trade counts for the latest minute.
    pub fn add(&mut self, price: Ticks, quantity: u64, time_ms: u64) {
        self.last = Some(price);
        let minute = time_ms / 60_000;
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
        ticker.add(Ticks(50), 1, minute);
        ticker.add(Ticks(10), 2, 100 * minute);
        ticker.add(Ticks(30), 3, 100 * minute + 5);
        ticker.add(Ticks(20), 4, 1500 * minute);
        let day = ticker.day(1500 * minute);
        assert_eq!(day, Day { prices: Some((Ticks(10), Ticks(30), Ticks(10))), quantity: 9 });
        assert_eq!(ticker.day(1600 * minute).quantity, 4);
        assert_eq!(ticker.day(5000 * minute), Day::default());
        assert_eq!(ticker.last(), Some(Ticks(20)));
    }
}
