//! Strict parsing of a transaction's JSON: a flat object of texts with unique names.
//!
//! Every value has exactly one valid text and every name appears exactly once. This matters for two reasons.
//! All replicas, also those written by others, must agree on which bytes are a transaction, and general JSON
//! leaves that open: parsers differ in repeated keys, in large numbers and in escapes. And the signed text is
//! rebuilt from the parsed values, so a value with two texts would have two signatures.
//!
//! Parsing has two steps. [`Fields::read`] checks the shape: sizes, unique names, all values texts. Then the
//! kind takes the fields that it knows, each with a parser that checks its form, and [`Fields::finish`] fails
//! if one is left. An unknown field is an error because whoever sent it expects it to have an effect.
//!
//! The order of these checks does not matter to consensus: each failure is the same reject 1. See *Strict
//! reading* in `docs/protocol.md`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::reject::Reject;
use crate::types::limits::{
    CLIENT_ID_LENGTH_MAX, DESTINATION_LENGTH_MAX, FIELDS_MAX, REFERENCE_LENGTH_MAX,
    SYMBOL_LENGTH_MAX, TRANSACTION_BYTES_MAX,
};
use crate::types::{Decimal, Hash, PublicKey, UnknownName, decode_hex};

/// The fields of a flat JSON object as (name, value), without those already taken. A list, because a
/// transaction has at most 16 fields.
pub(crate) struct Fields(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose values are all strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields: Vec<(String, String)> = Vec::new();
                // A map type would silently use the last of two values with one name.
                while let Some(name) = map.next_key::<String>()? {
                    // Names are compared after their escapes are resolved, so `\u006b` cannot smuggle in a
                    // second `k`.
                    if fields.iter().any(|(other, _)| *other == name) {
                        return Err(serde::de::Error::custom(format!("field `{name}` twice")));
                    }
                    // Before the value is read. Together with the bound on bytes it limits what one element can
                    // make a replica store.
                    if fields.len() >= FIELDS_MAX {
                        return Err(serde::de::Error::custom("too many fields"));
                    }
                    let value = map.next_value::<String>().map_err(|error| {
                        serde::de::Error::custom(format!("field `{name}`: {error}"))
                    })?;
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl Fields {
    pub fn read(json: &str) -> Result<Self, Reject> {
        // Before parsing, so that the work for one element is bounded.
        if json.len() > TRANSACTION_BYTES_MAX {
            let bytes = json.len();
            return Err(malformed(format!(
                "{bytes} bytes; at most {TRANSACTION_BYTES_MAX} are read"
            )));
        }
        // This also refuses bytes after the object and the escape of a lone surrogate, which has no UTF-8.
        serde_json::from_str(json).map_err(|error| malformed(error.to_string()))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// Takes a field and parses its value; `None` if there is no such field.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Reject> {
        let Some(position) = self.0.iter().position(|(other, _)| other == name) else {
            return Ok(None);
        };
        // The last field takes the place of this one. The order does not matter, since fields are taken by
        // name.
        let (_, value) = self.0.swap_remove(position);
        parse(&value).map(Some).map_err(|error| malformed(format!("field `{name}` {error}")))
    }

    /// Takes a field and parses its value; fails if there is no such field.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Reject> {
        self.optional(name, parse)?.ok_or_else(|| malformed(format!("field `{name}` is missing")))
    }

    /// Fails if a field was not taken.
    pub fn finish(&self) -> Result<(), Reject> {
        match self.0.first() {
            Some((name, _)) => {
                // The sender chose the name, so the message quotes only its beginning.
                let name: String = name.chars().take(32).collect();
                Err(malformed(format!("unknown field `{name}`")))
            }
            None => Ok(()),
        }
    }
}

pub(crate) fn malformed(message: String) -> Reject {
    Reject::Malformed(message)
}

pub(crate) fn parse_decimal(text: &str) -> Result<Decimal, String> {
    Decimal::parse(text).map_err(|error| format!("is not a number: {error}"))
}

/// Parses a `u64` in decimal digits without leading zeros.
pub(crate) fn parse_integer(text: &str) -> Result<u64, String> {
    // Rust's own parser also accepts `+1` and `01`.
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    text.parse::<u64>().ok().filter(|_| is_canonical).ok_or_else(|| {
        format!("must be a whole number from 0 to {} without leading zeros", u64::MAX)
    })
}

pub(crate) fn parse_public_key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error| format!("is not an account: {error}"))
}

/// Parses a value of an enum by its name on the wire.
pub(crate) fn parse_name<T: FromStr<Err = UnknownName>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: UnknownName| error.to_string())
}

pub(crate) fn parse_symbol(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'));
    if is_plain && !text.is_empty() && text.len() <= SYMBOL_LENGTH_MAX {
        Ok(text.to_owned())
    } else {
        Err(format!("must be a token's symbol, 1 to {SYMBOL_LENGTH_MAX} of A-Z and 0-9"))
    }
}

/// Checks the form only. Whether genesis has the market is a different reject (10), and it costs the nonce.
pub(crate) fn parse_market(text: &str) -> Result<String, String> {
    let error = || "must be a market's name, like ETH/USDT".to_owned();
    let (base, quote) = text.split_once('/').ok_or_else(error)?;
    // A second slash stays in the quote, where no symbol has one.
    parse_symbol(base).and_then(|_| parse_symbol(quote)).map_err(|_| error())?;
    Ok(text.to_owned())
}

/// Parses 1 to `most` ASCII letters, digits and `marks`. This excludes line breaks, which could imitate another
/// line of the signed text, everything that JSON must escape, and letters that only look like ASCII.
fn parse_plain(text: &str, most: usize, marks: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    if text.chars().all(is_plain) && (1..=most).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be 1 to {most} of A-Z, a-z, 0-9 and {marks}"))
    }
}

pub(crate) fn parse_reference(text: &str) -> Result<String, String> {
    parse_plain(text, REFERENCE_LENGTH_MAX, "._:-")
}

pub(crate) fn parse_client_id(text: &str) -> Result<String, String> {
    parse_plain(text, CLIENT_ID_LENGTH_MAX, "._:-")
}

pub(crate) fn parse_destination(text: &str) -> Result<String, String> {
    parse_plain(text, DESTINATION_LENGTH_MAX, "._:/@+-")
}

pub(crate) fn parse_hash(text: &str) -> Result<Hash, String> {
    decode_hex(text).ok_or_else(|| "must be 64 lower-case hex digits".to_owned())
}
