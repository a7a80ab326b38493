//! Certificates: how a light client checks a certified root.

use zellbook_core::certificate::{Certifiers, InvalidAttestation, NotCertified, certifiers};
use zellbook_core::types::ReplicaIndex;
use zellbook_core::{Action, Transaction};

use crate::venue::{Venue, replica, trader};

const BATCH: u64 = 3;
const ROOT: [u8; 32] = [7; 32];

fn attest(venue: &mut Venue, number: u8) -> String {
    let action = Action::Attest { batch: BATCH, root: ROOT, clock: 1 };
    venue.sign(&replica(number), action)
}

fn check(venue: &Venue, attestations: &[String]) -> Result<Certifiers, NotCertified> {
    certifiers(&venue.rules, BATCH, &ROOT, attestations.iter().map(String::as_str))
}

#[test]
fn more_than_two_thirds_of_the_weight_certify_and_each_replica_counts_once() {
    let mut venue = Venue::empty();
    let weights: Vec<u64> =
        venue.rules.genesis.replicas.iter().map(|replica| replica.weight.into()).collect();
    let total: u64 = weights.iter().sum();
    let count = u8::try_from(weights.len()).unwrap();
    let all: Vec<String> = (1..=count).map(|number| attest(&mut venue, number)).collect();
    let mut weight = 0;
    for (position, one) in weights.iter().enumerate() {
        weight += one;
        let mut some = all[..=position].to_vec();
        // A replica's second attestation has another nonce, but its weight counts once.
        some.push(attest(&mut venue, 1));
        let expected = if weight * 3 > total * 2 {
            let replicas = (0..=u16::try_from(position).unwrap()).map(ReplicaIndex).collect();
            Ok(Certifiers { replicas, weight, total })
        } else {
            Err(NotCertified::Weight { weight, total })
        };
        assert_eq!(check(&venue, &some), expected);
    }
    assert_eq!(weight, total);
    assert_eq!(check(&venue, &[]), Err(NotCertified::Weight { weight: 0, total }));
}

#[test]
fn an_invalid_attestation_is_reported_with_its_reason() {
    let mut venue = Venue::empty();
    let good = attest(&mut venue, 1);
    let other = Action::Attest { batch: BATCH, root: [8; 32], clock: 1 };
    let other = venue.sign(&replica(2), other);
    let later = Action::Attest { batch: BATCH + 1, root: ROOT, clock: 1 };
    let later = venue.sign(&replica(2), later);
    let kind = venue.sign(&replica(2), Action::CancelAll { market: None });
    let stranger = Action::Attest { batch: BATCH, root: ROOT, clock: 1 };
    let stranger = venue.sign(&trader("alice"), stranger);
    let nonce = venue.nonce();
    let session = Action::Attest { batch: BATCH, root: ROOT, clock: 1 };
    let for_replica = |transaction: &mut Transaction| {
        transaction.account = replica(2).public_key();
        transaction.signer = Some(trader("alice").public_key());
    };
    let session = venue.sign_as(&trader("alice"), for_replica, nonce, session);
    let forged = attest(&mut venue, 2).replace(&hex::encode(ROOT), &hex::encode([9; 32]));
    for (bad, expected) in [
        (other, "attestation 1: it does not attest to this root of batch 3".to_string()),
        (later, "attestation 1: it does not attest to this root of batch 3".to_string()),
        (kind, "attestation 1: it does not attest to this root of batch 3".to_string()),
        (
            stranger,
            format!("attestation 1: {} is not a replica in genesis", trader("alice").public_key()),
        ),
        (
            session,
            "attestation 1: a session key signed it; only the replica's own key can attest"
                .to_string(),
        ),
        (
            forged,
            format!(
                "attestation 1: the signature of {} does not match this transaction's text",
                replica(2).public_key()
            ),
        ),
        ("{}".to_string(), "attestation 1: ".to_string()),
    ] {
        let error = check(&venue, &[good.clone(), bad]).unwrap_err();
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(matches!(error, NotCertified::Attestation { index: 1, .. }), "{error}");
    }
    let error = check(&venue, &["{}".into()]).unwrap_err();
    let NotCertified::Attestation { error: InvalidAttestation::Invalid(_), .. } = error else {
        panic!("{error}");
    };
}
