//! Tests of invalid files and arguments: each gives an error that names the file or argument and the problem.

use std::fs;
use std::net::TcpListener;

use tempfile::TempDir;

use crate::harness::{Replica, key, network_vectors, run, text};

fn fails(arguments: &[&str], code: i32, says: &[&str]) {
    let output = run(arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    for words in says {
        assert!(message.contains(words), "{arguments:?}: {message}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn an_invalid_genesis_file_is_reported_with_its_path_and_field() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("genesis.json");
    let file = path.to_str().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", data, "--genesis", file];
    fails(&serve, 1, &["genesis.json", "No such file"]);
    fs::write(&path, "{").unwrap();
    fails(&serve, 1, &["genesis.json", "not valid JSON", "line 1"]);
    fails(&["genesis", "check", file], 1, &["genesis.json", "not valid JSON"]);
    fs::remove_file(&path).unwrap();
    let account = key(1).public_key().to_string();
    assert!(
        run(&["genesis", "new", "--issuer", &account, "--replica", &account, "--out", file])
            .status
            .success()
    );
    fails(
        &["genesis", "new", "--issuer", &account, "--replica", &account, "--out", file],
        1,
        &["genesis.json", "exists"],
    );
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replacen("\"0.01\"", "\"0.001\"", 1)).unwrap();
    fails(
        &["genesis", "check", file],
        1,
        &["markets[0]", "one tick (0.001) times one lot (0.0001)"],
    );
    fs::write(&path, good).unwrap();
    let output = run(&["genesis", "check", file]);
    assert!(output.status.success() && text(&output.stdout).contains("network "));
}

#[test]
fn invalid_node_lists_and_arguments_are_reported() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nodes.json");
    let (file, data) = (path.to_str().unwrap(), folder.path().join("data"));
    let data = data.to_str().unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", data, "--network", file];
    fails(&serve, 1, &["nodes.json", "No such file"]);
    fs::write(&path, "[]").unwrap();
    fails(&serve, 1, &["nodes.json", "an object with nodes by id"]);
    let good = fs::read_to_string(network_vectors().join("equal4/nodes.json")).unwrap();
    fs::write(&path, good.replacen("\"stake\": 10", "\"stake\": \"ten\"", 1)).unwrap();
    fails(&serve, 1, &["nodes.json", "node 0x1b7c", "stake"]);
    fails(&["serve", "--threshold", "101"], 2, &["above 0 and at most 100"]);
    fails(&["serve", "--batch-bytes", "100"], 2, &["at least 4098"]);
    fails(&["serve", "--data", data, "--page", data], 1, &["--page", "cargo xtask web"]);
    fails(&["order", "buy", "1", "ETH/USDT"], 2, &["--price"]);
    fails(&["order", "hold", "1", "ETH/USDT", "--price", "1"], 2, &["buy, sell"]);
    fails(
        &["order", "buy", "1", "ETH/USDT", "--price", "1", "--time-in-force", "gtd"],
        2,
        &["requires --expires"],
    );
    fails(
        &["order", "buy", "1", "ETH/USDT", "--price", "1", "--expires", "soon"],
        2,
        &["Unix milliseconds", "10m"],
    );
    fails(
        &[
            "order",
            "buy",
            "1",
            "ETH/USDT",
            "--price",
            "1",
            "--expires",
            "1m",
            "--time-in-force",
            "ioc",
        ],
        2,
        &["--expires requires --time-in-force gtd, not ioc"],
    );
    fails(&["replace", "buy", "1", "ETH/USDT", "--price", "1"], 2, &["--order"]);
    fails(&["cancel"], 2, &["--all"]);
    fails(&["cancel-after", "later"], 2, &["or `off`"]);
    let account = key(1).public_key().to_string();
    let new = ["genesis", "new", "--issuer", &account];
    fails(&new, 2, &["--replica"]);
    fails(&[&new[..], &["--replica", "02"]].concat(), 2, &["66 lower-case hex"]);
    let weightless = format!("{account}:0");
    fails(&[&new[..], &["--replica", &weightless]].concat(), 2, &["at least 1"]);
    fails(
        &[&new[..], &["--replica", &account, "--taker-fee-bps", "1001"]].concat(),
        2,
        &["1001", "1000"],
    );
    fails(&["nonsense"], 2, &["unrecognized subcommand"]);
    fails(&["replay"], 2, &["--from"]);
    fails(&["replay", "--from", "nowhere"], 1, &["nowhere/genesis.json"]);
    fails(&["replay", "--bodies", "x", "--genesis", "y"], 2, &["--unsequenced"]);
}

#[test]
fn a_port_in_use_is_reported() {
    let folder = TempDir::new().unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    fails(
        &["serve", "--data", data.to_str().unwrap(), "--listen", &address],
        1,
        &[&address, "choose another with --listen"],
    );
}

#[tokio::test]
async fn a_data_directory_in_use_or_of_another_network_or_version_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let data = replica.data.to_str().unwrap().to_string();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &data];
    fails(&serve, 1, &["in use by another zellbook process"]);
    assert_eq!(replica.process.terminate(), Some(0));

    let other = folder.path().join("other.json");
    let account = key(1).public_key().to_string();
    let other = other.to_str().unwrap();
    assert!(
        run(&["genesis", "new", "--issuer", &account, "--replica", &account, "--out", other])
            .status
            .success()
    );
    let with_other = [&serve[..], &["--genesis", other]].concat();
    fails(&with_other, 1, &["is for network", "another --data directory"]);

    let path = replica.data.join("replica.sqlite");
    for name in ["replica.sqlite", "outbox.sqlite", "sequencer.sqlite"] {
        let database = rusqlite::Connection::open(replica.data.join(name)).unwrap();
        let version: i64 =
            database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
        fails(&serve, 1, &["schema version 99", name]);
        database.pragma_update(None, "user_version", version).unwrap();
    }
    let sql = |sql: &str| rusqlite::Connection::open(&path).unwrap().execute(sql, []).unwrap();
    sql("UPDATE meta SET value = 'beef' WHERE key = 'network'");
    fails(&serve, 1, &["is for network beef"]);
    fs::write(&path, "this is not a database, and longer than a header of one hundred bytes ........................").unwrap();
    fails(&serve, 5, &["replica.sqlite", "not a database"]);
}
