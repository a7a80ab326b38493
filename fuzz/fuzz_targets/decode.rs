//! Raw bytes into every decoder. Whatever can be read must be written as the same bytes, and read again as an
//! equal value.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use zellbook_core::protocol::Element;
use zellbook_core::types::limits::DECIMAL_DIGITS_MAX;
use zellbook_core::types::{Scheme, Signature, StepError};
use zellbook_core::{
    Decimal, Genesis, LeafKey, NetworkId, PublicKey, SecretKey, SignedTransaction, Transaction,
};
use zellbook_fuzz::edits::edit_once;
use zellbook_fuzz::input::Input;
use zellbook_fuzz::venue;
use zellular::bls::BlsSignature;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let text = std::str::from_utf8(bytes);
    match (choice % 12, text) {
        (0, Ok(json)) => element(json),
        (1, Ok(json)) => unsigned(json),
        (2, _) => genesis(bytes),
        (3, Ok(text)) => decimal(text),
        (4, Ok(text)) => steps(text),
        (5, Ok(text)) => key_text(text),
        (6, _) => key_bytes(bytes),
        (7, _) => leaf_key(bytes),
        (8, Ok(text)) => signatures(text),
        (9, Ok(json)) => guide(json),
        (10 | 11, _) => edited(&mut Input(bytes)),
        _ => {}
    }
});

type Map = BTreeMap<String, String>;

/// The names and values of a flat object, as a general JSON parser reads them.
fn map(json: &str) -> Map {
    serde_json::from_str(json).expect("what is a transaction is a flat object of texts")
}

