//! State snapshots with edited leaves. Most of them have the root of the edited leaves, because a wrong root
//! would hide every other error. A snapshot that can be read must satisfy the invariants, be written as the
//! same bytes, and continue without ever being corrupt.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use zellbook_core::bench::StateTree;
use zellbook_core::types::TokenIndex;
use zellbook_core::{Exchange, LeafKey, NetworkId, Rules};
use zellbook_fuzz::edits::{edit, edit_once};
use zellbook_fuzz::input::Input;
use zellbook_fuzz::recount::recount;
use zellbook_fuzz::{hostile, venue};

type Leaves = Vec<(Vec<u8>, Vec<u8>)>;

struct Base {
    rules: Arc<Rules>,
    leaves: Leaves,
    bytes: Vec<u8>,
}

fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let base = |number| {
            let mut exchange = venue::lean(number).clone();
            let bytes = exchange.to_snapshot();
            let leaves = exchange.engine().leaves();
            let rules = Arc::new(exchange.rules().clone());
            assert_eq!(write(&rules.network, &leaves), bytes);
            Base { rules, leaves, bytes }
        };
        (0..venue::KINDS).map(base).collect()
    })
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let Base { rules, leaves, bytes } = &bases()[input.below(venue::KINDS)];
    let bytes = match input.byte() {
        0..12 => {
            let mut bytes = bytes.clone();
            edit(&mut bytes, &mut input);
            bytes
        }
        choice => {
            let mut leaves = leaves.clone();
            for _ in 0..=input.below(4) {
                change(&mut leaves, &mut input);
            }
            // Rarely, because leaves out of order are refused immediately.
            if choice > 20 {
                leaves.sort();
                leaves.dedup_by(|(a, _), (b, _)| a == b);
            }
            write(&rules.network, &leaves)
        }
    };
    let Ok(mut exchange) = Exchange::from_snapshot(Arc::clone(rules), &bytes) else { return };
    assert_eq!(exchange.to_snapshot(), bytes);
    for _ in 0..3 {
        exchange.recount().unwrap_or_else(|error| panic!("{error}"));
        recount(&exchange, &exchange.engine().leaves());
        if exchange.counters().batch == u64::MAX {
            return;
        }
        let batch = hostile::batch(&mut input, &exchange, 4);
        match exchange.apply(&batch) {
            Ok(_) => {}
            // Counting cannot reach this in practice, but a snapshot can claim it.
            Err(corrupt) if corrupt.0.ends_with("ran out") => return,
            Err(corrupt) => panic!("{corrupt}"),
        }
    }
});

/// Writes a snapshot of these leaves with the root that they have.
fn write(network: &NetworkId, leaves: &Leaves) -> Vec<u8> {
    let mut tree = StateTree::default();
    leaves.iter().for_each(|(key, value)| tree.set(key, Some(value)));
    let mut bytes = b"ZELLBOOK SNAPSHOT 1\n".to_vec();
    bytes.extend(network.0);
    bytes.extend(tree.root());
    bytes.extend((leaves.len() as u64).to_be_bytes());
    for (key, value) in leaves {
        bytes.extend((key.len() as u16).to_be_bytes());
        bytes.extend(key);
        bytes.extend((value.len() as u32).to_be_bytes());
        bytes.extend(value);
    }
    bytes
}

/// Changes, adds or removes one leaf.
fn change(leaves: &mut Leaves, input: &mut Input) {
    if leaves.is_empty() {
        return;
    }
    let place = input.below(leaves.len());
    let (key, value) = &mut leaves[place];
    match input.byte() {
        0..25 => drop(leaves.remove(place)),
        25..45 => edit_once(value, input),
        45..60 => edit_once(key, input),
        60..160 => set_number(value, input),
        160..175 => {
            // A copy of the leaf under an almost equal key.
            let (mut key, value) = leaves[place].clone();
            if let Some(last) = key.last_mut() {
                *last = last.wrapping_add(1 + input.byte() % 4);
            }
            leaves.push((key, value));
        }
        175..195 => {
            let (from, to) = (place, input.below(leaves.len()));
            leaves[to].1 = leaves[from].1.clone();
        }
        195..205 => {
            let text = input.bytes(40).to_vec();
            leaves[place].1.extend(text);
        }
        _ => {
            let leaf = new_leaf(input);
            leaves.push(leaf);
        }
    }
}

