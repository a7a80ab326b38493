//! The random numbers of a stream.

/// SplitMix64: the same numbers from the same seed everywhere, and nothing to depend on.
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub struct Random(u64);

impl Random {
    /// Starts at a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, taken from the high bits, so without a division.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// A whole number of at least 1 whose excess over 1 is exponential with the given mean. The
    /// logarithm is the platform's, so another platform may draw another number once in a long while.
    pub fn exponential(&mut self, mean: f64) -> u64 {
        let fraction = (self.number() >> 11) as f64 / (1_u64 << 53) as f64;
        1 + (-(1.0 - fraction).ln() * mean) as u64
    }
}
