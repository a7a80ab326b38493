//! Input from gateways and replicas: node lists, pages of batches, finality signatures, and inclusion proofs.
//! Only what the network signed and what the state holds is accepted.

#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use zellbook_core::bench::StateTree;
use zellbook_core::state::ProofEnd;
use zellbook_core::{Hash, LeafKey, Proof};
use zellbook_fuzz::edits::{edit, edit_once};
use zellbook_fuzz::input::Input;
use zellbook_fuzz::venue;
use zellular::bls::{AggregateKey, BlsError, BlsSecretKey};
use zellular::{
    FinalitySignature, Node, NodeList, Page, Position, ProofError, SignedState, Threshold,
    Verifier, Walker, bls_message, chain, message,
};

fuzz_target!(|data: &[u8]| {
    // A pairing takes longer than everything else together, so only one input in 64 may reach one. The choice
    // is by hash, or the corpus would fill up with such inputs.
    let is_heavy = twox_hash::XxHash3_64::oneshot(data).is_multiple_of(64);
    let mut input = Input(data);
    match input.byte() {
        0..8 => node_list(&mut input, is_heavy),
        8..64 => page_bytes(&mut input, is_heavy),
        64..112 => page_parts(&mut input, is_heavy),
        112..144 => signers(&mut input, is_heavy),
        _ => state_proof(&mut input),
    }
});

/// A well-formed signature that is not a point of the curve.
const NO_POINT: &str = "1 1 3";

// A network whose secret keys we know, and a captured one.

struct Network {
    secrets: Vec<BlsSecretKey>,
    nodes: NodeList,
    verifier: Verifier,
    /// The finalized batches with their chaining hashes.
    truth: Vec<(String, String)>,
    signatures: Vec<FinalitySignature>,
    page: Vec<u8>,
}

/// The stakes of the nodes, by their number.
const STAKES: [u64; 4] = [10, 10, 20, 0];
/// Thresholds in percent, and in millionths of a percent.
const THRESHOLDS: [(&str, u128); 4] =
    [("67", 67_000_000), ("75", 75_000_000), ("100", 100_000_000), ("0.000001", 1)];

fn threshold(percent: &str) -> Threshold {
    percent.parse().unwrap()
}

fn id(node: usize) -> String {
    format!("0x{node}")
}

fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        // Hashes, so that no two sets of keys have the same sum.
        let secret = |node: u8| {
            let mut bytes = [0; 48];
            bytes[16..].copy_from_slice(&Sha256::digest([node]));
            BlsSecretKey::from_random(&bytes).unwrap()
        };
        let secrets: Vec<BlsSecretKey> = (0..4).map(secret).collect();
        let nodes = secrets.iter().zip(STAKES).enumerate().map(|(node, (secret, stake))| Node {
            id: id(node),
            socket: "http://a:1".into(),
            stake,
            public_key: secret.public_key(),
        });
        let nodes = NodeList::new(nodes.collect()).unwrap();
        let verifier = Verifier {
            app_name: "fuzz".into(),
            nodes: nodes.clone().into(),
            threshold: threshold("67"),
        };
        let mut truth: Vec<(String, String)> = Vec::new();
        for body in ["[]", "one", "", "two \u{e9}", "[]", "last"] {
            let previous = truth.last().map_or("", |(_, hash)| hash.as_str());
            let hash = chain(previous, body);
            truth.push((body.into(), hash));
        }
        let mut network =
            Network { secrets, nodes, verifier, truth, signatures: Vec::new(), page: Vec::new() };
        let all: [usize; 3] = [0, 1, 2];
        network.signatures = [(2, 0), (3, 2), (6, 3)]
            .map(|(index, parent_index)| {
                let mut signature = FinalitySignature {
                    index,
                    parent_index,
                    timestamp: 1000 + index,
                    chaining_hash: Some(network.truth[index as usize - 1].1.clone()),
                    nonsigners: Vec::new(),
                    signature: String::new(),
                    tag: 0,
                };
                let hash = signature.chaining_hash.clone().unwrap();
                signature.signature = sign(&network, &signature, &hash, &all);
                signature
            })
            .into();
        let page = serde_json::json!({"status": "success", "data": {
            "batches": network.truth.iter().map(|(body, _)| body).collect::<Vec<_>>(),
            "first_chaining_hash": network.truth[0].1,
            "finalized_signatures": network.signatures,
        }});
        network.page = page.to_string().into_bytes();
        network
    })
}