/// Changes one of the numbers in a value.
fn set_number(value: &mut [u8], input: &mut Input) {
    let width = input.pick(&[8, 8, 16, 2, 1]);
    // An order's numbers follow its market and side; in other values they are at the front.
    let starts = [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 2, 3, 11, 19, 27, 35, 43, 10, 12, 28, 33];
    let start: usize = input.pick(&starts);
    let number = match input.byte() {
        0..120 => input.number(),
        step => {
            // A little more or less than before.
            let mut now = [0; 16];
            let Some(old) = value.get(start..start + width) else { return };
            now[16 - width..].copy_from_slice(old);
            u128::from_be_bytes(now).wrapping_add(u128::from(step % 5)).wrapping_sub(2)
        }
    };
    if let Some(slot) = value.get_mut(start..start + width) {
        slot.copy_from_slice(&number.to_be_bytes()[16 - width..]);
    }
}

/// A leaf of any kind for one of the participants.
fn new_leaf(input: &mut Input) -> (Vec<u8>, Vec<u8>) {
    let all = venue::cast().all();
    let account = input.pick(&all);
    let small = |input: &mut Input| u16::from(input.byte() % 4);
    let eight = |input: &mut Input| input.number64().to_be_bytes().to_vec();
    let sixteen = |input: &mut Input| input.number().to_be_bytes().to_vec();
    match input.byte() % 10 {
        0 => {
            let key = LeafKey::Balance(account, TokenIndex(small(input)));
            (key.to_bytes(), [sixteen(input), sixteen(input)].concat())
        }
        1 => {
            let nonces: Vec<Vec<u8>> = (0..input.below(70)).map(|_| eight(input)).collect();
            let mut nonces = nonces;
            if !input.chance(20) {
                nonces.sort();
                nonces.dedup();
            }
            (LeafKey::Nonces(account).to_bytes(), nonces.concat())
        }
        2 => {
            let key = LeafKey::Order(account, u64::from(input.byte() % 24));
            let [market, side] = [small(input), small(input)];
            let value = [
                market.to_be_bytes().to_vec(),
                vec![side as u8],
                eight(input),
                eight(input),
                eight(input),
                eight(input),
                vec![3; 8],
                eight(input),
                input.bytes(3).to_vec(),
            ];
            (key.to_bytes(), value.concat())
        }
        3 => {
            let reference = String::from_utf8_lossy(input.bytes(8)).into_owned();
            (LeafKey::Reference(TokenIndex(small(input)), reference).to_bytes(), Vec::new())
        }
        4 => ([vec![6], vec![input.byte(); 32]].concat(), Vec::new()),
        5 => {
            let key = LeafKey::SessionKey(account, input.pick(&all)).to_bytes();
            let none = u16::MAX.to_be_bytes();
            let market = if input.chance(128) { none } else { small(input).to_be_bytes() };
            let token = if input.chance(128) { none } else { small(input).to_be_bytes() };
            let value = [eight(input), market.into(), token.into(), sixteen(input), sixteen(input)];
            (key, value.concat())
        }
        6 => {
            let amount = sixteen(input);
            let value = [
                account.as_bytes().to_vec(),
                small(input).to_be_bytes().into(),
                amount,
                input.bytes(6).to_vec(),
            ];
            (LeafKey::Withdrawal(input.number64()).to_bytes(), value.concat())
        }
        7 => {
            let batch = input.byte() % 32;
            let key = [vec![10], u64::from(batch).to_be_bytes().into(), vec![0, input.byte() % 4]];
            (key.concat(), vec![input.byte() % 8; 32])
        }
        8 => {
            let key = LeafKey::Certified(u64::from(input.byte() % 32));
            (key.to_bytes(), vec![input.byte(); 32])
        }
        _ => (LeafKey::Switch(account).to_bytes(), eight(input)),
    }
}
