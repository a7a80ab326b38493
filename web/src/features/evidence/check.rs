//! The checks: a replica's answers against signatures, hashes and genesis.
//!
//! There are two lines of evidence. A transaction has its signer's signature, its bytes are in a batch body, and the
//! network's nodes signed the chaining hash over the bodies. A balance or an order is a leaf of the state, an inclusion
//! proof leads from the leaf to a state root, and the replicas of genesis signed that root. Genesis and the node list come
//! from the replica, and no check in this page can confirm them. So their steps stay open, and the reader compares them
//! with another source.

use serde_json::value::RawValue;
use zellbook_core::certificate::{Certifiers, certifiers};
use zellbook_core::protocol::check_element;
use zellbook_core::state::OrderLeaf;
use zellbook_core::types::decode_hex;
use zellbook_core::wire::{
    BalanceBody, BalanceProofBody, CertifiedBody, NetworkBody, OrderBody, OrderProofBody,
    ProofBody, SignedBody,
};
use zellbook_core::{Atoms, Hash, LeafKey, Lots, Proof, PublicKey, Rules};
use zellular::{
    DecimalProof, FinalitySignature, NodeList, SignedState, Threshold, Verifier, chain,
};

use super::trust::Numbers;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Holds,
    Fails,
    /// This page cannot know.
    Open,
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub title: &'static str,
    pub outcome: Outcome,
    pub message: String,
}

impl Step {
    pub fn new(title: &'static str, outcome: Outcome, message: impl Into<String>) -> Self {
        Self { title, outcome, message: message.into() }
    }

    fn of(title: &'static str, found: Result<String, String>) -> Self {
        match found {
            Ok(message) => Self::new(title, Outcome::Holds, message),
            Err(message) => Self::new(title, Outcome::Fails, message),
        }
    }
}

/// Names the exchange that everything is about.
pub fn network(rules: &Rules) -> Step {
    let message = format!(
        "The hash of genesis, computed in this page, is {}. Every signed message names it. This page cannot know whether it is the exchange you want: compare the hash with the one that its operators publish.",
        rules.network
    );
    Step::new("Network", Outcome::Open, message)
}

/// Checks that a transaction's text has its hash, and that the signature is the signer's.
pub fn signed(rules: &Rules, hash: &str, body: &SignedBody) -> Vec<Step> {
    // Everything that the replica sends beside the element is computed here again: a field of its answer must not decide
    // what is compared.
    let own = SignedBody::read(rules, &body.element);
    let text = match &own {
        Err(reject) => Err(format!("The transaction is invalid: {reject}.")),
        // Compared with the hash that the page asked for. One that the replica sends could be that of another
        // transaction.
        Ok(own) if own.hash != hash => {
            Err(format!("The transaction from the replica has the hash {}, not {hash}.", own.hash))
        }
        Ok(own) if own.text != body.text => {
            Err("The displayed message is not the message that was signed.".into())
        }
        Ok(own) if own.scheme == "guide" => Ok(format!(
            "The hash of the signing key and the signature, in the guide’s format, is {hash}."
        )),
        Ok(_) => Ok(format!("The SHA-256 of the message is {hash}.")),
    };
    let signature = match (check_element(rules, &body.element), &own) {
        (Err(invalid), _) => Err(format!("{}.", invalid.reject)),
        // `check_element` has verified the signature. The replica could still name another signer beside it.
        (Ok(found), _) if found.signer.to_string() != body.signer => {
            Err(format!("The signer is {}, not {}.", found.signer, body.signer))
        }
        (Ok(_), Ok(own)) if (&own.scheme, &own.signature) != (&body.scheme, &body.signature) => {
            Err("The displayed signature is not the one in the transaction.".into())
        }
        (Ok(found), _) if found.session_key().is_some() => Ok(format!(
            "Signed by {}, a trading key of the account {}.",
            found.signer, found.account
        )),
        (Ok(found), _) => Ok(format!("Signed by {}.", found.signer)),
    };
    vec![Step::of("Message and hash", text), Step::of("Signature", signature)]
}

