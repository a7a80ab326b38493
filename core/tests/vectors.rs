//! Checks `docs/vectors/transactions.json`, from which clients can be written: every kind of transaction, with
//! and without each optional field, as text, digest, signature and JSON in both schemes. `ZELLBOOK_BLESS=1
//! cargo test -p zellbook-core --test vectors` rewrites it after a change of the protocol.
//! `tests/vectors/check.py` checks it with independent implementations.

use serde_json::{Value, json};
use zellbook_core::protocol::{Element, KeyGrant, OrderRef};
use zellbook_core::types::{Scheme, SelfTrade};
use zellbook_core::{
    Action, Genesis, Order, Rules, SecretKey, Side, SignedTransaction, TimeInForce, Transaction,
    TransactionHash,
};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn rules() -> Rules {
    let [issuer, fees, replica] = [1, 2, 3].map(|seed| key(seed).public_key().to_string());
    let genesis = json!({
        "version": 1, "name": "Vectors \u{1f512} \"quoted\"", "app_name": "zellbook-vectors",
        "guide_orders": false,
        "tokens": [
            {"symbol": "ETH", "decimals": 18, "issuer": issuer, "faucet": "10"},
            {"symbol": "USDT", "decimals": 6, "issuer": issuer},
        ],
        "markets": [{"base": "ETH", "quote": "USDT", "tick_size": "0.01", "lot_size": "0.0001",
            "notional_min": "1", "maker_fee_bps": 2, "taker_fee_bps": 5}],
        "fee_account": fees,
        "limits": {"open_orders_per_account_and_market": 200, "makers_per_order": 100,
            "session_keys_per_account": 16},
        "replicas": [{"public_key": replica, "weight": 1}],
    });
    Genesis::read(genesis.to_string().as_bytes()).unwrap()
}

fn order(time_in_force: TimeInForce) -> Order {
    Order {
        market: "ETH/USDT".into(),
        side: Side::Buy,
        quantity: "1.5".parse().unwrap(),
        price: "2000.25".parse().unwrap(),
        time_in_force,
        expires: (time_in_force == TimeInForce::Gtd).then_some(1_800_000_000_000),
        self_trade: SelfTrade::CancelNewest,
        client_id: None,
    }
}

