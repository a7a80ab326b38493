//! The chaining hash, and the message that the nodes sign over it.
//!
//! The network numbers an app's batches from 1. Each batch continues one chain of hashes, so a
//! signature over the last chaining hash covers all batches up to it. The hash is XXH3-128, which is
//! fast and was not made to withstand forgers: someone who prepares two bodies with one hash can
//! swap them under a valid signature. An app that must exclude that commits to its bodies by a
//! cryptographic hash of its own.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use twox_hash::XxHash3_128;

/// Returns XXH3-128 of some bytes as 32 lower-case hex digits.
pub fn xxh128_hex(bytes: &[u8]) -> String {
    // Always 32 digits, because the text is hashed again and must be the network's, byte for byte.
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

/// Returns the next chaining hash: `c[n] = xxh128_hex(c[n-1] + xxh128_hex(body[n]))`. Before the
/// first batch it is the empty text.
pub fn chain(previous: &str, body: &str) -> String {
    let mut input = String::from(previous);
    input.push_str(&xxh128_hex(body.as_bytes()));
    xxh128_hex(input.as_bytes())
}

/// What the nodes state about a batch when they sign. Nodes sign twice: first that they have the
/// batch, then that they have seen the aggregated signature of the first round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedState {
    /// The first round: enough nodes have the batch in sequence. Its aggregate is the *lock*.
    Sequenced,
    /// The second round: enough nodes have seen the lock. Its aggregate proves finality.
    Locked,
}

/// Returns the text that nodes sign: Python's `json.dumps(…, sort_keys=True)` of these fields.
/// `timestamp` is in Unix seconds, and 0 in the first round.
pub fn message(
    app_name: &str,
    state: SignedState,
    index: u64,
    parent_index: u64,
    timestamp: u64,
    chaining_hash: &str,
) -> String {
    let state = match state {
        SignedState::Sequenced => "sequenced",
        SignedState::Locked => "locked",
    };
    format!(
        "{{\"app_name\": {}, \"chaining_hash\": {}, \"index\": {index}, \
         \"parent_index\": {parent_index}, \"state\": \"{state}\", \"timestamp\": {timestamp}}}",
        python_json(app_name),
        python_json(chaining_hash),
    )
}

/// Returns what is hashed to the curve for a [`message`]: the hex digits of its XXH3-128.
pub fn bls_message(message: &str) -> String {
    xxh128_hex(message.as_bytes())
}

/// Writes a text as Python's `json.dumps` does: everything but printable ASCII as `\uxxxx`. One byte
/// of difference would give another message and so refuse every honest signature.
fn python_json(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(character),
            _ => {
                // Python escapes UTF-16 units: a character above U+FFFF becomes two escapes.
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::{SignedState, message};

    #[test]
    fn a_message_escapes_as_python_does() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\u{1}~\u{7f}\u{e9}\u{1f512}";
        // json.dumps({"app_name": text, "chaining_hash": "h", …}, sort_keys=True)
        assert_eq!(
            message(text, SignedState::Locked, 2, 1, 3, "h"),
            r#"{"app_name": "a\"\\\n\r\t\b\f\u0001~\u007f\u00e9\ud83d\udd12", "chaining_hash": "h", "index": 2, "parent_index": 1, "state": "locked", "timestamp": 3}"#
        );
        assert!(message("a", SignedState::Sequenced, 1, 0, 0, "").contains("\"sequenced\""));
    }
}