fn map_of(transaction: &Transaction) -> Map {
    transaction.fields().into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn element(json: &str) {
    let read = Element::read(json, false);
    // Accepting the guide's format changes nothing about other elements.
    match Element::read(json, true) {
        Ok(Element::Guide(_)) => assert!(read.is_err()),
        other => assert_eq!(other.ok(), read.as_ref().ok().cloned()),
    }
    let Ok(Element::Signed(signed)) = read else { return };
    let SignedTransaction { transaction, scheme, signature } = &signed;
    let mut fields = map_of(transaction);
    fields.insert("scheme".into(), scheme.name().into());
    fields.insert("signature".into(), signature.to_string());
    assert_eq!(fields, map(json));
    let written = signed.to_json();
    assert_eq!(Element::read(&written, false), Ok(Element::Signed(signed.clone())));
    check_text(transaction);
}

fn unsigned(json: &str) {
    let account = venue::cast().traders[0];
    let Ok(transaction) = Transaction::from_json_unsigned(json, account, 5) else { return };
    let mut fields = map(json);
    fields.entry("account".into()).or_insert(account.to_string());
    fields.entry("nonce".into()).or_insert("5".into());
    assert_eq!(fields, map_of(&transaction));
    let written = serde_json::to_string(&fields).unwrap();
    let other = venue::cast().traders[1];
    let again = Transaction::from_json_unsigned(&written, other, 6);
    assert_eq!(again.as_ref(), Ok(&transaction));
    check_text(&transaction);
}

/// Valid transactions with every optional field.
const TEMPLATES: [&str; 6] = [
    r#"{"kind":"replace","signer":"K","replaces_order":"7","market":"ETH/USDT","side":"buy","quantity":"1.5","price":"2000","time_in_force":"gtd","expires":"8","self_trade":"cancel_both","client_id":"a","nonce":"10","valid_until":"9"}"#,
    r#"{"kind":"authorize_key","key":"K","expires":"8","market":"ETH/USDT","spend_token":"ETH","spend_limit":"0.5"}"#,
    r#"{"kind":"attest","batch":"7","root":"abababababababababababababababababababababababababababababababab","clock":"9"}"#,
    r#"{"kind":"withdraw","token":"ETH","amount":"10","destination":"bank:/a@b+c"}"#,
    r#"{"kind":"deposit","token":"ETH","to":"K","amount":"0.01","reference":"r-1"}"#,
    r#"{"kind":"cancel","transaction":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
];

/// A valid transaction with one edited text. This soon finds a decoder that accepts too much.
fn edited(input: &mut Input) {
    let key = "02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f";
    let mut fields = map(&input.pick(&TEMPLATES).replace("\"K\"", &format!("\"{key}\"")));
    let place = input.below(fields.len());
    let value = fields.values_mut().nth(place).unwrap();
    let mut bytes = std::mem::take(value).into_bytes();
    edit_once(&mut bytes, input);
    *value = String::from_utf8_lossy(&bytes).into_owned();
    unsigned(&serde_json::to_string(&fields).unwrap());
}

/// Checks that the signed text has exactly one line for each field, so that it has only one meaning.
fn check_text(transaction: &Transaction) {
    let text = transaction.text(&NetworkId([0xab; 32]));
    let lines: Vec<(String, String)> = text
        .split('\n')
        .skip(1)
        .map(|line| line.split_once(": ").expect("a line has a name"))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let fields = transaction.fields().into_iter();
    let fields: Vec<_> = fields.map(|(name, value)| (name.to_string(), value)).collect();
    assert_eq!(lines, fields);
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
}

fn guide(json: &str) {
    let Ok(Element::Guide(order)) = Element::read(json, true) else { return };
    assert!(Element::read(json, false).is_err());
    let fields = map(json);
    assert_eq!(fields.len(), 7);
    assert_eq!(order.order.side.name(), fields["order_type"]);
    assert_eq!(order.order.market, format!("{}/{}", fields["base_token"], fields["quote_token"]));
    for (number, name) in [(order.order.quantity, "quantity"), (order.order.price, "price")] {
        assert_eq!(Decimal::parse_lenient(&fields[name]), Ok(number));
    }
    let hash = order.hash();
    // White space and the order of the keys do not change the order.
    let again = serde_json::to_string(&fields).unwrap();
    let Ok(Element::Guide(again)) = Element::read(&again, true) else { panic!("{again}") };
    assert_eq!((hash, &order), (again.hash(), &again));
    order.verify();
}

fn genesis(bytes: &[u8]) {
    let Ok(rules) = Genesis::read(bytes) else { return };
    let written = serde_json::to_vec(&rules.genesis).unwrap();
    assert_eq!(rules.network.0, <[u8; 32]>::from(Sha256::digest(&written)));
    let again = Genesis::read(&written).expect("its own text");
    assert_eq!(again, rules);
    assert_eq!(serde_json::to_vec(&again.genesis).unwrap(), written);
    for (market, spec) in rules.listing.markets.iter().zip(&rules.genesis.markets) {
        // One tick times one lot is a whole number of atoms, checked by multiplication without division.
        let decimals = rules.listing.token_at(market.quote).unwrap().decimals;
        let (tick, lot) = (spec.tick_size, spec.lot_size);
        let product = tick.digits().checked_mul(lot.digits()).unwrap();
        let (up, down) = (u32::from(decimals), u32::from(tick.scale()) + u32::from(lot.scale()));
        let equal = if up >= down {
            product.checked_mul(10_u128.pow(up - down)) == Some(market.atoms_per_tick_lot)
        } else {
            // Nothing above 10^38 fits a u128 except zero, and a product is never zero.
            let power = 10_u128.checked_pow(down - up).expect("a product is not below an atom");
            market.atoms_per_tick_lot.checked_mul(power) == Some(product)
        };
        assert!(equal, "{market:?}");
    }
}

/// The protocol's rules for decimal text, one by one. Returns whether a text is valid leniently, and strictly.
fn forms(text: &str) -> (bool, bool) {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let count: usize = parts.iter().map(|part| part.len()).sum();
    let lenient = parts.len() <= 2 && parts.iter().all(digits) && count <= DECIMAL_DIGITS_MAX;
    let leads = parts[0].len() > 1 && parts[0].starts_with('0');
    let trails = parts.len() == 2 && parts[1].ends_with('0');
    (lenient, lenient && !leads && !trails)
}

fn decimal(text: &str) {
    let (lenient, canonical) = forms(text);
    let read = Decimal::parse(text);
    assert_eq!(read.is_ok(), canonical);
    if let Ok(number) = read {
        assert_eq!(number.to_string(), text);
        assert_eq!(Decimal::parse_lenient(text), Ok(number));
    }
    let read = Decimal::parse_lenient(text);
    assert_eq!(read.is_ok(), lenient);
    if let Ok(number) = read {
        assert_eq!(Decimal::parse(&number.to_string()), Ok(number));
        let all: String = text.chars().filter(|digit| *digit != '.').collect();
        let places = text.split_once('.').map_or(0, |(_, places)| places.len());
        let dropped = u32::try_from(places - usize::from(number.scale())).unwrap();
        assert_eq!(all.parse::<u128>().ok(), number.digits().checked_mul(10_u128.pow(dropped)));
    }
}

/// Checks two numbers separated by a space: the first in steps of the second.
fn steps(text: &str) {
    let Some((number, step)) = text.split_once(' ') else { return };
    let (Ok(number), Ok(step)) = (Decimal::parse(number), Decimal::parse_lenient(step)) else {
        return;
    };
    match number.in_steps_of(step) {
        Ok(count) => {
            assert!(!step.is_zero());
            assert_eq!(Decimal::of_steps(count, step), Some(number));
        }
        Err(StepError::OffStep) => {}
        Err(StepError::TooLarge) => assert!(number.digits() > 0 && step.scale() > number.scale()),
    }
    if let Some((below, above)) = number.neighbours(step) {
        assert!(below.in_steps_of(step) != Err(StepError::OffStep));
        assert!(above.in_steps_of(step) != Err(StepError::OffStep));
        assert_eq!(below == number, number.in_steps_of(step) != Err(StepError::OffStep));
    }
    if let Some(nearest) = number.nearest(step) {
        assert!(!nearest.is_zero());
        let (below, above) = number.neighbours(step).unwrap();
        assert!(nearest == below || nearest == above);
    }
    let atoms = number.product_in_atoms(step, 18);
    assert_eq!(atoms, step.product_in_atoms(number, 18));
    if let Some(shifted) = number.shifted(step.scale()) {
        assert_eq!(shifted.digits() == 0, number.is_zero());
    }
}

fn key_text(text: &str) {
    let Ok(key) = text.parse::<PublicKey>() else { return };
    assert_eq!(key.to_string(), text);
    assert_eq!(PublicKey::from_sec1(key.as_bytes()), Ok(key));
}

fn key_bytes(bytes: &[u8]) {
    let Ok(key) = PublicKey::from_sec1(bytes) else { return };
    match bytes.len() {
        33 => assert_eq!(key.as_bytes(), bytes),
        65 => assert_eq!((bytes[0], &bytes[1..33]), (4, &key.as_bytes()[1..])),
        other => panic!("a key of {other} bytes"),
    }
    assert_eq!(PublicKey::from_sec1(key.as_bytes()), Ok(key));
    assert_eq!(key.to_string().parse(), Ok(key));
}

fn leaf_key(bytes: &[u8]) {
    let Ok(key) = LeafKey::from_bytes(bytes) else { return };
    assert_eq!(key.to_bytes(), bytes);
    assert_eq!(LeafKey::from_bytes(&key.to_bytes()), Ok(key));
}

fn signatures(text: &str) {
    if let Ok(scheme) = text.parse::<Scheme>() {
        assert_eq!(scheme.name(), text);
    }
    if let Ok(signature) = text.parse::<Signature>() {
        assert_eq!(signature.to_string(), text);
    }
    if let Ok(signature) = BlsSignature::parse(text) {
        assert_eq!(signature.to_string(), text);
    }
    if let Ok(key) = SecretKey::from_hex(text) {
        assert_eq!(*key.to_hex(), text.strip_prefix("0x").unwrap_or(text).to_lowercase());
    }
}
