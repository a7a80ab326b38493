//! JSON lists that take no more memory than a bound allows.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The first `MAX` items of a JSON array. The rest is parsed and dropped, so the memory that an answer
/// takes is bounded by the reader and not by the sender.
#[derive(Debug)]
pub(crate) struct Bounded<T, const MAX: usize> {
    pub items: Vec<T>,
    /// Whether there were more.
    pub is_cut: bool,
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = Bounded<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX {
                    match seq.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Bounded { items, is_cut: false }),
                    }
                }
                // Read to the end of the list: what follows it in the answer is needed too.
                let mut is_cut = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    is_cut = true;
                }
                Ok(Bounded { items, is_cut })
            }
        }
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}
