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
    Fields, malformed, parse_client_id, parse_decimal, parse_destination, parse_hash,
    parse_integer, parse_market, parse_name, parse_public_key, parse_reference, parse_symbol,
};
use crate::genesis::NetworkId;
use crate::guide::GuideOrder;
use crate::key::{PublicKey, Scheme, SecretKey, Signature};
use crate::reject::Reject;
use crate::state_root::Hash;
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
    /// Until it is filled or cancelled, or its time comes.
    Gtd,
    /// What does not fill at once is cancelled.
    Ioc,
    /// Filled in full at once, or rejected.
    Fok,
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
names!(TimeInForce {
    Gtc = "gtc",
    Gtd = "gtd",
    Ioc = "ioc",
    Fok = "fok",
    PostOnly = "post_only",
});
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
    /// When it is cancelled, in Unix milliseconds of the state's time; with `gtd` and only then.
    pub expires: Option<u64>,
    /// Self-trade prevention.
    pub self_trade: SelfTrade,
    /// A name of the trader's own, 1 to 36 of `A-Za-z0-9._:-`, unique among its open orders.
    pub client_id: Option<String>,
}

/// How a transaction names an open order of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRef {
    /// By its id.
    Id(u64),
    /// By the hash of the transaction that placed it.
    Transaction(TransactionHash),
    /// By its client id.
    ClientId(String),
}

impl fmt::Display for OrderRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Transaction(hash) => write!(f, "of transaction {hash}"),
            Self::ClientId(client_id) => write!(f, "with client id {client_id}"),
        }
    }
}

/// What a session key may do, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// The session key.
    pub key: PublicKey,
    /// When it ends, in Unix milliseconds of the state's time.
    pub expires: u64,
    /// The one market that it may trade in, or all.
    pub market: Option<String>,
    /// The one token that it may spend, and how much its orders may give away all told.
    pub spend: Option<(String, Decimal)>,
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Places an order.
    Order(Order),
    /// Cancels an open order and places another in its market, on its side, at once; or neither.
    Replace {
        /// The open order.
        target: OrderRef,
        /// What takes its place. Its quantity counts what the open order has filled already.
        order: Order,
    },
    /// Cancels one open order of the account.
    Cancel(OrderRef),
    /// Cancels all open orders of the account, of one market or of all.
    CancelAll {
        /// The market's name, or all.
        market: Option<String>,
    },
    /// Cancels all open orders of the account at a time, unless it is set anew before.
    CancelAllAfter {
        /// In Unix milliseconds of the state's time; 0 for never.
        time: u64,
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
    /// Takes an amount out, for the issuer to pay outside.
    Withdraw {
        /// The token's symbol.
        token: String,
        /// In whole tokens.
        amount: Decimal,
        /// Where the issuer pays it: 1 to 128 of `A-Za-z0-9._:/@+-`.
        destination: String,
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
    /// Lets a session key trade for the account.
    AuthorizeKey(KeyGrant),
    /// Ends a session key.
    RevokeKey {
        /// The session key.
        key: PublicKey,
    },
    /// What a replica of genesis says it has seen.
    Attest {
        /// Index of a batch.
        batch: u64,
        /// The state root after it.
        root: Hash,
        /// The replica's clock in Unix milliseconds.
        clock: u64,
    },
}

/// A transaction before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Whose it is.
    pub account: PublicKey,
    /// The session key that signs, if it is not the account's own.
    pub signer: Option<PublicKey>,
    /// Used once by the signing key; by convention the client's clock in milliseconds.
    pub nonce: u64,
    /// The state's time in Unix milliseconds at which it is too late.
    pub valid_until: Option<u64>,
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
            Self::Replace { .. } => "replace",
            Self::Cancel(_) => "cancel",
            Self::CancelAll { .. } => "cancel_all",
            Self::CancelAllAfter { .. } => "cancel_all_after",
            Self::Transfer { .. } => "transfer",
            Self::Withdraw { .. } => "withdraw",
            Self::Deposit { .. } => "deposit",
            Self::AuthorizeKey(_) => "authorize_key",
            Self::RevokeKey { .. } => "revoke_key",
            Self::Attest { .. } => "attest",
        }
    }
}

