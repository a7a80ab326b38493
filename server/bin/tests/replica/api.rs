//! Tests of the HTTP interface with valid and invalid requests.

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::Action;
use zellbook_core::protocol::OrderRef;
use zellbook_core::wire::MarketsResponse;

use crate::harness::{Replica, balance, client, key, new_key, run};

#[tokio::test]
async fn an_order_is_shown_by_every_endpoint_that_it_concerns() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    let placed = replica.order(&alice, "sell 1.5 ETH/USDT @ 2000").await;
    assert_eq!(placed["status"], "applied");
    assert_eq!(placed["order"]["status"], "open");
    for step in ["received_ms", "posted_ms", "sequenced_ms", "applied_ms"] {
        assert!(
            placed[step].as_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000_000,
            "{step}"
        );
    }
    let book = replica.get("/v1/markets/ETH-USDT/book?depth=1").await;
    assert_eq!(book["asks"], json!([["2000", "1.5", "1"]]));
    let taken = replica.order(&bob, "buy 0.5 ETH/USDT @ 2010").await;
    assert_eq!(taken["order"]["filled"], "0.5");
    let trades = replica.get("/v1/markets/ETH-USDT/trades").await;
    assert_eq!(trades["trades"][0]["price"], "2000");
    assert_eq!(trades["trades"][0]["taker_side"], "buy");
    let account = replica.account(&alice).await;
    assert_eq!(balance(&account, "ETH"), "8.5 + 1");
    assert_eq!(account["open_orders"][0]["filled"], "0.5");
    assert_eq!(account["fills"][0]["is_maker"], true);
    assert_eq!(account["fills"][0]["side"], "sell");
    let markets = replica.get("/v1/markets").await;
    assert_eq!(markets["markets"][0]["last"], "2000");
    assert_eq!(markets["markets"][0]["volume_24h"], "0.5");
    let listed: MarketsResponse = serde_json::from_value(markets).unwrap();
    assert_eq!(listed.listing().as_ref(), Some(&replica.rules.listing));
    let index = taken["batch"].as_str().unwrap();
    let batch = replica.get(&format!("/v1/batches/{index}")).await;
    assert!(batch["body"].as_str().unwrap().contains("\"price\":\"2010\""));
    let status = replica.status().await;
    let last = replica.get(&format!("/v1/batches/{}", status["batch"].as_str().unwrap())).await;
    assert_eq!(last["root"], status["root"]);
    assert_eq!(batch["proof"]["index"], index);
    let genesis = replica.get("/v1/genesis").await;
    assert_eq!(genesis["app_name"], "zellbook");
    assert_eq!(replica.request(Method::GET, "/healthz", "").await.0, StatusCode::OK);
    assert_eq!(replica.request(Method::GET, "/readyz", "").await.0, StatusCode::OK);
    replica.order(&bob, "sell 0.25 ETH/USDT @ 1990").await;
    replica.order(&alice, "buy 0.1 ETH/USDT @ 2000").await;
    let candles = replica.get("/v1/markets/ETH-USDT/candles?interval=1d").await;
    assert_eq!(candles["candles"].as_array().unwrap().len(), 1);
    let day = &candles["candles"][0];
    let prices = ["open", "high", "low", "close"].map(|name| day[name].as_str().unwrap());
    assert_eq!((prices, day["volume"].as_str()), (["2000", "2000", "1990", "1990"], Some("0.6")));
    let start: u64 = day["start_ms"].as_str().unwrap().parse().unwrap();
    assert_eq!(start % 86_400_000, 0);
    let path = "/v1/markets/ETH-USDT/candles?interval=1d&limit=1&before=";
    let older = replica.get(&format!("{path}{start}")).await;
    assert_eq!(older["candles"], json!([]));
    let other = replica.get("/v1/markets/BTC-USDT/candles?interval=1m").await;
    assert_eq!((&other["interval"], &other["candles"]), (&json!("1m"), &json!([])));
}

