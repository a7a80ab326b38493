//! Checks halt evidence. Genesis and the node list are enough: no state, and no trust in the replica.

use sha2::{Digest, Sha256};
use thiserror::Error;
use zellbook_core::certificate::{Certifiers, NotCertified, certifiers};
use zellbook_core::protocol::elements;
use zellbook_core::types::decode_hex;
use zellbook_core::wire::{AttestationBody, ProofBody};
use zellbook_core::{Hash, Rules};
use zellular::{
    DecimalProof, FinalitySignature, InvalidNumber, ProofError, SignedState, Verifier, chain,
    xxh128_hex,
};

use super::contradiction::{Contradiction, Evidence, ProvenBodies};

/// Why evidence is not valid.
#[derive(Debug, Error)]
pub enum EvidenceError {
    #[error("the evidence is for network {found}, but genesis is for network {expected}")]
    Network { found: String, expected: String },
    #[error("{field} is {value:?}, but it must be {expected}")]
    Field { field: &'static str, value: String, expected: &'static str },
    #[error("the attestation at position {position} of batch {batch}: {error}")]
    Attestation { batch: String, position: String, error: String },
    #[error(transparent)]
    NotCertified(#[from] NotCertified),
    #[error("the network's signature over batch {index}: {error}")]
    Proof { index: String, error: ProofError },
    /// The number of bodies is not that between the batch before them and the signature.
    #[error(
        "it has {found} bodies from batch {after} to the signature over batch {last}; there must be one per batch"
    )]
    Bodies { found: usize, after: String, last: String },
    #[error("both sides have {0}, so there is no contradiction")]
    Same(String),
    #[error(
        "the two bodies have the xxh128 {ours} and {theirs}; only bodies with the same one are both covered by the network's signature"
    )]
    Xxh128 { ours: String, theirs: String },
}

/// What valid evidence proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Replicas in genesis certified the root after this batch.
    Certified { batch: u64, certifiers: Certifiers },
    /// The network's nodes signed two histories, which differ at this batch.
    Fork { batch: u64 },
    /// One signature of the network covers two bodies of this batch, with these SHA-256.
    Bodies { batch: u64, ours: Hash, theirs: Hash },
}

fn number(field: &'static str, text: &str) -> Result<u64, EvidenceError> {
    text.parse().map_err(|_| EvidenceError::Field {
        field,
        value: text.chars().take(80).collect(),
        expected: "a whole number",
    })
}

fn hash(field: &'static str, text: &str) -> Result<Hash, EvidenceError> {
    decode_hex(text).ok_or_else(|| EvidenceError::Field {
        field,
        value: text.chars().take(80).collect(),
        expected: "64 lower-case hex digits",
    })
}

/// Reads a signature of the network in the form that the API and halt evidence use.
pub fn finality_signature(proof: &ProofBody) -> Result<FinalitySignature, EvidenceError> {
    let decimal = DecimalProof {
        index: &proof.index,
        parent_index: &proof.parent_index,
        timestamp: &proof.timestamp,
        nonsigners: &proof.nonsigners,
        signature: &proof.signature,
        tag: &proof.tag,
    };
    FinalitySignature::try_from(decimal).map_err(|InvalidNumber { field, value }| {
        EvidenceError::Field { field, value, expected: "a whole number" }
    })
}

impl ProvenBodies {
    /// Whether the body of a batch is included.
    pub(super) fn holds(&self, batch: u64) -> bool {
        self.body(batch).is_some()
    }

    fn body(&self, batch: u64) -> Option<&str> {
        let offset = batch.checked_sub(self.after.parse().ok()?)?.checked_sub(1)?;
        self.bodies.get(usize::try_from(offset).ok()?).map(String::as_str)
    }

    /// Checks the signature over the chain of the bodies. If it is valid, the network signed the bodies and
    /// the chaining hash that they start from.
    pub fn check(&self, verifier: &Verifier) -> Result<(), EvidenceError> {
        let after = number("after", &self.after)?;
        let signature = finality_signature(&self.proof)?;
        let count =
            signature.index.checked_sub(after).and_then(|count| usize::try_from(count).ok());
        // The signature covers the last index and the last hash, but not `after`. With one body for each
        // batch, `after` follows from the signed index, and so does the index of each body.
        if count != Some(self.bodies.len()) {
            return Err(EvidenceError::Bodies {
                found: self.bodies.len(),
                after: self.after.clone(),
                last: self.proof.index.clone(),
            });
        }
        // The hash that the evidence states in its proof is not read: the signature must hold over the one
        // computed here.
        let start = self.chaining_hash.clone();
        let last = self.bodies.iter().fold(start, |previous, body| chain(&previous, body));
        verifier
            .verify(SignedState::Locked, &signature, &last)
            .map_err(|error| EvidenceError::Proof { index: self.proof.index.clone(), error })
    }
}

fn sha256(body: &str) -> Hash {
    Sha256::digest(body).into()
}

