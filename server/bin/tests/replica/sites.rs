//! Tests of what pages of other sites, and requests for other hosts, may not do.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Replica, key};
use crate::raw::{Answer, address, request};

/// Asks the faucet to credit an account: a write that needs no signature.
async fn credit(replica: &Replica, seed: u8, host: &str, lines: &[&str]) -> Answer {
    let body = json!({ "account": key(seed).public_key().to_string() }).to_string();
    let host = format!("Host: {host}");
    let all = [&["POST /v1/faucet HTTP/1.1", &host], lines].concat();
    request(address(replica), &all, &body).await
}

fn code(answer: &Answer) -> Value {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    body["error"]["code"].clone()
}

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_page_of_another_site_cannot_write() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let own = address(&replica).to_string();
    for lines in [
        &[JSON, "Origin: http://evil.example"] as &[_],
        &[JSON, "Origin: null"],
        // Another port of the same machine is the same site, and still not this page.
        &[JSON, "Origin: http://127.0.0.1:3000", "Sec-Fetch-Site: same-site"],
        &[JSON, "Sec-Fetch-Site: cross-site"],
        &[JSON, "Sec-Fetch-Site: same-site"],
    ] {
        let answer = credit(&replica, 1, &own, lines).await;
        assert_eq!((answer.status, code(&answer)), (403, json!("other_origin")), "{lines:?}");
    }
    // What browsers send to other sites without asking them first.
    for kind in [
        &[] as &[_],
        &["Content-Type: text/plain"],
        &["Content-Type: application/x-www-form-urlencoded"],
        &["Content-Type: multipart/form-data; boundary=x"],
        &["Content-Type: text/plain; application/json"],
    ] {
        let answer = credit(&replica, 1, &own, kind).await;
        assert_eq!((answer.status, code(&answer)), (415, json!("not_json_type")), "{kind:?}");
    }
    // A form of another site reaches the route that accepts forms, and is refused by its origin.
    let host = format!("Host: {own}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let mut lines = vec!["POST /order HTTP/1.1", &host, form, "Origin: http://evil.example"];
    let answer = request(address(&replica), &lines, "order_type=buy").await;
    assert_eq!((answer.status, code(&answer)), (403, json!("other_origin")));
    lines.pop();
    let answer = request(address(&replica), &lines, "order_type=buy").await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("Missing fields"), "{answer:?}");

    let own_page = format!("Origin: http://{own}");
    for (seed, lines) in [
        (1, &[JSON] as &[_]),
        (2, &["content-type: Application/JSON; charset=utf-8"]),
        (3, &[JSON, &own_page, "Sec-Fetch-Site: same-origin"]),
        (4, &[JSON, "Sec-Fetch-Site: none"]),
    ] {
        let answer = credit(&replica, seed, &own, lines).await;
        assert_eq!(answer.status, 202, "{lines:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_replica_answers_only_for_its_own_hosts() {
    let folder = TempDir::new().unwrap();
    let listed = ["--origin", "https://exchange.example", "--origin", "HTTP://Other.Example:8000"];
    let replica = Replica::start(&folder, "data", &listed).await;
    let port = address(&replica).port();
    let ask = async |host: &str| {
        let host = format!("Host: {host}");
        request(address(&replica), &["GET /v1/status HTTP/1.1", &host], "").await
    };
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "exchange.example".into(),
        "other.example:8000".into(),
    ] {
        assert_eq!(ask(&host).await.status, 200, "{host}");
    }
    for host in [format!("evil.example:{port}"), "exchange.example.evil.example".into()] {
        let answer = ask(&host).await;
        assert_eq!((answer.status, code(&answer)), (421, json!("wrong_host")), "{host}");
        assert!(answer.body.contains("--origin http://"), "{answer:?}");
    }
    // The page's files too, or a rebound name would give other sites the page's storage.
    let lines = ["GET / HTTP/1.1", "Host: evil.example"];
    assert_eq!(request(address(&replica), &lines, "").await.status, 421);

    // Behind a proxy that names its upstream as the host, the browser's origin is the public one.
    let own = address(&replica).to_string();
    for (seed, origin, status) in [
        (1, "Origin: https://exchange.example", 202),
        (2, "Origin: https://EXCHANGE.example:443", 202),
        (3, "Origin: http://exchange.example", 403),
        (3, "Origin: https://exchange.example:8443", 403),
    ] {
        let answer = credit(&replica, seed, &own, &[JSON, origin]).await;
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
}
