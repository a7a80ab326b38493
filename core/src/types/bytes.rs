//! Reading the binary values of the state's leaves.
//!
//! A replica wrote these bytes, so a value that cannot be read is [`Corrupt`] and not a reject. Snapshots and
//! inclusion proofs, which anyone can make, turn it into errors of their own.

use alloc::string::String;

use super::corrupt::Corrupt;
use super::public_key::PublicKey;
use super::units::Atoms;

/// What is wrong with a stored key that is no point.
pub(crate) const NO_POINT: Corrupt = Corrupt("a stored key is not a point of secp256k1");

/// The bytes that are not read yet. Numbers are big endian.
pub(crate) struct ByteReader<'a>(pub &'a [u8]);

impl<'a> ByteReader<'a> {
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (head, rest) =
            self.0.split_first_chunk::<N>().ok_or(Corrupt("stored bytes are too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (head, rest) =
            self.0.split_at_checked(length).ok_or(Corrupt("stored bytes are too short"))?;
        self.0 = rest;
        Ok(head)
    }

    pub fn u8(&mut self) -> Result<u8, Corrupt> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, Corrupt> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Corrupt> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn atoms(&mut self) -> Result<Atoms, Corrupt> {
        self.array().map(u128::from_be_bytes).map(Atoms)
    }

    /// Reads a key that may be no point of the curve. Whoever lets others see it checks that first.
    pub fn unchecked_key(&mut self) -> Result<PublicKey, Corrupt> {
        PublicKey::from_unchecked(self.array()?).ok_or(NO_POINT)
    }

    /// Reads all remaining bytes as text. A text is always the last part of a value, so it needs no length.
    pub fn text(&mut self) -> Result<String, Corrupt> {
        let text = core::str::from_utf8(core::mem::take(&mut self.0));
        text.map(Into::into).map_err(|_| Corrupt("a stored text is not valid UTF-8"))
    }

    /// Fails if bytes are left: a value has exactly one encoding, because the root commits to the bytes.
    pub fn finish(&self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("stored bytes are too long")) }
    }
}