/// Checks that an element is in the body of a batch, to the byte.
pub fn in_body(batch: u64, body: &str, position: usize, element: &str) -> Step {
    // Raw values, because the nodes sign bytes: another spelling of the same JSON is another body. A body that is not
    // an array has no elements (docs/protocol.md, section 6).
    let elements: Vec<&RawValue> = serde_json::from_str(body).unwrap_or_default();
    let found = match elements.get(position) {
        Some(found) if found.get() == element => {
            Ok(format!("Batch {batch} has exactly these bytes at position {position}."))
        }
        Some(_) => {
            Err(format!("Batch {batch} has a different transaction at position {position}."))
        }
        None => Err(format!("Batch {batch} has no position {position}.")),
    };
    Step::of("In the batch", found)
}

/// Checks that the network's nodes signed the chain with these bodies, which are those of `batch` and the ones after it.
/// `before` is the chaining hash before the first of them.
pub fn sequenced(
    batch: u64,
    before: &str,
    bodies: &[String],
    hashes: &[String],
    proof: &ProofBody,
    network: &NetworkBody,
) -> Vec<Step> {
    // `before` comes from the replica and needs no check: from another start, the bodies lead to another hash than the
    // one that is signed.
    let mut last = before.to_string();
    let mut chained = Ok(());
    for (body, claimed) in bodies.iter().zip(hashes) {
        last = chain(&last, body);
        // The claimed hashes only show that a body is false. The signature is checked against the computed hash.
        if last != *claimed {
            chained = Err(format!(
                "The bodies hash to {last}, but the replica reports {claimed}: at least one body is not the sequenced one."
            ));
            break;
        }
    }
    // Without its own body, the proof says nothing about a batch. A replica could send the honest proof of an earlier
    // batch, with the hash that it covers as the hash before.
    let covered = u64::try_from(bodies.len()).ok().and_then(|count| batch.checked_add(count));
    let is_covered = !bodies.is_empty() && covered.map(|end| end - 1) == proof.index.parse().ok();
    let chained = chained.and_then(|()| {
        is_covered.then_some(()).ok_or_else(|| {
            format!(
                "The replica sent the proof of batch {}, which does not cover batch {batch}.",
                proof.index
            )
        })
    });
    let chained = chained.map(|()| {
        format!(
            "{} batch {} gives the chaining hash {last}. (The network uses XXH3, which is fast but not resistant to forgery. A certified root covers the SHA-256 of the bodies.)",
            if bodies.len() == 1 {
                "The body of".into()
            } else {
                format!("The chain of {} bodies up to", bodies.len())
            },
            proof.index
        )
    });
    vec![
        Step::of("Chain", chained),
        Step::of("Sequence proof", signed_by_nodes(proof, network, &last)),
        Step::new(
            "Node list",
            Outcome::Open,
            "The keys and stakes are the ones this replica uses (/v1/network). Compare them with the network’s own list: a false list can make a false proof look valid.",
        ),
    ]
}

fn signed_by_nodes(proof: &ProofBody, network: &NetworkBody, hash: &str) -> Result<String, String> {
    let signature = DecimalProof {
        index: &proof.index,
        parent_index: &proof.parent_index,
        timestamp: &proof.timestamp,
        nonsigners: &proof.nonsigners,
        signature: &proof.signature,
        tag: &proof.tag,
    };
    let signature = FinalitySignature::try_from(signature)
        .map_err(|error| format!("The proof is unreadable: {error}."))?;
    let threshold: Threshold =
        network.threshold.parse().map_err(|_| "The replica sent no threshold.")?;
    let nodes = NodeList::read(network.nodes.get().as_bytes())
        .map_err(|error| format!("The replica sent an unreadable list of nodes: {error}."))?;
    // Nodes without stake do not sign and do not count.
    let staked = || nodes.nodes().filter(|node| node.stake > 0);
    let (stake, count) = (nodes.stake(), staked().count());
    let signers = staked().filter(|node| !proof.nonsigners.contains(&node.id)).count();
    let app_name = network.app_name.clone();
    // These nodes were requested for the proof's tag, so here they are the nodes at every tag.
    let verifier = Verifier { app_name, nodes: nodes.into(), threshold };
    verifier
        // Nodes sign twice. Only the second signature, made after the lock was seen, makes the batch sequenced.
        .verify(SignedState::Locked, &signature, hash)
        .map_err(|error| format!("The proof is invalid: {error}."))?;
    Ok(format!(
        "{signers} of {count} nodes with stake signed this hash with an aggregate BLS signature. The total stake is {stake}; the quorum is {threshold} %."
    ))
}