#[tokio::test]
async fn a_transaction_sent_twice_is_applied_once_and_one_without_effect_has_a_reason() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let (json, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    replica.submit(&json).await;
    replica.submit(&json).await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    replica.submit(&json).await;
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
    assert_eq!(balance(&replica.account(&alice).await, "ETH"), "9 + 1");

    // The account alone decides: refused. The book decides: rejected, since it can change until then.
    let (json, hash) = replica.sign_order(&alice, "buy 1000 ETH/USDT @ 2000");
    let error = replica.refused(&json).await;
    assert_eq!(
        error,
        json!({"code": "balance_too_low", "details": {"reject_code": "40"},
               "message": "this needs 2000000 USDT, but only 50000 USDT is available"})
    );
    let (status, _) = replica.request(Method::GET, &format!("/v1/transactions/{hash}"), "").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "it was not stored");
    let (json, _) = replica.sign(&alice, Action::Cancel(OrderRef::Id(777)));
    assert_eq!(replica.refused(&json).await["code"], "unknown_order");
    let outcome = replica.order(&alice, "buy 2 ETH/USDT @ 1999 fok").await;
    assert_eq!(outcome["status"], "rejected");
    assert_eq!(outcome["reject"]["code"], "34");
    assert_eq!(outcome["reject"]["message"], "this fill-or-kill order would fill only 0 of 2");
}

