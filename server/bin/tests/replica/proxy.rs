//! Tests of a replica behind nginx, with the configuration of docs/operating.md.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::harness::{Replica, TIMEOUT, free_port, key};
use crate::raw::{Answer, address, connect_from, first_answer, request};

/// nginx, killed when this is dropped.
struct Nginx {
    process: Child,
    address: SocketAddr,
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

/// The configuration in docs/operating.md, for other addresses and without TLS, which is not tested here.
fn configuration(listen: SocketAddr, upstream: SocketAddr) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let replace = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{from:?} is not in the configuration: {text}");
        text.replace(from, to)
    };
    let block = replace(block.into(), "listen 443 ssl;", &format!("listen {listen};"));
    let block = replace(block, "127.0.0.1:8080", &upstream.to_string());
    block.lines().filter(|line| !line.contains("ssl_")).collect::<Vec<_>>().join("\n")
}

impl Nginx {
    async fn start(folder: &Path, replica: &Replica, extra: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let server = configuration(address, self::address(replica));
        let server = server.replace("location / {", &format!("location / {{ {extra}"));
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let text = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{paths}{server}\n}}"
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
        let mut nginx = Self { process, address };
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = nginx.process.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < TIMEOUT, "nginx: {ended:?}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        nginx
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
        let nginx = Nginx::start(folder.path(), &replica, extra).await;
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
async fn each_client_behind_nginx_has_bounds_of_its_own() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &BEHIND).await;
    let nginx = Nginx::start(folder.path(), &replica, "").await;
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
