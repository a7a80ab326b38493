//! Tests of the commands, as people and programs use them.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::types::{Scheme, Signature};
use zellbook_core::{Action, Genesis, PublicKey, Transaction};

use crate::changed_answers::{Change, proxy};
use crate::harness::{Replica, key, network_vectors, new_key, now_ms, number, program, run, text};

fn stdout_json(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().into()
}

#[test]
fn every_command_has_help() {
    let top = text(&run(&["--help"]).stdout);
    for words in [
        "Exit codes:",
        "serve",
        "sequencer",
        "replay",
        "verify",
        "balance",
        "cancel-after",
        "session",
        "snapshot",
        "ZELLBOOK_LOG",
    ] {
        assert!(top.contains(words), "{words}");
    }
    for command in [
        "serve",
        "sequencer",
        "replay",
        "verify sequenced",
        "key new",
        "key show",
        "order",
        "replace",
        "cancel",
        "cancel-after",
        "balance",
        "transfer",
        "withdraw",
        "deposits",
        "withdrawals",
        "session authorize",
        "session revoke",
        "session list",
        "proof",
        "snapshot write",
        "snapshot check",
        "genesis new",
        "genesis check",
        "sign",
    ] {
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        let output = run(&arguments);
        assert!(
            output.status.success() && text(&output.stdout).contains("Usage: zellbook"),
            "{command}"
        );
    }
}

