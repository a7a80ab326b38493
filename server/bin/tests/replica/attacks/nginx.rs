//! Attacks through nginx, from one address. They reach the replica in connections that all clients share.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::connections::{BODY, HEAD, WASM, site};
use super::signatures::{bad_transactions, send};
use super::sockets::subscription;
use super::{Attack, Attackers, PACE, SLACK, Scene, Source, WORK_SLACK, compare, flood, pipelined};
use crate::harness::Replica;
use crate::nginx::{BEHIND, Nginx};

/// Asks for the status through the proxy, each time on a new TLS connection.
async fn visit(scene: &Scene, requests: usize) -> Vec<Duration> {
    let nginx = scene.proxy.as_ref().unwrap();
    let client = nginx.client([127, 0, 0, 6]);
    let mut times = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    for _ in 0..requests {
        pace.tick().await;
        let started = Instant::now();
        let answer = client.get(nginx.url("/v1/status")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        times.push(started.elapsed());
    }
    times
}

/// nginx with some more directives for each request, and with or without its own bound of connections.
async fn behind_nginx(extra: &str, bounds: bool) -> Scene {
    let folder = TempDir::new().unwrap();
    let page = ["--page", &site(&folder)];
    let replica = Replica::start(&folder, "data", &[&BEHIND[..], &page].concat()).await;
    let proxy = Some(Nginx::start(folder.path(), &replica, extra, bounds).await);
    Scene { replica, proxy, folder }
}

/// The honest client has another address than the attackers.
async fn withstands<A>(
    name: &str,
    (slack, extra, bounds): (Duration, &str, bool),
    attack: impl AsyncFn(SocketAddr, &Scene) -> A,
) {
    let name = format!("behind nginx with TLS, {name}");
    let start = async |scene: &Scene| attack(scene.proxy.as_ref().unwrap().address, scene).await;
    let check = async |scene: &Scene, _: &A| {
        let nginx = scene.proxy.as_ref().unwrap();
        // A WebSocket of another client finds a place.
        assert_eq!(nginx.open_socket("https://exchange.example").await, 101);
    };
    let behind = async || behind_nginx(extra, bounds).await;
    compare(&name, (200, slack), behind, visit, start, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_one_client_behind_nginx_do_not_keep_others_out() {
    withstands("512 WebSockets of one client", (SLACK, "", false), async |to, _| {
        Attack::on(to, Source::One, 512, subscription()).await
    })
    .await;
}

/// Connections of one client that hold resources of nginx, with everything that the document says.
async fn withstands_connections(what: &str, bytes: &str) {
    let bytes = bytes.replace("127.0.0.1", "exchange.example");
    withstands(&format!("1,153 {what} of one client"), (SLACK, "", true), async |to, _| {
        Attack::on(to, Source::One, 1153, bytes.clone().into()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_of_one_client_behind_nginx_do_not_keep_others_out() {
    withstands_connections("idle connections", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_heads_of_one_client_behind_nginx_do_not_keep_others_out() {
    withstands_connections("unfinished heads", HEAD).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_of_one_client_behind_nginx_do_not_keep_others_out() {
    withstands_connections("unfinished bodies", BODY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_that_nginx_passes_on_do_not_keep_others_out() {
    let name = "1,153 unfinished bodies of one client, passed on as they arrive";
    let bytes = BODY.replace("127.0.0.1", "exchange.example");
    withstands(name, (SLACK, "proxy_request_buffering off;", false), async |to, _| {
        Attack::on(to, Source::One, 1153, bytes.clone().into()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_one_client_behind_nginx_do_not_keep_others_out() {
    withstands_connections("slow readers", WASM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_reads_of_one_client_behind_nginx_do_not_delay_others() {
    withstands(
        "512 connections of one client that send 200 reads at once",
        (WORK_SLACK, "", true),
        async |to, _| {
            let paths = vec!["/v1/headers".to_string(); 200];
            flood(to, Source::One, 512, pipelined(&paths, "exchange.example"))
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_signatures_of_one_client_behind_nginx_do_not_delay_others() {
    withstands(
        "64 requests of 1,000 bad signatures of one client",
        (SLACK, "", false),
        async |to, scene| {
            let body = bad_transactions(&scene.replica, 1000);
            let attackers = Attackers::new();
            for _ in 0..64 {
                let body = body.clone();
                attackers.spawn(async move {
                    loop {
                        // Errors end one request, and the attacker goes on.
                        let _ = send(to, [127, 0, 0, 5], &body).await;
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                });
            }
            attackers
        },
    )
    .await;
}
