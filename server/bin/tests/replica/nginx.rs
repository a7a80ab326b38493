//! nginx in front of a replica, with the configuration of docs/operating.md.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::harness::{Replica, TIMEOUT, free_port, text};
use crate::raw::{self, Answer, connect_from, first_answer};

/// The arguments of a replica behind it.
pub const BEHIND: [&str; 4] =
    ["--origin", "https://exchange.example", "--trusted-proxy", "127.0.0.1"];

/// nginx, killed when this is dropped.
pub struct Nginx {
    process: Child,
    /// Where it listens with TLS.
    secure: SocketAddr,
    /// Where it listens without, for requests as bytes.
    pub address: SocketAddr,
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

/// A file of nginx in docs/operating.md.
fn documented(number: usize) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    let text = std::fs::read_to_string(path).unwrap();
    let block = text.split("```nginx\n").nth(number).and_then(|rest| rest.split("```").next());
    block.unwrap().to_string()
}

/// The server in docs/operating.md, for other addresses and another certificate.
fn configuration(
    secure: SocketAddr,
    plain: SocketAddr,
    upstream: SocketAddr,
    (certificate, key): (&Path, &Path),
) -> String {
    let live = "/etc/letsencrypt/live/exchange.example";
    let mut block = documented(1);
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
    pub async fn start(folder: &Path, replica: &Replica, extra: &str, bounds: bool) -> Self {
        let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (secure, address) = (free(), free());
        let (certificate, key) = certificate(folder);
        let server = configuration(secure, address, raw::address(replica), (&certificate, &key));
        let server = server.replace("location / {", &format!("location / {{ {extra}"));
        // The replica has to bound what the proxy lets through, so some tests are without what the proxy itself bounds.
        let server = if bounds { server } else { server.replace("limit_conn clients 100;", "") };
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name};\n"))
            .concat();
        let events = documented(2);
        let text = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr crit;\n{events}http {{ access_log off;\n{paths}{server}\n}}"
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
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        nginx
    }

    /// A client that trusts its certificate alone, connects with TLS from an address of this machine, and opens a
    /// new connection for each request.
    pub fn client(&self, source: [u8; 4]) -> Client {
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

    pub fn url(&self, path: &str) -> String {
        format!("https://exchange.example:{}{path}", self.secure.port())
    }

    /// Posts JSON from an address as a browser would that has the page of an origin open.
    pub async fn post(&self, source: [u8; 4], path: &str, origin: &str, body: &str) -> Answer {
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
    pub async fn open_socket(&self, origin: &str) -> u16 {
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