#[test]
fn a_key_file_is_private_never_overwritten_and_never_printed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let file = path(&folder, "my.key");
    let made = stdout_json(&["--json", "key", "new", "--out", &file]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    let shown = run(&["key", "show", "--key", &file]);
    assert!(text(&shown.stdout).contains(made["account"].as_str().unwrap()));
    assert!(!text(&shown.stdout).contains(secret.trim()));
    let again = run(&["key", "new", "--out", &file]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
}

#[test]
fn sign_prints_the_text_the_digest_and_a_transaction_that_verifies() {
    let folder = TempDir::new().unwrap();
    let key = path(&folder, "my.key");
    let account = stdout_json(&["--json", "key", "new", "--out", &key])["account"].clone();
    let file = path(&folder, "order.json");
    let order = json!({"kind": "order", "market": "ETH/USDT", "side": "buy", "quantity": "1.5",
        "price": "2000", "time_in_force": "gtc", "self_trade": "cancel_newest", "nonce": "7"});
    fs::write(&file, order.to_string()).unwrap();
    let network = "ab".repeat(32);
    for scheme in ["raw", "eip191"] {
        let signed = stdout_json(&[
            "--json",
            "sign",
            "--key",
            &key,
            "--network",
            &network,
            "--scheme",
            scheme,
            &file,
        ]);
        let signed_text = signed["text"].as_str().unwrap();
        assert!(signed_text.starts_with(&format!("Zellbook 1 {network}\nkind: order\n")));
        assert!(signed_text.ends_with("\nnonce: 7"));
        let digest = scheme.parse::<Scheme>().unwrap().digest(signed_text);
        assert_eq!(signed["digest"], hex::encode(digest));
        let signature: Signature =
            signed["transaction"]["signature"].as_str().unwrap().parse().unwrap();
        let account: PublicKey = account.as_str().unwrap().parse().unwrap();
        assert!(signature.is_valid(&digest, &account));
    }
    fs::write(&file, r#"{"kind":"order"}"#).unwrap();
    let output = run(&["sign", "--key", &key, "--network", &network, &file]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("field `market` is missing"));
}

#[test]
fn with_a_stored_genesis_no_replica_chooses_the_network_of_a_signature() {
    let folder = TempDir::new().unwrap();
    let (key, file) = (path(&folder, "my.key"), path(&folder, "cancel.json"));
    new_key(&key);
    fs::write(&file, r#"{"kind":"cancel_all"}"#).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let genesis = path(&folder, "data/genesis.json");
    fs::write(&genesis, golden()["genesis"].to_string()).unwrap();
    let ours = Genesis::read(&fs::read(&genesis).unwrap()).unwrap().network.to_string();
    let sign = |more: &[&str], server: Option<&str>| {
        let mut command = program();
        command.current_dir(folder.path()).args(["sign", &file, "--key", &key, "--json"]);
        command.args(more).env_remove("ZELLBOOK_SERVER");
        if let Some(server) = server {
            command.env("ZELLBOOK_SERVER", server);
        }
        command.output().unwrap()
    };
    // Nothing listens there.
    let server = "http://127.0.0.1:1";
    for (more, env) in [(&[][..], None), (&["--server", server], None), (&[], Some(server))] {
        let signed = sign(more, env);
        assert!(signed.status.success(), "{more:?} {env:?}: {}", text(&signed.stderr));
        let signed: Value = serde_json::from_slice(&signed.stdout).unwrap();
        let signed_text = signed["text"].as_str().unwrap();
        assert!(signed_text.starts_with(&format!("Zellbook 1 {ours}\n")), "{signed_text}");
    }
    // Without the file, the replica is asked.
    fs::remove_file(&genesis).unwrap();
    let asked = sign(&["--server", server], None);
    assert_eq!(asked.status.code(), Some(1));
    assert!(text(&asked.stderr).contains(server), "{}", text(&asked.stderr));
}

#[test]
fn verify_prints_what_is_sequenced_or_the_typed_error() {
    let zellular = network_vectors();
    let file = |name: &str| zellular.join(name).to_str().unwrap().to_string();
    let (nodes, first) = (file("equal4/nodes.json"), file("equal4/finalized_after_0.json"));
    let base =
        ["--json", "verify", "sequenced", "--nodes", &nodes, "--app", "orderbook", "--threshold"];
    let whole = stdout_json(&[&base[..], &["67", &first]].concat());
    assert_eq!(whole["batches"].as_array().unwrap().len(), 14);
    assert_eq!(whole["after"], "14");
    assert_eq!(whole["chain"], "f53ccbb3308df76d52ccefe13cff02f4");
    let third = file("equal4/finalized_after_3.json");
    let resumed = stdout_json(
        &[
            &base[..],
            &["67", "--after", "3", "--chain", "bf7c9ab0d8ea6ec10b43809ad754b17f", &third],
        ]
        .concat(),
    );
    assert_eq!(resumed["batches"][0]["index"], "4");
    let strict = run(&[&base[..], &["100", &first]].concat());
    assert_eq!(strict.status.code(), Some(3));
    assert!(
        text(&strict.stderr).contains("10 of 40 stake did not sign"),
        "{}",
        text(&strict.stderr)
    );
    let wrong_chain =
        run(&[&base[..], &["67", "--after", "3", "--chain", &"0".repeat(32), &third]].concat());
    assert_eq!(wrong_chain.status.code(), Some(3));
    assert!(text(&wrong_chain.stdout).contains("\"type\":\"first_chaining_hash\""));
    let no_page = run(&[&base[..], &["67", &nodes]].concat());
    assert_eq!(no_page.status.code(), Some(3));
    // A forged body with the same xxh128 passes: signatures alone cannot tell it apart.
    let (collision, forged) =
        (file("collision4/nodes.json"), file("collision4/forged_after_0.json"));
    let passes = run(&[
        "verify",
        "sequenced",
        "--nodes",
        &collision,
        "--app",
        "orderbook",
        "--threshold",
        "67",
        &forged,
    ]);
    assert!(passes.status.success());
    // So the command claims no more than the signature shows.
    let said = text(&passes.stdout);
    assert!(said.contains("sequenced up to batch 3") && !said.contains("proven"), "{said}");
    assert!(said.contains("nothing here shows what is certified"), "{said}");
}

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/tests/golden.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn bodies_without_proofs_replay_to_the_golden_root_and_dump_everything() {
    let folder = TempDir::new().unwrap();
    let golden = golden();
    let (genesis, bodies, dump) =
        (path(&folder, "genesis.json"), path(&folder, "bodies.jsonl"), path(&folder, "out.json"));
    fs::write(&genesis, golden["genesis"].to_string()).unwrap();
    let batches = golden["batches"].as_array().unwrap();
    let lines: Vec<String> = batches.iter().map(|batch| batch["body"].to_string()).collect();
    fs::write(&bodies, lines.join("\n") + "\n").unwrap();
    let arguments = [
        "replay",
        "--json",
        "--check",
        "--bodies",
        &bodies,
        "--genesis",
        &genesis,
        "--unsequenced",
        "--dump",
        &dump,
    ];
    let output = run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("WARNING: replaying bodies without signatures"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["root"], batches.last().unwrap()["root"]);
    assert_eq!(report["sequenced"], false);
    let dump: Value = serde_json::from_slice(&fs::read(&dump).unwrap()).unwrap();
    let codes: Vec<u64> = batches
        .iter()
        .flat_map(|batch| batch["codes"].as_array().unwrap())
        .map(|code| code.as_u64().unwrap())
        .collect();
    let outcomes = dump["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), codes.len());
    for (outcome, code) in outcomes.iter().zip(codes) {
        let found = outcome["reject"]["code"].as_str().map_or(0, |code| code.parse().unwrap());
        assert_eq!(found, code, "{outcome}");
    }
    assert_eq!(report["trades"], dump["trades"].as_array().unwrap().len().to_string());
    assert!(!dump["trades"].as_array().unwrap().is_empty());
    assert!(!dump["balances"].as_object().unwrap().is_empty());
    assert!(!dump["orders"]["ETH/USDT"]["bids"].as_array().unwrap().is_empty());

    fs::write(&bodies, "\"[]\"\nnot json\n").unwrap();
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("line 2: not a JSON string"));
}

#[test]
fn another_certified_root_ends_a_replay_at_that_batch_without_a_dump() {
    let folder = TempDir::new().unwrap();
    let (genesis, bodies, dump) =
        (path(&folder, "genesis.json"), path(&folder, "bodies.jsonl"), path(&folder, "out.json"));
    let json = golden()["genesis"].to_string();
    fs::write(&genesis, &json).unwrap();
    let network = Genesis::read(json.as_bytes()).unwrap().network;
    // All three replicas of genesis attest a root of batch 1 that it does not have.
    let attestations: Vec<String> = [201, 202, 203]
        .map(|seed| {
            let action = Action::Attest { batch: 1, root: [0x5a; 32], clock: 1 };
            let account = key(seed).public_key();
            let transaction =
                Transaction { account, signer: None, nonce: 1, valid_until: None, action };
            transaction.sign(&network, &key(seed)).to_json()
        })
        .into();
    let certifying = Value::from(format!("[{}]", attestations.join(",")));
    // The last line would be an error if it were read.
    fs::write(&bodies, format!("\"[]\"\n{certifying}\nnot json\n")).unwrap();
    let arguments =
        ["replay", "--bodies", &bodies, "--genesis", &genesis, "--unsequenced", "--dump", &dump];
    let output = run(&arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains(&"5a".repeat(32)) && message.contains("batch 2"), "{message}");
    assert!(!Path::new(&dump).exists());
    fs::write(&dump, "as it was").unwrap();
    assert_eq!(run(&arguments).status.code(), Some(3));
    assert_eq!(fs::read_to_string(&dump).unwrap(), "as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_placed_and_cancelled_and_balances_are_shown() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let key = path(&folder, "my.key");
    let account = stdout_json(&["--json", "key", "new", "--out", &key])["account"].clone();
    let account: PublicKey = account.as_str().unwrap().parse().unwrap();
    replica.fund(&[account]).await;
    let server = replica.process.url.clone();
    let common = ["--key", &key, "--server", &server];
    let order = |arguments: &[&str]| run(&[&["--json", "order"], arguments, &common].concat());
    let placed = order(&["sell", "1.5", "ETH/USDT", "--price", "2000"]);
    let placed: Value = serde_json::from_slice(&placed.stdout).unwrap();
    assert_eq!(placed["order"]["status"], "open");
    let id = placed["order"]["id"].as_str().unwrap();
    let off_tick = order(&["sell", "1.5", "ETH/USDT", "--price", "2000.001"]);
    assert_eq!(off_tick.status.code(), Some(4));
    assert!(text(&off_tick.stderr).contains("not a multiple of the tick size 0.01"));
    let error: Value = serde_json::from_slice(&off_tick.stderr).unwrap();
    assert_eq!(error["error"]["answer"]["code"], "price_off_tick");
    let both = run(&[&["cancel", id, "--market", "BTC/USDT"], &common[..]].concat());
    assert_eq!(both.status.code(), Some(2));
    let too_much = order(&["sell", "100", "ETH/USDT", "--price", "2000"]);
    assert_eq!(too_much.status.code(), Some(4));
    assert!(text(&too_much.stderr).contains("this needs 100 ETH"));
    let wrong_network = order(&["sell", "1", "ETH/USDT", "--price", "2000", "--network", "beef"]);
    assert_eq!(wrong_network.status.code(), Some(1));
    assert!(text(&wrong_network.stderr).contains("nothing was signed"));
    let shown = run(&[&["balance"], &common[..]].concat());
    assert!(text(&shown.stdout).contains("open orders"), "{}", text(&shown.stdout));
    let cancelled = run(&[&["cancel", id], &common[..]].concat());
    assert!(cancelled.status.success(), "{}", text(&cancelled.stderr));
    let again = run(&[&["cancel", id], &common[..]].concat());
    assert_eq!(again.status.code(), Some(4));
    let all = run(&[&["cancel", "--all"], &common[..]].concat());
    assert!(all.status.success());
    let body = stdout_json(&["--json", "balance", &account.to_string(), "--server", &server]);
    assert_eq!(body["balances"][0]["available"], "10");
    let nodes = replica.data.join("nodes.json");
    let audit =
        stdout_json(&["--json", "replay", "--from", &server, "--nodes", nodes.to_str().unwrap()]);
    let batch = replica.get(&format!("/v1/batches/{}", audit["batches"].as_str().unwrap())).await;
    assert_eq!(audit["root"], batch["root"]);
    assert_eq!(
        (&audit["threshold"], &audit["threshold_is_default"]),
        (&"67".into(), &false.into())
    );
    // A node list alone does not say how much of the stake must sign.
    let alone = path(&folder, "nodes-alone.json");
    fs::copy(&nodes, &alone).unwrap();
    let refused = run(&["replay", "--from", &server, "--nodes", &alone]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("--threshold is required"), "{}", text(&refused.stderr));
    let given = run(&["replay", "--from", &server, "--nodes", &alone, "--threshold", "80"]);
    assert!(given.status.success(), "{}", text(&given.stderr));
    assert!(
        text(&given.stdout).contains("threshold     80 % of the stake\n"),
        "{}",
        text(&given.stdout)
    );
    // In a data directory the default is taken, and named.
    fs::remove_file(replica.data.join("threshold")).unwrap();
    let data = replica.data.to_str().unwrap();
    let default = text(&run(&["replay", "--from", data]).stdout);
    assert!(default.contains("67 % of the stake, the default"), "{default}");
    let unknown = run(&["balance", &account.to_string(), "--server", "http://127.0.0.1:1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("http://127.0.0.1:1"), "{}", text(&unknown.stderr));
}

/// A replica, and a funded account whose key is in a file.
struct Bench {
    replica: Replica,
    folder: TempDir,
    account: String,
    key: String,
}

impl Bench {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let replica = Replica::start(&folder, "data", &[]).await;
        let key = path(&folder, "my.key");
        let account = new_key(&key);
        replica.fund(&[account.parse().unwrap()]).await;
        Self { replica, folder, account, key }
    }

    fn run(&self, line: &str) -> Output {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let common = ["--json", "--key", &self.key, "--server", &self.replica.process.url];
        run(&[&arguments[..], &common].concat())
    }

    /// Runs a command that must succeed.
    fn done(&self, line: &str) -> Value {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that must fail with this exit code; returns its standard error.
    fn fails(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", text(&output.stderr));
        text(&output.stderr)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_replaced_and_cancelled_by_id_hash_and_client_id() {
    let bench = Bench::start().await;
    let before = now_ms();
    let placed = bench.done("order sell 1 ETH/USDT --price 2000 --expires 10m --client-id one");
    assert_eq!(placed["order"]["time_in_force"], "gtd");
    let expires = number(&placed["order"]["expires_ms"]);
    assert!((before + 600_000..now_ms() + 600_000).contains(&expires), "{expires}");
    assert_eq!(placed["order"]["client_id"], "one");
    let again = bench.fails("order sell 1 ETH/USDT --price 2000 --client-id one", 4);
    assert!(again.contains("client id one is already used by open order"), "{again}");
    let odd = bench.fails("order sell 1 ETH/USDT --price 2000 --client-id o\u{e9}", 2);
    assert!(odd.contains("`client_id`") && odd.contains("nothing was sent"), "{odd}");
    let fok = bench.fails("order buy 1 ETH/USDT --price 1000 --time-in-force fok", 4);
    assert!(fok.contains("would fill only 0 of 1"), "{fok}");
    // The exchange's time moves with the first attestation after a proof has checked the replica's clock.
    while number(&bench.replica.status().await["time_ms"]) == 0 {
        bench.done("cancel --all --market BTC/USDT");
    }
    let late = bench.fails("order sell 1 ETH/USDT --price 2000 --expires 5", 4);
    assert!(late.contains("use a later time"), "{late}");

    let replaced =
        bench.done("replace sell 2 ETH/USDT --price 2001 --replaces-client-id one --client-id two");
    assert_eq!(replaced["order"]["quantity"], "2");
    assert_eq!(replaced["order"]["client_id"], "two");
    let hash = replaced["hash"].as_str().unwrap();
    let smaller = bench.done(&format!("replace sell 1 ETH/USDT --price 2001 --transaction {hash}"));
    assert_eq!(smaller["order"]["id"], replaced["order"]["id"]);
    let id = smaller["order"]["id"].as_str().unwrap();
    let missing = bench.fails("replace sell 1 ETH/USDT --price 2001 --order 777", 4);
    assert!(missing.contains("no open order 777"), "{missing}");
    bench.done(&format!("replace sell 0.5 ETH/USDT --price 2002 --order {id}"));
    bench.done("cancel --client-id two");
    let placed = bench.done("order sell 1 ETH/USDT --price 2000 --valid-for 1m");
    bench.done(&format!("cancel --transaction {}", placed["hash"].as_str().unwrap()));
    bench.done("order sell 1 ETH/USDT --price 2000");
    bench.done("order sell 0.1 BTC/USDT --price 90000");
    bench.done("cancel --all --market ETH/USDT");
    let open = bench.done("balance")["open_orders"].clone();
    assert_eq!(open.as_array().unwrap().len(), 1, "{open}");

    let before = now_ms();
    bench.done("cancel-after 60s");
    let switch = number(&bench.done("balance")["switch_ms"]);
    assert!((before + 60_000..now_ms() + 60_000).contains(&switch), "{switch}");
    bench.done("cancel-after off");
    assert_eq!(bench.done("balance")["switch_ms"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_transferred_and_withdrawn_and_a_balance_has_a_proof() {
    let bench = Bench::start().await;
    let other = new_key(&path(&bench.folder, "other.key"));
    bench.done(&format!("transfer 1.5 ETH --to {other}"));
    bench.done("withdraw 0.5 ETH --destination eth:0xabc");
    let body = bench.done("balance");
    assert_eq!(body["balances"][0]["available"], "8");
    assert_eq!(body["withdrawals"][0]["destination"], "eth:0xabc");
    assert_eq!(bench.done(&format!("balance {other}"))["balances"][0]["available"], "1.5");
    let odd = bench.fails("withdraw 1 ETH --destination a_b?c", 2);
    assert!(odd.contains("`destination`"), "{odd}");
    let much = bench.fails("withdraw 100 ETH --destination home", 4);
    assert!(much.contains("this needs 100 ETH"), "{much}");

    let proof = bench.done("proof ETH");
    let status = bench.replica.status().await;
    assert_eq!((&proof["available"], &proof["root"]), (&json!("8"), &status["root"]));
    assert_eq!((&proof["batch"], &proof["root_was_given"]), (&status["batch"], &json!(false)));
    // Attestations of the last batch come in a later one, so its root is certified only then.
    assert_eq!(proof["certified"], false);
    let said = run(&["proof", "ETH", &bench.account, "--server", &bench.replica.process.url]);
    let said = text(&said.stdout);
    assert!(said.contains("which is sequenced; "), "{said}");
    let root = status["root"].as_str().unwrap();
    let trusted = format!("--network {}", status["network"].as_str().unwrap());
    let given = bench.done(&format!("proof ETH {} {trusted} --root {root}", bench.account));
    assert_eq!(given["root_was_given"], true);
    let nothing = new_key(&path(&bench.folder, "third.key"));
    assert_eq!(
        bench.done(&format!("proof ETH {nothing} {trusted} --root {root}"))["available"],
        "0"
    );
    let other_root = "00".repeat(32);
    let differs = bench.fails(&format!("proof ETH {trusted} --root {other_root}"), 3);
    let other_network = format!("proof ETH --network {other_root} --root {root}");
    assert!(bench.fails(&other_network, 3).contains("the replica belongs to network"));
    let alone = bench.fails(&format!("proof ETH --root {root}"), 2);
    assert!(alone.contains("--network"), "{alone}");
    assert!(differs.contains("does not lead to the root") && differs.contains(root), "{differs}");
    assert!(bench.fails("proof DOGE", 1).contains("no token DOGE"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_key_is_authorized_used_listed_and_revoked() {
    let bench = Bench::start().await;
    let file = path(&bench.folder, "session.key");
    let session = new_key(&file);
    let account = &bench.account;
    bench.done(&format!(
        "session authorize {session} --expires 1h --market ETH/USDT --spend-token ETH --spend-limit 2"
    ));
    // The account's own key file is not needed.
    let signed = format!("--signer {file} --account {account}");
    let bot = |line: &str| {
        let line = format!("{line} {signed} --server {} --json", bench.replica.process.url);
        run(&line.split_whitespace().collect::<Vec<_>>())
    };
    let placed = bot("order sell 1 ETH/USDT --price 2000 --client-id bot");
    assert!(placed.status.success(), "{}", text(&placed.stderr));
    let over = bot("order sell 1.5 ETH/USDT --price 2000");
    assert_eq!(over.status.code(), Some(4));
    assert!(
        text(&over.stderr).contains("only 1 ETH of the session key's limit is left"),
        "{}",
        text(&over.stderr)
    );
    let replaced = bot("replace sell 0.5 ETH/USDT --price 2000 --replaces-client-id bot");
    assert!(replaced.status.success(), "{}", text(&replaced.stderr));
    assert!(bot("cancel --all --market ETH/USDT").status.success());
    let keys = bench.done("session list")["session_keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    assert_eq!([&keys[0]["key"], &keys[0]["spent"]], [session.as_str(), "1"]);
    let missing = run(&["transfer", "1", "ETH", "--to", account, "--signer", &file]);
    assert_eq!(missing.status.code(), Some(2), "a session key moves no funds");

    // It can sign a transaction file too.
    let order = path(&bench.folder, "cancel.json");
    fs::write(&order, r#"{"kind":"cancel_all","market":"ETH/USDT"}"#).unwrap();
    let network = bench.replica.rules.network.to_string();
    let sign = ["sign", &order, "--key", &file, "--network", &network, "--account", account];
    let signed = stdout_json(&[&sign[..], &["--json"]].concat());
    assert_eq!(signed["transaction"]["signer"], session);
    assert_eq!(&signed["transaction"]["account"], account);
    bench.replica.submit(&signed["transaction"].to_string()).await;
    let outcome = bench.replica.outcome(signed["hash"].as_str().unwrap()).await;
    assert_eq!(outcome["status"], "applied");

    bench.done(&format!("session revoke {session}"));
    assert_eq!(bench.done("session list")["session_keys"], json!([]));
    assert_eq!(bot("order sell 1 ETH/USDT --price 2000").status.code(), Some(4));
    let again = bench.fails(&format!("session revoke {session}"), 4);
    assert!(again.contains("is not a session key of this account"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_can_be_written_while_the_replica_runs_and_every_change_to_it_is_detected() {
    let bench = Bench::start().await;
    bench.done("order sell 1 ETH/USDT --price 2000 --expires 1h");
    // The replica attests meanwhile, so the snapshot may be of any recent batch.
    let data = bench.replica.data.to_str().unwrap();
    let file = path(&bench.folder, "state.snapshot");
    let written = stdout_json(&["--json", "snapshot", "write", "--data", data, "--out", &file]);
    let batch = format!("/v1/batches/{}", written["batch"].as_str().unwrap());
    assert_eq!(written["root"], bench.replica.get(&batch).await["root"]);
    let again = run(&["snapshot", "write", "--data", data, "--out", &file]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists"), "{}", text(&again.stderr));

    let genesis = path(&bench.folder, "data/genesis.json");
    let check = ["--json", "snapshot", "check", &file, "--genesis", &genesis];
    let mut checked = stdout_json(&check);
    assert_eq!(checked["file"], file);
    checked["file"] = written["file"].clone();
    assert_eq!(checked, written);
    let root = written["root"].as_str().unwrap();
    assert!(run(&[&check[..], &["--root", root]].concat()).status.success());
    let other = run(&[&check[..], &["--root", &"00".repeat(32)]].concat());
    assert_eq!(other.status.code(), Some(3));
    assert!(text(&other.stderr).contains("the state root is"));
    let whole = fs::read(&file).unwrap();
    for place in [0, 30, 60, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(&file, damaged).unwrap();
        assert_eq!(run(&check).status.code(), Some(3), "byte {place}");
    }
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let cut = run(&check);
    assert_eq!(cut.status.code(), Some(3));
    assert!(text(&cut.stderr).contains("damaged"), "{}", text(&cut.stderr));
    let missing = run(&["snapshot", "write", "--data", "nowhere", "--out", &file]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("nowhere/genesis.json"));
}

#[tokio::test]
async fn guide_orders_are_off_unless_genesis_is_told_or_made_by_serve() {
    let folder = TempDir::new().unwrap();
    let account = new_key(&path(&folder, "issuer.key"));
    let guide_orders = |file: &str| {
        let genesis: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        genesis["guide_orders"].as_bool()
    };
    for (name, option, expected) in
        [("plain.json", None, false), ("guide.json", Some("--guide-orders"), true)]
    {
        let file = path(&folder, name);
        let new = ["genesis", "new", "--issuer", &account, "--replica", &account, "--out", &file];
        let output = run(&new.into_iter().chain(option).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(guide_orders(&file), Some(expected), "{name}");
    }
    let _replica = Replica::start(&folder, "data", &[]).await;
    assert_eq!(guide_orders(&path(&folder, "data/genesis.json")), Some(true));
}

#[test]
fn an_unknown_log_level_is_named() {
    let folder = TempDir::new().unwrap();
    let genesis = path(&folder, "genesis.json");
    fs::write(&genesis, golden()["genesis"].to_string()).unwrap();
    for (level, warned) in
        [("verbose", true), ("zellbook=debug", true), ("error", false), ("off", false)]
    {
        let output = program()
            .args(["genesis", "check", &genesis])
            .env("ZELLBOOK_LOG", level)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let named = text(&output.stderr).contains(&format!("ZELLBOOK_LOG is \"{level}\""));
        assert_eq!(named, warned, "{level}: {}", text(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn durations_count_from_the_exchanges_time_and_a_clock_that_differs_is_told() {
    const HOUR_MS: u64 = 3_600_000;
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let key_file = path(&folder, "alice.key");
    let alice = new_key(&key_file);
    replica.fund(&[alice.parse().unwrap()]).await;
    // As if this computer's clock were an hour behind.
    let change: Change = std::sync::Arc::new(|_, path, answer| {
        let mut status: Value =
            serde_json::from_slice(answer?).ok().filter(|_| path == "/v1/status")?;
        status["now_ms"] = (number(&status["now_ms"]) + HOUR_MS).to_string().into();
        Some(status.to_string().into_bytes())
    });
    let server = proxy(&replica.process.url, change).await;
    let submit = |server: &str, more: &[&str]| {
        let common = ["--key", &key_file, "--server", server, "--valid-for", "2m", "--json"];
        run(&[more, &common].concat())
    };
    let order = ["order", "sell", "1", "ETH/USDT", "--price", "2000", "--expires", "10m"];
    let switch = ["cancel-after", "10m"];
    let direct = (&replica.process.url, 0, false);
    let differs = (&server, HOUR_MS, true);
    for ((server, later, is_warned), command, time) in [
        (direct, &order[..], "expires"),
        (direct, &switch[..], "time"),
        (differs, &order[..], "expires"),
        (differs, &switch[..], "time"),
    ] {
        let before = now_ms();
        let output = submit(server, command);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stderr);
        assert_eq!(said.contains(" s behind the exchange's"), is_warned, "{said}");
        assert_eq!(said.contains("WARNING"), is_warned, "{said}");
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let hash = status["hash"].as_str().unwrap();
        let signed = replica.get(&format!("/v1/transactions/{hash}/signed")).await;
        let element: Value = serde_json::from_str(signed["element"].as_str().unwrap()).unwrap();
        for (field, length) in [("valid_until", 120_000), (time, 600_000), ("nonce", 0)] {
            let from = number(&element[field]) - length - later;
            assert!(from + 60_000 > before && from < now_ms() + 60_000, "{field}: {element}");
        }
    }
}
