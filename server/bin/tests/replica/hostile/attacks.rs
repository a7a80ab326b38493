//! The attacks: one row each, with its name and a part of the error that is expected.

use serde_json::{Value, json};
use zellular::bls::BlsSecretKey;
use zellular::{SignedState, bls_message, chain, message};

use super::Case;
use super::node::{Asked, Attack, Sent, captured, page, state};

const JSON: &str = "content-type: application/json\r\n";
/// The order of the base field of BN254.
const FIELD: &str = "21888242871839275222246405745257275088696311157297823662689037894645226208583";

fn case(name: &str, failure: &'static str, attack: Attack) -> Case {
    Case { name: name.into(), attack, proven: 0, failure }
}

/// Sends these bytes instead of every page.
fn raw(name: &str, failure: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    case(name, failure, Attack::on_pages(Sent::Raw(bytes.into())))
}

fn answer(name: &str, failure: &'static str, status: u16, headers: &str, body: Vec<u8>) -> Case {
    case(name, failure, Attack::on_pages(Sent::Answer(status, headers.into(), body)))
}

fn head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
}

/// Responses that try to stall, flood or confuse the client.
pub fn of_connections() -> Vec<Case> {
    let chunked = head("transfer-encoding: chunked\r\n");
    let endless = |name, failure, first: String, again: Vec<u8>| {
        case(name, failure, Attack::on_pages(Sent::Endless(first.into(), again)))
    };
    let trickle = |name, first: String| {
        case(name, "", Attack::on_pages(Sent::Trickle(first.into(), b"x".to_vec())))
    };
    let gzip = {
        // The start of a gzip stream, although the client did not ask for compression.
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        bytes.resize(1 << 20, 0);
        bytes
    };
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    vec![
        raw("the connection is closed at once", "", ""),
        case("nothing is ever sent", "within", Attack::on_pages(Sent::Silence)),
        trickle("one byte of the head per second", "HTTP/1.1 200 OK\r\nx: ".into()),
        trickle("one byte of the body per second", head("content-length: 1000\r\n")),
        trickle("one byte of a body without length per second", head("")),
        endless("a chunked body without end", "larger", chunked.clone(), chunk),
        endless("a body without length and end", "larger", head(""), vec![b' '; 1 << 16]),
        endless("a head without end", "", "HTTP/1.1 200 OK\r\n".into(), b"x: y\r\n".repeat(1000)),
        endless("a header without end", "", "HTTP/1.1 200 OK\r\nx: ".into(), vec![b'x'; 1 << 16]),
        endless(
            "interim responses without end",
            "",
            String::new(),
            b"HTTP/1.1 103 X\r\n\r\n".repeat(100),
        ),
        raw("a length of 2^64 - 1", "", head("content-length: 18446744073709551615\r\n")),
        raw("a length of 1 TB", "larger", head("content-length: 1099511627776\r\n")),
        raw("a negative length", "", head("content-length: -1\r\n")),
        raw("two lengths", "", head("content-length: 1\r\ncontent-length: 2\r\n") + "ab"),
        raw("a length that the body does not have", "", head("content-length: 100\r\n") + "{}"),
        raw("a chunk size that is not a number", "", chunked.clone() + "zz\r\n{}\r\n0\r\n\r\n"),
        raw("a chunk size of 2^64", "", chunked + "10000000000000000\r\n{}"),
        raw("another protocol than HTTP", "", "SSH-2.0-OpenSSH_9.6\r\n"),
        raw("HTTP 0.9", "", "<html>"),
        answer("a redirect to itself", "status 307", 307, "location: {url}/elsewhere\r\n", vec![]),
        answer(
            "a redirect by JSON",
            "status 302",
            302,
            "location: {url}/elsewhere\r\n",
            page(0).to_string().into(),
        ),
        answer("no content", "status 204", 204, "", vec![]),
        answer("a good page under status 500", "status 500", 500, JSON, page(0).to_string().into()),
        answer("an error of 1 MB", "status 503", 503, JSON, vec![b'x'; 1 << 20]),
        answer(
            "a compressed body that nobody asked for",
            "not valid JSON",
            200,
            "content-encoding: gzip\r\n",
            gzip,
        ),
        answer(
            "HTML",
            "not valid JSON",
            200,
            "content-type: text/html\r\n",
            b"<html><title>502</title>".to_vec(),
        ),
    ]
}

/// A page with its text changed.
fn text_case(name: &str, failure: &'static str, change: impl Fn(String) -> String) -> Case {
    let body = change(page(0).to_string()).into_bytes();
    answer(name, failure, 200, JSON, body)
}