/// Returns the aggregated signature of some nodes. The sum of the keys signs like the keys together. A node can
/// be listed several times.
fn sign(network: &Network, signature: &FinalitySignature, hash: &str, signers: &[usize]) -> String {
    let FinalitySignature { index, parent_index, timestamp, .. } = *signature;
    let text = message("fuzz", SignedState::Locked, index, parent_index, timestamp, hash);
    sum(network, signers).sign(bls_message(&text).as_bytes()).unwrap().to_string()
}

/// Returns the sum of the secret keys of some nodes.
fn sum(network: &Network, signers: &[usize]) -> BlsSecretKey {
    // Added as big-endian bytes, because secret keys have no addition; 48 bytes are reduced when read.
    let mut total = [0_u8; 48];
    for node in signers {
        let key = hex::decode(network.secrets[*node].to_hex().as_bytes()).unwrap();
        let mut carry = 0_u16;
        for (offset, byte) in total.iter_mut().rev().enumerate() {
            let ours = key.len().checked_sub(offset + 1).map_or(0, |at| key[at]);
            carry += u16::from(*byte) + u16::from(ours);
            *byte = carry as u8;
            carry >>= 8;
        }
    }
    BlsSecretKey::from_random(&total).unwrap()
}

struct Captured {
    verifier: Verifier,
    page: &'static [u8],
    before: Position,
    body: &'static str,
    hash: &'static str,
}

/// Returns the last batch of a captured history.
fn captured() -> &'static Captured {
    static CAPTURED: OnceLock<Captured> = OnceLock::new();
    CAPTURED.get_or_init(|| {
        let nodes = include_bytes!("../../zellular/tests/vectors/equal4/nodes.json");
        let chaining = include_bytes!("../../zellular/tests/vectors/equal4/chaining.json");
        let chaining: serde_json::Value = serde_json::from_slice(chaining).unwrap();
        let before = &chaining["batches"][12];
        assert_eq!(before["index"], 13);
        Captured {
            verifier: Verifier {
                app_name: "orderbook".into(),
                nodes: NodeList::read(nodes).unwrap().into(),
                threshold: threshold("67"),
            },
            page: include_bytes!("../../zellular/tests/vectors/equal4/finalized_after_13.json"),
            before: Position {
                index: 13,
                chaining_hash: before["chaining_hash"].as_str().unwrap().into(),
            },
            body: "",
            hash: "f53ccbb3308df76d52ccefe13cff02f4",
        }
    })
}

// Node lists.

fn node_list(input: &mut Input, is_heavy: bool) {
    let network = network();
    let mut bytes = if is_heavy { network.nodes.to_json().into_bytes() } else { few_nodes() };
    edit(&mut bytes, input);
    let Ok(list) = NodeList::read(&bytes) else { return };
    let (mut stake, mut aggregate) = (0, AggregateKey::empty());
    for node in list.nodes() {
        // No edit produces another point of the curve.
        assert!(network.nodes.nodes().any(|known| known.public_key == node.public_key));
        stake += u128::from(node.stake);
        if node.stake > 0 {
            aggregate = aggregate.plus(&node.public_key);
        }
    }
    assert_eq!((list.stake(), list.aggregate()), (stake, aggregate));
    assert_eq!(NodeList::read(list.to_json().as_bytes()), Ok(list));
}

/// Returns the list with only the first node: checking that a key is in its group takes long.
fn few_nodes() -> Vec<u8> {
    let first = network().nodes.nodes().next().unwrap().clone();
    NodeList::new(vec![first]).unwrap().to_json().into_bytes()
}

// Pages.

fn page_bytes(input: &mut Input, is_heavy: bool) {
    let (network, captured) = (network(), captured());
    let is_captured = input.chance(100);
    let mut bytes = if is_captured { captured.page.to_vec() } else { network.page.clone() };
    edit(&mut bytes, input);
    let Ok(Some(page)) = Page::read(&bytes) else { return };
    if is_captured {
        let truth = [(captured.body.to_string(), captured.hash.to_string())];
        take(&captured.verifier, captured.before.clone(), &truth, page, is_heavy);
    } else {
        take(&network.verifier, Position::start(), &network.truth, page, is_heavy);
    }
}

