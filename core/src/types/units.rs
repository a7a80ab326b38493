//! Units of the engine: whole ticks, lots and atoms.
//!
//! Each is a type of its own without arithmetic operators, so the compiler finds a price passed as a quantity,
//! and no addition overflows unnoticed. Only a market (`rules/market.rs`) can convert one unit into another.

/// A price: a whole number of the market's tick size. At a tick size of 0.01, 2000.5 is 200050.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u64);

/// A quantity: a whole number of the market's lot size. At a lot size of 0.0001, 1.5 is 15000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lots(pub u64);

/// An amount: a whole number of a token's smallest unit. With 6 decimals, 1.5 is 1500000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atoms(pub u128);

impl Lots {
    /// `self - other`; `None` if that is below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(lots) => Some(Self(lots)),
            None => None,
        }
    }
}

impl Atoms {
    /// The amount zero.
    pub const ZERO: Self = Self(0);

    /// `self + other`; `None` if a `u128` cannot hold it.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(atoms) => Some(Self(atoms)),
            None => None,
        }
    }

    /// `self - other`; `None` if that is below zero.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(atoms) => Some(Self(atoms)),
            None => None,
        }
    }
}
