//! Enums with names on the wire.
//!
//! The signed text, the JSON of the API and the error messages must agree on each name, so a macro derives both
//! directions from one list.

use core::fmt;

/// A text that names no value of an enum.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be one of {}", Joined(.known))]
pub struct UnknownName {
    /// All valid names.
    pub known: &'static [&'static str],
}

struct Joined<'a>(&'a [&'static str]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}")?;
        }
        Ok(())
    }
}

/// Implements `name`, `Display` and `FromStr` for an enum. `FromStr` fails with [`UnknownName`].
macro_rules! names {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
        impl core::str::FromStr for $type {
            type Err = $crate::types::UnknownName;
            fn from_str(name: &str) -> Result<Self, Self::Err> {
                // Only the exact name: another case or a space would be a second text for the value, and so a
                // second signed text.
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err($crate::types::UnknownName { known: &[$($name),*] }),
                }
            }
        }
        impl core::fmt::Display for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use names;
