//! The share of the stake that must sign.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// 100 %, in millionths of a percent.
const WHOLE: u32 = 100_000_000;

/// The share of the stake that must sign, as a percentage above 0 and at most 100, with at most six
/// decimals. Its text is the number alone, like `67` or `66.6`.
///
/// It is a whole number of millionths of a percent inside: the network compares IEEE doubles, which
/// not every target has and which round; integers give the same verdict on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u32);

/// A text that is no [`Threshold`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a threshold is a percentage above 0 and at most 100 with at most 6 decimals, like 67")]
pub struct InvalidThreshold;

impl Threshold {
    /// 67 %: what a new network uses.
    pub const DEFAULT: Self = Self(67_000_000);

    /// Converts a whole percentage from 1 to 100. Other numbers give `None`.
    pub const fn from_percent(percent: u8) -> Option<Self> {
        match percent {
            // `u32::from` is not const.
            #[expect(clippy::as_conversions, reason = "widens")]
            1..=100 => match (percent as u32).checked_mul(1_000_000) {
                Some(millionths) => Some(Self(millionths)),
                None => None,
            },
            _ => None,
        }
    }

    /// Whether a signature is still valid while `missing` of the `total` stake did not sign it:
    /// `100 · missing / total ≤ 100 − percent`.
    pub(crate) fn allows(self, missing: u128, total: u128) -> bool {
        // An overflow counts as no quorum. 1024 stakes below 2^64, times 10^8, are below 2^101.
        let within = || {
            let slack = u128::from(WHOLE.checked_sub(self.0)?);
            Some(missing.checked_mul(u128::from(WHOLE))? <= slack.checked_mul(total)?)
        };
        within().unwrap_or(false)
    }
}

impl FromStr for Threshold {
    type Err = InvalidThreshold;

    /// Reads digits with an optional point and fraction. Zeros without meaning, as in `067.50`, are
    /// accepted, because JSON writers print `67.0`.
    fn from_str(text: &str) -> Result<Self, InvalidThreshold> {
        let read = || {
            let (whole, fraction) = match text.split_once('.') {
                Some((_, "")) => return None,
                Some(parts) => parts,
                None => (text, ""),
            };
            let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
            if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
                return None;
            }
            let fraction = fraction.trim_end_matches('0');
            let padding = 6_usize.checked_sub(fraction.len())?;
            let zeros = "000000".get(..padding)?;
            let millionths: u32 = [whole, fraction, zeros].concat().parse().ok()?;
            (millionths > 0 && millionths <= WHOLE).then_some(Self(millionths))
        };
        read().ok_or(InvalidThreshold)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let text: String = alloc::format!("{whole}.{fraction:06}");
        f.write_str(text.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::Threshold;
    use alloc::string::ToString;

    #[test]
    fn a_threshold_is_a_percentage_above_0_and_at_most_100() {
        for (text, shown) in [
            ("67", "67"),
            ("66.6", "66.6"),
            ("067.50", "67.5"),
            ("67.0", "67"),
            ("100", "100"),
            ("0.000001", "0.000001"),
            ("99.999999", "99.999999"),
        ] {
            assert_eq!(text.parse::<Threshold>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            ".",
            ".5",
            "5.",
            "0",
            "0.0",
            "100.1",
            "0.0000001",
            "1e1",
            "+5",
            "-5",
            "5 ",
            "1.2.3",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
        assert_eq!(Threshold::from_percent(67), Some(Threshold::DEFAULT));
        assert_eq!([0, 101, 255].map(Threshold::from_percent), [None; 3]);
    }

    #[test]
    fn the_missing_stake_may_be_exactly_the_rest() {
        let threshold: Threshold = "66.6".parse().unwrap();
        assert!(threshold.allows(334, 1000) && !threshold.allows(335, 1000));
        assert!(!threshold.allows(u128::MAX, u128::MAX), "what overflows is no quorum");
        let all = Threshold::from_percent(100).unwrap();
        assert!(all.allows(0, 40) && !all.allows(1, u128::from(u64::MAX)));
    }
}
