//! The captured negative cases of `negative_pages.json` and `negative_last.json`, each served by a node.

use serde_json::Value;

use super::Case;
use super::node::{Asked, Attack, Sent, captured, page};

/// The bytes on the wire for a raw response in the vectors.
fn raw(text: &str) -> Sent {
    let json = "content-type: application/json\r\n".to_string();
    let bytes = |text: &str| -> Vec<u8> {
        // The vectors have a Python bytes literal with printable characters.
        let inner = text.trim_start_matches("b'").trim_end_matches('\'');
        inner.replace("\\\\", "\\").replace("\\'", "'").into_bytes()
    };
    match text {
        "(500, b'Internal Server Error')" => {
            Sent::Answer(500, String::new(), b"Internal Server Error".to_vec())
        }
        "(307, b'')" => Sent::Answer(307, "location: {url}/elsewhere\r\n".into(), Vec::new()),
        _ => Sent::Answer(200, json, bytes(text)),
    }
}

fn sent(response: &Value) -> Sent {
    response["raw"].as_str().map_or_else(|| Sent::json(response), raw)
}

/// The expected result of a page: the number of batches that are proven, and the error that is reported for
/// the gateway. A replica starts at 0, so it is first sent the honest history up to the page's index.
fn expectation(name: &str) -> (u64, &'static str) {
    match name {
        "honest_from_0" | "honest_resume_mid" | "honest_resume_at_signed_index" => (14, ""),
        // The state field is ignored: only finality is ever checked.
        "tampered_sig_state_field" => (14, ""),
        "forged_tail_after_last_signature" => (14, "last signature is over batch 14"),
        "missing_last_signature" => (13, "last signature is over batch 13"),
        "no_signatures" => (0, "last signature is over batch 0"),
        "swapped_bodies" | "dropped_body" | "inserted_body" => (0, ""),
        "tampered_first_chaining_hash_resume" => (0, "first_chaining_hash"),
        "tampered_sig_chaining_hash_field" => (0, "for chaining hash"),
        "tampered_sig_timestamp" => (0, "proves nothing"),
        "signatures_in_reverse_order" => (14, "out of order"),
        "duplicate_signature_entry" => (3, "out of order"),
        "invalid_signature_in_middle" => (5, "proves nothing"),
        "page_shifted_by_one" | "page_replayed_from_0" => (3, "first_chaining_hash"),
        "null_data" => (0, ""),
        "status_error_200" => (0, "reports an error"),
        "http_500_text" => (0, "status 500"),
        "not_json" | "truncated_json" => (0, "not valid JSON"),
        "redirect" => (0, "status 307"),
        other => panic!("no expectation for {other}"),
    }
}

/// Whether the vectors allow a result.
fn allows(expected: &str, proven: u64, whole: u64) -> bool {
    match expected.split(' ').next().unwrap() {
        "accept" | "accept_prefix" => proven > 0 && proven <= whole,
        "reject" | "reject_or_wait" | "wait" | "error" => proven < whole,
        "accept_or_reject" => true,
        other => panic!("{other}"),
    }
}

pub fn cases() -> Vec<Case> {
    let pages = captured("negative_pages.json");
    let mut cases = Vec::new();
    for case in pages["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        // From another network, and undetectable by signatures alone; the unit tests of the verifier have it.
        if name == "xxh128_collision_forged_body" {
            continue;
        }
        // The SDK, for which the case was captured, requests the last known index again when it continues.
        let after = case["after"].as_u64().unwrap().saturating_sub(1);
        let (proven, failure) = expectation(name);
        assert!(allows(case["expected"].as_str().unwrap(), proven, 14), "{name}");
        let response = case["response"].clone();
        let attack = Attack::by(move |asked, _| match asked {
            Asked::Page(asked) if asked == after => Some(sent(&response)),
            // The honest history up to the index.
            Asked::Page(0) => Some(Sent::json(first_batches(after))),
            // Nothing after it; the rest comes from the honest gateway.
            Asked::Page(_) => Some(Sent::json(page(u64::MAX))),
            _ => None,
        });
        cases.push(Case { name: name.into(), attack, proven, failure });
    }
    let last = captured("negative_last.json");
    for case in last["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        // The body is ignored, because nothing proves it.
        let failure = match name {
            "honest" | "null" | "tampered_body" => "",
            "status_error" => "reports an error",
            "finalized_signature_null" => "not valid JSON",
            _ => "over its last batch",
        };
        let response = case["response"].clone();
        let attack = Attack::by(move |asked, _| match asked {
            Asked::Last => Some(Sent::json(&response)),
            Asked::Page(_) => Some(Sent::json(page(u64::MAX))),
            _ => None,
        });
        cases.push(Case { name: format!("last_{name}"), attack, proven: 0, failure });
    }
    cases
}

/// The honest history up to an index, with the signatures that it has.
fn first_batches(last: u64) -> Value {
    let mut page = page(0);
    let data = &mut page["data"];
    let count = usize::try_from(last).unwrap();
    data["batches"].as_array_mut().unwrap().truncate(count);
    let signatures = data["finalized_signatures"].as_array_mut().unwrap();
    signatures.retain(|signature| signature["index"].as_u64().unwrap() <= last);
    page
}
