//! Finality proofs of the Zellular network: node lists, the chaining hash, and walking the pages of
//! finalized batches so that only proven ones come out.
//!
//! Source: the running network and its Python SDK, as captured in the repository's
//! `core/tests/vectors/zellular`. Stricter than the SDK where that is open to forgery.

mod nodes;
mod page;
mod walker;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use twox_hash::XxHash3_128;

pub use nodes::{Membership, Node, NodeList, NodeListError};
use page::Bounded;
pub use page::{Page, PageError, read_last};
pub use walker::{Position, ProvenBatch, ProvenGroup, Walker};

use crate::bls::{BlsError, BlsSignature};
use crate::limits::NODES_MAX;
use crate::units::Decimal;
use crate::wire::ProofBody;

/// XXH3-128 as 32 lower-case hex digits.
pub fn xxh128_hex(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

/// The next chaining hash: `c[n] = xxh128_hex(c[n-1] + xxh128_hex(body[n]))`, `c[0]` empty.
pub fn chain(previous: &str, body: &str) -> String {
    let mut input = String::from(previous);
    input.push_str(&xxh128_hex(body.as_bytes()));
    xxh128_hex(input.as_bytes())
}

/// The share of stake that must sign, in percent: above 0, at most 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(Decimal);

impl Threshold {
    /// From a percentage such as `67` or `66.6`; `None` out of range or with over 6 decimals.
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let hundred = Decimal::parse("100").ok()?;
        let in_millionths = percent.in_steps_of(Decimal::one_atom(6)).ok()?;
        let most = hundred.in_steps_of(Decimal::one_atom(6)).ok()?;
        (in_millionths > 0 && in_millionths <= most).then_some(Self(percent))
    }

    /// The percentage.
    pub const fn percent(self) -> Decimal {
        self.0
    }

    /// Whether so much of the stake may be missing: `100 · missing / total ≤ 100 − percent`.
    fn allows(self, missing: u128, total: u128) -> bool {
        let within = || {
            let percent = self.0.in_steps_of(Decimal::one_atom(6)).ok()?;
            let slack = 100_000_000_u128.checked_sub(percent)?;
            Some(missing.checked_mul(100_000_000)? <= slack.checked_mul(total)?)
        };
        within().unwrap_or(false)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// What the nodes sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedState {
    /// The lock: nodes have the batch in sequence.
    Sequenced,
    /// Finality: nodes have seen the lock.
    Locked,
}

/// The signed message: Python's `json.dumps` with sorted keys.
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

/// What is hashed to the curve for a message: the hex digits of its xxh128.
pub fn bls_message(message: &str) -> String {
    xxh128_hex(message.as_bytes())
}

/// A text as Python's `json.dumps` writes it: all but printable ASCII as `\uxxxx`.
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
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

/// A finality signature as `finalized` answers carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalitySignature {
    /// Index of the last batch that it covers.
    pub index: u64,
    /// The finalized index before it.
    pub parent_index: u64,
    /// Unix seconds.
    pub timestamp: u64,
    /// The chaining hash that the sender claims; what is checked is our own.
    #[serde(default)]
    pub chaining_hash: Option<String>,
    /// Ids of nodes that did not sign; null is none. At most as many as a network has nodes.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub nonsigners: Vec<String>,
    /// `1 x y`.
    pub signature: String,
    /// The block at which the signers' stakes and keys count, where they are kept on a chain. It is the
    /// sender's choice, and not signed.
    #[serde(default, deserialize_with = "tag")]
    pub tag: u64,
}

/// A number of a proof that cannot be read: which one, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableNumber {
    /// The field's name.
    pub field: &'static str,
    /// What stands there.
    pub value: String,
}

impl TryFrom<&ProofBody> for FinalitySignature {
    type Error = UnreadableNumber;

    /// As the API carries it. The chaining hash that it claims is left out: who checks it has its own.
    fn try_from(proof: &ProofBody) -> Result<Self, UnreadableNumber> {
        let number = |field, text: &str| {
            let unreadable = |_| UnreadableNumber { field, value: text.chars().take(80).collect() };
            text.parse().map_err(unreadable)
        };
        Ok(Self {
            index: number("proof.index", &proof.index)?,
            parent_index: number("proof.parent_index", &proof.parent_index)?,
            timestamp: number("proof.timestamp", &proof.timestamp)?,
            chaining_hash: None,
            nonsigners: proof.nonsigners.clone(),
            signature: proof.signature.clone(),
            tag: number("proof.tag", &proof.tag)?,
        })
    }
}

