//! Replays the batches of an exchange and prints the state root after each.
//!
//! ```sh
//! curl http://127.0.0.1:8080/v1/genesis > genesis.json
//! curl http://127.0.0.1:8080/v1/batches > batches.json
//! cargo run --package zellbook-core --example replay -- genesis.json batches.json
//! ```
//!
//! It shows that the state depends on genesis and the bodies of the batches alone: a root that differs from the
//! replica's is reported. It takes the replica's word for the bodies; `zellbook verify` also checks the finality
//! proofs.

use std::error::Error;
use std::sync::Arc;
use std::{env, fs};

use zellbook_core::wire::BatchesResponse;
use zellbook_core::{Batch, Exchange, Genesis};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [genesis, batches] = arguments.as_slice() else {
        return Err("usage: replay GENESIS BATCHES, two files of JSON".into());
    };
    let rules = Arc::new(Genesis::read(&fs::read(genesis)?)?);
    let response: BatchesResponse = serde_json::from_slice(&fs::read(batches)?)?;

    let mut exchange = Exchange::new(Arc::clone(&rules));
    for batch in response.batches {
        let checked = Batch::check(&rules, batch.index.parse()?, batch.body.as_bytes());
        let outcome = exchange.apply(&checked)?;
        let applied = outcome.transactions.iter().filter(|outcome| outcome.result.is_ok()).count();
        let root: String = outcome.root.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{} {root} {applied} of {} applied", batch.index, outcome.transactions.len());
        if root != batch.root {
            return Err(
                format!("batch {}: the replica's root is {}", batch.index, batch.root).into()
            );
        }
    }
    exchange.recount()?;
    Ok(())
}
