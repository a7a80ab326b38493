//! Transactions: their JSON on the wire, the text that is signed, and strict parsing.
//!
//! A transaction is a flat list of named texts. The same list, in the same order, makes the lines
//! of the signed text and the keys of the JSON object, so the two cannot differ.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fields::{
    Fields, malformed, parse_decimal, parse_integer, parse_market, parse_name, parse_public_key,
    parse_reference, parse_symbol,
};
use crate::genesis::NetworkId;
use crate::guide::GuideOrder;
use crate::key::{PublicKey, Scheme, SecretKey, Signature};
use crate::reject::Reject;
use crate::units::Decimal;

/// The side of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// A bid.
    Buy,
    /// An ask.
    Sell,
}

impl Side {
    /// The other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// How long an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeInForce {
    /// Until it is filled or cancelled.
    Gtc,
    /// What does not fill at once is cancelled.
    Ioc,
    /// Rejected if it would fill at once; then like `Gtc`.
    PostOnly,
}

/// What happens where an order would meet a resting order of its own account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTrade {
    /// The rest of the incoming order is cancelled.
    #[default]
    CancelNewest,
    /// The resting order is cancelled and matching goes on.
    CancelOldest,
    /// Both are cancelled.
    CancelBoth,
}

/// Gives an enum its names on the wire, both ways.
macro_rules! names {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $type {
            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
        impl FromStr for $type {
            type Err = String;
            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err([$($name),*].join(", ")),
                }
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
names!(Side { Buy = "buy", Sell = "sell" });
names!(TimeInForce { Gtc = "gtc", Ioc = "ioc", PostOnly = "post_only" });
names!(SelfTrade {
    CancelNewest = "cancel_newest",
    CancelOldest = "cancel_oldest",
    CancelBoth = "cancel_both",
});

/// What an order says before it is checked against its market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The market's name, `ETH/USDT`.
    pub market: String,
    /// Buy or sell.
    pub side: Side,
    /// In base.
    pub quantity: Decimal,
    /// The limit, in quote per base.
    pub price: Decimal,
    /// How long it stands.
    pub time_in_force: TimeInForce,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Places an order.
    Order(Order),
    /// Cancels one open order of the account by its id.
    Cancel {
        /// The order id.
        order: u64,
    },
    /// Cancels all open orders of the account, of one market or of all.
    CancelAll {
        /// The market's name, or all.
        market: Option<String>,
    },
    /// Moves an amount to another account.
    Transfer {
        /// The token's symbol.
        token: String,
        /// The receiver.
        to: PublicKey,
        /// In whole tokens.
        amount: Decimal,
    },
    /// Credits an amount that the issuer holds outside.
    Deposit {
        /// The token's symbol.
        token: String,
        /// The receiver.
        to: PublicKey,
        /// In whole tokens.
        amount: Decimal,
        /// The issuer's reference: 1 to 64 of `A-Za-z0-9._:-`.
        reference: String,
    },
}

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Whose it is; the signer.
    pub account: PublicKey,
    /// Used once; by convention the client's clock in milliseconds.
    pub nonce: u64,
    /// What it does.
    pub action: Action,
}

/// A transaction with its signature, which is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What was signed.
    pub transaction: Transaction,
    /// How the text became a digest.
    pub scheme: Scheme,
    /// The signature over the digest.
    pub signature: Signature,
}

/// A transaction's hash: SHA-256 of its signed text. Its text is 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionHash(pub [u8; 32]);

impl TransactionHash {
    /// The hash of a transaction with this signed text.
    pub fn of_text(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }
}

impl fmt::Display for TransactionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TransactionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Action {
    /// The kind on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Cancel { .. } => "cancel",
            Self::CancelAll { .. } => "cancel_all",
            Self::Transfer { .. } => "transfer",
            Self::Deposit { .. } => "deposit",
        }
    }
}

