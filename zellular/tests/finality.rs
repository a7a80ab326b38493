//! Finality proofs: the signatures of a real network, and attacks on its Python SDK.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use zellular::bls::hash_to_g1_decimal;
use zellular::{
    FinalitySignature, NodeList, Page, PageError, Position, SignedState, Threshold, Verifier,
    Walker, bls_message, chain, limits, message, read_last, xxh128_hex,
};

const RUNS: [&str; 6] = ["allsign4", "collision4", "equal4", "onedown4", "paged4", "unequal4"];

fn file(path: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&file(path)).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn threshold(value: &Value) -> Threshold {
    value.to_string().parse().unwrap()
}

fn verifier(nodes: &[u8], app_name: &str, percent: &Value) -> Verifier {
    Verifier {
        app_name: app_name.into(),
        nodes: NodeList::read(nodes).unwrap().into(),
        threshold: threshold(percent),
    }
}

#[test]
fn xxh128_agrees_with_the_networks_library() {
    let cases = json("xxh128.json");
    let cases = cases["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 47);
    for case in cases {
        let input = text(&case["input"]);
        assert_eq!(input.len() as u64, number(&case["input_len"]));
        assert_eq!(xxh128_hex(input.as_bytes()), text(&case["xxh128_hexdigest"]));
    }
}

#[test]
fn the_chaining_hash_of_every_batch_equals_the_networks() {
    for run in RUNS {
        let mut previous = String::new();
        for batch in json(&format!("{run}/chaining.json"))["batches"].as_array().unwrap() {
            assert_eq!(text(&batch["previous_chaining_hash"]), previous, "{run}");
            let body = text(&batch["body"]);
            assert_eq!(xxh128_hex(body.as_bytes()), text(&batch["body_xxh128_hexdigest"]), "{run}");
            previous = chain(&previous, body);
            assert_eq!(previous, text(&batch["chaining_hash"]), "{run} {}", batch["index"]);
        }
        assert!(!previous.is_empty());
    }
}

#[test]
fn every_signature_of_the_network_verifies_step_by_step() {
    let mut checked = 0;
    for run in RUNS {
        let trace = json(&format!("{run}/verify_trace.json"));
        let verifier = verifier(
            &file(&format!("{run}/nodes.json")),
            text(&trace["app_name"]),
            &trace["threshold_percent"],
        );
        for list in ["finalized", "last"] {
            for case in trace[list].as_array().unwrap() {
                let (state, name) = match case["signed_state"].as_str() {
                    Some("sequenced") => (SignedState::Sequenced, "sequenced"),
                    _ => (SignedState::Locked, "locked"),
                };
                let chaining_hash = text(&case["chaining_hash"]);
                let signed = message(
                    text(&trace["app_name"]),
                    state,
                    number(&case["index"]),
                    number(&case["parent_index"]),
                    number(&case["timestamp"]),
                    chaining_hash,
                );
                assert_eq!(signed, text(&case["message"]), "{run} {name}");
                let digest = bls_message(&signed);
                assert_eq!(digest, text(&case["xxh128_hexdigest"]));
                let (x, y) = hash_to_g1_decimal(digest.as_bytes()).unwrap();
                assert_eq!(
                    (x.as_str(), y.as_str()),
                    (text(&case["hash_to_g1"]["x"]), text(&case["hash_to_g1"]["y"]),)
                );
                let signature: FinalitySignature = serde_json::from_value(case.clone()).unwrap();
                assert_eq!(verifier.verify(state, &signature, chaining_hash), Ok(()), "{run}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 40, "{checked}");
}

#[test]
fn every_negative_signature_has_the_expected_verdict() {
    let cases = json("negative_signatures.json");
    for case in cases["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        // A verifier that has only this input cannot decide, so these cases have no verdict.
        let Some(expected) = case["expected"].as_bool() else { continue };
        let nodes = match &case["nodes"] {
            Value::String(path) => file(path),
            // As text, because the keys have more digits than a JSON number holds.
            _ => inline_nodes(name),
        };
        let nodes = NodeList::read(&nodes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let verifier = Verifier {
            app_name: text(&case["app_name"]).into(),
            nodes: nodes.into(),
            threshold: threshold(&case["threshold_percent"]),
        };
        let state = match text(&case["signed_state"]) {
            "sequenced" => SignedState::Sequenced,
            _ => SignedState::Locked,
        };
        let info = &case["signature_info"];
        let hash = text(&info["chaining_hash"]);
        let verdict = serde_json::from_value::<FinalitySignature>(info.clone()).is_ok_and(|sig| {
            let (index, parent, time) = (sig.index, sig.parent_index, sig.timestamp);
            // In two cases the signed message is written in another way, so ours must differ.
            let signed = message(&verifier.app_name, state, index, parent, time, hash);
            signed == text(&case["message"]) && verifier.verify(state, &sig, hash).is_ok()
        });
        assert_eq!(verdict, expected, "{name}: {}", text(&case["why"]));
    }
}

/// Returns the text of the `nodes` object of a case.
fn inline_nodes(name: &str) -> Vec<u8> {
    use serde::Deserialize;
    use serde_json::value::RawValue;
    #[derive(Deserialize)]
    struct Cases<'a> {
        #[serde(borrow)]
        cases: Vec<Case<'a>>,
    }
    #[derive(Deserialize)]
    struct Case<'a> {
        name: String,
        #[serde(borrow)]
        nodes: &'a RawValue,
    }
    let bytes = file("negative_signatures.json");
    let cases: Cases<'_> = serde_json::from_slice(&bytes).unwrap();
    let case = cases.cases.iter().find(|case| case.name == name).unwrap();
    case.nodes.get().into()
}

/// Returns a walker that starts after a batch of a run's true history.
fn walker_after(run: &str, after: u64) -> Walker {
    let chaining = json(&format!("{run}/chaining.json"));
    let batches = chaining["batches"].as_array().unwrap();
    let chaining_hash = batches
        .iter()
        .find(|batch| batch["index"] == after)
        .map_or(String::new(), |batch| text(&batch["chaining_hash"]).into());
    Walker::new(Position { index: after, chaining_hash })
}

#[test]
fn a_paged_history_is_proven_from_first_to_last() {
    let verifier = verifier(&file("paged4/nodes.json"), "orderbook", &67.into());
    let mut walker = walker_after("paged4", 0);
    let mut bodies = Vec::new();
    for after in [0, 22, 44, 66, 88, 110, 132] {
        assert_eq!(walker.after(), after);
        let page = Page::read(&file(&format!("paged4/finalized_after_{after}.json")));
        let (groups, error) = walker.take(&verifier, page.unwrap().unwrap());
        assert_eq!(error, None);
        bodies.extend(groups.into_iter().flat_map(|group| group.batches));
    }
    let chaining = json("paged4/chaining.json");
    let expected = chaining["batches"].as_array().unwrap();
    assert_eq!(bodies.len(), expected.len());
    for (batch, expected) in bodies.iter().zip(expected) {
        assert_eq!(batch.body, text(&expected["body"]));
        assert_eq!(batch.chaining_hash, text(&expected["chaining_hash"]));
    }
    assert_eq!(walker.proven().index, 150);
}

#[test]
fn every_negative_page_has_the_expected_outcome() {
    let cases = json("negative_pages.json");
    let mut seen = 0;
    for case in cases["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        let nodes = case["nodes"].as_str().unwrap_or("equal4/nodes.json");
        let run = nodes.split('/').next().unwrap();
        let verifier = verifier(&file(nodes), "orderbook", &case["threshold_percent"]);
        // The Python SDK asks for `?after=N-1` to continue after batch N, and the answers are to that.
        let after = number(&case["after"]).saturating_sub(1);
        let mut walker = walker_after(run, after);
        let expected = text(&case["expected"]);
        // Cases about HTTP have no JSON answer.
        let Some(response) = case.get("response").filter(|response| response.is_object()) else {
            assert_eq!(expected, "error", "{name}");
            continue;
        };
        seen += 1;
        let page = match Page::read(response.to_string().as_bytes()) {
            Ok(Some(page)) => page,
            Ok(None) => {
                assert_eq!(expected, "wait", "{name}");
                continue;
            }
            Err(_) => {
                assert_eq!(expected, "error", "{name}");
                continue;
            }
        };
        let (groups, error) = walker.take(&verifier, page);
        let delivered: Vec<u64> =
            groups.iter().flat_map(|group| &group.batches).map(|batch| batch.index).collect();
        let chaining = json(&format!("{run}/chaining.json"));
        let is_collision = name == "xxh128_collision_forged_body";
        for batch in groups.iter().flat_map(|group| &group.batches) {
            let truth = &chaining["batches"][usize::try_from(batch.index).unwrap() - 1];
            assert!(batch.body == text(&truth["body"]) || is_collision, "{name}");
        }
        let expected = expected.split(' ').next().unwrap();
        match expected {
            "accept" => assert!(error.is_none() && !delivered.is_empty(), "{name}: {error:?}"),
            "accept_prefix" => {
                assert!(!delivered.is_empty() && delivered.first() == Some(&(after + 1)), "{name}");
            }
            "reject" => assert!(error.is_some(), "{name} delivered {delivered:?}"),
            "reject_or_wait" => assert!(delivered.is_empty(), "{name}"),
            "accept_or_reject" => {}
            other => panic!("{name}: {other}"),
        }
    }
    assert!(seen >= 18, "{seen}");
}

#[test]
fn a_bad_signature_does_not_discard_what_those_before_it_proved() {
    let cases = json("negative_pages.json");
    let case = cases["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["name"] == "invalid_signature_in_middle")
        .unwrap();
    let verifier = verifier(&file("equal4/nodes.json"), "orderbook", &67.into());
    let mut walker = Walker::new(Position::start());
    let page = Page::read(case["response"].to_string().as_bytes()).unwrap().unwrap();
    let (groups, error) = walker.take(&verifier, page);
    assert_eq!(groups.len(), 2);
    assert!(matches!(error, Some(PageError::Proof { .. })), "{error:?}");
    assert_eq!(walker.after(), walker.proven().index, "unproven batches are dropped");
}

#[test]
fn finalized_last_cases_verify_by_their_own_hash_as_expected() {
    let verifier = verifier(&file("equal4/nodes.json"), "orderbook", &67.into());
    let cases = json("negative_last.json");
    for case in cases["cases"].as_array().unwrap() {
        let (name, expected) = (text(&case["name"]), text(&case["expected"]));
        let read = read_last(case["response"].to_string().as_bytes());
        let verdict = match read {
            Err(PageError::Status(_)) => "error",
            Err(_) => "reject",
            Ok(None) => "accept (none yet)",
            Ok(Some(last)) => {
                let chaining_hash = last.chaining_hash.clone().unwrap();
                let is_good = verifier.verify(SignedState::Locked, &last, &chaining_hash).is_ok();
                if is_good { "accept" } else { "reject" }
            }
        };
        // The body is not read.
        let expected = if expected == "body is not authenticated" { "accept" } else { expected };
        assert_eq!(verdict, expected, "{name}");
    }
}

#[test]
fn a_written_node_list_reads_back() {
    for run in RUNS {
        let nodes = NodeList::read(&file(&format!("{run}/nodes.json"))).unwrap();
        assert_eq!(NodeList::read(nodes.to_json().as_bytes()), Ok(nodes));
    }
}

#[test]
fn the_error_of_an_invalid_node_list_names_the_field() {
    let good = String::from_utf8(file("equal4/nodes.json")).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good);
        let error = NodeList::read(changed.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("\"stake\": 10", "\"stake\": -1", "stake: -1 is not a whole number");
    check("\"stake\": 10", "\"stake\": 1.5", "stake: 1.5 is not a whole number");
    check("1163349237379668833389167010177", "2163349237379668833389167010177", "pubkeyG2");
    check("\"id\": \"0x1b", "\"id\": \"0x2b", "differs from the key of its entry");
    check("\"socket\"", "\"port\"", "missing field `socket`");
    assert!(NodeList::read(b"{}").is_err());
    assert!(NodeList::read(b"[]").is_err());
    let unstaked = good.replace("\"stake\": 10", "\"stake\": 0");
    assert!(NodeList::read(unstaked.as_bytes()).unwrap_err().to_string().contains("with stake"));
}

fn honest_page() -> Value {
    json("equal4/finalized_after_0.json")
}

fn take(page: &Value) -> (usize, Option<PageError>, Walker) {
    let verifier = verifier(&file("equal4/nodes.json"), "orderbook", &67.into());
    let mut walker = Walker::new(Position::start());
    let page = Page::read(page.to_string().as_bytes()).unwrap().unwrap();
    let (groups, error) = walker.take(&verifier, page);
    (groups.iter().map(|group| group.batches.len()).sum(), error, walker)
}

#[test]
fn an_unreadable_signature_does_not_discard_what_those_before_it_proved() {
    for (field, value) in [
        ("signature", Value::Null),
        ("index", (-1).into()),
        ("nonsigners", serde_json::json!([1])),
        ("nonsigners", vec!["x"; 2000].into()),
    ] {
        let mut page = honest_page();
        page["data"]["finalized_signatures"][2][field] = value;
        let (delivered, error, _) = take(&page);
        assert_eq!(delivered, 5, "{field}");
        assert!(matches!(error, Some(PageError::SignatureForm { position: 2, .. })), "{error:?}");
    }
}

#[test]
fn endless_unsigned_batches_are_bounded_even_if_their_bodies_are_empty() {
    let verifier = verifier(&file("equal4/nodes.json"), "orderbook", &67.into());
    let mut walker = Walker::new(Position::start());
    let mut hash = String::new();
    for round in 0..100 {
        let count = 100_000;
        let page = Page {
            batches: vec![String::new(); count],
            first_chaining_hash: chain(&hash, ""),
            finalized_signatures: Vec::new(),
            is_cut: false,
        };
        for _ in 0..count {
            hash = chain(&hash, "");
        }
        match walker.take(&verifier, page) {
            (groups, None) => assert!(groups.is_empty()),
            (_, error) => {
                assert_eq!(error, Some(PageError::TooLarge));
                assert!(round > 5 && walker.after() == 0, "round {round}");
                return;
            }
        }
    }
    panic!("ten million batches were held");
}

#[test]
fn the_rest_of_a_page_above_the_limit_is_asked_for_again() {
    let mut bodies = vec!["x"; limits::PAGE_BATCHES_MAX + 5];
    bodies[0] = "first";
    let page = serde_json::json!({"status": "success", "data": {
        "batches": bodies, "first_chaining_hash": chain("", "first"),
        "finalized_signatures": [{"index": bodies.len(), "parent_index": 0, "timestamp": 1,
            "nonsigners": [], "signature": "1 1 2"}],
    }});
    let (delivered, error, walker) = take(&page);
    assert_eq!((delivered, error), (0, None));
    assert_eq!(walker.after(), limits::PAGE_BATCHES_MAX as u64);
}

#[test]
fn nothing_new_is_an_error_while_batches_are_not_proven() {
    let mut page = honest_page();
    let signatures = page["data"]["finalized_signatures"].as_array_mut().unwrap();
    signatures.pop();
    let (delivered, error, mut walker) = take(&page);
    assert_eq!((delivered, error), (13, None));
    assert_eq!(walker.take_nothing(), Err(PageError::TipNotSigned { last: 14, proven: 13 }));
    assert_eq!(walker.after(), 13);
    assert_eq!(walker.take_nothing(), Ok(()));
}

#[test]
fn a_signature_proves_the_first_hash_only_of_an_honest_answer() {
    let verifier = verifier(&file("equal4/nodes.json"), "orderbook", &67.into());
    let proves = |change: &dyn Fn(&mut Value), index| {
        let mut answer = json("equal4/finalized_after_3.json");
        change(&mut answer["data"]);
        let page = Page::read(answer.to_string().as_bytes()).unwrap().unwrap();
        page.proves_first(&verifier, index)
    };
    assert!(proves(&|_| (), 4));
    assert!(!proves(&|_| (), 5), "the answer is to another question");
    assert!(!proves(&|_| (), 0));
    assert!(!proves(&|data| data["batches"][1] = "forged".into(), 4));
    assert!(!proves(&|data| data["first_chaining_hash"] = "0".repeat(32).into(), 4));
    assert!(!proves(&|data| data["finalized_signatures"] = Value::Array(Vec::new()), 4));
    // The first body plays no part, so a forged one changes nothing.
    assert!(proves(&|data| data["batches"][0] = "forged".into(), 4));
}

#[test]
fn long_and_nested_error_answers_take_little_memory() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = format!(r#"{{"status":"error","error":{nested}}}"#);
    let error = Page::read(answer.as_bytes()).unwrap_err().to_string();
    assert!(error.len() < 300, "{error}");
    let long = format!(r#"{{"status":"success","data":{{"batches":"{}"}}}}"#, "x".repeat(100_000));
    assert!(Page::read(long.as_bytes()).unwrap_err().to_string().len() < 400);
}
