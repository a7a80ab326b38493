//! A page of a real network is proven natively and in wasm in the browser: this file runs as both.

use zellular::{NodeList, Page, Position, Threshold, Verifier, Walker};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

const NODES: &[u8] = include_bytes!("vectors/equal4/nodes.json");
const PAGE: &[u8] = include_bytes!("vectors/equal4/finalized_after_0.json");

#[test]
fn a_page_of_a_real_network_is_proven() {
    let verifier = Verifier {
        app_name: "orderbook".into(),
        nodes: NodeList::read(NODES).unwrap().into(),
        threshold: Threshold::DEFAULT,
    };
    let mut walker = Walker::new(Position::start());
    let (groups, error) = walker.take(&verifier, Page::read(PAGE).unwrap().unwrap());
    assert_eq!(error, None);
    assert_eq!(groups.iter().map(|group| group.batches.len()).sum::<usize>(), 14);
}
