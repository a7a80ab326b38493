//! Checks `docs/vectors/receipts.json`: receipts as a replica signs them, and receipts that prove nothing.
//! `ZELLBOOK_BLESS=1 cargo test -p zellbook-core --test receipt_vectors` rewrites it after a change of the
//! protocol. `tests/vectors/receipts.py` checks it with independent implementations.

use serde_json::{Value, json};
use zellbook_core::types::Scheme;
use zellbook_core::wire::ReceiptBody;
use zellbook_core::{NetworkId, Receipt, SecretKey, TransactionHash};

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn receipt(transaction: u8, received_ms: u64) -> Receipt {
    Receipt {
        network: NetworkId([0x5a; 32]),
        transaction: TransactionHash([transaction; 32]),
        received_ms,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cases() -> Vec<Value> {
    let named = [
        ("a receipt", receipt(0xab, 1_795_346_192_526), 3),
        ("of another replica", receipt(0xab, 1_795_346_192_526), 4),
        ("of another transaction", receipt(0xcd, 1_795_346_192_526), 3),
        ("at the beginning of time", receipt(0xab, 0), 3),
        ("at the latest time that there is", receipt(0xab, u64::MAX), 3),
    ];
    let case = |(name, receipt, seed): (&str, Receipt, u8)| {
        json!({
            "name": name,
            "secret_key": key(seed).to_hex().as_str(),
            "text": receipt.text(),
            "digest": hex(&Scheme::Raw.digest(&receipt.text())),
            "receipt": ReceiptBody::from(&receipt.sign(&key(seed))),
        })
    };
    named.map(case).into()
}

fn invalid() -> Vec<Value> {
    let good = ReceiptBody::from(&receipt(0xab, 1_795_346_192_526).sign(&key(3)));
    type Change = fn(&mut ReceiptBody);
    let changes: [(&str, Change); 9] = [
        ("another network than was signed", |body| body.network = "00".repeat(32)),
        ("another transaction than was signed", |body| body.transaction = "cd".repeat(32)),
        ("another time than was signed", |body| body.received_ms = "1795346192527".into()),
        ("another replica than signed", |body| body.replica = key(4).public_key().to_string()),
        ("another signature", |body| {
            let signed = receipt(0xcd, 1_795_346_192_526).sign(&key(3));
            body.signature = signed.signature.to_string();
        }),
        ("signed by a wallet", |body| {
            let text = receipt(0xab, 1_795_346_192_526).text();
            body.signature = key(3).sign(Scheme::Eip191, &text).to_string();
        }),
        ("a time with a leading zero", |body| body.received_ms = "01795346192526".into()),
        ("a hash in upper case", |body| body.transaction = "AB".repeat(32)),
        ("a signature that is cut off", |body| body.signature.truncate(128)),
    ];
    let change = |(name, change): (&str, Change)| {
        let mut body = good.clone();
        change(&mut body);
        assert!(body.verify().is_err(), "{name}");
        json!({"name": name, "receipt": body})
    };
    changes.map(change).into()
}

#[test]
fn the_receipt_vectors_match_what_the_program_signs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/vectors/receipts.json");
    let vectors = json!({"cases": cases(), "invalid": invalid()});
    let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
    if std::env::var_os("ZELLBOOK_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text, "the protocol changed: see the head");
}