/// Pages made of true and false parts.
fn page_parts(input: &mut Input, is_heavy: bool) {
    let Network { verifier, truth, signatures, .. } = network();
    let after = input.below(truth.len());
    let mut batches: Vec<String> =
        truth[after..].iter().map(|(body, _)| body.clone()).take(input.below(8)).collect();
    for _ in 0..input.below(2) {
        let position = input.below(batches.len() + 1);
        batches.insert(position, input.pick(truth).0);
    }
    let first = if input.chance(20) { input.below(truth.len()) } else { after };
    let mut finalized_signatures = Vec::new();
    for _ in 0..input.below(5) {
        let mut signature = input.pick(signatures);
        match input.byte() {
            0..128 => {}
            128..150 => signature.index = input.number64(),
            150..165 => signature.parent_index = input.number64(),
            165..180 => signature.timestamp = input.number64(),
            180..200 => signature.chaining_hash = None,
            200..215 => signature.chaining_hash = Some(input.pick(truth).1),
            215..235 => signature.nonsigners = vec![id(input.below(5))],
            _ => signature.signature = input.pick(signatures).signature,
        }
        let signature = if input.chance(10) { Err(String::new()) } else { Ok(signature) };
        finalized_signatures.push(signature);
    }
    let first_chaining_hash = truth[first].1.clone();
    let is_cut = input.chance(30);
    let page = Page { batches, first_chaining_hash, finalized_signatures, is_cut };
    let before = match after.checked_sub(1) {
        None => Position::start(),
        Some(before) => Position { index: after as u64, chaining_hash: truth[before].1.clone() },
    };
    take(verifier, before, &truth[after..], page, is_heavy);
}

/// Checks that a walker returns a prefix of the truth, and continues from there.
fn take(
    verifier: &Verifier,
    before: Position,
    truth: &[(String, String)],
    mut page: Page,
    is_heavy: bool,
) {
    if !is_heavy {
        for signature in page.finalized_signatures.iter_mut().flatten() {
            signature.signature = NO_POINT.into();
        }
    }
    let proves_first = page.proves_first(verifier, before.index + 1);
    assert!(!proves_first || is_heavy);
    assert!(!proves_first || page.first_chaining_hash == truth[0].1);
    let mut walker = Walker::new(before.clone());
    let (groups, error) = walker.take(verifier, page);
    assert!(groups.is_empty() || is_heavy);
    let batches: Vec<_> = groups.iter().flat_map(|group| &group.batches).collect();
    for (batch, (body, hash)) in batches.iter().zip(truth) {
        assert_eq!((&batch.body, &batch.chaining_hash), (body, hash));
    }
    assert!(batches.len() <= truth.len());
    for group in &groups {
        assert_eq!(group.batches.last().unwrap().index, group.signature.index);
    }
    let proven = batches.last().map_or(before, |batch| Position {
        index: batch.index,
        chaining_hash: batch.chaining_hash.clone(),
    });
    assert_eq!(walker.proven(), &proven);
    if error.is_some() {
        assert_eq!(walker.after(), proven.index, "unproven batches are dropped after an error");
    }
}

// Signatures of dishonest nodes.

/// Some nodes sign, and list any nodes as non-signers.
fn signers(input: &mut Input, is_heavy: bool) {
    let network = network();
    let (percent, millionths) = input.pick(&THRESHOLDS);
    let verifier = Verifier { threshold: threshold(percent), ..network.verifier.clone() };
    let signers: Vec<usize> = (0..input.below(5)).map(|_| input.below(4)).collect();
    let absent: Vec<usize> = (0..input.below(5)).map(|_| input.below(5)).collect();
    let hash = network.truth[input.below(6)].1.clone();
    let mut signature = FinalitySignature {
        index: input.number64(),
        parent_index: input.number64(),
        timestamp: input.number64(),
        chaining_hash: None,
        nonsigners: absent.iter().map(|node| id(*node)).collect(),
        signature: NO_POINT.into(),
        tag: 0,
    };
    if is_heavy && !signers.is_empty() {
        signature.signature = sign(network, &signature, &hash, &signers);
    }
    if input.chance(20) {
        signature.timestamp ^= 1;
        // The timestamp differs from the signed one.
        if is_heavy && !signers.is_empty() {
            let verdict = verifier.verify(SignedState::Locked, &signature, &hash);
            assert!(verdict.is_err());
            return;
        }
    }
    let verdict = verifier.verify(SignedState::Locked, &signature, &hash);
    // The naive answer: every node with stake either signed once or is listed once.
    let stake = |node: usize| STAKES.get(node).copied().unwrap_or(0);
    let is_named_well = absent.iter().all(|node| stake(*node) > 0)
        && (0..5).all(|node| absent.iter().filter(|other| **other == node).count() <= 1);
    let missing: u128 = absent.iter().map(|node| u128::from(stake(*node))).sum();
    let is_enough = missing * 100_000_000 <= (100_000_000 - millionths) * 40;
    let is_everyone = (0..4).all(|node| {
        let signed = signers.iter().filter(|other| **other == node).count();
        signed == usize::from(stake(node) > 0 && !absent.contains(&node))
    });
    if !is_named_well {
        let is_so = matches!(
            verdict,
            Err(ProofError::UnknownNonsigner(_)
                | ProofError::RepeatedNonsigner(_)
                | ProofError::NonsignerWithoutStake(_))
        );
        assert!(is_so, "{verdict:?}");
    } else if !is_enough {
        assert!(matches!(verdict, Err(ProofError::Quorum { .. })), "{verdict:?}");
    } else if !is_heavy || signers.is_empty() {
        let expected = ProofError::Encoding(BlsError::NotInGroup);
        assert_eq!(verdict, Err(expected));
    } else {
        assert_eq!(verdict.is_ok(), is_everyone, "{signers:?} {absent:?} {verdict:?}");
    }
}

