//! What certifies a root to whoever has only signatures: attestations of replicas of genesis that have
//! more than two thirds of the weight.

use alloc::vec::Vec;

use thiserror::Error;

use crate::protocol::{Action, Reject, check_element};
use crate::rules::Rules;
use crate::types::{Hash, PublicKey, ReplicaIndex};

/// Who signed a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certifiers {
    /// The replicas, in the order of their first attestation; none twice.
    pub replicas: Vec<ReplicaIndex>,
    /// Their weight.
    pub weight: u64,
    /// The weight of all replicas of genesis.
    pub total: u64,
}

/// Why attestations do not certify a root.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotCertified {
    /// One of them is none, or is for something else.
    #[error("attestation {index}: {error}")]
    Attestation {
        /// Which of them, from 0.
        index: usize,
        /// What is wrong with it.
        error: InvalidAttestation,
    },
    /// Too few replicas signed.
    #[error("replicas of weight {weight} of {total} signed; more than two thirds certify a root")]
    Weight {
        /// Of those that signed.
        weight: u64,
        /// Of all.
        total: u64,
    },
}

/// What is wrong with an attestation.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidAttestation {
    /// It is no signed transaction.
    #[error("{0}")]
    Invalid(Reject),
    /// It says something else.
    #[error("it is not over this root of batch {0}")]
    OfAnother(u64),
    /// Who signed is no replica.
    #[error("{0} is no replica of genesis")]
    NoReplica(PublicKey),
    /// A session key signed.
    #[error("it is not signed by the replica's own key")]
    SessionKey,
}

/// Who of genesis signed the root of a batch. `attestations` are signed `attest` transactions, each as
/// its batch has it.
///
/// # Errors
///
/// [`NotCertified`] at the first attestation that is not good, and where too few replicas signed.
pub fn certifiers<'a>(
    rules: &Rules,
    batch: u64,
    root: &Hash,
    attestations: impl IntoIterator<Item = &'a str>,
) -> Result<Certifiers, NotCertified> {
    let all = &rules.genesis.replicas;
    let total = all.iter().map(|replica| u64::from(replica.weight)).sum();
    let mut certifiers = Certifiers { replicas: Vec::new(), weight: 0, total };
    for (index, json) in attestations.into_iter().enumerate() {
        let (replica, weight) = attester(rules, batch, root, json)
            .map_err(|error| NotCertified::Attestation { index, error })?;
        // Its first vote counts, and none twice.
        if !certifiers.replicas.contains(&replica) {
            certifiers.replicas.push(replica);
            certifiers.weight = certifiers.weight.saturating_add(weight);
        }
    }
    let weight = certifiers.weight;
    if weight.saturating_mul(3) <= total.saturating_mul(2) {
        return Err(NotCertified::Weight { weight, total });
    }
    Ok(certifiers)
}

/// The replica that attested to a root, and its weight.
fn attester(
    rules: &Rules,
    batch: u64,
    root: &Hash,
    json: &str,
) -> Result<(ReplicaIndex, u64), InvalidAttestation> {
    let checked = check_element(rules, json)
        .map_err(|invalid| InvalidAttestation::Invalid(invalid.reject))?;
    if !matches!(&checked.action, Action::Attest { batch: of, root: said, .. } if *of == batch && said == root)
    {
        return Err(InvalidAttestation::OfAnother(batch));
    }
    let mut replicas = (0_u16..).map(ReplicaIndex).zip(&rules.genesis.replicas);
    let (index, replica) = replicas
        .find(|(_, replica)| replica.public_key == checked.account)
        .ok_or(InvalidAttestation::NoReplica(checked.account))?;
    if checked.session_key().is_some() {
        return Err(InvalidAttestation::SessionKey);
    }
    Ok((index, replica.weight.into()))
}
