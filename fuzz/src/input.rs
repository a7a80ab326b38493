//! Choices made from the bytes of a run. After the last byte only zeros are read, so every input is valid, and a
//! shorter input does less.

use zellbook_core::types::limits::SUPPLY_MAX;

/// The remaining bytes of a run.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// At most this many bytes.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        head
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let choice = if bound > 256 { self.u16().into() } else { usize::from(self.byte()) };
        choice % bound
    }

    /// `true` in this many of 256 cases.
    pub fn chance(&mut self, of_256: u8) -> bool {
        // The zeros after the end must give `false`.
        self.byte() > 255 - of_256
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// A number at a boundary: small, next to a power of two, or a limit of the engine.
    pub fn number(&mut self) -> u128 {
        let kind = self.byte();
        let beside = u128::from(self.byte());
        let around = |centre: u128| centre.saturating_add(beside % 3).saturating_sub(1);
        match kind {
            0..140 => beside % 40,
            140..160 => around(1 << (beside / 2)),
            160..180 => around(10_u128.pow(u32::from(self.byte()) % 39)),
            180..195 => u128::from(u64::MAX) - beside,
            195..205 => SUPPLY_MAX.saturating_add(3) - beside % 8,
            205..210 => u128::MAX - beside,
            210..235 => u128::from(u64::from_be_bytes(self.array())),
            235..245 => u128::from_be_bytes(self.array()),
            _ => u128::from(self.u16()),
        }
    }

    pub fn number64(&mut self) -> u64 {
        u64::try_from(self.number()).unwrap_or(u64::MAX)
    }
}