// Proofs of leaves.

struct State {
    root: Hash,
    /// Values with their proofs, by key.
    leaves: BTreeMap<Vec<u8>, (Vec<u8>, Proof)>,
    /// Proofs of absence, by key.
    absent: BTreeMap<Vec<u8>, Proof>,
}

fn state() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| {
        let leaves = venue::rich(0).engine().leaves();
        let mut tree = StateTree::default();
        leaves.iter().for_each(|(key, value)| tree.set(key, Some(value)));
        let absent = (100..140).map(|number| LeafKey::Withdrawal(number).to_bytes());
        State {
            root: tree.root(),
            absent: absent.map(|key| (key.clone(), tree.prove(&key))).collect(),
            leaves: leaves
                .into_iter()
                .map(|(key, value)| (key.clone(), (value, tree.prove(&key))))
                .collect(),
        }
    })
}

fn state_proof(input: &mut Input) {
    let state = state();
    let (key, mut proof) = some_proof(input);
    // Mostly for the key of the proof, sometimes for another.
    let claimed = if input.chance(60) { some_proof(input).0 } else { key };
    let truth = state.leaves.get(claimed).map(|(value, _)| value);
    let mut value = truth.cloned();
    match input.byte() {
        0..128 => {}
        128..160 => value = None,
        160..200 => value = Some(input.bytes(20).to_vec()),
        200..230 => {
            let mut changed = value.unwrap_or_default();
            edit_once(&mut changed, input);
            value = Some(changed);
        }
        _ => value = state.leaves.get(some_proof(input).0).map(|(value, _)| value.clone()),
    }
    for _ in 0..input.below(3) {
        change(&mut proof, input);
    }
    let mut bytes = proof.to_bytes();
    match Proof::from_bytes(&bytes) {
        Ok(read) => assert_eq!(read, proof),
        // The proof is deeper than a tree can be.
        Err(_) => assert!(proof.siblings.len() > 256),
    }
    check(&proof, claimed, value.as_deref(), truth);
    edit(&mut bytes, input);
    if let Ok(read) = Proof::from_bytes(&bytes) {
        assert_eq!(read.to_bytes(), bytes);
        check(&read, claimed, value.as_deref(), truth);
    }
}

fn check(proof: &Proof, key: &[u8], value: Option<&[u8]>, truth: Option<&Vec<u8>>) {
    let verdict = proof.verify(&state().root, key, value);
    if verdict.is_ok() {
        assert_eq!(value, truth.map(Vec::as_slice), "a false value is proven: {proof:?}");
    }
}

fn some_proof(input: &mut Input) -> (&'static Vec<u8>, Proof) {
    let State { leaves, absent, .. } = state();
    let position = input.below(leaves.len() + absent.len());
    let mut all = leaves.iter().map(|(key, (_, proof))| (key, proof)).chain(absent);
    all.nth(position).map(|(key, proof)| (key, proof.clone())).unwrap()
}

/// Changes a proof, so that it stays well-formed.
fn change(proof: &mut Proof, input: &mut Input) {
    let (key, other) = some_proof(input);
    let value = state().leaves.get(key).map_or(&[][..], |(value, _)| value);
    let value: Hash = Sha256::digest(value).into();
    let path: Hash = Sha256::digest(key).into();
    let position = input.below(proof.siblings.len() + 1);
    match input.byte() % 10 {
        0 => proof.end = ProofEnd::Empty,
        1 => proof.end = ProofEnd::Leaf,
        2 => proof.end = ProofEnd::OtherLeaf { path, value },
        3 => proof.end = other.end,
        4 => proof.siblings = other.siblings,
        5 => proof.siblings.truncate(position),
        6 => proof.siblings.insert(position, [0; 32]),
        7 => proof.siblings.extend([[0; 32]; 255].iter().take(input.below(256))),
        8 => proof.siblings.insert(position, path),
        _ => proof.siblings.reverse(),
    }
}
