//! Finality signatures, and what it takes to check one.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::bls::{BlsError, BlsSignature};
use crate::bounded::Bounded;
use crate::chain::{SignedState, bls_message, message};
use crate::limits::NODES_MAX;
use crate::nodes::Membership;
use crate::threshold::Threshold;

/// A finality signature, in the JSON form of `finalized` answers. It covers every batch up to
/// `index`, because it is over the chaining hash there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalitySignature {
    /// The index of the last batch that it covers.
    pub index: u64,
    /// The finalized index before it.
    pub parent_index: u64,
    /// When the batch became final, in Unix seconds by the leader's clock.
    pub timestamp: u64,
    /// The chaining hash that the sender claims, as 32 hex digits. A check uses the hash that the
    /// reader computed from the bodies.
    #[serde(default)]
    pub chaining_hash: Option<String>,
    /// The ids of the nodes that did not sign, at most [`NODES_MAX`]. JSON null means none.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub nonsigners: Vec<String>,
    /// The aggregated signature as mcl writes it: `1 x y` in decimal.
    pub signature: String,
    /// The block at which the signers' stakes and keys count, on networks that keep them on a chain;
    /// 0 elsewhere. The sender chooses it, and it is not signed.
    #[serde(default, deserialize_with = "tag")]
    pub tag: u64,
}

/// A sequence proof whose numbers are decimal text. APIs that JavaScript reads carry it so, because a
/// JavaScript number does not hold 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalProof<'a> {
    /// See [`FinalitySignature::index`].
    pub index: &'a str,
    /// See [`FinalitySignature::parent_index`].
    pub parent_index: &'a str,
    /// See [`FinalitySignature::timestamp`].
    pub timestamp: &'a str,
    /// See [`FinalitySignature::nonsigners`].
    pub nonsigners: &'a [String],
    /// See [`FinalitySignature::signature`].
    pub signature: &'a str,
    /// See [`FinalitySignature::tag`].
    pub tag: &'a str,
}

/// A number of a [`DecimalProof`] that cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field} must be a whole number below 2^64, not {value:?}")]
pub struct InvalidNumber {
    /// The field's name.
    pub field: &'static str,
    /// The start of its text.
    pub value: String,
}

impl TryFrom<DecimalProof<'_>> for FinalitySignature {
    type Error = InvalidNumber;

    /// Reads the numbers. The result claims no chaining hash: whoever checks it has computed one.
    fn try_from(proof: DecimalProof<'_>) -> Result<Self, InvalidNumber> {
        let number = |field, text: &str| {
            let invalid = |_| InvalidNumber { field, value: text.chars().take(80).collect() };
            text.parse().map_err(invalid)
        };
        Ok(Self {
            index: number("index", proof.index)?,
            parent_index: number("parent_index", proof.parent_index)?,
            timestamp: number("timestamp", proof.timestamp)?,
            chaining_hash: None,
            nonsigners: proof.nonsigners.to_vec(),
            signature: proof.signature.to_string(),
            tag: number("tag", proof.tag)?,
        })
    }
}

/// Reads a block number in digits or as a JSON integer. Null and a missing field are 0: networks with
/// a fixed node list send either.
pub(crate) fn tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
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
            // One text for each block: `parse` alone would also read `+17` and `017`.
            let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
            number.ok_or_else(|| serde::de::Error::custom("`tag` must be a block number"))
        }
    }
}

pub(crate) fn null_is_empty<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let list = Option::<Bounded<String, NODES_MAX>>::deserialize(deserializer)?;
    list.map_or(Ok(Vec::new()), |list| {
        // A cut list must not pass: the nodes left out would count as signers.
        if list.is_cut {
            Err(serde::de::Error::custom("there are more non-signers than a network has nodes"))
        } else {
            Ok(list.items)
        }
    })
}

