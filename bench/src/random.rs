//! Reproducible random numbers.

/// SplitMix64: the same numbers for the same seed on every platform, without a dependency.
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub struct Random(u64);

impl Random {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A uniform number of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`. It is taken from the high bits of a product, which avoids a division.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// An integer of at least 1, exponentially distributed above 1 with the given mean. The logarithm is the
    /// platform's, so another platform may very rarely draw another number.
    pub fn exponential(&mut self, mean: f64) -> u64 {
        // The 53 bits that a float holds exactly.
        let fraction = (self.number() >> 11) as f64 / (1_u64 << 53) as f64;
        1 + (-(1.0 - fraction).ln() * mean) as u64
    }
}