impl Transaction {
    /// Names and values in the one order that text and JSON share.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = alloc::vec![
            ("kind", self.action.kind().to_string()),
            ("account", self.account.to_string())
        ];
        match &self.action {
            Action::Order(order) => fields.extend([
                ("market", order.market.clone()),
                ("side", order.side.to_string()),
                ("quantity", order.quantity.to_string()),
                ("price", order.price.to_string()),
                ("time_in_force", order.time_in_force.to_string()),
                ("self_trade", order.self_trade.to_string()),
            ]),
            Action::Cancel { order } => fields.push(("order", order.to_string())),
            Action::CancelAll { market } => {
                fields.extend(market.iter().map(|market| ("market", market.clone())));
            }
            Action::Transfer { token, to, amount } => fields.extend([
                ("token", token.clone()),
                ("to", to.to_string()),
                ("amount", amount.to_string()),
            ]),
            Action::Deposit { token, to, amount, reference } => fields.extend([
                ("token", token.clone()),
                ("to", to.to_string()),
                ("amount", amount.to_string()),
                ("reference", reference.clone()),
            ]),
        }
        fields.push(("nonce", self.nonce.to_string()));
        fields
    }

    /// The text that is signed: a domain line, then one `name: value` line for each field.
    pub fn text(&self, network: &NetworkId) -> String {
        let mut text = format!("Zellbook 1 {network}");
        for (name, value) in self.fields() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{name}: {value}");
        }
        text
    }

    /// The hash that a transaction is known by.
    pub fn hash(&self, network: &NetworkId) -> TransactionHash {
        TransactionHash::of_text(&self.text(network))
    }

    /// Signs the text for a network with the `raw` scheme.
    pub fn sign(self, network: &NetworkId, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(Scheme::Raw, &self.text(network));
        SignedTransaction { transaction: self, scheme: Scheme::Raw, signature }
    }

    /// Reads a transaction that is not signed yet: the same JSON without `scheme` and
    /// `signature`. `nonce` and `account` may be given as defaults for where they are absent.
    pub fn from_json_unsigned(json: &str, account: PublicKey, nonce: u64) -> Result<Self, Reject> {
        let mut fields = Fields::read(json)?;
        let transaction = Self {
            account: fields.optional("account", parse_public_key)?.unwrap_or(account),
            nonce: fields.optional("nonce", parse_integer)?.unwrap_or(nonce),
            action: Action::from_fields(&mut fields)?,
        };
        fields.finish()?;
        Ok(transaction)
    }
}

impl SignedTransaction {
    /// The JSON object on the wire.
    pub fn to_json(&self) -> String {
        let mut fields = self.transaction.fields();
        fields.push(("scheme", self.scheme.name().to_string()));
        fields.push(("signature", self.signature.to_string()));
        let fields = fields
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{}", serde_json::Value::from(value)))
            .collect::<Vec<_>>();
        format!("{{{}}}", fields.join(","))
    }
}

/// One element of a batch body, read but with its signature not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A transaction of this protocol.
    Signed(SignedTransaction),
    /// An order in the guide's format.
    Guide(GuideOrder),
}

impl Element {
    /// Reads one JSON object. `guide_orders` says whether genesis accepts the guide's format.
    pub fn read(json: &str, guide_orders: bool) -> Result<Self, Reject> {
        let mut fields = Fields::read(json)?;
        if guide_orders && !fields.has("kind") && fields.has("order_type") {
            let order = GuideOrder::from_fields(&mut fields)?;
            fields.finish()?;
            return Ok(Self::Guide(order));
        }
        let action = Action::from_fields(&mut fields)?;
        let account = fields.required("account", parse_public_key)?;
        let nonce = fields.required("nonce", parse_integer)?;
        let scheme = fields.required("scheme", |text| {
            text.parse::<Scheme>().map_err(|()| "must be raw or eip191".to_owned())
        })?;
        let signature = fields.required("signature", |text| {
            text.parse::<Signature>().map_err(|()| "must be 130 lower-case hex digits".to_owned())
        })?;
        fields.finish()?;
        let transaction = Transaction { account, nonce, action };
        Ok(Self::Signed(SignedTransaction { transaction, scheme, signature }))
    }
}

