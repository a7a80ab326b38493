//! Tests of the API's view of an account after transactions of every kind.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use zellbook_core::protocol::{KeyGrant, OrderRef};
use zellbook_core::{Action, LeafKey, Order, Proof, SecretKey, Transaction};

use crate::harness::{
    Replica, balance, check_replay, key, new_key, nonce, now_ms, number, order, replay, run, text,
};

/// The order of `line` with a client id.
fn named(line: &str, client_id: &str) -> Order {
    Order { client_id: Some(client_id.into()), ..order(line) }
}

/// Signs with a session key. Returns the JSON and the hash.
fn sign_as(
    replica: &Replica,
    account: &SecretKey,
    signer: &SecretKey,
    action: Action,
) -> (String, String) {
    let transaction = Transaction {
        account: account.public_key(),
        signer: Some(signer.public_key()),
        nonce: nonce(),
        valid_until: None,
        action,
    };
    let hash = transaction.hash(&replica.rules.network).to_string();
    (transaction.sign(&replica.rules.network, signer).to_json(), hash)
}

/// Signs with a session key, submits, and waits for the outcome.
async fn perform_as(
    replica: &Replica,
    account: &SecretKey,
    signer: &SecretKey,
    action: Action,
) -> Value {
    let (json, hash) = sign_as(replica, account, signer, action);
    replica.submit(&json).await;
    replica.outcome(&hash).await
}

/// The name of the reject for which a transaction of a session key is refused.
async fn refused_as(
    replica: &Replica,
    account: &SecretKey,
    signer: &SecretKey,
    action: Action,
) -> Value {
    replica.refused(&sign_as(replica, account, signer, action).0).await["code"].clone()
}

#[tokio::test]
async fn a_replaced_order_keeps_its_client_id_and_is_found_by_the_replacing_transaction() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    let placed =
        replica.perform(&alice, Action::Order(named("sell 2 ETH/USDT @ 2000", "mine"))).await;
    assert_eq!(placed["order"]["client_id"], "mine");
    replica.order(&bob, "buy 0.5 ETH/USDT @ 2000").await;

    // Smaller at the same price: the order keeps its id and its queue position.
    let target = OrderRef::ClientId("mine".into());
    let smaller =
        Action::Replace { target: target.clone(), order: order("sell 1 ETH/USDT @ 2000") };
    let reduced = replica.perform(&alice, smaller).await;
    assert_eq!(reduced["status"], "applied", "{reduced}");
    assert_eq!(reduced["order"]["id"], placed["order"]["id"]);
    assert_eq!(reduced["order"]["hash"], placed["hash"]);
    assert_eq!(
        [
            &reduced["order"]["quantity"],
            &reduced["order"]["filled"],
            &reduced["order"]["remaining"]
        ],
        ["1", "0.5", "0.5"]
    );

    // At another price: a new order with the old client id.
    let dearer = Action::Replace { target, order: order("sell 3 ETH/USDT @ 2001") };
    let replaced = replica.perform(&alice, dearer).await;
    assert_ne!(replaced["order"]["id"], placed["order"]["id"]);
    assert_eq!(replaced["order"]["hash"], replaced["hash"]);
    assert_eq!(replaced["order"]["client_id"], "mine");
    assert_eq!(replaced["order"]["quantity"], "2.5");
    let account = replica.account(&alice).await;
    assert_eq!(account["past_orders"][0]["reason"], "replaced");
    assert_eq!(balance(&account, "ETH"), "7 + 2.5");
    let book = replica.get("/v1/markets/ETH-USDT/book").await;
    assert_eq!(book["asks"], json!([["2001", "2.5", "1"]]));

    // It can be cancelled by the hash of the transaction that placed it.
    let hash = replaced["hash"].as_str().unwrap();
    let mut bytes = [0; 32];
    hex::decode_to_slice(hash, &mut bytes).unwrap();
    let hash = OrderRef::Transaction(zellbook_core::TransactionHash(bytes));
    assert_eq!(replica.perform(&alice, Action::Cancel(hash)).await["status"], "applied");
    let account = replica.account(&alice).await;
    assert_eq!(account["past_orders"][0]["reason"], "requested");
    check_replay(&replica).await;
}

