//! A genesis file is strict JSON. Two programs that read the same file differently would disagree on the
//! network id, so everything that JSON parsers treat differently is refused.

use zellbook_core::Genesis;

/// Returns a valid genesis file.
fn valid() -> String {
    let golden = include_str!("golden.json");
    let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
    golden["genesis"].to_string()
}

fn is_refused(json: &[u8]) -> bool {
    Genesis::read(json).is_err()
}

/// Returns the valid file with one text replaced. Panics if it does not have the text.
fn with(from: &str, to: &str) -> Vec<u8> {
    let json = valid();
    assert!(json.contains(from), "{from}");
    json.replacen(from, to, 1).into_bytes()
}

#[test]
fn white_space_around_a_genesis_and_inside_it_is_allowed() {
    let id = Genesis::read(valid().as_bytes()).unwrap().network;
    let spaced = format!(" \t\r\n{} \n", valid().replace(":", " : "));
    assert_eq!(Genesis::read(spaced.as_bytes()).unwrap().network, id);
    assert!(is_refused(format!("{}x", valid()).as_bytes()), "nothing may follow");
}

#[test]
fn numbers_of_a_genesis_are_plain_integers() {
    for number in ["-0", "0.0", "0e0", "-1", "1.0", "1e0", "00", "01", "+1", "\"1\"", "4294967296"]
    {
        let json = with(r#""version":1"#, &format!(r#""version":{number}"#));
        assert!(is_refused(&json), "{number}");
    }
    // Refused also in a field for which 0 is valid.
    let fee = |text: &str| {
        let mut genesis: serde_json::Value = serde_json::from_str(&valid()).unwrap();
        genesis["markets"][0]["maker_fee_bps"] = 4321.into();
        genesis.to_string().replace("4321", text)
    };
    assert!(!is_refused(fee("0").as_bytes()));
    for number in ["-0", "0.0", "0e0"] {
        assert!(is_refused(fee(number).as_bytes()), "{number}");
    }
}

#[test]
fn a_lone_surrogate_in_a_genesis_is_refused_and_a_pair_is_one_character() {
    let name = |name: &str| {
        let mut genesis: serde_json::Value = serde_json::from_str(&valid()).unwrap();
        genesis["name"] = "NAME".into();
        Genesis::read(genesis.to_string().replace("NAME", name).as_bytes())
    };
    assert_eq!(name(r"\ud83d\ude00").unwrap().network, name("\u{1f600}").unwrap().network);
    for text in [r"\ud83d", r"\ude00", r"\ude00\ud83d", r"\ud83d\ud83d", r"\ud83dx"] {
        assert!(name(text).is_err(), "{text}");
    }
}

#[test]
fn a_byte_order_mark_and_invalid_utf_8_are_refused() {
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(valid().into_bytes());
    assert!(is_refused(&marked));
    for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"] {
        let mut json = valid().into_bytes();
        let name = br#""name":""#;
        let at = json.windows(name.len()).position(|window| window == name).unwrap() + name.len();
        json.splice(at..at, bytes.iter().copied());
        assert!(is_refused(&json), "{bytes:x?}");
    }
}

#[test]
fn the_objects_of_a_genesis_are_objects_and_not_arrays_of_their_values() {
    let list = |object: &serde_json::Value| {
        serde_json::Value::from_iter(object.as_object().unwrap().values().cloned())
    };
    let genesis: serde_json::Value = serde_json::from_str(&valid()).unwrap();
    let in_order = Genesis::read(valid().as_bytes()).unwrap().genesis;
    for place in ["", "/tokens/0", "/markets/0", "/limits", "/replicas/0"] {
        // The values must be in the order of the fields, which only the type knows.
        let mut written = serde_json::to_value(&in_order).unwrap();
        let object = written.pointer_mut(place).unwrap();
        *object = list(object);
        let error = Genesis::read(written.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("must be a JSON object"), "{place}: {error}");
    }
    assert!(!is_refused(genesis.to_string().as_bytes()));
}
