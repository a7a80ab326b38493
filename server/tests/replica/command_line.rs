//! The commands, as a person and as a program uses them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::key::{PublicKey, Scheme, Signature};

use crate::harness::{Replica, run, text, vectors};

fn stdout_json(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().into()
}

#[test]
fn every_command_has_help_for_a_newcomer() {
    let top = text(&run(&["--help"]).stdout);
    for words in
        ["Exit codes:", "serve", "sequencer", "replay", "verify", "balance", "ZELLBOOK_LOG"]
    {
        assert!(top.contains(words), "{words}");
    }
    for command in [
        "serve",
        "sequencer",
        "replay",
        "verify finalized",
        "key new",
        "key show",
        "order",
        "cancel",
        "balance",
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
fn a_key_is_made_once_is_private_and_never_shown() {
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
fn verify_finalized_prints_what_is_proven_or_the_typed_error() {
    let zellular = vectors().join("zellular");
    let file = |name: &str| zellular.join(name).to_str().unwrap().to_string();
    let (nodes, first) = (file("equal4/nodes.json"), file("equal4/finalized_after_0.json"));
    let base =
        ["--json", "verify", "finalized", "--nodes", &nodes, "--app", "orderbook", "--threshold"];
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
    // A forged body with the same xxh128 passes: nothing at this layer can tell.
    let (collision, forged) =
        (file("collision4/nodes.json"), file("collision4/forged_after_0.json"));
    let passes = run(&[
        "verify",
        "finalized",
        "--nodes",
        &collision,
        "--app",
        "orderbook",
        "--threshold",
        "67",
        &forged,
    ]);
    assert!(passes.status.success());
}

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/golden.json");
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
        "--unproven",
        "--dump",
        &dump,
    ];
    let output = run(&arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("WARNING: replaying bodies without proofs"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["root"], batches.last().unwrap()["root"]);
    assert_eq!(report["proven"], false);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_cancels_and_balances_from_the_command_line() {
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
    assert_eq!(audit["root"], replica.status().await["root"]);
    let unknown = run(&["balance", &account.to_string(), "--server", "http://127.0.0.1:1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("http://127.0.0.1:1"), "{}", text(&unknown.stderr));
}
