//! Attacks through nginx, from one address. They reach the replica in connections that all clients share.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

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

async fn behind_nginx(bounds: bool) -> Scene {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &BEHIND).await;
    let proxy = Some(Nginx::start(folder.path(), &replica, "", bounds).await);
    Scene { replica, proxy, folder }
}

/// The honest client has another address than the attackers.
async fn withstands<A>(
    name: &str,
    (slack, bounds): (Duration, bool),
    attack: impl AsyncFn(SocketAddr, &Scene) -> A,
) {
    let name = format!("behind nginx with TLS, {name}");
    let start = async |scene: &Scene| attack(scene.proxy.as_ref().unwrap().address, scene).await;
    let check = async |scene: &Scene, _: &A| {
        let nginx = scene.proxy.as_ref().unwrap();
        // A WebSocket of another client finds a place.
        assert_eq!(nginx.open_socket("https://exchange.example").await, 101);
    };
    let behind = async || behind_nginx(bounds).await;
    compare(&name, (200, slack), behind, visit, start, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_of_one_client_behind_nginx_do_not_keep_others_out() {
    withstands("512 WebSockets of one client", (SLACK, false), async |to, _| {
        Attack::on(to, Source::One, 512, subscription()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_reads_of_one_client_behind_nginx_do_not_delay_others() {
    withstands(
        "512 connections of one client that send 200 reads at once",
        (WORK_SLACK, true),
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
        (SLACK, false),
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