/// Checks that replicas with more than two thirds of the weight signed a root. Returns the batch, its root and a
/// description.
pub fn certified(rules: &Rules, body: &CertifiedBody) -> Result<(u64, Hash, String), String> {
    let (Ok(batch), Some(root)) = (body.batch.parse::<u64>(), decode_hex::<32>(&body.root)) else {
        return Err("The replica sent no batch and root.".into());
    };
    let signed = body.attestations.iter().map(|attestation| &*attestation.transaction);
    // The replicas' keys and weights are in genesis, so the network id covers them. For the nodes' keys nothing does.
    let certifiers = certifiers(rules, batch, &root, signed)
        .map_err(|error| format!("The root {} is not certified: {error}.", body.root))?;
    let Certifiers { replicas, weight, total } = certifiers;
    let message = format!(
        "{} of {} replicas named in genesis, with {weight} of {total} weight, signed the root {} after batch {batch}.",
        replicas.len(),
        rules.genesis.replicas.len(),
        body.root
    );
    Ok((batch, root, message))
}

/// Checks an inclusion proof. Returns the leaf's value, or none if the root commits to its absence.
fn leaf(
    key: &LeafKey,
    root: &str,
    value: Option<&str>,
    proof: &str,
) -> Result<Option<Vec<u8>>, String> {
    let bytes = |text: &str| {
        hex::decode(text)
            .map_err(|_| "The replica sent an answer that is not hexadecimal.".to_string())
    };
    let committed = decode_hex::<32>(root).ok_or("The replica sent no root.")?;
    let value = value.map(bytes).transpose()?;
    let proof = Proof::from_bytes(&bytes(proof)?).map_err(|error| format!("{error}."))?;
    proof
        // The caller computes the key. A valid proof of another account's leaf therefore fails: its path in the tree
        // differs.
        .verify(&committed, &key.to_bytes(), value.as_deref())
        .map_err(|error| format!("{error} {root}."))?;
    Ok(value)
}

/// Checks that a root commits to an open order exactly as it was shown.
pub fn order(
    rules: &Rules,
    account: &PublicKey,
    shown: &OrderBody,
    body: &OrderProofBody,
) -> Result<String, String> {
    let id = &shown.id;
    let number = id.parse().map_err(|_| format!("Order #{id}: the ID is not a number."))?;
    let key = LeafKey::Order(*account, number);
    let value = leaf(&key, &body.root, body.value.as_deref(), &body.proof)
        .map_err(|error| format!("Order #{id}: {error}"))?;
    // There is a proof of absence too, so this is a contradiction. But list and proof are two requests, and the order can end
    // between them: the message asks the reader to check again.
    let value = value.ok_or_else(|| {
        format!("The root commits to no open order #{id} of this account. If the order was just filled or cancelled, check again.")
    })?;
    let order = OrderLeaf::read(&value).map_err(|error| format!("Order #{id}: {error}."))?;
    let market = rules.listing.market_at(order.market);
    let market = market.ok_or_else(|| format!("Order #{id}: its market is not in genesis."))?;
    let quantity = |lots: Lots| market.format_quantity(lots.0.into());
    // Compared as texts, of which each value has exactly one. The leaf has no time and no time in force, so nothing
    // proves these.
    let committed = [
        ("market", market.name.clone()),
        ("side", order.side.to_string()),
        ("price", market.format_price(order.price)),
        ("quantity", quantity(order.quantity)),
        ("open quantity", quantity(order.remaining)),
        // I8. A `replace` in place reduces the quantity, so nothing else is missing from it.
        ("filled quantity", quantity(Lots(order.quantity.0.saturating_sub(order.remaining.0)))),
        ("expiry", order.expires.map(|time| time.to_string()).unwrap_or_default()),
        ("client ID", order.client_id.unwrap_or_default()),
        ("transaction", hex::encode(order.hash)),
    ];
    let given = [
        shown.market.clone(),
        shown.side.to_string(),
        shown.price.clone(),
        shown.quantity.clone(),
        shown.remaining.clone(),
        shown.filled.clone(),
        shown.expires_ms.clone().unwrap_or_default(),
        shown.client_id.clone().unwrap_or_default(),
        // The leaf has 8 bytes of the hash. If the replica sent fewer, the text that is compared is empty, and differs.
        shown.hash.get(..16).unwrap_or_default().into(),
    ];
    for ((name, committed), given) in committed.iter().zip(&given) {
        if committed != given {
            return Err(format!(
                "Order #{id}: the root commits to {name} {committed}, but the replica sent {given}. If the order just changed, check again."
            ));
        }
    }
    let [_, (_, side), (_, price), _, (_, open), ..] = &committed;
    Ok(format!(
        "The root commits to order #{id}: {side}, {open} of {} open at {price} on {}.",
        shown.quantity, shown.market
    ))
}

