//! Supervisors and monitoring are answered on a listener of their own, whatever holds the other one.

use tempfile::TempDir;

use super::{Attack, Source};
use crate::harness::{Replica, free_port};
use crate::raw::{Answer, request};

const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

async fn get(port: u16, path: &str) -> Answer {
    let line = format!("GET {path} HTTP/1.1");
    request(([127, 0, 0, 1], port).into(), &[&line, "Host: 127.0.0.1"], "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_listener_answers_while_all_connections_of_the_other_are_taken() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let replica = Replica::start(&folder, "data", &["--admin-listen", &listen]).await;
    replica.until("/v1/status", |status| status["state"] == "following").await;

    let attack = Attack::start(&replica, Source::Many, 1153, Vec::new()).await;
    assert_eq!((get(port, "/healthz").await.status, get(port, "/readyz").await.status), (200, 200));
    let metrics = get(port, "/metrics").await;
    assert_eq!(metrics.status, 200, "{metrics:?}");
    assert!(metrics.body.contains("\nzellbook_batch "), "{metrics:?}");
    // Nothing else is served there, for example no transactions are taken.
    assert_eq!(get(port, "/v1/status").await.status, 404);
    // A page of another site can give its own name this address, and must not read metrics with it.
    let lines = ["GET /metrics HTTP/1.1", "Host: other.example"];
    assert_eq!(request(([127, 0, 0, 1], port).into(), &lines, "").await.status, 421);
    drop(attack);

    for path in PATHS {
        let (status, body) = replica.request(reqwest::Method::GET, path, "").await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (404, &"unknown_path".into()));
    }
}