#[tokio::test]
async fn a_session_key_trades_within_its_limits_only() {
    let folder = TempDir::new().unwrap();
    let mut replica = Replica::start(&folder, "data", &[]).await;
    let (alice, session) = (key(1), key(7));
    replica.fund(&[alice.public_key()]).await;
    let buy = || Action::Order(order("buy 1 ETH/USDT @ 1000"));
    let early = refused_as(&replica, &alice, &session, buy()).await;
    assert_eq!(early, "unknown_signer");
    let expires = now_ms() + 3_600_000;
    let grant = KeyGrant {
        key: session.public_key(),
        expires,
        market: Some("ETH/USDT".into()),
        spend: Some(("USDT".into(), "1500".parse().unwrap())),
    };
    let granted = replica.perform(&alice, Action::AuthorizeKey(grant)).await;
    assert_eq!(
        (&granted["kind"], &granted["status"]),
        (&json!("authorize_key"), &json!("applied"))
    );
    let placed = perform_as(&replica, &alice, &session, buy()).await;
    assert_eq!(placed["account"], alice.public_key().to_string());
    let account = replica.account(&alice).await;
    assert_eq!(
        account["session_keys"],
        json!([{
            "key": session.public_key().to_string(), "expires_ms": expires.to_string(),
            "market": "ETH/USDT", "spend_token": "USDT", "spend_limit": "1500", "spent": "1000",
        }])
    );
    assert_eq!(refused_as(&replica, &alice, &session, buy()).await, "key_limit");
    let destination = "nowhere".into();
    let withdraw =
        Action::Withdraw { token: "USDT".into(), amount: "1".parse().unwrap(), destination };
    assert_eq!(refused_as(&replica, &alice, &session, withdraw).await, "key_not_allowed");
    // The limits are part of the state, so they survive a restart.
    replica.process.kill();
    replica.process.restart("/readyz").await;
    assert_eq!(refused_as(&replica, &alice, &session, buy()).await, "key_limit");
    replica.perform(&alice, Action::RevokeKey { key: session.public_key() }).await;
    assert_eq!(replica.account(&alice).await["session_keys"], json!([]));
    assert_eq!(refused_as(&replica, &alice, &session, buy()).await, "key_not_authorized");
    let (code, _, log) = replay(&replica.data);
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn a_withdrawal_is_listed_and_a_balance_is_proven() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    let withdrawn = replica
        .perform(
            &alice,
            Action::Withdraw {
                token: "ETH".into(),
                amount: "2.5".parse().unwrap(),
                destination: "eth:0xabc".into(),
            },
        )
        .await;
    let account = replica.account(&alice).await;
    assert_eq!(
        account["withdrawals"],
        json!([{"number": "1", "token": "ETH", "amount": "2.5", "destination": "eth:0xabc",
            "batch": withdrawn["batch"], "certified": account["withdrawals"][0]["certified"]}])
    );
    assert_eq!(balance(&account, "ETH"), "6.5 + 1");
    let payout = |certified: bool| {
        json!([{"number": "1", "account": alice.public_key().to_string(), "token": "ETH",
            "amount": "2.5", "destination": "eth:0xabc", "batch": withdrawn["batch"],
            "certified": certified}])
    };
    // The replica's own attestations certify it soon.
    let is_listed = |body: &Value| body["withdrawals"] != json!([]);
    let listed = replica.busy_until(&alice, "/v1/withdrawals", is_listed).await;
    assert_eq!(listed["withdrawals"], payout(true));
    assert!(number(&listed["certified_batch"]) >= number(&withdrawn["batch"]));
    assert_eq!(replica.get("/v1/withdrawals?token=BTC").await["withdrawals"], json!([]));
    assert_eq!(replica.get("/v1/withdrawals?after=1").await["withdrawals"], json!([]));
    for (query, error) in [("token=DOGE", "unknown_token"), ("limit=1001", "bad_parameter")] {
        for route in ["withdrawals", "deposits"] {
            let path = format!("/v1/{route}?{query}");
            let (_, body) = replica.request(Method::GET, &path, "").await;
            assert_eq!(body["error"]["code"], error, "{path}");
        }
    }

    let nobody = key(99);
    for (owner, token, available, locked) in
        [(&alice, "ETH", "6.5", "1"), (&alice, "BTC", "1", "0"), (&nobody, "ETH", "0", "0")]
    {
        let path = format!("/v1/accounts/{}/proof?token={token}", owner.public_key());
        let body = replica.get(&path).await;
        let status = replica.status().await;
        assert_eq!((&body["batch"], &body["root"]), (&status["batch"], &status["root"]));
        assert_eq!(
            body["balance"],
            json!({"token": token, "available": available, "locked": locked})
        );
        let (index, _) = replica.rules.listing.token(token).unwrap();
        let key = LeafKey::Balance(owner.public_key(), index).to_bytes();
        assert_eq!(body["key"], hex::encode(&key));
        let bytes = |field: &str| hex::decode(body[field].as_str().unwrap()).unwrap();
        let value = body["value"].is_string().then(|| bytes("value"));
        assert_eq!(value.is_none(), available == "0");
        let root: [u8; 32] = bytes("root").try_into().unwrap();
        let proof = Proof::from_bytes(&bytes("proof")).unwrap();
        proof.verify(&root, &key, value.as_deref()).unwrap();
    }
}