/// A block number, in digits or as a JSON integer; null is 0, which is what a fixed network has.
fn tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Tag<'a> {
        Number(u64),
        Text(&'a str),
    }
    match Option::<Tag<'_>>::deserialize(deserializer)? {
        None => Ok(0),
        Some(Tag::Number(number)) => Ok(number),
        Some(Tag::Text(text)) => {
            let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
            number.ok_or_else(|| serde::de::Error::custom("`tag` is no block number"))
        }
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Option::<Bounded<String, NODES_MAX>>::deserialize(deserializer)?;
    list.map_or(Ok(Vec::new()), |list| {
        if list.is_cut {
            Err(serde::de::Error::custom("too many non-signers"))
        } else {
            Ok(list.items)
        }
    })
}

/// Why a finality signature proves nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// A block at which the network's nodes are not known.
    #[error("the nodes of the network at block {0} are not known")]
    UnknownTag(u64),
    /// A non-signer that is not in the node list.
    #[error("non-signer {0} is not in the node list")]
    UnknownNonsigner(String),
    /// A non-signer twice.
    #[error("non-signer {0} is listed twice")]
    RepeatedNonsigner(String),
    /// A non-signer without stake, whose key is not in the aggregate.
    #[error("non-signer {0} has no stake")]
    NonsignerWithoutStake(String),
    /// Too much stake did not sign.
    #[error("{missing} of {total} stake did not sign; the threshold is {threshold}")]
    Quorum {
        /// Stake of the non-signers.
        missing: u128,
        /// All stake.
        total: u128,
        /// What must sign.
        threshold: Threshold,
    },
    /// The signers' key is infinite, or the signature is no point.
    #[error("{0}")]
    Encoding(#[from] BlsError),
    /// The pairing does not hold.
    #[error("the signature is not that of the signers over this chaining hash")]
    Signature,
}

/// What is needed to check proofs of one app on one network.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The app's name on the network.
    pub app_name: String,
    /// The nodes.
    pub nodes: Membership,
    /// The share of stake that must sign.
    pub threshold: Threshold,
}

impl Verifier {
    /// Checks a signature over a chaining hash that we computed.
    pub fn verify(
        &self,
        state: SignedState,
        signature: &FinalitySignature,
        chaining_hash: &str,
    ) -> Result<(), ProofError> {
        let mut missing = 0_u128;
        let tag = signature.tag;
        let nodes = self.nodes.at(tag).ok_or(ProofError::UnknownTag(tag))?;
        let mut key = nodes.aggregate();
        for (position, id) in signature.nonsigners.iter().enumerate() {
            let node = nodes
                .get(id)
                .ok_or_else(|| ProofError::UnknownNonsigner(id.chars().take(64).collect()))?;
            if node.stake == 0 {
                return Err(ProofError::NonsignerWithoutStake(id.clone()));
            }
            // At most as many rounds as nodes: a repeated one ends it.
            if signature.nonsigners.iter().take(position).any(|other| other == id) {
                return Err(ProofError::RepeatedNonsigner(id.clone()));
            }
            missing = missing.saturating_add(u128::from(node.stake));
            key = key.minus(&node.public_key);
        }
        if !self.threshold.allows(missing, nodes.stake()) {
            let (total, threshold) = (nodes.stake(), self.threshold);
            return Err(ProofError::Quorum { missing, total, threshold });
        }
        let text = message(
            &self.app_name,
            state,
            signature.index,
            signature.parent_index,
            signature.timestamp,
            chaining_hash,
        );
        let point = BlsSignature::parse(&signature.signature)?;
        if key.key()?.verify(bls_message(&text).as_bytes(), &point) {
            Ok(())
        } else {
            Err(ProofError::Signature)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FinalitySignature, SignedState, Threshold, message};
    use crate::units::Decimal;
    use alloc::format;
    use alloc::string::ToString;

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

    #[test]
    fn a_tag_is_a_block_number_and_nothing_else() {
        let read = |tag: &str| {
            let json =
                format!(r#"{{"index":1,"parent_index":0,"timestamp":7,"signature":"1 2 3"{tag}}}"#);
            serde_json::from_str::<FinalitySignature>(&json).map(|read| read.tag).ok()
        };
        for (tag, number) in [("", 0), (r#","tag":null"#, 0), (r#","tag":17"#, 17)] {
            assert_eq!(read(tag), Some(number), "{tag}");
        }
        assert_eq!(read(r#","tag":"18446744073709551615""#), Some(u64::MAX));
        for tag in
            ["-1", "1.0", "1e3", r#""""#, r#""01""#, r#""latest""#, "[]", "18446744073709551616"]
        {
            assert_eq!(read(&format!(r#","tag":{tag}"#)), None, "{tag}");
        }
    }

    #[test]
    fn a_threshold_shows_its_percentage() {
        let threshold = Threshold::from_percent(Decimal::parse("66.6").unwrap()).unwrap();
        assert_eq!(threshold.to_string(), "66.6 %");
    }
}
