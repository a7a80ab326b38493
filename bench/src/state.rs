//! Measures a large state: restoring it from its leaves, proofs of it, and its snapshot.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use zellbook_core::types::TokenIndex;
use zellbook_core::{Exchange, LeafKey, PublicKey};

use crate::parts::{points, rules, time};
use crate::process::cpu_seconds;

/// A key and a value.
type Leaf = (Vec<u8>, Vec<u8>);

/// Measures a state of so many accounts, each with a balance of one token.
///
/// # Panics
///
/// If the core refuses the state.
pub fn measure(accounts: usize) {
    let rules = rules();
    let keys = points(accounts);
    // The state is built from leaves: a million deposits would also add a million references to it.
    let leaves = leaves(&Exchange::new(Arc::clone(&rules)), &keys);
    let start = Start::now();
    let slices = leaves.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut exchange = Exchange::from_leaves(Arc::clone(&rules), slices).expect("it is sound");
    println!("state of {accounts} accounts, from its leaves: {}", start.elapsed());
    let start = Start::now();
    exchange.recount().expect("the state is sound");
    println!("  recount: {}", start.elapsed());

    proofs(&mut exchange, &keys);

    let start = Start::now();
    let snapshot = exchange.to_snapshot();
    let megabytes = snapshot.len() as f64 / 1e6;
    println!("  write a snapshot of {megabytes:.1} MB: {}", start.elapsed().of(megabytes));
    let start = Start::now();
    black_box(Exchange::from_snapshot(rules, &snapshot).expect("the snapshot is sound"));
    println!("  read it, with root and recount: {}", start.elapsed().of(megabytes));
}

/// When something began, by the clock and by the time of this process on all cores.
struct Start {
    clock: Instant,
    cpu: f64,
}

impl Start {
    fn now() -> Self {
        Self { clock: Instant::now(), cpu: own_cpu_seconds() }
    }

    fn elapsed(&self) -> Elapsed {
        let wall = self.clock.elapsed().as_secs_f64();
        Elapsed { wall, cpu: own_cpu_seconds() - self.cpu, megabytes: None }
    }
}

fn own_cpu_seconds() -> f64 {
    cpu_seconds("/proc/self/stat", 11).expect("Linux counts the time of a process")
}

/// Seconds by the clock and on all cores, and the megabytes that were read or written in them.
struct Elapsed {
    wall: f64,
    cpu: f64,
    megabytes: Option<f64>,
}

impl Elapsed {
    fn of(self, megabytes: f64) -> Self {
        Self { megabytes: Some(megabytes), ..self }
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s, {:.2} s of CPU", self.wall, self.cpu)?;
        match self.megabytes {
            Some(megabytes) => write!(f, ", {:.1} MB/s", megabytes / self.wall),
            None => Ok(()),
        }
    }
}

/// The leaves of a state with a balance of five atoms for each of these keys.
fn leaves(exchange: &Exchange, keys: &[PublicKey]) -> Vec<Leaf> {
    let counters = LeafKey::Counters;
    let mut first_batch = exchange.engine().leaf_value(&counters).expect("it is always there");
    // A state before batch 1 must be empty.
    first_batch[7] = 1;
    let supply = (keys.len() as u128 * 5).to_be_bytes();
    let mut leaves = vec![
        (counters.to_bytes(), first_batch),
        (LeafKey::Supply(TokenIndex(0)).to_bytes(), supply.to_vec()),
    ];
    let value = [5_u128.to_be_bytes(), 0_u128.to_be_bytes()].concat();
    let balances = keys.iter().map(|key| LeafKey::Balance(*key, TokenIndex(0)).to_bytes());
    leaves.extend(balances.map(|key| (key, value.clone())));
    // Leaves are restored in the order of their keys.
    leaves.sort();
    leaves
}

/// Measures proofs of the balances of these keys.
fn proofs(exchange: &mut Exchange, keys: &[PublicKey]) {
    let root = exchange.root();
    let mut at = 0;
    let mut next = || {
        // Steps of a prime number reach accounts all over the tree, so that caches help little.
        at = (at + 7919) % keys.len();
        LeafKey::Balance(keys[at], TokenIndex(0))
    };
    let mut sizes: Vec<usize> =
        (0..1000).map(|_| exchange.prove(&next()).1.to_bytes().len()).collect();
    sizes.sort_unstable();
    let (median, most) = (sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    println!("  proof of a balance: {median} bytes in the median, {most} at most of 1,000");
    println!("  make a proof: {:.1} us", time(2000, || drop(black_box(exchange.prove(&next())))));
    let key = next();
    let (value, proof) = exchange.prove(&key);
    let (key, bytes) = (key.to_bytes(), proof.to_bytes());
    let check = || {
        let proof = zellbook_core::Proof::from_bytes(black_box(&bytes));
        proof.and_then(|proof| proof.verify(&root, &key, value.as_deref())).expect("it holds");
    };
    println!("  read and check a proof: {:.1} us", time(2000, check));
}
