//! The checks themselves: what a replica answered is held against signatures, hashes and genesis.

use serde_json::value::RawValue;
use zellbook_core::batch::check_element;
use zellbook_core::certificate::{Certifiers, certifiers};
use zellbook_core::finality::{
    FinalitySignature, NodeList, SignedState, Threshold, Verifier, chain,
};
use zellbook_core::genesis::Rules;
use zellbook_core::key::{PublicKey, decode_hex};
use zellbook_core::leaf::LeafKey;
use zellbook_core::order_leaf::OrderLeaf;
use zellbook_core::state_root::{Hash, Proof};
use zellbook_core::units::{Atoms, Lots};
use zellbook_core::wire::{
    BalanceBody, BalanceProofBody, CertifiedBody, NetworkBody, OrderBody, OrderProofBody,
    ProofBody, SignedBody,
};

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// This page cannot tell.
    Open,
}

/// One check: what was checked, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub title: &'static str,
    pub outcome: Outcome,
    pub said: String,
}

impl Step {
    pub fn new(title: &'static str, outcome: Outcome, said: impl Into<String>) -> Self {
        Self { title, outcome, said: said.into() }
    }

    fn of(title: &'static str, found: Result<String, String>) -> Self {
        match found {
            Ok(said) => Self::new(title, Outcome::Holds, said),
            Err(said) => Self::new(title, Outcome::Fails, said),
        }
    }
}

/// Which exchange all of it is about.
pub fn network(rules: &Rules) -> Step {
    let said = format!(
        "The hash of genesis, computed here, is {}. All that is signed names it. Whether it is the exchange that you mean, this page cannot know: compare it with what its operators publish.",
        rules.network
    );
    Step::new("Network", Outcome::Open, said)
}

/// That a transaction's text has its hash, and its signature is the signer's.
pub fn signed(rules: &Rules, hash: &str, body: &SignedBody) -> Vec<Step> {
    let checked = check_element(rules, &body.element);
    let text = match &checked {
        Err(invalid) => Err(format!("It is no good transaction: {}.", invalid.reject)),
        Ok(found) if found.hash.to_string() != hash => {
            Err(format!("What the replica shows has the hash {}, not {hash}.", found.hash))
        }
        Ok(_) if body.scheme == "guide" => Ok(format!("It has the hash {hash}.")),
        Ok(found)
            if zellbook_core::transaction::TransactionHash::of_text(&body.text) != found.hash =>
        {
            Err("The text on show is not the one that was signed.".into())
        }
        Ok(_) => Ok(format!("SHA-256 of the text is {hash}.")),
    };
    let signature = match &checked {
        Err(invalid) => Err(format!("{}.", invalid.reject)),
        Ok(found) if found.signer.to_string() != body.signer => {
            Err(format!("It is signed by {}, not by {}.", found.signer, body.signer))
        }
        Ok(found) if found.session_key().is_some() => Ok(format!(
            "It is that of {}, a session key, for the account {}.",
            found.signer, found.account
        )),
        Ok(found) => Ok(format!("It is that of {} over this text.", found.signer)),
    };
    vec![Step::of("Text and hash", text), Step::of("Signature", signature)]
}

/// That an element stands in a body.
pub fn in_body(body: &str, position: usize, element: &str) -> Step {
    let elements: Vec<&RawValue> = serde_json::from_str(body).unwrap_or_default();
    let found = match elements.get(position) {
        Some(found) if found.get() == element => {
            Ok(format!("It stands there at place {position}, to the byte."))
        }
        Some(_) => Err(format!("Something else stands there at place {position}.")),
        None => Err(format!("The batch has no place {position}.")),
    };
    Step::of("In the batch", found)
}

/// That the network's nodes signed the chain with these bodies. `before` is the chaining hash before
/// the first of them.
pub fn proven(
    before: &str,
    bodies: &[String],
    hashes: &[String],
    proof: &ProofBody,
    network: &NetworkBody,
) -> Vec<Step> {
    let mut last = before.to_string();
    let mut chained = Ok(());
    for (body, claimed) in bodies.iter().zip(hashes) {
        last = chain(&last, body);
        if last != *claimed {
            chained = Err(format!(
                "The bodies lead to {last}, where the replica has {claimed}: a body is not the one that was finalized."
            ));
            break;
        }
    }
    let chained = chained.map(|()| {
        format!(
            "{} to batch {} leads to the chaining hash {last}. (The network chains with XXH3, which is fast and not made to withstand forgers.)",
            if bodies.len() == 1 {
                "The body".into()
            } else {
                format!("The chain of {} bodies", bodies.len())
            },
            proof.index
        )
    });
    vec![
        Step::of("Chain", chained),
        Step::of("Finality proof", finality(proof, network, &last)),
        Step::new(
            "The nodes",
            Outcome::Open,
            "Their keys and stakes are those by which this replica checks (/v1/network). Compare them with the network’s own list: who chooses the list chooses what is proven.",
        ),
    ]
}

