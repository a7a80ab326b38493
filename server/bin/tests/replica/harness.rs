//! Starts, kills and queries the program.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::types::SelfTrade;
use zellbook_core::{
    Action, Genesis, Order, PublicKey, Rules, SecretKey, Side, TimeInForce, Transaction,
};

/// How long a test waits for anything before it fails. Nothing takes that long unless it hangs.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The program that cargo built with the tests, or the one that `ZELLBOOK_TEST_PROGRAM` names, for example an
/// optimized one to measure.
pub fn program() -> Command {
    let given = std::env::var_os("ZELLBOOK_TEST_PROGRAM");
    Command::new(given.unwrap_or_else(|| env!("CARGO_BIN_EXE_zellbook").into()))
}

/// Runs a command and waits for it to exit.
pub fn run(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The folder with captured responses and proofs of a real sequencer network.
pub fn network_vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../zellular/tests/vectors")
}

pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

/// A running process that listens on a port. Killed when dropped.
pub struct Process {
    child: Child,
    arguments: Vec<String>,
    pub url: String,
    log: PathBuf,
}

impl Process {
    /// Starts `zellbook COMMAND --listen ARGUMENTS` and waits until `path` returns success.
    pub async fn start(folder: &Path, command: &str, arguments: &[&str], path: &str) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut all = vec![command.to_string(), "--listen".into(), listen.clone()];
        all.extend(arguments.iter().map(ToString::to_string));
        let log = folder.join(format!("{command}-{port}.log"));
        let child = spawn(&all, &log);
        let mut process = Self { child, arguments: all, url: format!("http://{listen}"), log };
        process.wait_for(path).await;
        process
    }

    /// Waits until a path returns success.
    pub async fn wait_for(&mut self, path: &str) {
        let url = format!("{}{path}", self.url);
        let started = Instant::now();
        loop {
            if let Ok(answer) = client().get(&url).send().await
                && answer.status().is_success()
            {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || started.elapsed() > TIMEOUT {
                panic!("{url} does not respond ({ended:?}):\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most memory that it has used, in bytes.
    pub fn memory_peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// The CPU time that it has used, in milliseconds.
    pub fn cpu_ms(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name of the program, which may contain spaces, ends with the last parenthesis. User and system time are the
        // 12th and 13th field after it, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
    }

    /// Kills it without running any handler, as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Restarts it with the same arguments.
    pub async fn restart(&mut self, path: &str) {
        self.child = spawn(&self.arguments, &self.log);
        self.wait_for(path).await;
    }

    /// Waits until it exits, and returns the exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < TIMEOUT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not exit:\n{}", self.log());
    }

    /// Stops it with SIGTERM, as an operator does, and returns the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.exit_code()
    }
}

fn spawn(arguments: &[String], log: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    program()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if it has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running replica with its own data directory.
pub struct Replica {
    pub process: Process,
    pub data: PathBuf,
    pub rules: Rules,
}

static NONCE: AtomicU64 = AtomicU64::new(0);

/// The time in milliseconds, but never the same number twice in this process.
pub fn nonce() -> u64 {
    NONCE.fetch_max(now_ms(), Ordering::SeqCst);
    NONCE.fetch_add(1, Ordering::SeqCst)
}

impl Replica {
    /// Starts `zellbook serve` with the data directory `folder/name` and further arguments.
    pub async fn start(folder: &TempDir, name: &str, arguments: &[&str]) -> Self {
        let data = folder.path().join(name);
        let mut all = vec!["--data", data.to_str().unwrap()];
        all.extend(arguments);
        // Not `/healthz`, which can be on a listener of its own.
        let process = Process::start(folder.path(), "serve", &all, "/v1/status").await;
        let json = client().get(format!("{}/v1/genesis", process.url)).send().await.unwrap();
        let rules = Genesis::read(&json.bytes().await.unwrap()).unwrap();
        Self { process, data, rules }
    }

    pub async fn ready(&mut self) {
        self.process.wait_for("/readyz").await;
    }

    pub async fn request(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.process.url);
        let request = client().request(method, url).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The text of a response.
    pub async fn text(&self, path: &str) -> String {
        let url = format!("{}{path}", self.process.url);
        client().get(url).send().await.unwrap().text().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.request(Method::GET, path, "").await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub async fn status(&self) -> Value {
        self.get("/v1/status").await
    }

    pub async fn batch(&self) -> u64 {
        self.status().await["batch"].as_str().unwrap().parse().unwrap()
    }

    pub fn sign(&self, key: &SecretKey, action: Action) -> (String, String) {
        self.sign_until(key, None, action)
    }

    pub fn sign_until(
        &self,
        key: &SecretKey,
        valid_until: Option<u64>,
        action: Action,
    ) -> (String, String) {
        let transaction = Transaction {
            account: key.public_key(),
            signer: None,
            nonce: nonce(),
            valid_until,
            action,
        };
        let hash = transaction.hash(&self.rules.network).to_string();
        (transaction.sign(&self.rules.network, key).to_json(), hash)
    }

    pub fn sign_order(&self, key: &SecretKey, line: &str) -> (String, String) {
        self.sign(key, Action::Order(order(line)))
    }

    /// Submits an order and waits for its outcome.
    pub async fn order(&self, key: &SecretKey, line: &str) -> Value {
        self.perform(key, Action::Order(order(line))).await
    }

    /// Submits an action and waits for its outcome.
    pub async fn perform(&self, key: &SecretKey, action: Action) -> Value {
        let (json, hash) = self.sign(key, action);
        self.submit(&json).await;
        self.outcome(&hash).await
    }

    pub async fn submit(&self, json: &str) {
        let (status, body) = self.request(Method::POST, "/v1/transactions", json).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    }

    /// Submits a transaction that the replica must refuse, and returns the error.
    pub async fn refused(&self, json: &str) -> Value {
        let (status, body) = self.request(Method::POST, "/v1/transactions", json).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        body["error"].clone()
    }

    /// Submits transactions in one request. Returns the hashes of those that were accepted.
    pub async fn submit_all(&self, transactions: &[String]) -> Vec<String> {
        let array = format!("[{}]", transactions.join(","));
        let (status, body) = self.request(Method::POST, "/v1/transactions", &array).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let results = body["transactions"].as_array().unwrap();
        results.iter().filter_map(|result| Some(result["hash"].as_str()?.into())).collect()
    }

    /// Waits until a transaction is applied or rejected.
    pub async fn outcome(&self, hash: &str) -> Value {
        self.until(&format!("/v1/transactions/{hash}"), |body| {
            matches!(body["status"].as_str(), Some("applied" | "rejected"))
        })
        .await
    }

    /// Repeats a request until the response is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let (_, body) = self.request(Method::GET, path, "").await;
            if wanted(&body) {
                return body;
            }
            if started.elapsed() > TIMEOUT {
                panic!("{path}: still {body}\n{}", self.process.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Repeats a request until the response is as wanted, and sends harmless transactions of an account meanwhile:
    /// replicas attest only while there are batches.
    pub async fn busy_until(
        &self,
        key: &SecretKey,
        path: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let started = Instant::now();
        loop {
            let (_, body) = self.request(Method::GET, path, "").await;
            if wanted(&body) {
                return body;
            }
            assert!(started.elapsed() < TIMEOUT, "{path}: still {body}\n{}", self.process.log());
            self.perform(key, Action::CancelAll { market: Some("BTC/USDT".into()) }).await;
        }
    }

    /// Requests test tokens for accounts from the faucet, and waits until they are credited.
    pub async fn fund(&self, accounts: &[PublicKey]) {
        for account in accounts {
            let body = json!({ "account": account.to_string() }).to_string();
            let (status, answer) = self.request(Method::POST, "/v1/faucet", &body).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
            for entry in answer["transactions"].as_array().unwrap() {
                let outcome = self.outcome(entry["hash"].as_str().unwrap()).await;
                assert_eq!(outcome["status"], "applied");
            }
        }
    }

    pub async fn account(&self, key: &SecretKey) -> Value {
        self.get(&format!("/v1/accounts/{}", key.public_key())).await
    }
}

/// `buy 1.5 ETH/USDT @ 2000 ioc`, or `buy 1.5 ETH/USDT @ 2000 gtd 1795346226000`.
pub fn order(line: &str) -> Order {
    let words: Vec<&str> = line.split_whitespace().collect();
    Order {
        expires: words.get(6).map(|word| word.parse().unwrap()),
        client_id: None,
        side: words[0].parse::<Side>().unwrap(),
        quantity: words[1].parse().unwrap(),
        market: words[2].into(),
        price: words[4].parse().unwrap(),
        time_in_force: words.get(5).map_or(TimeInForce::Gtc, |word| word.parse().unwrap()),
        self_trade: SelfTrade::CancelNewest,
    }
}

/// `available + locked` of an account's token.
pub fn balance(account: &Value, token: &str) -> String {
    let balances = account["balances"].as_array().unwrap();
    let balance = balances.iter().find(|balance| balance["token"] == token).unwrap();
    let text = |name: &str| balance[name].as_str().unwrap().to_string();
    format!("{} + {}", text("available"), text("locked"))
}

/// A number in a response, where numbers are strings of digits.
pub fn number(value: &Value) -> u64 {
    value.as_str().and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

pub fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// Runs `zellbook replay` on a data directory; returns its exit code, JSON and standard error.
pub fn replay(data: &Path) -> (Option<i32>, Value, String) {
    let output = run(&["replay", "--json", "--check", "--from", data.to_str().unwrap()]);
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), json, text(&output.stderr))
}

/// Replays the batches of a running replica, and checks that the final root is the replica's.
pub async fn check_replay(replica: &Replica) {
    let (code, report, log) = replay(&replica.data);
    assert_eq!(code, Some(0), "{log}");
    // The replica may have applied more batches by now, such as copies and attestations.
    let batch = replica.get(&format!("/v1/batches/{}", report["batches"].as_str().unwrap())).await;
    assert_eq!(report["root"], batch["root"], "{log}");
}

/// Generates a key file and returns the public key.
pub fn new_key(file: &str) -> String {
    let made = run(&["key", "new", "--json", "--out", file]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["account"].as_str().unwrap().into()
}

/// The arguments that replicas of one network share: a genesis with a faucet that names two replicas of equal
/// weight, the issuer's key, and a node list.
pub struct Given {
    shared: Vec<String>,
    replica_keys: Vec<String>,
}

impl Given {
    pub fn network(folder: &TempDir, nodes: &Path) -> Self {
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        let (key, genesis) = (file("issuer.key"), file("genesis.json"));
        let issuer = new_key(&key);
        let replica_keys = ["first.key", "second.key"].map(file).to_vec();
        let replicas: Vec<String> = replica_keys.iter().map(|file| new_key(file)).collect();
        let mut arguments = vec!["genesis", "new", "--faucet", "--issuer", &issuer];
        arguments.extend(["--out", &genesis]);
        arguments.extend(replicas.iter().flat_map(|replica| ["--replica", replica]));
        let made = run(&arguments);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let nodes = nodes.to_str().unwrap().to_string();
        let shared = ["--genesis", &genesis, "--issuer-key", &key, "--network", &nodes];
        Self { shared: shared.map(Into::into).into(), replica_keys }
    }

    /// The arguments of a replica that does not attest.
    pub fn arguments(&self) -> Vec<&str> {
        self.shared.iter().map(String::as_str).collect()
    }

    /// The arguments of one of the two replicas in genesis.
    pub fn arguments_of(&self, replica: usize) -> Vec<&str> {
        let mut arguments = self.arguments();
        arguments.extend(["--replica-key", &self.replica_keys[replica]]);
        arguments
    }
}