#[tokio::test]
async fn each_transaction_of_an_array_has_its_own_result() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let (good, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    let (off_tick, _) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000.005");
    let forged = good.replace("\"price\":\"2000\"", "\"price\":\"2001\"");
    let body = format!("[ {good} , {off_tick}, {forged}, {{}} ]");
    let (status, answer) = replica.request(Method::POST, "/v1/transactions", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let names: Vec<_> = answer["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["error"]["name"].clone())
        .collect();
    assert_eq!(
        names,
        [json!(null), json!("price_off_tick"), json!("bad_signature"), json!("malformed")]
    );
    assert_eq!(answer["transactions"][0]["hash"], hash);
    assert_eq!(replica.outcome(&hash).await["status"], "applied");
}

async fn check(
    replica: &Replica,
    method: Method,
    path: &str,
    body: &str,
    status: u16,
    code: &str,
    says: &str,
) {
    let (found, answer) = replica.request(method, path, body).await;
    assert_eq!(found.as_u16(), status, "{path}: {answer}");
    assert_eq!(answer["error"]["code"], code, "{path}: {answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{path}: {message}");
    assert!(answer["error"]["details"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_array_of_transactions_is_sequenced_in_its_order() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    // More than the 64 nonces of a key's window: out of order, most would be rejected as too old.
    let signed: Vec<_> =
        (0..400).map(|_| replica.sign(&alice, Action::CancelAll { market: None })).collect();
    let body = signed.iter().map(|(json, _)| json.as_str()).collect::<Vec<_>>().join(",");
    let (status, _) = replica.request(Method::POST, "/v1/transactions", &format!("[{body}]")).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let mut last = (0, 0);
    for (_, hash) in &signed {
        let outcome = replica.outcome(hash).await;
        assert_eq!(outcome["status"], "applied", "{outcome}");
        let number = |name: &str| outcome[name].as_str().unwrap().parse::<u64>().unwrap();
        let position = (number("batch"), number("position"));
        assert!(position > last || last == (0, 0), "{position:?} after {last:?}");
        last = position;
    }
}

#[tokio::test]
async fn every_error_response_states_what_would_be_right() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    let sign = |line: &str| replica.sign_order(&alice, line).0;
    let get = Method::GET;
    let post = Method::POST;
    let transactions = "/v1/transactions";
    let r = &replica;
    check(r, post.clone(), transactions, "", 400, "not_json", "not a JSON object").await;
    check(r, post.clone(), transactions, "{\"kind\":", 400, "not_json", "not a JSON object").await;
    check(r, post.clone(), transactions, "[1,", 400, "not_json", "not a JSON array").await;
    check(r, post.clone(), transactions, "5", 422, "malformed", "strings").await;
    check(r, post.clone(), transactions, "{}", 422, "malformed", "").await;
    check(
        r,
        post.clone(),
        transactions,
        &sign("buy 1 ETH/USDT @ 100.003"),
        422,
        "price_off_tick",
        "nearest valid values are 100 and 100.01",
    )
    .await;
    check(
        r,
        post.clone(),
        transactions,
        &sign("buy 1 DOGE/USDT @ 1"),
        422,
        "unknown_market",
        "the markets are ETH/USDT, BTC/USDT",
    )
    .await;
    check(
        r,
        post.clone(),
        transactions,
        &sign("buy 0.0001 ETH/USDT @ 1"),
        422,
        "notional_too_small",
        "the minimum in this market is",
    )
    .await;
    let forged = sign("buy 1 ETH/USDT @ 100").replace("\"price\":\"100\"", "\"price\":\"101\"");
    check(
        r,
        post.clone(),
        transactions,
        &forged,
        422,
        "bad_signature",
        "does not match this transaction's text",
    )
    .await;
    let many = format!("[{}]", vec!["{}"; 1001].join(","));
    check(r, post.clone(), transactions, &many, 400, "too_many", "send at most 1000").await;
    let future = zellbook_core::Transaction {
        account: alice.public_key(),
        signer: None,
        nonce: u64::MAX,
        valid_until: None,
        action: Action::CancelAll { market: None },
    };
    let future = future.sign(&replica.rules.network, &alice).to_json();
    check(r, post.clone(), transactions, &future, 422, "nonce_in_future", "more than a day later")
        .await;
    check(r, get.clone(), "/v1/transactions/xyz", "", 400, "bad_hash", "64 lower-case hex").await;
    let unknown = format!("/v1/transactions/{}", "0".repeat(64));
    check(r, get.clone(), &unknown, "", 404, "unknown_transaction", "does not know").await;
    check(r, get.clone(), "/v1/markets/DOGE-USDT/book", "", 404, "unknown_market", "ETH/USDT")
        .await;
    check(
        r,
        get.clone(),
        "/v1/markets/ETH-USDT/book?depth=0",
        "",
        400,
        "bad_parameter",
        "use 1 to 500",
    )
    .await;
    check(r, get.clone(), "/v1/markets/ETH-USDT/book?dept=5", "", 400, "bad_parameter", "dept")
        .await;
    check(
        r,
        get.clone(),
        "/v1/markets/ETH-USDT/trades?limit=9999",
        "",
        400,
        "bad_parameter",
        "use 1 to 500",
    )
    .await;
    let candles = "/v1/markets/ETH-USDT/candles";
    let (hours, many) =
        (format!("{candles}?interval=2h"), format!("{candles}?interval=1m&limit=1001"));
    check(r, get.clone(), candles, "", 400, "bad_parameter", "interval").await;
    check(r, get.clone(), &hours, "", 400, "bad_parameter", "1m, 5m, 15m, 1h, 4h, 1d").await;
    check(r, get.clone(), &many, "", 400, "bad_parameter", "use 1 to 1000").await;
    check(r, get.clone(), "/v1/accounts/02ff", "", 400, "bad_account", "66 lower-case hex").await;
    let proof = format!("/v1/accounts/{}/proof", alice.public_key());
    let (none, unknown) = (proof.clone(), format!("{proof}?token=DOGE"));
    check(r, get.clone(), &none, "", 400, "bad_parameter", "token").await;
    check(r, get.clone(), &unknown, "", 404, "unknown_token", "ETH, BTC, USDT").await;
    let simulate = "/v1/simulate";
    check(r, post.clone(), simulate, "", 400, "not_json", "the fields of an order").await;
    check(r, post.clone(), simulate, "{}", 422, "malformed", "`market` is missing").await;
    let cancel = r#"{"kind":"cancel_all"}"#;
    check(r, post.clone(), simulate, cancel, 422, "malformed", "send an order").await;
    check(r, get.clone(), "/v1/batches/0", "", 400, "bad_index", "at least 1").await;
    check(r, get.clone(), "/v1/batches/99", "", 404, "unknown_batch", "its last batch is 0").await;
    check(r, get.clone(), "/v1/batches", "", 400, "bad_parameter", "after").await;
    check(r, post.clone(), "/v1/faucet", "{}", 400, "not_json", "account").await;
    check(r, get.clone(), "/nowhere", "", 404, "unknown_path", "/nowhere").await;
    check(r, Method::DELETE, "/v1/status", "", 405, "method_not_allowed", "does not support").await;
    check(r, Method::POST, "/nowhere", "", 404, "unknown_path", "/nowhere").await;
    check(r, get.clone(), "/v1/markets/%ff/book", "", 400, "bad_request", "UTF-8").await;
    check(r, get.clone(), "/v1/ws", "", 400, "bad_request", "onnection").await;
    let huge = "x".repeat(2 << 20);
    let url = format!("{}{transactions}", replica.process.url);
    let answer =
        client().post(url).header("content-type", "application/json").body(huge).send().await;
    // The server may close the connection before the whole body is sent.
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "body_too_large");
    }
    assert_eq!(replica.batch().await, 0, "no invalid request reached the sequencer");
}

#[tokio::test]
async fn the_faucet_credits_an_account_once_an_hour() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    assert_eq!(balance(&replica.account(&alice).await, "USDT"), "50000 + 0");
    let body = json!({ "account": alice.public_key().to_string() }).to_string();
    let again = replica.request(Method::POST, "/v1/faucet", &body).await;
    replica.process.kill();
    replica.process.restart("/readyz").await;
    let after_restart = replica.request(Method::POST, "/v1/faucet", &body).await;
    // If a new hour starts during the test, the account is rightly credited again.
    for (status, answer) in [again, after_restart] {
        let is_refused = status == StatusCode::TOO_MANY_REQUESTS
            && answer["error"]["code"] == "credited_already";
        assert!(is_refused || status == StatusCode::ACCEPTED, "{status} {answer}");
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let folder = TempDir::new().unwrap();
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    for name in ["index.html", "zellbook-1.js", "zellbook-1.js.br", "zellbook-1.wasm"] {
        fs::write(site.join(name), "content").unwrap();
    }
    let page = ["--page", site.to_str().unwrap()];
    let with_page = Replica::start(&folder, "data", &page).await;
    let without = Replica::start(&folder, "other", &[]).await;
    let paths = ["/", "/zellbook-1.js", "/zellbook-1.wasm", "/nowhere", "/v1/status", "/v1/ws"];
    let answers = [&with_page, &without]
        .into_iter()
        .flat_map(|replica| paths.iter().map(|path| format!("{}{path}", replica.process.url)));
    for url in answers {
        for method in [Method::GET, Method::HEAD, Method::PUT] {
            let request = client().request(method.clone(), &url).header("accept-encoding", "br");
            let answer = request.send().await.unwrap();
            let head = format!("{method} {url}: {} {:#?}", answer.status(), answer.headers());
            let header = |name: &str| {
                let mut values = answer.headers().get_all(name).iter();
                let value = values.next().map(|value| value.to_str().unwrap());
                assert!(values.next().is_none(), "{name} twice: {head}");
                value
            };
            // There must be only one policy, since a browser enforces all of them.
            let policy = header("content-security-policy").unwrap();
            let mut directives: Vec<_> = policy.split("; ").collect();
            directives.sort_unstable();
            let expected = [
                "base-uri 'none'",
                "connect-src 'self'",
                "default-src 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "img-src 'self' data:",
                "script-src 'self' 'wasm-unsafe-eval'",
                "style-src 'self'",
            ];
            assert_eq!(directives, expected, "{head}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("referrer-policy", "no-referrer"),
                ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-embedder-policy", "require-corp"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(header(name), Some(value), "{name}: {head}");
            }
        }
    }
    let status: Value = with_page.status().await;
    assert_eq!(status["state"], "following");
    let script = client().get(format!("{}/zellbook-1.js", with_page.process.url));
    let script = script.header("accept-encoding", "gzip, br").send().await.unwrap();
    assert_eq!(script.headers()["content-encoding"], "br");
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    assert_eq!(script.headers()["cache-control"], "public, max-age=31536000, immutable");
}

#[tokio::test]
async fn metrics_and_certified_roots_agree_with_the_status() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    replica.ready().await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let (json, hash) = replica.sign_order(&alice, "sell 1 ETH/USDT @ 2000");
    replica.submit(&json).await;
    replica.outcome(&hash).await;
    replica.order(&alice, "buy 1 ETH/USDT @ 1999 fok").await;
    // Attestations ride in posted batches, at most once a second.
    while replica.status().await["certified_batch"].is_null() {
        replica.perform(&alice, Action::CancelAll { market: None }).await;
    }
    let status = replica.status().await;
    let (answer, metrics) = replica.request(Method::GET, "/metrics", "").await;
    assert_eq!(answer, StatusCode::OK);
    let metrics = metrics.as_str().unwrap();
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("zellbook_{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {metrics}")).parse::<u64>().unwrap()
    };
    // Roots are values, not labels: every label would create a new time series.
    assert!(!metrics.contains("root=\""), "{metrics}");
    assert!(value("root_prefix") > 0 && value("certified_root_prefix") > 0);
    assert!(value("batch") >= 2 && value("commits_total") > 0 && value("certified_batch") > 0);
    assert_eq!(value("rejected_total{reject=\"cannot_fill\"}"), 1);
    assert_eq!((value("state{state=\"following\"}"), value("duplicates_total")), (1, 0));
    // Nothing that this replica took was checked again when it came back.
    assert_eq!(value("known_total"), value("outbox_taken_total"));
    let certified = status["certified_batch"].as_str().unwrap();
    let path = format!("/v1/certified?from={certified}");
    let body = replica.get(&path).await;
    let root =
        &replica.get(&format!("/v1/batches/{}", body["batch"].as_str().unwrap())).await["root"];
    assert_eq!(&body["root"], root);
    assert!(
        body["attestations"][0]["transaction"].as_str().unwrap().contains(root.as_str().unwrap())
    );
    let (answer, body) = replica.request(Method::GET, "/v1/certified?from=1000000", "").await;
    assert_eq!((answer, &body["error"]["code"]), (StatusCode::NOT_FOUND, &"not_certified".into()));
}