fn finality(proof: &ProofBody, network: &NetworkBody, hash: &str) -> Result<String, String> {
    let signature = FinalitySignature::try_from(proof)
        .map_err(|bad| format!("{} is no number: {}.", bad.field, bad.value))?;
    let threshold = network.threshold.parse().ok().and_then(Threshold::from_percent);
    let threshold = threshold.ok_or("The replica names no threshold.")?;
    let nodes = NodeList::read(network.nodes.get().as_bytes())
        .map_err(|error| format!("The replica’s list of nodes cannot be read: {error}."))?;
    let (stake, count) = (nodes.stake(), nodes.nodes().count());
    let app_name = network.app_name.clone();
    let verifier = Verifier { app_name, nodes: nodes.into(), threshold };
    verifier
        .verify(SignedState::Locked, &signature, hash)
        .map_err(|error| format!("It proves nothing: {error}."))?;
    let missing = proof.nonsigners.len();
    Ok(format!(
        "The aggregate BLS signature over this hash is that of {} of {count} nodes, of a stake of {stake} in all; {threshold} had to sign.",
        count.saturating_sub(missing)
    ))
}

/// That replicas of more than two thirds of the weight signed a root of a batch.
pub fn certified(rules: &Rules, body: &CertifiedBody) -> Result<(u64, Hash, String), String> {
    let (Ok(batch), Some(root)) = (body.batch.parse::<u64>(), decode_hex::<32>(&body.root)) else {
        return Err("The replica names no batch and root.".into());
    };
    let signed = body.attestations.iter().map(|attestation| &*attestation.transaction);
    let certifiers = certifiers(rules, batch, &root, signed)
        .map_err(|error| format!("The root {} is not certified: {error}.", body.root))?;
    let Certifiers { replicas, weight, total } = certifiers;
    let said = format!(
        "{} of {} replicas of genesis, of weight {weight} of {total}, signed the root {} after batch {batch}.",
        replicas.len(),
        rules.genesis.replicas.len(),
        body.root
    );
    Ok((batch, root, said))
}

/// The value of a leaf that a root commits to, if there is one.
fn leaf(
    key: &LeafKey,
    root: &str,
    value: Option<&str>,
    proof: &str,
) -> Result<Option<Vec<u8>>, String> {
    let bytes =
        |text: &str| hex::decode(text).map_err(|_| "An answer is not hexadecimal.".to_string());
    let committed = decode_hex::<32>(root).ok_or("The replica names no root.")?;
    let value = value.map(bytes).transpose()?;
    let proof = Proof::from_bytes(&bytes(proof)?).map_err(|error| format!("{error}."))?;
    proof
        .verify(&committed, &key.to_bytes(), value.as_deref())
        .map_err(|error| format!("{error} {root}."))?;
    Ok(value)
}

/// That a root commits to an open order, and that it is the one on show.
pub fn order(
    rules: &Rules,
    account: &PublicKey,
    shown: &OrderBody,
    body: &OrderProofBody,
) -> Result<String, String> {
    let id = &shown.id;
    let number = id.parse().map_err(|_| format!("Order {id} has no number for an id."))?;
    let key = LeafKey::Order(*account, number);
    let value = leaf(&key, &body.root, body.value.as_deref(), &body.proof)
        .map_err(|error| format!("Order {id}: {error}"))?;
    let value = value.ok_or_else(|| {
        format!("By the root the account has no open order {id}. If it has just gone, check again.")
    })?;
    let order = OrderLeaf::read(&value).map_err(|error| format!("Order {id}: {error}."))?;
    let market = rules.listing.market_at(order.market);
    let market = market.ok_or_else(|| format!("Order {id} is in no market of genesis."))?;
    let quantity = |lots: Lots| market.format_quantity(lots.0.into());
    let committed = [
        ("market", market.name.clone()),
        ("side", order.side.to_string()),
        ("price", market.format_price(order.price)),
        ("quantity", quantity(order.quantity)),
        ("open quantity", quantity(order.remaining)),
        ("expiry", order.expires.map(|time| time.to_string()).unwrap_or_default()),
        ("client id", order.client_id.unwrap_or_default()),
        ("transaction", hex::encode(order.hash)),
    ];
    let given = [
        shown.market.clone(),
        shown.side.to_string(),
        shown.price.clone(),
        shown.quantity.clone(),
        shown.remaining.clone(),
        shown.expires_ms.clone().unwrap_or_default(),
        shown.client_id.clone().unwrap_or_default(),
        shown.hash.get(..16).unwrap_or_default().into(),
    ];
    for ((name, committed), given) in committed.iter().zip(&given) {
        if committed != given {
            return Err(format!(
                "By the root the {name} of order {id} is {committed}, the page was given {given}. If it has just changed, check again."
            ));
        }
    }
    let [_, (_, side), (_, price), _, (_, open), ..] = &committed;
    Ok(format!(
        "The root commits to order {id}: {side}, {open} of {} open, at {price} in {}.",
        shown.quantity, shown.market
    ))
}

/// That a root commits to a balance, and that it is the one on show.
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
        None => (0, 0),
        Some(value) => {
            let number = |at: usize| {
                Some(u128::from_be_bytes(value.get(at..at.checked_add(16)?)?.try_into().ok()?))
            };
            number(0).zip(number(16)).ok_or_else(|| format!("{token}: the leaf is no balance."))?
        }
    };
    let amount = |amount: u128| rules.listing.format_amount(index, Atoms(amount));
    let (available, locked) = (amount(available), amount(locked));
    if (&available, &locked) != (&shown.available, &shown.locked) {
        return Err(format!(
            "The root has {available} {token} available and {locked} locked, the page was given {} and {}. If it has just changed, check again.",
            shown.available, shown.locked
        ));
    }
    Ok(format!("The root commits to {available} {token} available and {locked} locked."))
}
