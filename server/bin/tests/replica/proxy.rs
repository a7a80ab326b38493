//! Tests of a replica behind nginx, with the configuration of docs/operating.md.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::attacks::signatures::bad_transactions;
use crate::attacks::sockets::subscription;
use crate::attacks::{
    Attack, Attackers, SLACK, Scene, Source, WORK_SLACK, compare, flood, pipelined,
};
use crate::harness::{Replica, TIMEOUT, free_port, key, text};
use crate::raw::{Answer, address, connect_from, first_answer, request};

/// nginx, killed when this is dropped.
pub struct Nginx {
    process: Child,
    /// Where it listens with TLS.
    secure: SocketAddr,
    /// Where it listens without, for requests as bytes.
    address: SocketAddr,
    certificate: PathBuf,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Fails if it has already exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Debian has it in a folder that is often on the path of root only.
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let mut files = folders.map(|folder| folder.join("nginx"));
    files.find(|file| file.is_file()).expect(
        "this test needs nginx: install the package nginx of your system; cargo xtask test does so where it can",
    )
}

/// A certificate that signs itself, and its key.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=exchange.example \
        -addext subjectAltName=DNS:exchange.example -addext basicConstraints=critical,CA:FALSE";
    let made = Command::new("openssl")
        .args(arguments.split_whitespace())
        .args([Path::new("-keyout"), &key, Path::new("-out"), &certificate])
        .output()
        .expect("this test needs the program openssl: install the package of your system");
    assert!(made.status.success(), "{}", text(&made.stderr));
    (certificate, key)
}

/// The configuration in docs/operating.md, for other addresses and another certificate.
fn configuration(
    secure: SocketAddr,
    plain: SocketAddr,
    upstream: SocketAddr,
    (certificate, key): (&Path, &Path),
) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let live = "/etc/letsencrypt/live/exchange.example";
    let mut block = block.to_string();
    for (from, to) in [
        ("listen 443 ssl".to_string(), format!("listen {plain} backlog=4096; listen {secure} ssl")),
        (format!("{live}/fullchain.pem"), certificate.display().to_string()),
        (format!("{live}/privkey.pem"), key.display().to_string()),
        ("127.0.0.1:8080".into(), upstream.to_string()),
    ] {
        assert!(block.contains(&from), "{from:?} is not in the configuration: {block}");
        block = block.replace(&from, &to);
    }
    block
}

impl Nginx {
    async fn start(folder: &Path, replica: &Replica, extra: &str, bounds: bool) -> Self {
        let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (secure, address) = (free(), free());
        let (certificate, key) = certificate(folder);
        let server = configuration(secure, address, self::address(replica), (&certificate, &key));
        let server = server.replace("location / {", &format!("location / {{ {extra}"));
        // The replica has to bound what the proxy lets through. Only one test is about what the proxy itself bounds.
        let server = if bounds { server } else { server.replace("limit_conn clients 100;", "") };
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let text = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\nevents {{ worker_connections 8192; }}\nhttp {{ access_log off;\n{paths}{server}\n}}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let process = Command::new(program())
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut nginx = Self { process, secure, address, certificate };
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = nginx.process.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < TIMEOUT, "nginx: {ended:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        nginx
    }

    /// A client that trusts its certificate alone, connects with TLS from an address of this machine, and opens a
    /// new connection for each request.
    fn client(&self, source: [u8; 4]) -> Client {
        let pem = std::fs::read(&self.certificate).unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
            .resolve("exchange.example", self.secure)
            .local_address(IpAddr::from(source))
            .pool_max_idle_per_host(0)
            .build()
            .unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://exchange.example:{}{path}", self.secure.port())
    }

    /// Posts JSON from an address as a browser would that has the page of an origin open.
    async fn post(&self, source: [u8; 4], path: &str, origin: &str, body: &str) -> Answer {
        let mut stream = connect_from(source, self.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: exchange.example\r\nOrigin: {origin}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The proxy may refuse before it has read everything.
        let _ = stream.write_all(body.as_bytes()).await;
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        first_answer(&text).unwrap_or_else(|| panic!("{path}: {text:?}"))
    }

    /// The status of the response to a WebSocket's opening.
    async fn open_socket(&self, origin: &str) -> u16 {
        let url = format!("ws://{}/v1/ws", self.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("host", "exchange.example".parse().unwrap());
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok((_, answer)) => answer.status().as_u16(),
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    }
}

const BEHIND: [&str; 4] = ["--origin", "https://exchange.example", "--trusted-proxy", "127.0.0.1"];

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

/// Asks for the status through the proxy, each time on a new TLS connection.
async fn visit(scene: &Scene, requests: usize) -> Vec<Duration> {
    let nginx = scene.proxy.as_ref().unwrap();
    let client = nginx.client([127, 0, 0, 6]);
    let mut times = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(20));
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

/// Attacks from one address, which reach the replica in connections that all clients share.
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
                        let _ = crate::attacks::signatures::send(to, [127, 0, 0, 5], &body).await;
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                });
            }
            attackers
        },
    )
    .await;
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
