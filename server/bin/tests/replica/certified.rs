//! Tests that responses and commands say what is certified and what is only sequenced.

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::Action;

use crate::harness::{Given, Process, Replica, client, key, number, run, text};

/// The last certified batch, as the header of a response says.
async fn header(http: &Client, url: &str) -> Option<u64> {
    let response = http.get(url).send().await.unwrap();
    assert!(response.status().is_success(), "{url}: {}", response.status());
    let header = response.headers().get("certified-batch")?;
    Some(header.to_str().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deposits_and_withdrawals_count_for_their_issuer_only_once_they_are_certified() {
    let folder = TempDir::new().unwrap();
    let sequencer_data = folder.path().join("sequencer");
    let arguments = ["--data", sequencer_data.to_str().unwrap()];
    let sequencer = Process::start(folder.path(), "sequencer", &arguments, "/node/ready").await;
    let network = Given::network(&folder, &sequencer_data.join("nodes.json"));
    // One of two replicas with equal weight: it certifies nothing alone.
    let a = Replica::start(&folder, "a", &network.arguments_of(0)).await;
    let alice = key(1);
    a.fund(&[alice.public_key()]).await;
    let withdraw = Action::Withdraw {
        token: "ETH".into(),
        amount: "2".parse().unwrap(),
        destination: "eth:0xabc".into(),
    };
    let withdrawn = a.perform(&alice, withdraw).await;
    let (hash, batch) = (withdrawn["hash"].as_str().unwrap(), withdrawn["batch"].clone());
    let of_account = format!("/v1/accounts/{}", alice.public_key());
    let index = batch.as_str().unwrap();
    let list = |command: &str, arguments: &[&str]| {
        let all = ["--json", command, "--server", &a.process.url];
        let output = run(&[&all[..], arguments].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[command].clone()
    };
    let listed = |arguments: &[&str]| list("withdrawals", arguments);
    let payout = |certified: bool| {
        json!([{"number": "1", "account": alice.public_key().to_string(), "token": "ETH",
            "amount": "2", "destination": "eth:0xabc", "batch": batch, "certified": certified}])
    };

    let http = client();
    let proof = format!("{of_account}/proof?token=ETH");
    let shown = [
        "/v1/markets",
        "/v1/markets/ETH-USDT/book",
        "/v1/markets/ETH-USDT/trades",
        "/v1/markets/ETH-USDT/candles?interval=1m",
        &of_account,
        &proof,
        &format!("{of_account}/orders/1/proof"),
        &format!("/v1/batches/{index}/contents"),
        &format!("/v1/batches/{index}/trades"),
        &format!("/v1/transactions/{hash}/signed"),
        "/v1/replicas",
    ]
    .map(|path| format!("{}{path}", a.process.url));

    for url in &shown {
        assert_eq!(header(&http, url).await, None, "{url}");
    }
    assert_eq!(a.get(&proof).await["certified_batch"], Value::Null);
    assert_eq!((&withdrawn["status"], &withdrawn["certified"]), (&"applied".into(), &false.into()));
    assert_eq!(a.get(&of_account).await["certified_batch"], Value::Null);
    assert_eq!(a.get(&format!("/v1/batches/{index}")).await["certified"], false);
    assert_eq!(a.get("/v1/headers").await["headers"][0]["certified"], false);
    let ledger = a.get(&format!("{of_account}/ledger")).await;
    assert_eq!(
        (&ledger["certified_batch"], &ledger["entries"][0]["certified"]),
        (&Value::Null, &false.into())
    );
    assert_eq!(a.get("/v1/withdrawals").await["withdrawals"], json!([]));
    assert_eq!(a.get("/v1/withdrawals?sequenced=true").await["withdrawals"], payout(false));
    assert_eq!((listed(&[]), listed(&["--sequenced"])), (json!([]), payout(false)));
    let account = a.get(&of_account).await;
    assert_eq!(account["withdrawals"][0]["certified"], false);
    // The faucet made one deposit of each token.
    assert_eq!(a.get("/v1/deposits").await["deposits"], json!([]));
    assert_eq!(list("deposits", &[]), json!([]));
    let deposits = a.get("/v1/deposits?sequenced=true").await["deposits"].clone();
    let expected = |symbol: &str, amount: &str| {
        let deposits = deposits.as_array().unwrap();
        let found = deposits.iter().find(|deposit| deposit["token"] == symbol).unwrap();
        let reference = found["reference"].as_str().unwrap();
        assert!(!reference.is_empty());
        json!({"number": found["number"], "account": alice.public_key().to_string(), "token": symbol,
            "amount": amount, "reference": reference, "batch": found["batch"],
            "position": found["position"], "certified": false})
    };
    let all = [("ETH", "10"), ("BTC", "1"), ("USDT", "50000")];
    let expected: Vec<Value> = all.iter().map(|(token, amount)| expected(token, amount)).collect();
    assert_eq!(deposits.as_array().unwrap().len(), 3);
    assert!(
        expected.iter().all(|deposit| deposits.as_array().unwrap().contains(deposit)),
        "{deposits}"
    );
    let of_ledger = &ledger["entries"].as_array().unwrap()[1..];
    for deposit in deposits.as_array().unwrap() {
        let entry = of_ledger.iter().find(|entry| entry["number"] == deposit["number"]).unwrap();
        assert_eq!(
            (&entry["batch"], &entry["position"]),
            (&deposit["batch"], &deposit["position"])
        );
        assert_eq!(entry["with"], deposit["reference"]);
    }

    let _b = Replica::start(&folder, "b", &network.arguments_of(1)).await;
    let is_listed = |body: &Value| body["withdrawals"] != json!([]);
    let certified = a.busy_until(&alice, "/v1/withdrawals", is_listed).await;
    assert_eq!(certified["withdrawals"], payout(true));
    assert_eq!((listed(&[]), listed(&["--after", "1"])), (payout(true), json!([])));
    assert_eq!(a.get(&format!("/v1/transactions/{hash}")).await["certified"], true);
    assert_eq!(a.get(&format!("/v1/batches/{index}")).await["certified"], true);
    for url in &shown {
        assert!(header(&http, url).await.unwrap() >= number(&batch), "{url}");
    }
    let body = a.get(&proof).await;
    assert!(number(&body["certified_batch"]) >= number(&batch), "{body}");
    assert!(number(&body["batch"]) >= number(&body["certified_batch"]), "{body}");
    let account = a.get(&of_account).await;
    assert!(number(&account["certified_batch"]) >= number(&batch), "{account}");
    assert_eq!(account["withdrawals"][0]["certified"], true);
    let mut certified = deposits.clone();
    for deposit in certified.as_array_mut().unwrap() {
        deposit["certified"] = true.into();
    }
    assert_eq!(list("deposits", &[]), certified);
    // Page by page, and of one token.
    let first = list("deposits", &["--limit", "1"]);
    assert_eq!(first[0], certified[0]);
    let rest = list("deposits", &["--after", first[0]["number"].as_str().unwrap()]);
    assert_eq!(rest.as_array().unwrap()[..], certified.as_array().unwrap()[1..]);
    let usdt = list("deposits", &["--token", "USDT"]);
    assert_eq!((usdt.as_array().unwrap().len(), &usdt[0]["amount"]), (1, &"50000".into()));
    let human = text(&run(&["deposits", "--token", "ETH", "--server", &a.process.url]).stdout);
    assert!(human.contains("certified  10 ETH to ") && human.contains(", reference "), "{human}");
    let status = a.status().await;
    assert!(number(&status["certified_batch"]) >= number(&account["certified_batch"]), "{status}");
    drop(sequencer);
}