impl Evidence {
    /// Checks every signature against genesis and the node list.
    pub fn check(&self, rules: &Rules, verifier: &Verifier) -> Result<Finding, EvidenceError> {
        if self.network != rules.network.to_string() {
            return Err(EvidenceError::Network {
                found: self.network.chars().take(80).collect(),
                expected: rules.network.to_string(),
            });
        }
        // The explanation, the time and the replica's own root are only claims. Nothing below depends on
        // them for what it proves.
        match &self.contradiction {
            Contradiction::CertifiedRoot {
                batch,
                our_root,
                certified_root,
                attestations,
                batches,
            } => {
                let (batch, root) =
                    (number("batch", batch)?, hash("certified_root", certified_root)?);
                if our_root.as_ref() == Some(certified_root) {
                    return Err(EvidenceError::Same(format!("the root {certified_root}")));
                }
                for proven in batches {
                    proven.check(verifier)?;
                }
                // Attestations count only in the sequence, so each must be in a sequenced body.
                for attestation in attestations {
                    in_sequence(attestation, batches)?;
                }
                let signed = attestations.iter().map(|attestation| &*attestation.transaction);
                let certifiers = certifiers(rules, batch, &root, signed)?;
                Ok(Finding::Certified { batch, certifiers })
            }
            // The gateways are only claims of the replica: no node signs what it serves.
            Contradiction::Bodies { batch, ours, their_body, .. } => {
                let batch = number("batch", batch)?;
                // The first body must be that of this batch.
                if number("ours.after", &ours.after)?.checked_add(1) != Some(batch) {
                    return Err(EvidenceError::Field {
                        field: "ours.after",
                        value: ours.after.clone(),
                        expected: "the batch before the one whose bodies differ",
                    });
                }
                ours.check(verifier)?;
                let our_body = ours.body(batch).unwrap_or_default();
                let (our_hash, their_hash) = (sha256(our_body), sha256(their_body));
                if our_hash == their_hash {
                    let hash = format!("a body with the SHA-256 {}", hex::encode(our_hash));
                    return Err(EvidenceError::Same(hash));
                }
                // With the same xxh128 and the same chain before it, the signature that was checked above covers
                // the other body too.
                let (ours, theirs) =
                    (xxh128_hex(our_body.as_bytes()), xxh128_hex(their_body.as_bytes()));
                if ours != theirs {
                    return Err(EvidenceError::Xxh128 { ours, theirs });
                }
                Ok(Finding::Bodies { batch, ours: our_hash, theirs: their_hash })
            }
            Contradiction::Fork { batch, ours, theirs } => {
                let batch = number("batch", batch)?;
                // The two hashes at the same batch are the contradiction. The bodies after it only lead to
                // the signatures, and may even be equal.
                if ours.chaining_hash == theirs.chaining_hash {
                    let hash = format!("the chaining hash {}", ours.chaining_hash);
                    return Err(EvidenceError::Same(hash));
                }
                // Different hashes contradict each other only at the same batch.
                for (field, side) in [("ours.after", &**ours), ("theirs.after", &**theirs)] {
                    if number(field, &side.after)? != batch {
                        return Err(EvidenceError::Field {
                            field,
                            value: side.after.clone(),
                            expected: "the batch at which the histories differ",
                        });
                    }
                    side.check(verifier)?;
                }
                Ok(Finding::Fork { batch })
            }
        }
    }
}

/// Checks that the attestation is an element of a proven body, at its stated position.
fn in_sequence(
    attestation: &AttestationBody,
    batches: &[ProvenBodies],
) -> Result<(), EvidenceError> {
    let batch = number("attestation.batch", &attestation.batch)?;
    let position = number("attestation.position", &attestation.position)?;
    let body = batches.iter().find_map(|proven| proven.body(batch));
    let found = body.and_then(|body| {
        elements(body.as_bytes()).get(usize::try_from(position).ok()?).map(|element| element.get())
    });
    // Compared byte for byte: the proof covers the body's bytes, not the fields that they can be read as.
    if found == Some(attestation.transaction.as_str()) {
        return Ok(());
    }
    Err(EvidenceError::Attestation {
        batch: attestation.batch.clone(),
        position: attestation.position.clone(),
        error: "no sequenced batch in this evidence contains it at that position".into(),
    })
}

#[cfg(test)]
mod tests {
    use zellbook_core::types::limits::ELEMENTS_MAX;

    use super::*;

    /// Bodies 1 and 2, of which the attestation is the last element of the second.
    fn proven(elements: usize) -> (AttestationBody, ProvenBodies) {
        let transaction = r#"{"kind":"attest"}"#.to_string();
        let body = format!("[{}{transaction}]", "0,".repeat(elements - 1));
        let proof = ProofBody {
            index: "2".into(),
            parent_index: "0".into(),
            timestamp: "0".into(),
            chaining_hash: String::new(),
            nonsigners: Vec::new(),
            signature: String::new(),
            tag: "0".into(),
        };
        let bodies = vec!["[]".into(), body];
        let proven =
            ProvenBodies { after: "0".into(), chaining_hash: String::new(), bodies, proof };
        let position = (elements - 1).to_string();
        (AttestationBody { batch: "2".into(), position, transaction }, proven)
    }

    #[test]
    fn a_body_beyond_the_limits_contains_no_attestation() {
        let (attestation, bodies) = proven(ELEMENTS_MAX);
        assert!(in_sequence(&attestation, &[bodies]).is_ok());
        // The engine applied nothing of such a body, so nothing in it can have certified a root.
        let (attestation, bodies) = proven(ELEMENTS_MAX + 1);
        assert!(in_sequence(&attestation, &[bodies]).is_err());
    }
}
