//! Transactions: submitting them, their status, and the simulation of an order.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::accounts::OrderBody;
use super::errors::RejectBody;
use crate::protocol::{Element, Reject};
use crate::rules::Rules;

/// Answer to `POST /v1/transactions`: one entry for each transaction sent, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitResponse {
    /// The results in the order of the request. Each transaction is accepted or refused on its own.
    pub transactions: Vec<Submitted>,
}

/// The result of submitting one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// The transaction's hash; `null` if it was refused.
    pub hash: Option<String>,
    /// The replica's receipt; `null` if the transaction was refused or already has an outcome.
    #[serde(default)]
    pub receipt: Option<ReceiptBody>,
    /// Why the transaction was refused; `null` if it was accepted.
    pub error: Option<RejectBody>,
}

/// A signed receipt: the replica's statement that it accepted a transaction. See [`crate::Receipt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptBody {
    /// The network id.
    pub network: String,
    /// The transaction's hash.
    pub transaction: String,
    /// When the replica had the transaction on disk, by its clock. No leading zeros: the signature covers this
    /// text.
    pub received_ms: String,
    /// The replica's public key.
    pub replica: String,
    /// The replica's signature over the text of the receipt, scheme `raw`.
    pub signature: String,
}

/// The progress of a transaction. `Applied` and `Rejected` never change again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is in this replica's outbox.
    Received,
    /// A gateway of the sequencer accepted it. This promises nothing yet.
    Posted,
    /// It is in a batch that the network's signature covers, and is being applied.
    Sequenced,
    /// It was applied: it had its effect.
    Applied,
    /// It was rejected: it had no effect and never will.
    Rejected,
    /// This replica abandoned it, because the exchange's time reached its `valid_until` before it was in a batch. If
    /// it still appears in one, it is rejected.
    Expired,
    /// This replica abandoned it, because its nonce was used by another transaction or is too old by now. If it
    /// still appears in a batch, it is rejected.
    Superseded,
    /// A copy of it is in a batch, but its outcome is not known here: it was used up before the snapshot that this
    /// replica started from. A replica that has every batch knows it.
    BeforeStart,
}

/// Answer to `GET /v1/transactions/{hash}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStatus {
    /// The transaction's hash.
    pub hash: String,
    /// The stage that it has reached.
    pub status: Stage,
    /// The kind on the wire, or `guide_order`.
    pub kind: Option<String>,
    /// The account that it acts for.
    pub account: Option<String>,
    /// When this replica accepted it, by its clock; `null` if it came through another replica.
    pub received_ms: Option<String>,
    /// When this replica last posted it to a gateway, by its clock.
    pub posted_ms: Option<String>,
    /// How often this replica posted it; `null` if it came through another replica or the count is no longer
    /// stored.
    #[serde(default)]
    pub posts: Option<String>,
    /// The time of the sequence proof.
    pub sequenced_ms: Option<String>,
    /// When this replica applied its batch, by its clock.
    pub applied_ms: Option<String>,
    /// The batch that contains it.
    pub batch: Option<String>,
    /// Whether that batch is certified: replicas with more than two thirds of the weight attested a root that
    /// includes it. `false` means that at most the network's signature covers it.
    #[serde(default)]
    pub certified: bool,
    /// Position in that batch, from 0.
    pub position: Option<String>,
    /// Why it was rejected; `null` if it was not.
    pub reject: Option<RejectBody>,
    /// This replica's receipt, while the transaction is in the outbox.
    #[serde(default)]
    pub receipt: Option<ReceiptBody>,
    /// The order that it placed or reduced; `null` if it did neither.
    pub order: Option<OrderBody>,
}

/// Answer to `POST /v1/simulate`: what an order would do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulationBody {
    /// The last batch that the simulation takes into account.
    pub batch: String,
    /// Why the order would be rejected; `null` if it would be accepted.
    pub reject: Option<RejectBody>,
    /// The trades as (price, quantity), in sequence.
    pub fills: Vec<(String, String)>,
    /// The quantity of all trades, in base.
    pub filled: String,
    /// The value of all trades, in quote, without the fee.
    pub quote: String,
    /// The taker's fee on these trades, in quote.
    pub fee: String,
    /// The average price of the trades; `null` if there are none.
    pub average_price: Option<String>,
    /// The quantity that would enter the book, in base.
    pub rests: String,
    /// The amount that the order would lock while it rests, in `cost_token`.
    pub locked: String,
    /// The quantity that would be cancelled immediately, in base.
    pub cancelled: String,
    /// The available balance that the order needs, in `cost_token`, including the largest possible fee.
    pub cost: Option<String>,
    /// Symbol of the token of `cost` and `locked`.
    pub cost_token: Option<String>,
    /// The closest price that the market accepts.
    pub suggested_price: Option<String>,
    /// The closest quantity that the market accepts at that price.
    pub suggested_quantity: Option<String>,
}

/// Answer to `GET /v1/transactions/{hash}/signed`: everything that is needed to check the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBody {
    /// The transaction's hash.
    pub hash: String,
    /// The signed text. The hash is its SHA-256, unless the scheme is `guide`.
    pub text: String,
    /// `raw`, `eip191` or `guide`.
    pub scheme: String,
    /// The signature in hex.
    pub signature: String,
    /// The key that signed: the account, or one of its session keys.
    pub signer: String,
    /// The element of the batch body, or of the outbox, unchanged.
    pub element: String,
}

impl SignedBody {
    /// Reads an element of a body. The signature is not checked. A client computes this answer itself and compares
    /// it with the replica's.
    ///
    /// # Errors
    ///
    /// [`Reject::Malformed`] if the element is no transaction.
    pub fn read(rules: &Rules, element: &str) -> Result<Self, Reject> {
        Ok(match Element::read(element, rules.genesis.guide_orders)? {
            Element::Signed(signed) => Self {
                hash: signed.transaction.hash(&rules.network).to_string(),
                text: signed.transaction.text(&rules.network),
                scheme: signed.scheme.name().into(),
                signature: signed.signature.to_string(),
                signer: signed.transaction.signing_key().to_string(),
                element: element.into(),
            },
            Element::Guide(order) => Self {
                hash: order.hash().to_string(),
                text: order.text().into(),
                scheme: "guide".into(),
                signature: hex::encode(order.signature()),
                signer: order.account.to_string(),
                element: element.into(),
            },
        })
    }
}
