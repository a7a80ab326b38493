//! Tests of a replica behind nginx, with the configuration of docs/operating.md.

use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Replica, TIMEOUT, key};
use crate::nginx::{BEHIND, Nginx};
use crate::raw::{address, request};

#[tokio::test]
async fn the_page_works_behind_nginx_and_other_pages_do_not() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &BEHIND).await;
    // nginx names its upstream as the host, unless it is told to pass the browser's on as in Debian's
    // proxy_params.
    for (seed, extra) in [(1, ""), (2, "proxy_set_header Host $http_host;")] {
        let nginx = Nginx::start(folder.path(), &replica, extra, true).await;
        let lines = ["GET /v1/status HTTP/1.1", "Host: exchange.example"];
        assert_eq!(request(nginx.address, &lines, "").await.status, 200, "{extra}");
        let body = json!({ "account": key(seed).public_key().to_string() }).to_string();
        let credit = async |origin: &str| {
            nginx.post([127, 0, 0, 1], "/v1/faucet", origin, &body).await.status
        };
        assert_eq!(credit("https://evil.example").await, 403, "{extra}");
        assert_eq!(credit("http://exchange.example:81").await, 403, "{extra}");
        assert_eq!(credit("https://exchange.example").await, 202, "{extra}");
        assert_eq!(nginx.open_socket("https://exchange.example").await, 101, "{extra}");
        assert_eq!(nginx.open_socket("https://evil.example").await, 403, "{extra}");
    }
}

#[tokio::test]
async fn unfinished_bodies_of_one_client_behind_a_proxy_leave_the_others_alone() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &BEHIND).await;
    let to = address(&replica);
    let post = |client: &str| {
        format!(
            "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n["
        )
    };
    // As a proxy that passes bodies on as they arrive. A client without a proxy can have as many connections.
    let mut streams = Vec::new();
    for _ in 0..256 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(post("203.0.113.1").as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let status = async |client: &str| {
        let forwarded = format!("X-Forwarded-For: {client}");
        let lines = ["GET /v1/status HTTP/1.1", "Host: localhost", forwarded.as_str()];
        request(to, &lines, "").await
    };
    let started = Instant::now();
    // Until the replica has read all heads.
    let refused = loop {
        let answer = status("203.0.113.1").await;
        if answer.status != 200 || started.elapsed() > TIMEOUT {
            break answer;
        }
    };
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.body.contains("too_many_requests"), "{refused:?}");
    assert_eq!(status("203.0.113.2").await.status, 200);
    // One that ends makes room for one more.
    drop(streams.pop());
    while status("203.0.113.1").await.status != 200 {
        assert!(started.elapsed() < TIMEOUT);
    }
}

#[tokio::test]
async fn the_page_works_behind_nginx_with_tls() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &BEHIND).await;
    let nginx = Nginx::start(folder.path(), &replica, "", true).await;
    let client = nginx.client([127, 0, 0, 6]);
    let status = client.get(nginx.url("/v1/status")).send().await.unwrap();
    assert_eq!(status.status(), 200);
    let credit = async |origin: &str| {
        let body = json!({ "account": key(1).public_key().to_string() });
        let post = client.post(nginx.url("/v1/faucet")).header("origin", origin);
        post.json(&body).send().await.unwrap().status()
    };
    assert_eq!(credit("https://evil.example").await, 403);
    assert_eq!(credit("https://exchange.example").await, 202);
}

#[tokio::test]
async fn each_client_behind_nginx_has_bounds_of_its_own() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &BEHIND).await;
    let nginx = Nginx::start(folder.path(), &replica, "", true).await;
    let bad = |count| {
        let bad = (0..count).map(|_| {
            let (json, _) = replica.sign_order(&key(9), "sell 1 ETH/USDT @ 2000");
            json.replace("\"price\":\"2000\"", "\"price\":\"2001\"")
        });
        format!("[{}]", bad.collect::<Vec<_>>().join(","))
    };
    let send = async |source, count| {
        let own = "https://exchange.example";
        nginx.post(source, "/v1/transactions", own, &bad(count)).await
    };
    let answer = send([127, 0, 0, 5], 500).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    let answer = send([127, 0, 0, 6], 9).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["transactions"][0]["error"]["name"], "bad_signature");
}