#[tokio::test]
async fn open_orders_and_their_absence_are_proven_against_the_root() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    let action = Action::Order(named("sell 1 ETH/USDT @ 2000.5", "mine"));
    replica.perform(&alice, action).await;
    replica.order(&bob, "buy 0.25 ETH/USDT @ 2001").await;
    let path = |id: &str| format!("/v1/accounts/{}/orders/{id}/proof", alice.public_key());
    let open = replica.account(&alice).await["open_orders"][0].clone();
    let id = open["id"].as_str().unwrap();
    let body = replica.get(&path(id)).await;
    let status = replica.status().await;
    assert_eq!((&body["batch"], &body["root"]), (&status["batch"], &status["root"]));
    assert_eq!(
        body["order"],
        json!({"market": "ETH/USDT", "side": "sell", "price": "2000.5", "quantity": "1", "rested": "1",
            "remaining": "0.75", "transaction": open["hash"].as_str().unwrap()[..16],
            "expires_ms": null, "client_id": "mine"})
    );
    let bytes =
        |body: &Value, field: &str| hex::decode(body[field].as_str().unwrap_or_default()).unwrap();
    let verify = |body: &Value, id: u64, value: Option<&[u8]>| {
        let root: [u8; 32] = bytes(body, "root").try_into().unwrap();
        let leaf = LeafKey::Order(alice.public_key(), id).to_bytes();
        assert_eq!(bytes(body, "key"), leaf);
        Proof::from_bytes(&bytes(body, "proof")).unwrap().verify(&root, &leaf, value)
    };
    let number: u64 = id.parse().unwrap();
    let value = bytes(&body, "value");
    assert_eq!(verify(&body, number, Some(&value)), Ok(()));
    // With any bit changed, or as a proof of absence, it is refused.
    for place in 0..value.len() {
        let mut other = value.clone();
        other[place] ^= 1;
        assert!(verify(&body, number, Some(&other)).is_err(), "byte {place}");
    }
    assert!(verify(&body, number, None).is_err());

    // Bob's order is filled, and is not one of Alice's.
    for none in [number + 1, number + 1000] {
        let body = replica.get(&path(&none.to_string())).await;
        assert_eq!((&body["value"], &body["order"]), (&Value::Null, &Value::Null));
        assert_eq!(verify(&body, none, None), Ok(()));
    }
    for (path, code) in [
        (path("first"), "bad_order"),
        (format!("/v1/accounts/02ff/orders/{id}/proof"), "bad_account"),
    ] {
        let (status, answer) = replica.request(Method::GET, &path, "").await;
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_are_made_while_batches_are_applied() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let alice = key(1);
    replica.fund(&[alice.public_key()]).await;
    let path = format!("/v1/accounts/{}/proof?token=ETH", alice.public_key());
    let trade = async {
        for price in 2000..2020 {
            replica.order(&alice, &format!("sell 0.1 ETH/USDT @ {price}")).await;
        }
    };
    let ask = async {
        for _ in 0..200 {
            let body = replica.get(&path).await;
            let path = format!("/v1/batches/{}", body["batch"].as_str().unwrap());
            assert_eq!(replica.get(&path).await["root"], body["root"]);
        }
    };
    tokio::join!(trade, ask);
}

