//! The same history gives the same roots natively and in wasm. This test runs on both.

use std::sync::Arc;

use serde_json::Value;
use zellbook_core::{Batch, Exchange, Genesis};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

const GOLDEN: &str = include_str!("golden.json");

#[test]
fn the_golden_history_reproduces_its_roots_and_codes() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let rules = Genesis::read(golden["genesis"].to_string().as_bytes()).unwrap();
    assert_eq!(rules.network.to_string(), golden["network"].as_str().unwrap());
    let rules = Arc::new(rules);
    let mut exchange = Exchange::new(Arc::clone(&rules));
    let batches = golden["batches"].as_array().unwrap();
    assert!(batches.len() > 150);
    for (index, expected) in (1..).zip(batches) {
        let body = expected["body"].as_str().unwrap();
        let outcome = exchange.apply(&Batch::check(&rules, index, body.as_bytes())).unwrap();
        let root: String = outcome.root.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(root, expected["root"].as_str().unwrap(), "batch {index}");
        let codes: Vec<u64> = outcome
            .transactions
            .iter()
            .map(|outcome| {
                outcome.result.as_ref().map_or_else(|reject| reject.code().into(), |_| 0)
            })
            .collect();
        assert_eq!(Value::from(codes), expected["codes"], "batch {index}");
    }
    exchange.recount().unwrap();
}
