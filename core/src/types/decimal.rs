//! Decimal numbers as they are written on the wire.
//!
//! Prices, quantities and amounts are decimal texts of at most 38 digits, without sign and exponent: see
//! *Decimal text* in `docs/protocol.md`. JSON numbers are not used, because many parsers read them as floats,
//! which cannot hold 18 decimals. Each number has one canonical text, so a signed text can be rebuilt from the
//! parsed values.
//!
//! The engine does not compute with decimals. It converts them to whole multiples of a step (a tick, a lot, an
//! atom), and fails if there is a remainder: nothing is ever rounded to fit.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::limits::DECIMAL_DIGITS_MAX;
use super::units::Atoms;

/// A decimal number that is not negative: `digits / 10^scale`. It never has a trailing zero after the point, so
/// equal numbers are equal values and have the same text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    scale: u8,
}

/// Why a text is not a decimal number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecimalError {
    /// There are no digits before the point, or none after it.
    #[error("a number needs digits before the point, and after it if there is one, like 0.5")]
    Empty,
    /// There is a character other than digits and one point.
    #[error("only digits and one point may stand in a number, like 1500.25")]
    Character,
    /// There are more than 38 digits.
    #[error("a number has at most {DECIMAL_DIGITS_MAX} digits")]
    TooLong,
    /// There are needless zeros at the beginning, or at the end of the fraction.
    #[error("write the number without needless zeros: 1.5, not 01.50")]
    NotCanonical,
}

/// Why a decimal number is not a whole number of steps.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StepError {
    /// The number lies between two multiples of the step.
    #[error("not a multiple of the step")]
    OffStep,
    /// The number of steps does not fit a `u128`.
    #[error("too large")]
    TooLarge,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { digits: 0, scale: 0 };

    /// One atom of a token: `10^-decimals`. `decimals` must be at most 38.
    pub const fn one_atom(decimals: u8) -> Self {
        Self { digits: 1, scale: decimals }
    }

    /// The digits without the point: 150025 for 1500.25.
    pub const fn digits(self) -> u128 {
        self.digits
    }

    /// The number of digits after the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// Reads a number that may have needless zeros, like `01.50`, as people and the guide's client write them.
    /// It has at most 38 digits, no sign, no exponent and no white space.
    pub fn parse_lenient(text: &str) -> Result<Self, DecimalError> {
        let (whole, fraction) = match text.split_once('.') {
            // A second point stays in the fraction, where it is no digit.
            Some((_, "")) => return Err(DecimalError::Empty),
            Some(parts) => parts,
            None => (text, ""),
        };
        if whole.is_empty() {
            return Err(DecimalError::Empty);
        }
        let is_digit = |byte: u8| byte.is_ascii_digit();
        if !whole.bytes().all(is_digit) || !fraction.bytes().all(is_digit) {
            return Err(DecimalError::Character);
        }
        // Zeros count too, before they are dropped (section 1). So the bound is on the text, and every text
        // within it fits a `u128`: the checked arithmetic below never fails.
        let length = whole.len().checked_add(fraction.len()).ok_or(DecimalError::TooLong)?;
        if length > DECIMAL_DIGITS_MAX {
            return Err(DecimalError::TooLong);
        }
        let mut digits = 0_u128;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = u128::from(byte.wrapping_sub(b'0'));
            digits = digits
                .checked_mul(10)
                .and_then(|tens| tens.checked_add(digit))
                .ok_or(DecimalError::TooLong)?;
        }
        let scale = u8::try_from(fraction.len()).map_err(|_| DecimalError::TooLong)?;
        Ok(Self::reduced(digits, scale))
    }

    /// Reads a number in its canonical form: see *Decimal text* in `docs/protocol.md`.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let number = Self::parse_lenient(text)?;
        // Reading dropped zeros at the end of the fraction, so a shorter scale means that there were some.
        let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let needless = text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
        if needless || fraction != usize::from(number.scale) {
            return Err(DecimalError::NotCanonical);
        }
        Ok(number)
    }

    /// Removes trailing zeros after the point.
    fn reduced(mut digits: u128, mut scale: u8) -> Self {
        // Zero is a multiple of ten at every scale, so it ends with scale 0 and has one form like any other
        // number.
        while scale > 0 && digits.is_multiple_of(10) {
            digits = digits.checked_div(10).unwrap_or(0);
            scale = scale.wrapping_sub(1);
        }
        Self { digits, scale }
    }

    /// Divides this number by `step`. Fails if the result is not a whole number or does not fit a `u128`.
    pub fn in_steps_of(self, step: Self) -> Result<u128, StepError> {
        // A multiple of the step has no more decimals than the step.
        let shift = step.scale.checked_sub(self.scale).ok_or(StepError::OffStep)?;
        let scaled = pow10(shift)
            .and_then(|power| self.digits.checked_mul(power))
            .ok_or(StepError::TooLarge)?;
        // Only after the multiplication: a number that overflows there is too large, even if it is off the step
        // as well. All replicas must reject it with the same code.
        match scaled.checked_rem(step.digits) {
            Some(0) => scaled.checked_div(step.digits).ok_or(StepError::TooLarge),
            _ => Err(StepError::OffStep),
        }
    }

    /// The largest multiple of `step` that is not above this number, and the multiple after it. `None` if a
    /// `u128` cannot hold their digits.
    pub fn neighbours(self, step: Self) -> Option<(Self, Self)> {
        let scale = self.scale.max(step.scale);
        let value = self.digits.checked_mul(pow10(scale.checked_sub(self.scale)?)?)?;
        let width = step.digits.checked_mul(pow10(scale.checked_sub(step.scale)?)?)?;
        let below = value.checked_sub(value.checked_rem(width)?)?;
        let above = below.checked_add(width)?;
        Some((Self::reduced(below, scale), Self::reduced(above, scale)))
    }

    /// The multiple of `step` closest to this number, except zero; the lower one if two are equally close.
    pub fn nearest(self, step: Self) -> Option<Self> {
        let (below, above) = self.neighbours(step)?;
        if below == self {
            // Zero is a multiple of every step, but no valid price or quantity (reject 12).
            return Some(if self.is_zero() { above } else { self });
        }
        let scale = self.scale.max(step.scale);
        let at = |number: Self| number.digits.checked_mul(pow10(scale.checked_sub(number.scale)?)?);
        let (low, here, high) = (at(below)?, at(self)?, at(above)?);
        let is_nearer_below = here.checked_sub(low)? <= high.checked_sub(here)?;
        Some(if is_nearer_below && !below.is_zero() { below } else { above })
    }

    /// Divides by `10^digits`. `None` if the result could have more than 38 digits after the point.
    pub fn shifted(self, digits: u8) -> Option<Self> {
        let scale = self.scale.checked_add(digits)?;
        (usize::from(scale) <= DECIMAL_DIGITS_MAX).then(|| Self::reduced(self.digits, scale))
    }

    /// `count` times `step`. `None` if a `u128` cannot hold the digits.
    pub fn of_steps(count: u128, step: Self) -> Option<Self> {
        Some(Self::reduced(count.checked_mul(step.digits)?, step.scale))
    }

    /// An amount in whole tokens, for a token with this number of decimals.
    pub fn of_atoms(amount: Atoms, decimals: u8) -> Self {
        Self::reduced(amount.0, decimals)
    }

    /// The product in atoms of a token with this number of decimals. `None` if that is not a whole number or
    /// does not fit a `u128`.
    pub fn product_in_atoms(self, other: Self, decimals: u8) -> Option<u128> {
        // In genesis both factors are steps of at most `STEP_MAX`, so this product fits.
        let digits = self.digits.checked_mul(other.digits)?;
        let scale = self.scale.checked_add(other.scale)?;
        let product = Self::reduced(digits, scale);
        product.in_steps_of(Self::one_atom(decimals)).ok()
    }
}

