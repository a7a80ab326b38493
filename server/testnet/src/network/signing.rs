//! Aggregates the signatures of several nodes over one message.

use zellular::bls::{AggregateSignature, BlsSecretKey};
use zellular::bls_message;

/// The aggregated signature of some keys over a message.
pub(super) fn aggregate<'a>(
    keys: impl Iterator<Item = &'a BlsSecretKey>,
    text: &str,
) -> Option<String> {
    let digest = bls_message(text);
    let mut sum = AggregateSignature::empty();
    for key in keys {
        sum = sum.plus(&key.sign(digest.as_bytes())?);
    }
    sum.signature().ok().map(|signature| signature.to_string())
}