/// A page with its `data` changed.
fn data_case(name: &str, failure: &'static str, change: impl FnOnce(&mut Value)) -> Case {
    let mut page = page(0);
    change(&mut page["data"]);
    answer(name, failure, 200, JSON, page.to_string().into_bytes())
}

fn replaced(from: &'static str, to: &'static str) -> impl Fn(String) -> String {
    move |text| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    }
}

/// Pages in an invalid form.
pub fn of_pages() -> Vec<Case> {
    const BAD: &str = "not valid JSON";
    const FORM: &str = "cannot be read";
    let not_utf8 = {
        let text = page(0).to_string();
        let at = text.find("plain ascii").unwrap();
        let mut bytes = text.into_bytes();
        bytes[at] = 0xff;
        bytes
    };
    let utf16: Vec<u8> = page(0).to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let huge_list = |key: &str, item: &str| {
        let list = vec![item; 1_000_000].join(",");
        page(0).to_string().replacen(&format!("\"{key}\":["), &format!("\"{key}\":[{list},"), 1)
    };
    let empty_bodies = huge_list("batches", "\"\"").into_bytes();
    let null_signatures = huge_list("finalized_signatures", "null").into_bytes();
    vec![
        answer("bytes that are not UTF-8", BAD, 200, JSON, not_utf8),
        answer("UTF-16", BAD, 200, JSON, utf16),
        answer("nothing", BAD, 200, JSON, vec![]),
        answer("a million brackets", BAD, 200, JSON, vec![b'['; 1_000_000]),
        answer("a million empty bodies", "", 200, JSON, empty_bodies),
        answer("a million signatures that are null", FORM, 200, JSON, null_signatures),
        text_case("data of a million nested objects", BAD, |_| {
            format!(r#"{{"status":"success","data":{}"#, r#"{"data":"#.repeat(1_000_000))
        }),
        text_case("an error of a million nested lists", BAD, |_| {
            format!(r#"{{"status":"error","error":{}"#, "[".repeat(1_000_000))
        }),
        text_case("a body of 30 MB", "first_chaining_hash", |text| {
            text.replacen("plain ascii text", &"x".repeat(30 << 20), 1).replacen(
                "[{\\\"operation",
                "x[{\\\"operation",
                1,
            )
        }),
        text_case("a lone surrogate in a body", BAD, replaced("plain ascii", "\\ud800 ascii")),
        text_case("a second answer behind the first", BAD, |text| text.clone() + &text),
        text_case("data twice", BAD, replaced("\"data\":", "\"data\":null,\"data\":")),
        text_case(
            "bodies twice",
            BAD,
            replaced("\"batches\":", "\"batches\":[\"x\"],\"batches\":"),
        ),
        text_case("an index twice", FORM, replaced("\"index\":3", "\"index\":14,\"index\":3")),
        text_case("an index as a float", FORM, replaced("\"index\":3,", "\"index\":3.0,")),
        text_case("an index as a text", FORM, replaced("\"index\":3,", "\"index\":\"3\",")),
        text_case("a negative index", FORM, replaced("\"index\":3,", "\"index\":-3,")),
        text_case(
            "an index of 2^64",
            FORM,
            replaced("\"index\":3,", "\"index\":18446744073709551616,"),
        ),
        text_case(
            "an index of 2^64 - 1",
            "but the answer ends at batch 14",
            replaced("\"index\":3,", "\"index\":18446744073709551615,"),
        ),
        text_case("an index of 0", "out of order", replaced("\"index\":3,", "\"index\":0,")),
        data_case("bodies by name", BAD, |data| data["batches"] = json!({"1": "[]"})),
        data_case("a body that is a number", BAD, |data| data["batches"][1] = json!(7)),
        data_case("a body that is null", BAD, |data| data["batches"][1] = Value::Null),
        data_case("no bodies", "no batches", |data| data["batches"] = json!([])),
        data_case("no bodies and no signatures", "no batches", |data| {
            (data["batches"], data["finalized_signatures"]) = (json!([]), json!([]));
        }),
        data_case("a first chaining hash that is null", BAD, |data| {
            data["first_chaining_hash"] = Value::Null;
        }),
        data_case("a list instead of data", BAD, |data| *data = json!([])),
        data_case("a signature that is a list", FORM, |data| {
            data["finalized_signatures"][0] = json!([]);
        }),
    ]
}

/// A page with its first signature changed.
fn signature_case(name: &str, failure: &'static str, change: impl FnOnce(&mut Value)) -> Case {
    data_case(name, failure, |data| change(&mut data["finalized_signatures"][0]))
}

fn point(name: &str, failure: &'static str, change: impl FnOnce(&str, &str) -> String) -> Case {
    signature_case(name, failure, |signature| {
        let text = signature["signature"].as_str().unwrap().to_string();
        let mut numbers = text.split(' ').skip(1);
        let (x, y) = (numbers.next().unwrap(), numbers.next().unwrap());
        signature["signature"] = change(x, y).into();
    })
}

/// The y coordinate of the other point with the same x.
fn negated(y: &str) -> String {
    // p - y, digit by digit.
    let (mut digits, mut borrow) = (Vec::new(), 0_i8);
    let mut y = y.bytes().rev();
    for byte in FIELD.bytes().rev() {
        let mut digit =
            (byte - b'0') as i8 - borrow - y.next().map_or(0, |byte| (byte - b'0') as i8);
        borrow = i8::from(digit < 0);
        digit += 10 * borrow;
        digits.push(char::from(b'0' + digit as u8));
    }
    let text: String = digits.into_iter().rev().collect();
    text.trim_start_matches('0').into()
}

/// A valid page that another network's keys signed.
fn others_page() -> Vec<u8> {
    let key = BlsSecretKey::from_random(&[7; 48]).unwrap();
    let hash = chain("", "[]");
    let text = message("orderbook", SignedState::Locked, 1, 0, 7, &hash);
    let signature = key.sign(bls_message(&text).as_bytes()).unwrap().to_string();
    json!({"status": "success", "data": {
        "batches": ["[]"],
        "first_chaining_hash": hash,
        "finalized_signatures": [{
            "index": 1, "parent_index": 0, "timestamp": 7, "chaining_hash": hash,
            "nonsigners": [], "signature": signature,
        }],
    }})
    .to_string()
    .into_bytes()
}

/// Pages with invalid proofs.
pub fn of_proofs() -> Vec<Case> {
    const NOTHING: &str = "proves nothing";
    let ids: Vec<String> =
        captured("equal4/nodes.json").as_object().unwrap().keys().cloned().collect();
    let id = |number: usize| ids[number].clone();
    let lock = captured("equal4/last_finalized.json")["data"].clone();
    let many: Vec<String> = (0..100_000).map(|number| format!("0x{number}")).collect();
    let mut cases = vec![
        signature_case("an unknown non-signer", NOTHING, |signature| {
            signature["nonsigners"] = json!(["0x00"]);
        }),
        signature_case("the same non-signer twice", "twice", |signature| {
            let nonsigner = signature["nonsigners"][0].clone();
            signature["nonsigners"] = json!([nonsigner, nonsigner]);
        }),
        signature_case("all nodes are non-signers", NOTHING, |signature| {
            signature["nonsigners"] = json!(ids);
        }),
        signature_case("two of four named as non-signers", NOTHING, |signature| {
            signature["nonsigners"] = json!([id(0), id(1)]);
        }),
        signature_case("no non-signer although one did not sign", NOTHING, |signature| {
            signature["nonsigners"] = Value::Null;
        }),
        signature_case("a wrong non-signer", NOTHING, |signature| {
            let other = ids.iter().find(|id| signature["nonsigners"][0] != id.as_str()).unwrap();
            signature["nonsigners"] = json!([other]);
        }),
        signature_case("100,000 non-signers", "cannot be read", |signature| {
            signature["nonsigners"] = json!(many);
        }),
        signature_case("a signature that is null", "cannot be read", |signature| {
            signature["signature"] = Value::Null;
        }),
        signature_case("the point at infinity", NOTHING, |signature| {
            signature["signature"] = json!("0");
        }),
        point("the point at infinity, by its coordinates", NOTHING, |_, _| "1 0 0".into()),
        point("a point that is not on the curve", NOTHING, |x, _| format!("1 {x} 1")),
        point("the negated signature", NOTHING, |x, y| format!("1 {x} {}", negated(y))),
        point("coordinates with a leading zero", NOTHING, |x, y| format!("1 0{x} {y}")),
        point("coordinates with a sign", NOTHING, |x, y| format!("1 +{x} {y}")),
        point("coordinates above the field", NOTHING, |x, y| format!("1 {x} {y}{FIELD}")),
        point("a coordinate equal to the field order", NOTHING, |_, y| format!("1 {FIELD} {y}")),
        point("junk after the signature", NOTHING, |x, y| format!("1 {x} {y} junk")),
        point("another coordinate system", NOTHING, |x, y| format!("2 {x} {y}")),
        point("a signature of a megabyte", NOTHING, |x, y| format!("1 {x} {}", y.repeat(14_000))),
        signature_case("a time that was not signed", NOTHING, |signature| {
            signature["timestamp"] = json!(u64::MAX);
        }),
        signature_case("a parent that was not signed", NOTHING, |signature| {
            signature["parent_index"] = json!(2);
        }),
        signature_case("a chaining hash in capitals", "for chaining hash", |signature| {
            let hash = signature["chaining_hash"].as_str().unwrap().to_uppercase();
            signature["chaining_hash"] = hash.into();
        }),
        signature_case("a tag that is not a block", "cannot be read", |signature| {
            signature["tag"] = json!("latest");
        }),
        data_case("a lock instead of finality", NOTHING, |data| {
            let signatures = data["finalized_signatures"].as_array_mut().unwrap();
            let mut signature = signatures.pop().unwrap();
            signature["signature"] = lock["locked_signature"].clone();
            signature["nonsigners"] = lock["locked_nonsigners"].clone();
            *signatures = vec![signature];
        }),
        data_case("signatures with swapped indexes", NOTHING, |data| {
            let signatures = data["finalized_signatures"].as_array_mut().unwrap();
            let first = signatures[0]["signature"].clone();
            signatures[0]["signature"] = signatures[1]["signature"].clone();
            signatures[1]["signature"] = first;
        }),
        answer("a page that another network signed", NOTHING, 200, JSON, others_page()),
        text_case("an order slipped into a body", "first_chaining_hash", |text| {
            text.replacen("\\\"t\\\": 1", "\\\"t\\\": 2", 1)
        }),
    ];
    let first = page(0)["data"]["finalized_signatures"][0].clone();
    let mut repeated = data_case("the same signature a thousand times", "out of order", |data| {
        data["finalized_signatures"] = Value::from(vec![first; 1000]);
    });
    repeated.proven = 3;
    let mut third = data_case("a bad third signature", NOTHING, |data| {
        data["finalized_signatures"][2]["timestamp"] = json!(1);
    });
    third.proven = 5;
    cases.extend([repeated, third]);
    cases
}

/// A node that has no batches, and makes a claim about itself.
fn claim_case(name: &str, failure: &'static str, state: Sent) -> Case {
    let attack = Attack::by(move |asked, _| match asked {
        Asked::State => Some(state.clone()),
        Asked::Page(_) => Some(Sent::json(page(u64::MAX))),
        Asked::Last => Some(Sent::json(json!({"status": "success", "data": null}))),
        Asked::Other => None,
    });
    case(name, failure, attack)
}

/// Nodes that try to be chosen by their claims, and then withhold batches.
pub fn of_claims() -> Vec<Case> {
    const WITHHOLDS: &str = "but has nothing after 0";
    let claim = |value: Value| Sent::json(state(&value));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut state = state(&json!(14));
        change(&mut state["data"]);
        Sent::json(state)
    };
    let answer = |body: Vec<u8>| Sent::Answer(200, JSON.into(), body);
    let mut cases = vec![
        claim_case("it claims to have 2^64 - 1 batches", WITHHOLDS, claim(json!(u64::MAX))),
        claim_case("it claims to have the same batches as the others", WITHHOLDS, claim(json!(14))),
        claim_case("it claims to have nothing", "", claim(json!(0))),
        claim_case("it claims to have -1 batches", "", claim(json!(-1))),
        claim_case("it claims to have 14.5 batches", "", claim(json!(14.5))),
        claim_case(
            "it claims a version above all others",
            WITHHOLDS,
            changed(&|data| {
                data["version"] = json!("v999999.0.0");
            }),
        ),
        claim_case(
            "it claims to be the leader",
            WITHHOLDS,
            changed(&|data| {
                data["sequencer"] = json!(true);
            }),
        ),
        claim_case("it claims to know no app", "", changed(&|data| data["apps"] = json!({}))),
        claim_case("its state is 1 MB", "", answer(vec![b' '; 1 << 20])),
        claim_case("its state is a million brackets", "", answer(vec![b'['; 200_000])),
        claim_case("its state never ends", "", Sent::Trickle(head("").into(), b" ".to_vec())),
        claim_case(
            "its state is a redirect",
            "",
            Sent::Answer(307, "location: {url}/elsewhere\r\n".into(), vec![]),
        ),
    ];
    let last = |name: &str, failure, sent: Sent| {
        let attack = Attack::by(move |asked, _| match asked {
            Asked::Last => Some(sent.clone()),
            Asked::Page(_) => Some(Sent::json(page(u64::MAX))),
            _ => None,
        });
        case(name, failure, attack)
    };
    let with_index = |index: Value| {
        let mut last = captured("equal4/last_finalized.json");
        last["data"]["index"] = index;
        Sent::json(last)
    };
    cases.extend([
        last(
            "its last batch has the highest index of all",
            "over its last batch",
            with_index(json!(u64::MAX)),
        ),
        last("its last batch has a float for an index", "not valid JSON", with_index(json!(1e18))),
        last("its last batch is 20 MB", "larger", answer(vec![b' '; 20 << 20])),
        last("its last batch is not an object", "not valid JSON", Sent::json(json!([1]))),
    ]);
    cases
}
