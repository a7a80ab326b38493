//! Tests with the integration guide's own client, in Python with the `ecdsa` package.

use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::SecretKey;
use zellbook_core::protocol::check_element;

use crate::harness::{Replica, balance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guides_client_places_orders_and_they_match() {
    let python = std::env::var("ZELLBOOK_TEST_PYTHON").expect(
        "ZELLBOOK_TEST_PYTHON names a Python with the packages of tests/guide/requirements.txt; \
         cargo xtask test makes one",
    );
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    // Fund the two accounts whose keys the client derives.
    let buyer = SecretKey::from_bytes(&[0x11; 32]).unwrap();
    let seller = SecretKey::from_bytes(&[0x22; 32]).unwrap();
    replica.fund(&[buyer.public_key(), seller.public_key()]).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/guide/client.py");
    let output = Command::new(python).arg(script).arg(&replica.process.url).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let answers: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        answers,
        vec![
            json!([200, {"success": true}]),
            json!([200, {"success": true}]),
            json!([403, {"message": "Invalid signature"}]),
        ]
    );
    let account = format!("/v1/accounts/{}", buyer.public_key());
    let body = replica.until(&account, |body| !body["fills"].as_array().unwrap().is_empty()).await;
    assert_eq!(body["fills"][0]["price"], "2000");
    assert_eq!(body["fills"][0]["quantity"], "1");
    assert_eq!(balance(&body, "ETH"), "11 + 0");
    assert_eq!(balance(&replica.account(&seller).await, "USDT"), "52000 + 0");
}

#[tokio::test]
async fn orders_are_accepted_as_form_and_json_and_missing_fields_are_named() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../core/tests/vectors/seed/orders.json");
    let seed = std::fs::read_to_string(path).unwrap();
    let seed: Value = serde_json::from_str(&seed).unwrap();
    let order = &seed["vectors"][0]["order"];
    let url = format!("{}/order", replica.process.url);
    let client = crate::harness::client();
    let send = |order: Value| {
        let request =
            client.post(&url).header("content-type", "application/json").body(order.to_string());
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            (status, serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap())
        }
    };
    let (status, body) = send(order.clone()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body["message"].as_str().unwrap().contains("does not know the key"), "{body}");
    let account = check_element(&replica.rules, &order.to_string()).unwrap().account;
    replica.fund(&[account]).await;
    assert_eq!(send(order.clone()).await, (StatusCode::OK, json!({"success": true})));
    let mut changed = order.clone();
    changed["price"] = json!("1999");
    assert_eq!(
        send(changed).await,
        (StatusCode::FORBIDDEN, json!({"message": "Invalid signature"}))
    );
    let mut incomplete = order.clone();
    incomplete.as_object_mut().unwrap().remove("price");
    assert_eq!(
        send(incomplete).await,
        (StatusCode::BAD_REQUEST, json!({"message": "Missing fields: price"}))
    );
    let mut wrong = order.clone();
    wrong["quantity"] = json!("many");
    let (status, body) = send(wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["message"].as_str().unwrap().contains("`quantity` is not a number"), "{body}");
    // sell,ZELL,ETH: the signature is valid, but there is no such market.
    let unknown =
        seed["vectors"].as_array().unwrap().iter().find(|case| case["name"] == "order5-raw64");
    let (status, body) = send(unknown.unwrap()["order"].clone()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body["message"].as_str().unwrap().contains("there is no market ZELL/ETH"), "{body}");
    let (status, body) = replica.request(Method::POST, "/order", "nothing").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    assert!(body["message"].is_string());
}
