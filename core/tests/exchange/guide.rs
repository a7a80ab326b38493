//! Orders in the integration guide's format.

use serde_json::{Value, json};
use zellbook_core::protocol::check_element;
use zellbook_core::{Action, Genesis, PublicKey, SecretKey};

use crate::venue::{Venue, issuer, rules};

fn seed() -> Vec<Value> {
    let text = include_str!("../vectors/seed/orders.json");
    let file: Value = serde_json::from_str(text).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn find(name: &str) -> String {
    let seed = seed();
    let case = seed.iter().find(|case| case["name"].as_str().unwrap().starts_with(name));
    case.unwrap()["order"].to_string()
}

#[test]
fn every_seed_order_is_accepted_or_rejected_as_expected() {
    let rules = rules();
    let cases = seed();
    assert_eq!(cases.len(), 42);
    for case in cases {
        let verdict = check_element(&rules, &case["order"].to_string());
        assert_eq!(verdict.is_ok(), case["valid"] == true, "{}", case["name"]);
        if let (Some(secret), Ok(checked)) = (case["secret_key_hex"].as_str(), verdict) {
            assert_eq!(checked.account, SecretKey::from_hex(secret).unwrap().public_key());
            assert_eq!(checked.kind(), "guide_order");
        }
    }
}

#[test]
fn the_hash_of_a_guide_order_does_not_depend_on_the_encoding_of_key_and_s() {
    let rules = rules();
    let hash = |name: &str| check_element(&rules, &find(name)).unwrap().hash;
    for number in 0..6 {
        let raw = hash(&format!("order{number}-raw64"));
        assert_eq!(hash(&format!("order{number}-compressed33")), raw);
        assert_eq!(hash(&format!("order{number}-uncompressed65")), raw);
        assert_eq!(hash(&format!("order{number}-other-s")), raw);
    }
}

fn fund(venue: &mut Venue, to: PublicKey, token: &str) {
    let reference = format!("guide-{token}");
    let amount = "1000000".parse().unwrap();
    venue.act(&issuer(), Action::Deposit { token: token.into(), to, amount, reference }).unwrap();
}

#[test]
fn a_guide_order_is_applied_once_in_whatever_encoding() {
    let mut venue = Venue::empty();
    let account = check_element(&venue.rules, &find("order0-raw64")).unwrap().account;
    fund(&mut venue, account, "USDT");
    let events = venue.apply_one(&find("order0-raw64")).unwrap();
    assert_eq!(events.len(), 1, "accepted, at 1.5 @ 2000");
    for twin in ["order0-raw64", "order0-compressed33", "order0-uncompressed65", "order0-other-s"] {
        assert_eq!(venue.apply_one(&find(twin)).unwrap_err().code(), 3, "{twin}");
    }
}

#[test]
fn a_rejected_guide_order_can_never_succeed_later() {
    let mut venue = Venue::empty();
    let account = check_element(&venue.rules, &find("order0-raw64")).unwrap().account;
    fund(&mut venue, account, "ETH");
    assert_eq!(venue.apply_one(&find("order0-raw64")).unwrap_err().code(), 40);
    fund(&mut venue, account, "USDT");
    assert_eq!(venue.apply_one(&find("order0-raw64")).unwrap_err().code(), 3);
}

#[test]
fn a_guide_order_of_an_unknown_key_leaves_its_signature_unused() {
    let mut venue = Venue::empty();
    let account = check_element(&venue.rules, &find("order0-raw64")).unwrap().account;
    let leaves = venue.leaves.len();
    assert_eq!(venue.apply_one(&find("order0-raw64")).unwrap_err().code(), 8);
    assert_eq!(venue.leaves.len(), leaves);
    fund(&mut venue, account, "USDT");
    assert!(venue.apply_one(&find("order0-raw64")).is_ok());
}

#[test]
fn needless_zeros_in_guide_orders_are_accepted() {
    let mut venue = Venue::empty();
    let account = check_element(&venue.rules, &find("order3-raw64")).unwrap().account;
    fund(&mut venue, account, "ETH");
    assert!(venue.apply_one(&find("order3-raw64")).is_ok(), "sell,ETH,USDT,1.50,2000.00");
    let other = check_element(&venue.rules, &find("order5-raw64")).unwrap().account;
    fund(&mut venue, other, "BTC");
    assert_eq!(venue.apply_one(&find("order5-raw64")).unwrap_err().code(), 10, "ZELL/ETH");
}

#[test]
fn guide_orders_of_another_shape_are_malformed() {
    let rules = rules();
    let check = |change: &dyn Fn(&mut Value)| {
        let mut order: Value = serde_json::from_str(&find("order0-raw64")).unwrap();
        change(&mut order);
        check_element(&rules, &order.to_string()).unwrap_err().reject.code()
    };
    assert_eq!(check(&|order| order["extra"] = json!("1")), 1);
    assert_eq!(check(&|order| order["price"] = json!(2000)), 1);
    assert_eq!(check(&|order| order["price"] = json!("two")), 1);
    assert_eq!(check(&|order| order["order_type"] = json!("hold")), 1);
    assert_eq!(check(&|order| drop(order.as_object_mut().unwrap().remove("signature"))), 1);
    // Moving a comma gives other fields with the same signed text.
    assert_eq!(
        check(&|order| {
            order["base_token"] = json!("ETH,USDT");
            order["quote_token"] = json!("1.5");
            order["quantity"] = json!("2000");
        }),
        1
    );
}

#[test]
fn genesis_can_turn_the_guides_format_off() {
    let mut genesis = rules().genesis.clone();
    genesis.guide_orders = false;
    let json = serde_json::to_vec(&genesis).unwrap();
    let rules = Genesis::read(&json).unwrap();
    assert_eq!(check_element(&rules, &find("order0-raw64")).unwrap_err().reject.code(), 1);
}
