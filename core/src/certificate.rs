//! How does a light client check a certified root?
//!
//! A light client has the genesis and the signed attestations of replicas, but no state. A root is
//! certified if replicas with more than two thirds of the weight in genesis attested to it, so the
//! client checks each signature, and adds up the weights of the replicas that signed this root of
//! this batch with their own keys.

use alloc::vec::Vec;

use thiserror::Error;

use crate::protocol::{Action, Reject, check_element};
use crate::rules::Rules;
use crate::types::{Hash, PublicKey, ReplicaIndex};

/// The replicas that signed a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certifiers {
    /// The replicas, each once, in the order of their first attestation.
    pub replicas: Vec<ReplicaIndex>,
    /// The total weight of these replicas.
    pub weight: u64,
    /// The weight of all replicas of genesis.
    pub total: u64,
}

/// Why attestations do not certify a root.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotCertified {
    /// An attestation is not valid, or is for another batch or root.
    #[error("attestation {index}: {error}")]
    Attestation {
        /// The position of the attestation, from 0.
        index: usize,
        /// What is wrong with it.
        error: InvalidAttestation,
    },
    /// The replicas that signed do not have enough weight.
    #[error(
        "the replicas that signed have {weight} of {total} weight; a certified root needs more than two thirds"
    )]
    Weight {
        /// The weight of the replicas that signed.
        weight: u64,
        /// The weight of all replicas.
        total: u64,
    },
}

/// Why an attestation does not count.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidAttestation {
    /// It is not a validly signed transaction.
    #[error("{0}")]
    Invalid(Reject),
    /// It is another kind of transaction, or for another batch or root.
    #[error("it does not attest to this root of batch {0}")]
    OfAnother(u64),
    /// The account is not a replica of genesis.
    #[error("{0} is not a replica in genesis")]
    NoReplica(PublicKey),
    /// A session key signed. It may only trade.
    #[error("a session key signed it; only the replica's own key can attest")]
    SessionKey,
}

/// Returns the replicas that signed the root of a batch. `attestations` are signed `attest`
/// transactions in JSON, each as it is in its batch.
///
/// # Errors
///
/// [`NotCertified`] for the first attestation that does not count, or if the replicas that signed
/// do not have more than two thirds of the weight.
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
        // One attestation that does not count refuses them all: an honest replica would not send it.
        let (replica, weight) = attester(rules, batch, root, json)
            .map_err(|error| NotCertified::Attestation { index, error })?;
        // A replica counts once, however often it signed.
        if !certifiers.replicas.contains(&replica) {
            certifiers.replicas.push(replica);
            certifiers.weight = certifiers.weight.saturating_add(weight);
        }
    }
    let weight = certifiers.weight;
    // The rule by which the state certifies a root (section 15), so the client and the replicas agree.
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
    // The signature is over a text with the network id, so an attestation of another exchange fails here.
    let checked = check_element(rules, json)
        .map_err(|invalid| InvalidAttestation::Invalid(invalid.reject))?;
    // Nonce and outcome do not matter: the replica signed this root, in whatever batch the transaction is.
    if !matches!(&checked.action, Action::Attest { batch: of, root: attested, .. } if *of == batch && attested == root)
    {
        return Err(InvalidAttestation::OfAnother(batch));
    }
    let mut replicas = (0_u16..).map(ReplicaIndex).zip(&rules.genesis.replicas);
    let (index, replica) = replicas
        .find(|(_, replica)| replica.public_key == checked.account)
        .ok_or(InvalidAttestation::NoReplica(checked.account))?;
    // A client without state cannot know the session keys of a replica, and none of them may attest (reject 7).
    if checked.session_key().is_some() {
        return Err(InvalidAttestation::SessionKey);
    }
    Ok((index, replica.weight.into()))
}
