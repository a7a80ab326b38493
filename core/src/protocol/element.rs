//! An element of a batch body: a signed transaction, or an order in the guide's format.
//!
//! The two formats share one array, so the keys of an object decide which one it is: an object with
//! `order_type` and without `kind` is in the guide's format. Every transaction of our own has a `kind`, so no
//! object fits both.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::fields::{Fields, parse_name, parse_public_key};
use super::guide::GuideOrder;
use super::reject::Reject;
use super::transaction::{SignedTransaction, Transaction};
use crate::types::{PublicKey, Signature};

/// One element of a batch body. Its signature is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A transaction of this protocol.
    Signed(SignedTransaction),
    /// An order in the guide's format.
    Guide(GuideOrder),
}

impl Element {
    /// Reads one JSON object. `guide_orders` is the setting of genesis: without it, the guide's format is
    /// malformed.
    ///
    /// Fails with [`Reject::Malformed`], which names the field.
    pub fn read(json: &str, guide_orders: bool) -> Result<Self, Reject> {
        Self::read_with(json, guide_orders, &mut parse_public_key)
    }

    /// Like [`Self::read`], with a parser for the account and the signer.
    pub(super) fn read_with(
        json: &str,
        guide_orders: bool,
        parse_key: &mut dyn FnMut(&str) -> Result<PublicKey, String>,
    ) -> Result<Self, Reject> {
        let mut fields = Fields::read(json)?;
        if guide_orders && !fields.has("kind") && fields.has("order_type") {
            let order = GuideOrder::from_fields(&mut fields)?;
            fields.finish()?;
            return Ok(Self::Guide(order));
        }
        // No defaults here: on the wire every transaction states its account and its nonce.
        let transaction = Transaction::read(&mut fields, None, None, parse_key)?;
        let scheme = fields.required("scheme", parse_name)?;
        let signature = fields.required("signature", |text| {
            text.parse::<Signature>().map_err(|_| "must be 130 lower-case hex digits".to_owned())
        })?;
        fields.finish()?;
        Ok(Self::Signed(SignedTransaction { transaction, scheme, signature }))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use expect_test::expect;

    use super::*;
    use crate::protocol::{Action, KeyGrant, Order, OrderRef};
    use crate::types::{
        Decimal, NetworkId, Scheme, SecretKey, SelfTrade, Side, TimeInForce, TransactionHash,
    };

    const NETWORK: NetworkId = NetworkId([0xab; 32]);

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    fn order() -> Transaction {
        Transaction {
            account: key().public_key(),
            signer: None,
            nonce: 1_700_000_000_000,
            valid_until: None,
            action: Action::Order(Order {
                market: "ETH/USDT".into(),
                side: Side::Buy,
                quantity: "1.5".parse().unwrap(),
                price: "2000".parse().unwrap(),
                time_in_force: TimeInForce::Gtc,
                expires: None,
                self_trade: SelfTrade::CancelNewest,
                client_id: None,
            }),
        }
    }

    fn verifies(signed: &SignedTransaction, network: &NetworkId) -> bool {
        let digest = signed.scheme.digest(&signed.transaction.text(network));
        signed.signature.is_valid(&digest, &signed.transaction.account)
    }

    /// Transactions of every kind, with and without each optional field.
    fn all_kinds() -> Vec<Transaction> {
        let to = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        let amount: Decimal = "0.5".parse().unwrap();
        let token = || String::from("ETH");
        let plain = || match order().action {
            Action::Order(order) => order,
            _ => panic!(),
        };
        let full = || Order {
            time_in_force: TimeInForce::Gtd,
            expires: Some(1_700_000_000_000),
            client_id: Some("bot-1".into()),
            ..plain()
        };
        let market = Some(String::from("ETH/USDT"));
        let targets = [
            OrderRef::Id(12),
            OrderRef::Transaction(TransactionHash([3; 32])),
            OrderRef::ClientId("a".into()),
        ];
        let mut actions = alloc::vec![
            Action::Order(plain()),
            Action::Order(full()),
            Action::CancelAll { market: None },
            Action::CancelAll { market: market.clone() },
            Action::CancelAllAfter { time: 0 },
            Action::Transfer { token: token(), to, amount },
            Action::Withdraw { token: token(), amount, destination: "iban:DE12/3@x+y".into() },
            Action::Deposit { token: token(), to, amount, reference: "bank:1".into() },
            Action::RevokeKey { key: to },
            Action::Attest { batch: 7, root: [9; 32], clock: u64::MAX },
        ];
        for target in targets {
            actions.push(Action::Cancel(target.clone()));
            actions.push(Action::Replace { target: target.clone(), order: plain() });
            actions.push(Action::Replace { target, order: full() });
        }
        for market in [None, market] {
            for spend in [None, Some((token(), amount))] {
                let grant = KeyGrant { key: to, expires: 5, market: market.clone(), spend };
                actions.push(Action::AuthorizeKey(grant));
            }
        }
        let account = key().public_key();
        let signer = SecretKey::from_bytes(&[9; 32]).unwrap().public_key();
        let mut all = Vec::new();
        for action in actions {
            for (signer, valid_until) in [(None, None), (Some(signer), Some(6))] {
                all.push(Transaction {
                    account,
                    signer,
                    nonce: 5,
                    valid_until,
                    action: action.clone(),
                });
            }
        }
        all
    }

    #[test]
    fn signed_text_is_a_domain_line_followed_by_one_line_for_each_field() {
        expect![[r#"
            Zellbook 1 abababababababababababababababababababababababababababababababab
            kind: order
            account: 02989c0b76cb563971fdc9bef31ec06c3560f3249d6ee9e5d83c57625596e05f6f
            market: ETH/USDT
            side: buy
            quantity: 1.5
            price: 2000
            time_in_force: gtc
            self_trade: cancel_newest
            nonce: 1700000000000"#]]
        .assert_eq(&order().text(&NETWORK));
    }

    #[test]
    fn every_kind_reads_back_from_its_json_and_verifies_for_its_own_network_only() {
        for transaction in all_kinds() {
            let signed = transaction.sign(&NETWORK, &key());
            let read = Element::read(&signed.to_json(), false).unwrap();
            assert_eq!(read, Element::Signed(signed.clone()));
            assert!(verifies(&signed, &NETWORK));
            assert!(!verifies(&signed, &NetworkId([0; 32])));
        }
    }

    #[test]
    fn an_eip191_signature_of_the_same_text_is_valid_and_has_the_same_hash() {
        let text = order().text(&NETWORK);
        let signature = key().sign(Scheme::Eip191, &text);
        let signed = SignedTransaction { transaction: order(), scheme: Scheme::Eip191, signature };
        assert!(verifies(&signed, &NETWORK));
        assert_eq!(signed.transaction.hash(&NETWORK), order().hash(&NETWORK));
    }

    fn check(change: impl Fn(&mut serde_json::Map<String, serde_json::Value>), expected: &str) {
        let json = order().sign(&NETWORK, &key()).to_json();
        let mut map = serde_json::from_str(&json).unwrap();
        change(&mut map);
        let json = serde_json::Value::Object(map).to_string();
        let Reject::Malformed(message) = Element::read(&json, false).unwrap_err() else { panic!() };
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_malformed_transaction_is_rejected_with_the_name_of_the_field() {
        check(|map| drop(map.remove("price")), "field `price` is missing");
        check(|map| drop(map.insert("colour".into(), "red".into())), "unknown field `colour`");
        check(
            |map| drop(map.insert("price".into(), 2000.into())),
            "field `price`: invalid type: integer",
        );
        check(|map| drop(map.insert("price".into(), "2000.0".into())), "needless zeros");
        check(|map| drop(map.insert("side".into(), "bid".into())), "must be one of buy, sell");
        check(
            |map| drop(map.insert("kind".into(), "swap".into())),
            "must be one of order, replace",
        );
        check(|map| drop(map.insert("market".into(), "ETHUSDT".into())), "like ETH/USDT");
        check(|map| drop(map.insert("nonce".into(), "01".into())), "without leading zeros");
        check(|map| drop(map.insert("nonce".into(), "".into())), "field `nonce` must be");
        check(|map| drop(map.insert("nonce".into(), "18446744073709551616".into())), "from 0 to");
        check(|map| drop(map.insert("account".into(), "02".into())), "is not an account");
        let account = key().public_key().to_string();
        check(|map| drop(map.insert("signer".into(), account.clone().into())), "must be left out");
        check(
            |map| drop(map.insert("signer".into(), "03".into())),
            "field `signer` is not an account",
        );
        check(|map| drop(map.insert("expires".into(), "1".into())), "with gtd and only with gtd");
        check(|map| drop(map.insert("time_in_force".into(), "gtd".into())), "with gtd and only");
        check(|map| drop(map.insert("client_id".into(), "a b".into())), "1 to 36 of A-Z");
        check(|map| drop(map.insert("client_id".into(), "a".repeat(37).into())), "1 to 36 of A-Z");
        check(
            |map| drop(map.insert("valid_until".into(), "-1".into())),
            "field `valid_until` must",
        );
        check(
            |map| drop(map.insert("scheme".into(), "rot13".into())),
            "must be one of raw, eip191",
        );
        check(|map| drop(map.insert("signature".into(), "00".into())), "130 lower-case hex");
        check(|map| drop(map.insert("x".repeat(5000), "".into())), "at most 4096");
        check(
            |map| (0..20).for_each(|i| drop(map.insert(i.to_string(), "".into()))),
            "too many fields",
        );
    }

    fn check_unsigned(json: &str, expected: &str) {
        let read = Transaction::from_json_unsigned(json, key().public_key(), 1);
        let message = read.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn fields_that_exclude_or_require_each_other_are_checked_together() {
        let key = key().public_key();
        let one = "exactly one of `order`, `transaction` and `client_id`";
        check_unsigned(r#"{"kind":"cancel"}"#, one);
        check_unsigned(r#"{"kind":"cancel","order":"1","client_id":"a"}"#, one);
        check_unsigned(r#"{"kind":"cancel","transaction":"ab"}"#, "64 lower-case hex digits");
        check_unsigned(r#"{"kind":"replace","order":"1"}"#, "exactly one of `replaces_order`");
        let grant = format!(r#"{{"kind":"authorize_key","key":"{key}","expires":"1"}}"#);
        check_unsigned(&grant, "a key other than the account");
        let revoke = format!(r#"{{"kind":"revoke_key","key":"{key}"}}"#);
        check_unsigned(&revoke, "a key other than the account");
        let other = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        let half = format!(
            r#"{{"kind":"authorize_key","key":"{other}","expires":"1","spend_limit":"1"}}"#
        );
        check_unsigned(&half, "together or not at all");
        let withdraw = r#"{"kind":"withdraw","token":"ETH","amount":"1","destination":"a b"}"#;
        check_unsigned(withdraw, "1 to 128 of A-Z");
        check_unsigned(r#"{"kind":"attest","batch":"1","root":"AB"}"#, "64 lower-case hex");
    }

    #[test]
    fn json_that_is_not_an_object_of_unique_texts_is_malformed() {
        for json in [
            "",
            "null",
            "1",
            "\"a\"",
            "[]",
            "{",
            "{}",
            "{\"kind\":{}}",
            "{} x",
            "{\"a\":\"\\ud800\"}",
        ] {
            assert_eq!(Element::read(json, false).unwrap_err().code(), 1, "{json}");
        }
        let twice = r#"{"kind":"cancel","kind":"cancel"}"#;
        let message = Element::read(twice, false).unwrap_err().to_string();
        assert!(message.contains("field `kind` twice"), "{message}");
    }
}