#[tokio::test]
async fn a_faucet_offers_only_the_tokens_whose_issuer_key_it_has() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (issuer_key, genesis) = (file("issuer.key"), file("genesis.json"));
    let issuer = new_key(&issuer_key);
    let arguments = ["genesis", "new", "--faucet", "--issuer", &issuer, "--replica", &issuer];
    assert!(run(&[&arguments[..], &["--out", &genesis]].concat()).status.success());
    let mut json: Value = serde_json::from_slice(&fs::read(&genesis).unwrap()).unwrap();
    json["tokens"][0]["issuer"] = key(7).public_key().to_string().into();
    fs::write(&genesis, json.to_string()).unwrap();
    let arguments = ["--genesis", &genesis, "--issuer-key", &issuer_key];
    let replica = Replica::start(&folder, "data", &arguments).await;
    let tokens = replica.get("/v1/markets").await["tokens"].clone();
    let tokens = tokens.as_array().unwrap();
    assert!(tokens[0]["faucet"].is_null(), "{tokens:?}");
    assert!(
        tokens.len() > 1 && tokens[1..].iter().all(|token| token["faucet"].is_string()),
        "{tokens:?}"
    );
    // An account gets what is offered, and nothing else.
    replica.fund(&[key(1).public_key()]).await;
    let account = replica.account(&key(1)).await;
    assert_eq!(balance(&account, tokens[0]["symbol"].as_str().unwrap()), "0 + 0");
    for token in &tokens[1..] {
        let offered = token["faucet"].as_str().unwrap();
        assert_eq!(balance(&account, token["symbol"].as_str().unwrap()), format!("{offered} + 0"));
    }
}
