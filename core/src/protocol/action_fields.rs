//! The fields of each action, written to and read from a transaction.
//!
//! `write` and `read` of one type stand next to each other because they must mirror each other: the order in
//! which `write` emits the fields is the order of the lines in the signed text, and therefore part of
//! consensus. `read` takes the fields by name, so their order in the JSON does not matter.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::action::{Action, KeyGrant, Order, OrderRef};
use super::fields::{
    Fields, malformed, parse_client_id, parse_decimal, parse_destination, parse_hash,
    parse_integer, parse_market, parse_name, parse_public_key, parse_reference, parse_symbol,
};
use super::reject::Reject;
use crate::types::{TimeInForce, TransactionHash};

/// The fields of a transaction as (name, value), in the order of the signed text.
pub(super) type Named = Vec<(&'static str, String)>;

/// Field names for the three variants of [`OrderRef`] in a `cancel`.
const CANCELS: [&str; 3] = ["order", "transaction", "client_id"];

/// The same in a `replace`, with a prefix because a `replace` already has a `client_id`: that of the new order.
const REPLACES: [&str; 3] = ["replaces_order", "replaces_transaction", "replaces_client_id"];

impl OrderRef {
    pub(super) fn write(
        &self,
        [id, transaction, client_id]: [&'static str; 3],
        fields: &mut Named,
    ) {
        fields.push(match self {
            Self::Id(order) => (id, order.to_string()),
            Self::Transaction(hash) => (transaction, hash.to_string()),
            Self::ClientId(name) => (client_id, name.clone()),
        });
    }

    pub(super) fn read(
        [id, transaction, client_id]: [&'static str; 3],
        fields: &mut Fields,
    ) -> Result<Self, Reject> {
        // All three are taken before they are counted, so that two of them lead to this message and not to an
        // unknown field.
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
    pub(super) fn write(&self, fields: &mut Named) {
        fields.extend([
            ("market", self.market.clone()),
            ("side", self.side.to_string()),
            ("quantity", self.quantity.to_string()),
            ("price", self.price.to_string()),
            ("time_in_force", self.time_in_force.to_string()),
        ]);
        // An optional field that is absent has no line at all. An empty value would be a second text.
        fields.extend(self.expires.map(|time| ("expires", time.to_string())));
        fields.push(("self_trade", self.self_trade.to_string()));
        fields.extend(self.client_id.iter().map(|name| ("client_id", name.clone())));
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Reject> {
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
        // A `gtc` order with a time would look as if it expired, and a `gtd` order without one never would.
        if order.expires.is_some() != (order.time_in_force == TimeInForce::Gtd) {
            return Err(malformed(
                "field `expires` must be given with gtd and only with gtd".into(),
            ));
        }
        Ok(order)
    }
}

impl KeyGrant {
    pub(super) fn write(&self, fields: &mut Named) {
        fields.extend([("key", self.key.to_string()), ("expires", self.expires.to_string())]);
        fields.extend(self.market.iter().map(|market| ("market", market.clone())));
        if let Some((token, limit)) = &self.spend {
            fields.extend([("spend_token", token.clone()), ("spend_limit", limit.to_string())]);
        }
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, Reject> {
        let key = fields.required("key", parse_public_key)?;
        let expires = fields.required("expires", parse_integer)?;
        let market = fields.optional("market", parse_market)?;
        let token = fields.optional("spend_token", parse_symbol)?;
        let limit = fields.optional("spend_limit", parse_decimal)?;
        // Half of a limit must not be read as no limit: the key could then spend everything.
        let spend = match (token, limit) {
            (Some(token), Some(limit)) => Some((token, limit)),
            (None, None) => None,
            _ => {
                let message =
                    "`spend_token` and `spend_limit` must be given together or not at all";
                return Err(malformed(message.into()));
            }
        };
        Ok(Self { key, expires, market, spend })
    }
}

impl Action {
    pub(super) fn write(&self, fields: &mut Named) {
        match self {
            Self::Order(order) => order.write(fields),
            Self::Replace { target, order } => {
                // The target comes before the order, as in the table of section 4: the signed text has this
                // order.
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

    /// Reads `kind` and the fields of that kind. Fields that the kind does not have stay in `fields`;
    /// [`Fields::finish`] then reports them.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Reject> {
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