/// Checks that a list of balances has each token of genesis once, so that no balance is left out.
pub fn tokens(rules: &Rules, shown: &[BalanceBody]) -> Step {
    let tokens = || rules.listing.tokens.iter().map(|token| &*token.symbol);
    let found = if tokens().eq(shown.iter().map(|balance| &*balance.token)) {
        Ok(format!("There is a balance for each of the {} tokens in genesis.", shown.len()))
    } else {
        Err(format!(
            "The replica has to send a balance for each of these tokens in genesis, in this sequence: {}.",
            tokens().collect::<Vec<_>>().join(", ")
        ))
    };
    Step::of("Tokens", found)
}

/// Compares the numbers that were checked with those on the page. They came in different answers, and a replica can put
/// false numbers into one of them only.
pub fn shown(shown: &Numbers, checked: &Numbers) -> Step {
    let (title, batch) = ("Numbers on this page", &checked.batch);
    if shown.text == checked.text {
        Step::new(title, Outcome::Holds, "The page shows exactly the numbers that were checked.")
    } else if shown.batch == *batch {
        let message = format!(
            "The page shows different numbers for the same batch {batch}: the replica sent two answers that contradict each other."
        );
        Step::new(title, Outcome::Fails, message)
    } else {
        let message = format!(
            "The page shows the numbers of batch {}, but those of batch {batch} were checked. Check again.",
            shown.batch
        );
        Step::new(title, Outcome::Open, message)
    }
}

/// Checks that a root commits to a balance exactly as it was shown.
pub fn balance(
    rules: &Rules,
    account: &PublicKey,
    shown: &BalanceBody,
    body: &BalanceProofBody,
) -> Result<String, String> {
    let token = &shown.token;
    let (index, _) =
        rules.listing.token(token).ok_or_else(|| format!("There is no token {token}."))?;
    let key = LeafKey::Balance(*account, index);
    let value = leaf(&key, &body.root, body.value.as_deref(), &body.proof)
        .map_err(|error| format!("{token}: {error}"))?;
    let (available, locked) = match value.as_deref() {
        // A balance of zero has no leaf (docs/protocol.md, section 17), so absence proves zero.
        None => (0, 0),
        Some(value) => {
            let number = |at: usize| {
                Some(u128::from_be_bytes(value.get(at..at.checked_add(16)?)?.try_into().ok()?))
            };
            number(0)
                .zip(number(16))
                .ok_or_else(|| format!("{token}: the leaf is not a balance."))?
        }
    };
    let amount = |amount: u128| rules.listing.format_amount(index, Atoms(amount));
    let (available, locked) = (amount(available), amount(locked));
    if (&available, &locked) != (&shown.available, &shown.locked) {
        return Err(format!(
            "The root commits to {available} {token} available and {locked} locked, but the replica sent {} and {}. If the balance just changed, check again.",
            shown.available, shown.locked
        ));
    }
    Ok(format!("The root commits to {available} {token} available and {locked} locked."))
}