/// `10^exponent`, or `None` above 38.
fn pow10(exponent: u8) -> Option<u128> {
    10_u128.checked_pow(u32::from(exponent))
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A power is missing only above 38 digits after the point, which no number that was read has.
        let divisor = pow10(self.scale).unwrap_or(1);
        let whole = self.digits.checked_div(divisor).unwrap_or(0);
        if self.scale == 0 {
            return write!(f, "{whole}");
        }
        let fraction = self.digits.checked_rem(divisor).unwrap_or(0);
        write!(f, "{whole}.{fraction:0width$}", width = usize::from(self.scale))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|error| serde::de::Error::custom(alloc::format!("{text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn canonical_text_is_written_as_it_was_read() {
        for text in ["0", "1", "10", "0.5", "0.000000000000000001", "2000.5", "123456789.01"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        let longest = "9".repeat(38);
        assert_eq!(Decimal::parse(&longest).unwrap().to_string(), longest);
    }

    #[test]
    fn text_that_is_not_canonical_is_refused_with_its_reason() {
        let cases = [
            ("", DecimalError::Empty),
            (".", DecimalError::Empty),
            (".5", DecimalError::Empty),
            ("5.", DecimalError::Empty),
            ("-1", DecimalError::Character),
            ("+1", DecimalError::Character),
            ("1e3", DecimalError::Character),
            (" 1", DecimalError::Character),
            ("1.2.3", DecimalError::Character),
            ("١", DecimalError::Character),
            ("00", DecimalError::NotCanonical),
            ("01", DecimalError::NotCanonical),
            ("1.0", DecimalError::NotCanonical),
            ("0.0", DecimalError::NotCanonical),
            ("1.50", DecimalError::NotCanonical),
        ];
        for (text, error) in cases {
            assert_eq!(Decimal::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Decimal::parse(&"1".repeat(39)), Err(DecimalError::TooLong));
    }

    #[test]
    fn lenient_reading_ignores_needless_zeros() {
        assert_eq!(Decimal::parse_lenient("01.50"), Decimal::parse("1.5"));
        assert_eq!(Decimal::parse_lenient("2000.00"), Decimal::parse("2000"));
    }

    fn steps(text: &str, step: &str) -> Result<u128, StepError> {
        Decimal::parse(text).unwrap().in_steps_of(Decimal::parse(step).unwrap())
    }

    #[test]
    fn a_number_that_is_not_a_whole_number_of_steps_is_refused() {
        assert_eq!(steps("2000.5", "0.01"), Ok(200_050));
        assert_eq!(steps("1.5", "0.5"), Ok(3));
        assert_eq!(steps("100", "25"), Ok(4));
        assert_eq!(steps("0", "0.01"), Ok(0));
        assert_eq!(steps("100.003", "0.01"), Err(StepError::OffStep));
        assert_eq!(steps("1.2", "0.5"), Err(StepError::OffStep));
        assert_eq!(steps(&"9".repeat(38), "0.01"), Err(StepError::TooLarge));
    }

    #[test]
    fn neighbours_are_the_multiples_below_and_above() {
        let (below, above) =
            Decimal::parse("100.003").unwrap().neighbours(Decimal::parse("0.01").unwrap()).unwrap();
        assert_eq!((below.to_string().as_str(), above.to_string().as_str()), ("100", "100.01"));
    }
}