/// Returns actions of each kind with a name for each.
fn actions() -> Vec<(String, Action)> {
    let mut actions: Vec<(String, Action)> = Vec::new();
    let mut add = |name: &str, action| actions.push((name.into(), action));
    let kinds = [
        TimeInForce::Gtc,
        TimeInForce::Gtd,
        TimeInForce::Ioc,
        TimeInForce::Fok,
        TimeInForce::PostOnly,
    ];
    for kind in kinds {
        add(&format!("order: {kind}"), Action::Order(order(kind)));
        let named = Order { client_id: Some("Bot_1.a:b-c".into()), ..order(kind) };
        add(&format!("order: {kind}, client id"), Action::Order(named));
    }
    for self_trade in [SelfTrade::CancelOldest, SelfTrade::CancelBoth] {
        let sell = Order { side: Side::Sell, self_trade, ..order(TimeInForce::Gtc) };
        add(&format!("order: sell, {self_trade}"), Action::Order(sell));
    }
    let targets = [
        OrderRef::Id(u64::MAX),
        OrderRef::Transaction(TransactionHash([0xab; 32])),
        OrderRef::ClientId("Bot_1.a:b-c".into()),
    ];
    for target in targets {
        add(&format!("cancel: {target}"), Action::Cancel(target.clone()));
        for kind in [TimeInForce::Gtc, TimeInForce::Gtd] {
            let replace = Action::Replace { target: target.clone(), order: order(kind) };
            add(&format!("replace: {target}, {kind}"), replace);
            let named = Order { client_id: Some("next".into()), ..order(kind) };
            let replace = Action::Replace { target: target.clone(), order: named };
            add(&format!("replace: {target}, {kind}, client id"), replace);
        }
    }
    add("cancel_all: every market", Action::CancelAll { market: None });
    add("cancel_all: one market", Action::CancelAll { market: Some("ETH/USDT".into()) });
    add("cancel_all_after: disarm", Action::CancelAllAfter { time: 0 });
    add("cancel_all_after", Action::CancelAllAfter { time: 1_800_000_000_000 });
    let (token, to) = (String::from("ETH"), key(8).public_key());
    let amount = "0.000000000000000001".parse().unwrap();
    add("transfer", Action::Transfer { token: token.clone(), to, amount });
    let destination = "iban:DE00/1@x+y.z_w-v".into();
    add("withdraw", Action::Withdraw { token: token.clone(), amount, destination });
    let reference = "bank:1.a_b-c".into();
    add("deposit", Action::Deposit { token: token.clone(), to, amount, reference });
    for market in [None, Some("ETH/USDT")] {
        for spend in [None, Some((token.clone(), amount))] {
            let name = format!(
                "authorize_key: {}, {}",
                market.unwrap_or("every market"),
                if spend.is_some() { "bound" } else { "no bound" }
            );
            let market = market.map(Into::into);
            let grant = KeyGrant { key: to, expires: 1_800_000_000_000, market, spend };
            add(&name, Action::AuthorizeKey(grant));
        }
    }
    add("revoke_key", Action::RevokeKey { key: to });
    let root = [0x5a; 32];
    add("attest", Action::Attest { batch: 7, root, clock: 1_700_000_000_123 });
    actions
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(transaction: &Transaction, scheme: Scheme, text: &str, key: &SecretKey) -> Value {
    let transaction = transaction.clone();
    let signed = SignedTransaction { transaction, scheme, signature: key.sign(scheme, text) };
    let read = Element::read(&signed.to_json(), false).unwrap();
    assert_eq!(read, Element::Signed(signed.clone()));
    json!({
        "digest": hex(&scheme.digest(text)),
        "signature": signed.signature.to_string(),
        "json": signed.to_json(),
    })
}

fn case(rules: &Rules, name: &str, transaction: &Transaction, signer: u8) -> Value {
    let text = transaction.text(&rules.network);
    let fields: Vec<Value> =
        transaction.fields().into_iter().map(|(name, value)| json!([name, value])).collect();
    json!({
        "name": name,
        "secret_key": key(signer).to_hex().as_str(),
        "fields": fields,
        "text": text,
        "hash": transaction.hash(&rules.network).to_string(),
        "raw": signed(transaction, Scheme::Raw, &text, &key(signer)),
        "eip191": signed(transaction, Scheme::Eip191, &text, &key(signer)),
    })
}

/// Returns elements that must be refused: a valid order with one change each.
fn invalid(rules: &Rules) -> Vec<Value> {
    let transaction = Transaction {
        account: key(7).public_key(),
        signer: None,
        nonce: 1,
        valid_until: None,
        action: Action::Order(order(TimeInForce::Gtc)),
    };
    let good = transaction.sign(&rules.network, &key(7)).to_json();
    let account = key(7).public_key().to_string();
    let changes = [
        ("a field twice", r#"{"#, r#"{"kind":"order","#, 1),
        ("an unknown field", r#"{"#, r#"{"colour":"red","#, 1),
        ("a number where text is due", r#""nonce":"1""#, r#""nonce":1"#, 1),
        ("a nonce with a leading zero", r#""nonce":"1""#, r#""nonce":"01""#, 1),
        ("a quantity with a trailing zero", r#""1.5""#, r#""1.50""#, 1),
        ("a price with a sign", r#""2000.25""#, r#""+2000.25""#, 1),
        ("gtd without a time", r#""gtc""#, r#""gtd""#, 1),
        ("a time without gtd", r#""nonce""#, r#""expires":"5","nonce""#, 1),
        ("an unknown kind", r#""order""#, r#""swap""#, 1),
        ("an unknown side", r#""buy""#, r#""bid""#, 1),
        ("a client id with a space", r#""nonce""#, r#""client_id":"a b","nonce""#, 1),
        ("an unknown scheme", r#""raw""#, r#""rot13""#, 1),
        ("another nonce than was signed", r#""nonce":"1""#, r#""nonce":"2""#, 2),
        ("another price than was signed", r#""2000.25""#, r#""2000.26""#, 2),
        ("another scheme than was signed", r#""raw""#, r#""eip191""#, 2),
        ("a field more than was signed", r#""scheme""#, r#""valid_until":"5","scheme""#, 2),
    ];
    let mut cases: Vec<(String, String, u16)> = changes
        .into_iter()
        .map(|(name, from, to, code)| (name.into(), good.replacen(from, to, 1), code))
        .collect();
    let with_signer = format!(r#""account":"{account}","signer":"{account}""#);
    let plain = format!(r#""account":"{account}""#);
    cases.push(("the account as signer".into(), good.replace(&plain, &with_signer), 1));
    cases.push((
        "an account in upper case".into(),
        good.replace(&account, &account.to_uppercase()),
        1,
    ));
    let other = key(8).public_key().to_string();
    cases.push(("another account than signed".into(), good.replace(&account, &other), 2));
    cases.push(("bytes after the object".into(), format!("{good} x"), 1));
    let last = &good[good.len() - 4..];
    let v = if last.starts_with("00") { "01\"}" } else { "00\"}" };
    let flipped = format!("{}{v}", &good[..good.len() - 4]);
    cases.push(("the other recovery id".into(), flipped, 2));
    let signature = &good[good.len() - 132..good.len() - 2];
    for (name, changed, code) in [
        ("a signature of 64 bytes", signature[..128].to_string(), 1),
        ("a signature in upper case", signature.to_uppercase(), 1),
        ("a recovery id of an Ethereum wallet", format!("{}1b", &signature[..128]), 2),
        ("r is zero", format!("{}{}", "0".repeat(64), &signature[64..]), 2),
        ("s is zero", format!("{}{}{}", &signature[..64], "0".repeat(64), &signature[128..]), 2),
        ("r is above the order of the group", format!("{}{}", "f".repeat(64), &signature[64..]), 2),
        ("the high s", high_s(signature), 2),
    ] {
        cases.push((name.into(), good.replace(signature, &changed), code));
    }
    let not_on_curve = format!("02{}", "0".repeat(64));
    cases.push(("an account off the curve".into(), good.replace(&account, &not_on_curve), 1));
    let compact = format!("05{}", &account[2..]);
    cases.push(("an account in SEC1's compact form".into(), good.replace(&account, &compact), 1));
    cases
        .into_iter()
        .map(|(name, json, code)| {
            let found = zellbook_core::protocol::check_element(rules, &json).unwrap_err();
            assert_eq!(found.reject.code(), code, "{name}: {json}");
            json!({"name": name, "json": json, "code": code})
        })
        .collect()
}

/// Returns the same signature with the high s and the recovery id that belongs to it.
fn high_s(signature: &str) -> String {
    /// The order of secp256k1.
    const N: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let digits = |text: &str| -> Vec<u8> {
        (0..32).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let (n, s) = (digits(N), digits(&signature[64..128]));
    let (mut high, mut borrow) = ([0; 32], 0);
    for at in (0..32).rev() {
        let difference = i16::from(n[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(difference < 0);
        high[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let v = if signature.ends_with("00") { "01" } else { "00" };
    format!("{}{}{v}", &signature[..64], hex(&high))
}

fn vectors() -> String {
    let rules = rules();
    let mut cases = Vec::new();
    for (name, action) in actions() {
        for (is_session, valid_until) in
            [(false, None), (false, Some(1_800_000_000_001)), (true, None), (true, Some(1))]
        {
            let signer = if is_session { 9 } else { 7 };
            let transaction = Transaction {
                account: key(7).public_key(),
                signer: is_session.then(|| key(9).public_key()),
                nonce: 1_700_000_000_000,
                valid_until,
                action: action.clone(),
            };
            let by = if is_session { ", by a session key" } else { "" };
            let until = if valid_until.is_some() { ", valid until" } else { "" };
            cases.push(case(&rules, &format!("{name}{by}{until}"), &transaction, signer));
        }
    }
    let accounts: Vec<Value> = [7, 8, 9]
        .map(|seed| {
            let (secret, public) = (key(seed).to_hex(), key(seed).public_key().to_string());
            json!({"secret_key": secret.as_str(), "public_key": public})
        })
        .into();
    let vectors = json!({
        "genesis": rules.genesis,
        "network": rules.network.to_string(),
        "accounts": accounts,
        "cases": cases,
        "invalid": invalid(&rules),
    });
    serde_json::to_string_pretty(&vectors).unwrap() + "\n"
}

#[test]
fn the_transaction_vectors_match_what_the_program_writes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/vectors/transactions.json");
    let text = vectors();
    if std::env::var_os("ZELLBOOK_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(stored == text, "the protocol changed: see the head of this file");
}
