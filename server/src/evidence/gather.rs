//! Collects halt evidence from the store.

use zellbook_core::Hash;
use zellbook_core::protocol::elements;
use zellbook_core::wire::{AttestationBody, ProofBody};
use zellular::{FinalitySignature, Page, ProvenBatch, ProvenGroup};

use super::contradiction::{Contradiction, ProvenBodies};
use crate::comparison::Difference;
use crate::store::{QueryError, View};

/// Sequenced batches that the replica did not apply because it halted before them, so that they are not in the
/// store. The signature over their group covers them too.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a>(pub &'a [ProvenBatch]);

pub fn element_at(
    view: &View<'_>,
    batch: u64,
    position: u32,
) -> Result<Option<String>, QueryError> {
    let bodies = view.bodies(batch, batch)?;
    let position = usize::try_from(position).unwrap_or(usize::MAX);
    let element = bodies.first().and_then(|body| elements(body.as_bytes()).get(position).copied());
    Ok(element.map(|element| element.get().to_string()))
}

/// The attestations to this root of a batch, one of each replica, with their positions in the sequence.
pub fn signed_attestations(
    view: &View<'_>,
    batch: u64,
    root: &Hash,
) -> Result<Vec<AttestationBody>, QueryError> {
    let mut seen = Vec::new();
    let mut attestations = Vec::new();
    for row in view.attestations(batch, root)? {
        // A replica's weight counts once, however often it attested.
        if seen.contains(&row.replica) {
            continue;
        }
        if let Some(transaction) = element_at(view, row.said_in, row.position)? {
            seen.push(row.replica);
            let (batch, position) = (row.said_in.to_string(), row.position.to_string());
            attestations.push(AttestationBody { batch, position, transaction });
        }
    }
    Ok(attestations)
}

fn proof_of(signature: &FinalitySignature) -> ProofBody {
    ProofBody {
        index: signature.index.to_string(),
        parent_index: signature.parent_index.to_string(),
        timestamp: signature.timestamp.to_string(),
        chaining_hash: signature.chaining_hash.clone().unwrap_or_default(),
        nonsigners: signature.nonsigners.clone(),
        signature: signature.signature.clone(),
        tag: signature.tag.to_string(),
    }
}

impl ProvenBodies {
    /// The bodies from the batch after `after` to the signature that covers `covered`; `None` if the store
    /// does not have the batch `after`.
    fn stored(
        view: &View<'_>,
        after: u64,
        covered: u64,
        Tail(tail): Tail<'_>,
    ) -> Result<Option<Self>, QueryError> {
        // Before the first batch the chaining hash is the empty text (section 21 of the protocol).
        let chaining_hash =
            if after == 0 { Some(String::new()) } else { view.chaining_hash(after)? };
        let Some(chaining_hash) = chaining_hash else { return Ok(None) };
        let proof = view.proof(covered)?;
        let last: u64 = proof.index.parse().unwrap_or(after);
        // If the replica halted within a group, the store has only the first batches of it, and `tail` has
        // the others. For an earlier group the store has all of them, and the filter takes nothing.
        let mut bodies = view.bodies(after + 1, last)?;
        bodies.extend(
            tail.iter().filter(|batch| batch.index <= last).map(|batch| batch.body.clone()),
        );
        Ok(Some(Self { after: after.to_string(), chaining_hash, bodies, proof }))
    }

    /// The proof of the chaining hash at `index` in a page that starts with that batch.
    fn of_page(page: &Page, index: u64) -> Option<Self> {
        // The same choice as in `Page::proves_first`, which verified this page: the first signature that
        // can be read, and the bodies after the first one.
        let signature = page.finalized_signatures.iter().flatten().next()?;
        let count = usize::try_from(signature.index.checked_sub(index)?).ok()?;
        let bodies = page.batches.get(1..)?.get(..count)?.to_vec();
        Some(Self {
            after: index.to_string(),
            chaining_hash: page.first_chaining_hash.clone(),
            bodies,
            proof: proof_of(signature),
        })
    }
}

impl Contradiction {
    /// The evidence that replicas certified another root than ours. The batches with their attestations are
    /// in the store; `tail` completes the last group.
    pub fn certified_root(
        view: &View<'_>,
        batch: u64,
        certified: &Hash,
        tail: Tail<'_>,
    ) -> Result<Self, QueryError> {
        let attestations = signed_attestations(view, batch, certified)?;
        // One group can contain several attestations. Its bodies can be megabytes, so they are not
        // repeated.
        let mut batches: Vec<ProvenBodies> = Vec::new();
        for attestation in &attestations {
            let said_in: u64 = attestation.batch.parse().unwrap_or(0);
            if !batches.iter().any(|proven| proven.holds(said_in))
                && let Some(proven) =
                    ProvenBodies::stored(view, said_in.saturating_sub(1), said_in, tail)?
            {
                batches.push(proven);
            }
        }
        Ok(Self::CertifiedRoot {
            batch: batch.to_string(),
            our_root: view.root(batch)?.map(hex::encode),
            certified_root: hex::encode(certified),
            attestations,
            batches,
        })
    }

    /// The evidence that another gateway has another body than ours of a batch that is in the store.
    pub fn bodies(view: &View<'_>, difference: &Difference) -> Result<Option<Self>, QueryError> {
        let Some(after) = difference.index.checked_sub(1) else { return Ok(None) };
        // Between two pages the store has all batches of every group. So there is no tail.
        let ours = ProvenBodies::stored(view, after, difference.index, Tail(&[]))?;
        Ok(ours.map(|ours| Self::bodies_of(difference, ours)))
    }

    /// The same of a batch in a group that is not applied. `previous` is the chaining hash before the group.
    pub fn bodies_before(
        difference: &Difference,
        previous: String,
        group: &ProvenGroup,
    ) -> Option<Self> {
        let position = group.batches.iter().position(|batch| batch.index == difference.index)?;
        let before = position.checked_sub(1).and_then(|position| group.batches.get(position));
        let ours = ProvenBodies {
            after: difference.index.checked_sub(1)?.to_string(),
            chaining_hash: before.map_or(previous, |batch| batch.chaining_hash.clone()),
            bodies: group.batches.get(position..)?.iter().map(|batch| batch.body.clone()).collect(),
            proof: proof_of(&group.signature),
        };
        Some(Self::bodies_of(difference, ours))
    }

    fn bodies_of(difference: &Difference, ours: ProvenBodies) -> Self {
        let our_gateway = Some(&difference.our_gateway).filter(|gateway| !gateway.is_empty());
        Self::Bodies {
            batch: difference.index.to_string(),
            our_gateway: our_gateway.map(ToString::to_string),
            their_gateway: difference.their_gateway.to_string(),
            ours: Box::new(ours),
            their_body: difference.their_body.clone(),
        }
    }

    /// The evidence of a fork: `theirs` is a page that starts with batch `index` and is signed over another chaining
    /// hash there than ours.
    pub fn fork(view: &View<'_>, index: u64, theirs: &Page) -> Result<Option<Self>, QueryError> {
        // A fork is looked for only up to the last sequenced batch, and by then the whole group of that batch
        // is in the store. So there is no tail.
        let ours = ProvenBodies::stored(view, index, index, Tail(&[]))?;
        let theirs = ProvenBodies::of_page(theirs, index);
        Ok(ours.zip(theirs).map(|(ours, theirs)| Self::Fork {
            batch: index.to_string(),
            ours: Box::new(ours),
            theirs: Box::new(theirs),
        }))
    }
}
