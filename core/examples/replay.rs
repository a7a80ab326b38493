//! Replays the batches of an exchange and prints the state root after each.
//!
//! ```sh
//! curl http://127.0.0.1:8080/v1/genesis > genesis.json
//! curl http://127.0.0.1:8080/v1/batches > batches.json
//! cargo run --package zellbook-core --example replay -- genesis.json batches.json
//! ```
//!
//! It shows that the state depends on genesis and the bodies of the batches alone: a root that differs from the
//! replica's is reported. It trusts the replica for the bodies; `zellbook verify` also checks the sequence proofs.

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
    replay(&fs::read(genesis)?, &fs::read(batches)?, |line| println!("{line}"))
}

fn replay(
    genesis: &[u8],
    batches: &[u8],
    mut print: impl FnMut(String),
) -> Result<(), Box<dyn Error>> {
    let rules = Arc::new(Genesis::read(genesis)?);
    let response: BatchesResponse = serde_json::from_slice(batches)?;

    let mut exchange = Exchange::new(Arc::clone(&rules));
    for batch in response.batches {
        let checked = Batch::check(&rules, batch.index.parse()?, batch.body.as_bytes());
        let outcome = exchange.apply(&checked)?;
        let applied = outcome.transactions.iter().filter(|outcome| outcome.result.is_ok()).count();
        let root: String = outcome.root.iter().map(|byte| format!("{byte:02x}")).collect();
        print(format!(
            "{} {root} {applied} of {} applied",
            batch.index,
            outcome.transactions.len()
        ));
        if root != batch.root {
            let error = format!("batch {}: the replica's root is {}", batch.index, batch.root);
            return Err(error.into());
        }
    }
    exchange.recount()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use zellbook_core::wire::{BatchBody, BatchesResponse, ProofBody};

    use super::replay;

    /// The golden history as a replica would serve it: its genesis, and the answer to `GET /v1/batches`.
    fn golden() -> (Vec<u8>, BatchesResponse) {
        let golden: Value = serde_json::from_str(include_str!("../tests/golden.json")).unwrap();
        let batches: Vec<BatchBody> = (1_u64..)
            .zip(golden["batches"].as_array().unwrap())
            .map(|(index, batch)| BatchBody {
                index: index.to_string(),
                body: batch["body"].as_str().unwrap().into(),
                root: batch["root"].as_str().unwrap().into(),
                // The example does not read the rest.
                chaining_hash: String::new(),
                applied: String::new(),
                rejected: String::new(),
                proof: ProofBody {
                    index: String::new(),
                    parent_index: String::new(),
                    timestamp: String::new(),
                    chaining_hash: String::new(),
                    nonsigners: Vec::new(),
                    signature: String::new(),
                    tag: String::new(),
                },
                certified: false,
            })
            .collect();
        let last = batches.len().to_string();
        let genesis = golden["genesis"].to_string().into_bytes();
        (genesis, BatchesResponse { batches, last, start: "0".into() })
    }

    #[test]
    fn the_golden_history_ends_with_its_last_root() {
        let (genesis, response) = golden();
        let mut lines = Vec::new();
        let batches = serde_json::to_vec(&response).unwrap();
        replay(&genesis, &batches, |line| lines.push(line)).unwrap();
        let last = response.batches.last().unwrap();
        assert_eq!(lines.len().to_string(), last.index);
        let expected = format!("{} {} ", last.index, last.root);
        assert!(lines.last().unwrap().starts_with(&expected), "{lines:?}");
    }

    #[test]
    fn a_root_that_differs_from_the_replicas_is_an_error() {
        let (genesis, mut response) = golden();
        response.batches[2].root = "00".repeat(32);
        let mut lines = Vec::new();
        let batches = serde_json::to_vec(&response).unwrap();
        let error = replay(&genesis, &batches, |line| lines.push(line)).unwrap_err().to_string();
        assert_eq!(error, format!("batch 3: the replica's root is {}", "00".repeat(32)));
        assert_eq!(lines.len(), 3, "replay stops at the first difference");
    }
}