/// The fields of an action, by its kind.
impl Action {
    fn from_fields(fields: &mut Fields) -> Result<Self, Reject> {
        let kind = fields.required("kind", |text| Ok(text.to_owned()))?;
        Ok(match kind.as_str() {
            "order" => Action::Order(Order {
                market: fields.required("market", parse_market)?,
                side: fields.required("side", parse_name)?,
                quantity: fields.required("quantity", parse_decimal)?,
                price: fields.required("price", parse_decimal)?,
                time_in_force: fields.required("time_in_force", parse_name)?,
                self_trade: fields.required("self_trade", parse_name)?,
            }),
            "cancel" => Action::Cancel { order: fields.required("order", parse_integer)? },
            "cancel_all" => Action::CancelAll { market: fields.optional("market", parse_market)? },
            "transfer" => Action::Transfer {
                token: fields.required("token", parse_symbol)?,
                to: fields.required("to", parse_public_key)?,
                amount: fields.required("amount", parse_decimal)?,
            },
            "deposit" => Action::Deposit {
                token: fields.required("token", parse_symbol)?,
                to: fields.required("to", parse_public_key)?,
                amount: fields.required("amount", parse_decimal)?,
                reference: fields.required("reference", parse_reference)?,
            },
            _ => {
                let known = "order, cancel, cancel_all, transfer, deposit";
                return Err(malformed(format!("field `kind` must be one of {known}")));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    const NETWORK: NetworkId = NetworkId([0xab; 32]);

    fn key() -> SecretKey {
        SecretKey::from_bytes(&[7; 32]).unwrap()
    }

    fn order() -> Transaction {
        Transaction {
            account: key().public_key(),
            nonce: 1_700_000_000_000,
            action: Action::Order(Order {
                market: "ETH/USDT".into(),
                side: Side::Buy,
                quantity: "1.5".parse().unwrap(),
                price: "2000".parse().unwrap(),
                time_in_force: TimeInForce::Gtc,
                self_trade: SelfTrade::CancelNewest,
            }),
        }
    }

    fn verifies(signed: &SignedTransaction, network: &NetworkId) -> bool {
        let digest = signed.scheme.digest(&signed.transaction.text(network));
        signed.signature.is_valid(&digest, &signed.transaction.account)
    }

    fn all_kinds() -> Vec<Transaction> {
        let to = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        let amount = "0.5".parse().unwrap();
        let token = || String::from("ETH");
        let actions = [
            order().action,
            Action::Cancel { order: 12 },
            Action::CancelAll { market: None },
            Action::CancelAll { market: Some("ETH/USDT".into()) },
            Action::Transfer { token: token(), to, amount },
            Action::Deposit { token: token(), to, amount, reference: "bank:1".into() },
        ];
        let account = key().public_key();
        actions.map(|action| Transaction { account, nonce: 5, action }).into()
    }

    #[test]
    fn the_signed_text_is_a_domain_line_and_a_line_for_each_field() {
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
    fn every_kind_reads_back_from_its_json_and_verifies() {
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
    fn every_malformed_field_is_named() {
        check(|map| drop(map.remove("price")), "field `price` is missing");
        check(|map| drop(map.insert("colour".into(), "red".into())), "unknown field `colour`");
        check(
            |map| drop(map.insert("price".into(), 2000.into())),
            "field `price`: invalid type: integer",
        );
        check(|map| drop(map.insert("price".into(), "2000.0".into())), "needless zeros");
        check(|map| drop(map.insert("side".into(), "bid".into())), "must be one of buy, sell");
        check(|map| drop(map.insert("kind".into(), "swap".into())), "must be one of order, cancel");
        check(|map| drop(map.insert("market".into(), "ETHUSDT".into())), "like ETH/USDT");
        check(|map| drop(map.insert("nonce".into(), "01".into())), "without leading zeros");
        check(|map| drop(map.insert("nonce".into(), "".into())), "field `nonce` must be");
        check(|map| drop(map.insert("nonce".into(), "18446744073709551616".into())), "from 0 to");
        check(|map| drop(map.insert("account".into(), "02".into())), "is no account");
        check(|map| drop(map.insert("scheme".into(), "rot13".into())), "raw or eip191");
        check(|map| drop(map.insert("signature".into(), "00".into())), "130 lower-case hex");
        check(|map| drop(map.insert("x".repeat(5000), "".into())), "at most 4096");
        check(
            |map| (0..20).for_each(|i| drop(map.insert(i.to_string(), "".into()))),
            "too many fields",
        );
    }

    #[test]
    fn other_json_is_malformed() {
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