/// A transaction's names and values, in order.
type Named = Vec<(&'static str, String)>;

/// The names of the three ways to name an open order, in `cancel` and in `replace`.
const CANCELS: [&str; 3] = ["order", "transaction", "client_id"];
const REPLACES: [&str; 3] = ["replaces_order", "replaces_transaction", "replaces_client_id"];

impl OrderRef {
    fn write(&self, [id, transaction, client_id]: [&'static str; 3], fields: &mut Named) {
        fields.push(match self {
            Self::Id(order) => (id, order.to_string()),
            Self::Transaction(hash) => (transaction, hash.to_string()),
            Self::ClientId(name) => (client_id, name.clone()),
        });
    }

    fn read(
        [id, transaction, client_id]: [&'static str; 3],
        fields: &mut Fields,
    ) -> Result<Self, Reject> {
        let by_id = fields.optional(id, parse_integer)?;
        let by_hash = fields.optional(transaction, parse_hash)?;
        let by_client_id = fields.optional(client_id, parse_client_id)?;
        match (by_id, by_hash, by_client_id) {
            (Some(order), None, None) => Ok(Self::Id(order)),
            (None, Some(hash), None) => Ok(Self::Transaction(TransactionHash(hash))),
            (None, None, Some(name)) => Ok(Self::ClientId(name)),
            _ => Err(malformed(format!(
                "exactly one of `{id}`, `{transaction}` and `{client_id}` must be given"
            ))),
        }
    }
}

impl Order {
    fn write(&self, fields: &mut Named) {
        fields.extend([
            ("market", self.market.clone()),
            ("side", self.side.to_string()),
            ("quantity", self.quantity.to_string()),
            ("price", self.price.to_string()),
            ("time_in_force", self.time_in_force.to_string()),
        ]);
        fields.extend(self.expires.map(|time| ("expires", time.to_string())));
        fields.push(("self_trade", self.self_trade.to_string()));
        fields.extend(self.client_id.iter().map(|name| ("client_id", name.clone())));
    }

    fn read(fields: &mut Fields) -> Result<Self, Reject> {
        let order = Self {
            market: fields.required("market", parse_market)?,
            side: fields.required("side", parse_name)?,
            quantity: fields.required("quantity", parse_decimal)?,
            price: fields.required("price", parse_decimal)?,
            time_in_force: fields.required("time_in_force", parse_name)?,
            expires: fields.optional("expires", parse_integer)?,
            self_trade: fields.required("self_trade", parse_name)?,
            client_id: fields.optional("client_id", parse_client_id)?,
        };
        if order.expires.is_some() != (order.time_in_force == TimeInForce::Gtd) {
            return Err(malformed("field `expires` must be given with gtd and only then".into()));
        }
        Ok(order)
    }
}

impl KeyGrant {
    fn write(&self, fields: &mut Named) {
        fields.extend([("key", self.key.to_string()), ("expires", self.expires.to_string())]);
        fields.extend(self.market.iter().map(|market| ("market", market.clone())));
        if let Some((token, limit)) = &self.spend {
            fields.extend([("spend_token", token.clone()), ("spend_limit", limit.to_string())]);
        }
    }

    fn read(fields: &mut Fields) -> Result<Self, Reject> {
        let key = fields.required("key", parse_public_key)?;
        let expires = fields.required("expires", parse_integer)?;
        let market = fields.optional("market", parse_market)?;
        let token = fields.optional("spend_token", parse_symbol)?;
        let limit = fields.optional("spend_limit", parse_decimal)?;
        let spend = match (token, limit) {
            (Some(token), Some(limit)) => Some((token, limit)),
            (None, None) => None,
            _ => {
                let message = "`spend_token` and `spend_limit` must be given both or neither";
                return Err(malformed(message.into()));
            }
        };
        Ok(Self { key, expires, market, spend })
    }
}

impl Transaction {
    /// Names and values in the one order that text and JSON share.
    pub fn fields(&self) -> Named {
        let mut fields = alloc::vec![
            ("kind", self.action.kind().to_string()),
            ("account", self.account.to_string())
        ];
        fields.extend(self.signer.map(|signer| ("signer", signer.to_string())));
        self.action.write(&mut fields);
        fields.push(("nonce", self.nonce.to_string()));
        fields.extend(self.valid_until.map(|time| ("valid_until", time.to_string())));
        fields
    }

    /// The key that signs.
    pub fn signing_key(&self) -> PublicKey {
        self.signer.unwrap_or(self.account)
    }

    /// Reads all fields but scheme and signature.
    fn read(
        fields: &mut Fields,
        account: Option<PublicKey>,
        nonce: Option<u64>,
    ) -> Result<Self, Reject> {
        let missing = |name: &str| malformed(format!("field `{name}` is missing"));
        let action = Action::read(fields)?;
        let account = fields.optional("account", parse_public_key)?.or(account);
        let account = account.ok_or_else(|| missing("account"))?;
        let signer = fields.optional("signer", parse_public_key)?;
        let nonce = fields.optional("nonce", parse_integer)?.or(nonce);
        let nonce = nonce.ok_or_else(|| missing("nonce"))?;
        let valid_until = fields.optional("valid_until", parse_integer)?;
        if signer == Some(account) {
            let message = "field `signer` must be left out where the account itself signs";
            return Err(malformed(message.into()));
        }
        let session_key = match &action {
            Action::AuthorizeKey(grant) => Some(grant.key),
            Action::RevokeKey { key } => Some(*key),
            _ => None,
        };
        if session_key == Some(account) {
            return Err(malformed("field `key` must be another key than the account".into()));
        }
        Ok(Self { account, signer, nonce, valid_until, action })
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
    /// `signature`. `nonce` and `account` are given as defaults for where they are absent.
    pub fn from_json_unsigned(json: &str, account: PublicKey, nonce: u64) -> Result<Self, Reject> {
        let mut fields = Fields::read(json)?;
        let transaction = Self::read(&mut fields, Some(account), Some(nonce))?;
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
        let transaction = Transaction::read(&mut fields, None, None)?;
        let scheme = fields.required("scheme", |text| {
            text.parse::<Scheme>().map_err(|()| "must be raw or eip191".to_owned())
        })?;
        let signature = fields.required("signature", |text| {
            text.parse::<Signature>().map_err(|()| "must be 130 lower-case hex digits".to_owned())
        })?;
        fields.finish()?;
        Ok(Self::Signed(SignedTransaction { transaction, scheme, signature }))
    }
}

/// The fields of an action, by its kind.
impl Action {
    fn write(&self, fields: &mut Named) {
        match self {
            Self::Order(order) => order.write(fields),
            Self::Replace { target, order } => {
                target.write(REPLACES, fields);
                order.write(fields);
            }
            Self::Cancel(target) => target.write(CANCELS, fields),
            Self::CancelAll { market } => {
                fields.extend(market.iter().map(|market| ("market", market.clone())));
            }
            Self::CancelAllAfter { time } => fields.push(("time", time.to_string())),
            Self::Transfer { token, to, amount } => fields.extend([
                ("token", token.clone()),
                ("to", to.to_string()),
                ("amount", amount.to_string()),
            ]),
            Self::Withdraw { token, amount, destination } => fields.extend([
                ("token", token.clone()),
                ("amount", amount.to_string()),
                ("destination", destination.clone()),
            ]),
            Self::Deposit { token, to, amount, reference } => fields.extend([
                ("token", token.clone()),
                ("to", to.to_string()),
                ("amount", amount.to_string()),
                ("reference", reference.clone()),
            ]),
            Self::AuthorizeKey(grant) => grant.write(fields),
            Self::RevokeKey { key } => fields.push(("key", key.to_string())),
            Self::Attest { batch, root, clock } => fields.extend([
                ("batch", batch.to_string()),
                ("root", hex::encode(root)),
                ("clock", clock.to_string()),
            ]),
        }
    }

    fn read(fields: &mut Fields) -> Result<Self, Reject> {
        let kind = fields.required("kind", |text| Ok(text.to_owned()))?;
        Ok(match kind.as_str() {
            "order" => Self::Order(Order::read(fields)?),
            "replace" => Self::Replace {
                target: OrderRef::read(REPLACES, fields)?,
                order: Order::read(fields)?,
            },
            "cancel" => Self::Cancel(OrderRef::read(CANCELS, fields)?),
            "cancel_all" => Self::CancelAll { market: fields.optional("market", parse_market)? },
            "cancel_all_after" => {
                Self::CancelAllAfter { time: fields.required("time", parse_integer)? }
            }
            "transfer" => Self::Transfer {
                token: fields.required("token", parse_symbol)?,
                to: fields.required("to", parse_public_key)?,
                amount: fields.required("amount", parse_decimal)?,
            },
            "withdraw" => Self::Withdraw {
                token: fields.required("token", parse_symbol)?,
                amount: fields.required("amount", parse_decimal)?,
                destination: fields.required("destination", parse_destination)?,
            },
            "deposit" => Self::Deposit {
                token: fields.required("token", parse_symbol)?,
                to: fields.required("to", parse_public_key)?,
                amount: fields.required("amount", parse_decimal)?,
                reference: fields.required("reference", parse_reference)?,
            },
            "authorize_key" => Self::AuthorizeKey(KeyGrant::read(fields)?),
            "revoke_key" => Self::RevokeKey { key: fields.required("key", parse_public_key)? },
            "attest" => Self::Attest {
                batch: fields.required("batch", parse_integer)?,
                root: fields.required("root", parse_hash)?,
                clock: fields.required("clock", parse_integer)?,
            },
            _ => {
                let known = "order, replace, cancel, cancel_all, cancel_all_after, transfer, \
                             withdraw, deposit, authorize_key, revoke_key, attest";
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

    /// Every kind, with and without what is optional.
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
        check(
            |map| drop(map.insert("kind".into(), "swap".into())),
            "must be one of order, replace",
        );
        check(|map| drop(map.insert("market".into(), "ETHUSDT".into())), "like ETH/USDT");
        check(|map| drop(map.insert("nonce".into(), "01".into())), "without leading zeros");
        check(|map| drop(map.insert("nonce".into(), "".into())), "field `nonce` must be");
        check(|map| drop(map.insert("nonce".into(), "18446744073709551616".into())), "from 0 to");
        check(|map| drop(map.insert("account".into(), "02".into())), "is no account");
        let account = key().public_key().to_string();
        check(|map| drop(map.insert("signer".into(), account.clone().into())), "must be left out");
        check(|map| drop(map.insert("signer".into(), "03".into())), "field `signer` is no account");
        check(|map| drop(map.insert("expires".into(), "1".into())), "with gtd and only then");
        check(|map| drop(map.insert("time_in_force".into(), "gtd".into())), "with gtd and only");
        check(|map| drop(map.insert("client_id".into(), "a b".into())), "1 to 36 of A-Z");
        check(|map| drop(map.insert("client_id".into(), "a".repeat(37).into())), "1 to 36 of A-Z");
        check(
            |map| drop(map.insert("valid_until".into(), "-1".into())),
            "field `valid_until` must",
        );
        check(|map| drop(map.insert("scheme".into(), "rot13".into())), "raw or eip191");
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
    fn fields_that_exclude_or_need_each_other_are_malformed_otherwise() {
        let key = key().public_key();
        let one = "exactly one of `order`, `transaction` and `client_id`";
        check_unsigned(r#"{"kind":"cancel"}"#, one);
        check_unsigned(r#"{"kind":"cancel","order":"1","client_id":"a"}"#, one);
        check_unsigned(r#"{"kind":"cancel","transaction":"ab"}"#, "64 lower-case hex digits");
        check_unsigned(r#"{"kind":"replace","order":"1"}"#, "exactly one of `replaces_order`");
        let grant = format!(r#"{{"kind":"authorize_key","key":"{key}","expires":"1"}}"#);
        check_unsigned(&grant, "another key than the account");
        let revoke = format!(r#"{{"kind":"revoke_key","key":"{key}"}}"#);
        check_unsigned(&revoke, "another key than the account");
        let other = SecretKey::from_bytes(&[8; 32]).unwrap().public_key();
        let half = format!(
            r#"{{"kind":"authorize_key","key":"{other}","expires":"1","spend_limit":"1"}}"#
        );
        check_unsigned(&half, "both or neither");
        let withdraw = r#"{"kind":"withdraw","token":"ETH","amount":"1","destination":"a b"}"#;
        check_unsigned(withdraw, "1 to 128 of A-Z");
        check_unsigned(r#"{"kind":"attest","batch":"1","root":"AB"}"#, "64 lower-case hex");
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