#[tokio::test]
async fn an_order_does_what_its_simulation_showed() {
    let folder = TempDir::new().unwrap();
    let replica = Replica::start(&folder, "data", &[]).await;
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    for line in ["sell 1 ETH/USDT @ 2000", "sell 1 ETH/USDT @ 2002", "sell 1 ETH/USDT @ 2010"] {
        replica.order(&alice, line).await;
    }
    let simulate = async |fields: Value| {
        let (status, body) =
            replica.request(reqwest::Method::POST, "/v1/simulate", &fields.to_string()).await;
        assert!(status.is_success(), "{status} {body}");
        body
    };
    let buy = |quantity: &str, price: &str, time_in_force: &str| {
        json!({"market": "ETH/USDT", "side": "buy", "quantity": quantity, "price": price,
            "time_in_force": time_in_force, "self_trade": "cancel_newest"})
    };
    let anyone = simulate(buy("2.5", "2005", "gtc")).await;
    assert_eq!(anyone["fills"], json!([["2000", "1"], ["2002", "1"]]));
    assert_eq!(anyone["reject"], Value::Null);
    assert_eq!([&anyone["filled"], &anyone["rests"], &anyone["cancelled"]], ["2", "0.5", "0"]);
    assert_eq!([&anyone["quote"], &anyone["average_price"]], ["4002", "2001"]);
    assert_eq!([&anyone["locked"], &anyone["cost"]], ["1002.5", "5012.5"]);
    assert_eq!(anyone["cost_token"], "USDT");
    assert_eq!(simulate(buy("2.5", "2005", "ioc")).await["cancelled"], "0.5");
    let fok = simulate(buy("2.5", "2005", "fok")).await;
    assert_eq!(fok["reject"]["name"], "cannot_fill");

    // An invalid value is named, with a valid suggestion.
    let off = simulate(buy("0.00004", "2000.004", "gtc")).await;
    assert_eq!(off["reject"]["name"], "price_off_tick");
    assert_eq!([&off["suggested_price"], &off["suggested_quantity"]], ["2000", "0.0005"]);
    let mut unknown = buy("1", "1", "gtc");
    unknown["market"] = json!("DOGE/USDT");
    assert_eq!(simulate(unknown).await["reject"]["name"], "unknown_market");

    // With an account, its balance and its own orders are taken into account.
    let mut own = buy("30", "2005", "gtc");
    own["account"] = json!(bob.public_key().to_string());
    assert_eq!(simulate(own.clone()).await["reject"]["name"], "balance_too_low");
    own["quantity"] = json!("2.5");
    own["account"] = json!(alice.public_key().to_string());
    let own = simulate(own).await;
    assert_eq!((&own["fills"], &own["cancelled"]), (&json!([]), &json!("2.5")));

    // The real order does the same.
    let placed = replica.order(&bob, "buy 2.5 ETH/USDT @ 2005").await;
    assert_eq!([&placed["order"]["filled"], &placed["order"]["remaining"]], ["2", "0.5"]);
    assert_eq!(balance(&replica.account(&bob).await, "USDT"), "44995.5 + 1002.5");
}

#[tokio::test]
async fn makers_and_takers_pay_and_see_their_own_fees() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (issuer_key, genesis) = (file("issuer.key"), file("genesis.json"));
    let issuer = new_key(&issuer_key);
    let made = run(&[
        "genesis",
        "new",
        "--faucet",
        "--issuer",
        &issuer,
        "--replica",
        &issuer,
        "--out",
        &genesis,
        "--maker-fee-bps",
        "10",
        "--taker-fee-bps",
        "25",
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    // A replica with an embedded sequencer takes the genesis file from its data directory.
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::copy(&genesis, folder.path().join("data/genesis.json")).unwrap();
    let replica = Replica::start(&folder, "data", &["--issuer-key", &issuer_key]).await;
    let markets = replica.get("/v1/markets").await;
    assert_eq!(markets["markets"][0]["maker_fee_bps"], "10");
    assert_eq!(markets["markets"][0]["taker_fee_bps"], "25");
    let (alice, bob) = (key(1), key(2));
    replica.fund(&[alice.public_key(), bob.public_key()]).await;
    replica.order(&alice, "sell 1 ETH/USDT @ 2000").await;
    replica.order(&bob, "buy 1 ETH/USDT @ 2000").await;
    let (maker, taker) = (replica.account(&alice).await, replica.account(&bob).await);
    assert_eq!([&maker["fills"][0]["fee"], &taker["fills"][0]["fee"]], ["2", "5"]);
    assert_eq!(balance(&maker, "USDT"), "51998 + 0");
    assert_eq!(balance(&taker, "USDT"), "47995 + 0");
    let fees = replica.get(&format!("/v1/accounts/{issuer}")).await;
    assert_eq!(balance(&fees, "USDT"), "7 + 0");
}