/// Why a finality signature proves nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// The tag names a block at which the network's nodes are not known.
    #[error("the nodes of the network at block {0} are not known")]
    UnknownTag(u64),
    /// A non-signer is not in the node list.
    #[error("non-signer {0} is not in the node list")]
    UnknownNonsigner(String),
    /// A non-signer is listed twice, which would subtract its key twice.
    #[error("non-signer {0} is listed twice")]
    RepeatedNonsigner(String),
    /// A non-signer has no stake, so its key is not in the aggregate.
    #[error("non-signer {0} has no stake")]
    NonsignerWithoutStake(String),
    /// Too much stake did not sign. The signature itself is valid, so an honest gateway of a network with a lower
    /// threshold sends such proofs.
    #[error("{missing} of {total} stake did not sign; the threshold is {threshold} %")]
    Quorum {
        /// The stake of the non-signers.
        missing: u128,
        /// The stake of all nodes.
        total: u128,
        /// The share that must sign.
        threshold: Threshold,
    },
    /// The signers' aggregated key is the point at infinity, or the signature is not a valid point.
    #[error("{0}")]
    Encoding(#[from] BlsError),
    /// The pairing does not hold: other nodes signed, or they signed something else.
    #[error("the signature is not that of the signers over this chaining hash")]
    Signature,
}

/// Whose signatures prove the batches of one app on one network.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The app's name on the network.
    pub app_name: String,
    /// The nodes of the network.
    pub nodes: Membership,
    /// The share of the stake that must sign.
    pub threshold: Threshold,
}

impl Verifier {
    /// Checks a signature over a chaining hash that the caller computed from the bodies.
    ///
    /// The signers' key is the sum of all keys with stake, minus those of the named non-signers. Where
    /// the Python SDK accepts repeated, unknown or stakeless non-signers, this does not: with them a
    /// sender could shape the key that is checked.
    ///
    /// # Errors
    ///
    /// Fails with the first reason why the signature proves nothing.
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
            // Ends after at most as many rounds as there are nodes, because a repeated id returns.
            if signature.nonsigners.iter().take(position).any(|other| other == id) {
                return Err(ProofError::RepeatedNonsigner(id.clone()));
            }
            missing = missing.saturating_add(u128::from(node.stake));
            key = key.minus(&node.public_key);
        }
        // Index, parent and timestamp are the sender's, and the signature covers them. The hash is the
        // reader's own, and the app's name keeps out signatures over another app's batches.
        let text = message(
            &self.app_name,
            state,
            signature.index,
            signature.parent_index,
            signature.timestamp,
            chaining_hash,
        );
        let point = BlsSignature::parse(&signature.signature)?;
        if !key.key()?.verify(bls_message(&text).as_bytes(), &point) {
            return Err(ProofError::Signature);
        }
        // After the pairing, so that this error is never a lie: these nodes did sign, and only the reader's
        // threshold asks for more of them.
        if !self.threshold.allows(missing, nodes.stake()) {
            let (total, threshold) = (nodes.stake(), self.threshold);
            return Err(ProofError::Quorum { missing, total, threshold });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DecimalProof, FinalitySignature};
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_tag_is_a_block_number() {
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
    fn a_decimal_proof_names_the_number_that_cannot_be_read() {
        let good = DecimalProof {
            index: "18446744073709551615",
            parent_index: "1",
            timestamp: "2",
            nonsigners: &[],
            signature: "1 2 3",
            tag: "0",
        };
        assert_eq!(FinalitySignature::try_from(good).unwrap().index, u64::MAX);
        let bad = [
            DecimalProof { index: "x", ..good },
            DecimalProof { parent_index: "-1", ..good },
            DecimalProof { timestamp: "", ..good },
            DecimalProof { tag: "18446744073709551616", ..good },
        ];
        for (proof, field) in bad.into_iter().zip(["index", "parent_index", "timestamp", "tag"]) {
            let error = FinalitySignature::try_from(proof).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{field} must be")), "{error}");
        }
    }
}
