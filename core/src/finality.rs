//! Finality proofs of the Zellular network: node lists, the chaining hash, and walking the pages of
//! finalized batches so that only proven ones come out.
//!
//! Source: the running network and its Python SDK, as captured in the repository's
//! `core/tests/vectors/zellular`. Stricter than the SDK where that is open to forgery.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;
use twox_hash::XxHash3_128;

use crate::bls::{AggregateKey, BlsError, BlsPublicKey, BlsSignature};
use crate::limits::{
    BATCH_OVERHEAD, NODES_MAX, PAGE_BATCHES_MAX, PAGE_BYTES_MAX, PAGE_SIGNATURES_MAX,
    PENDING_BYTES_MAX,
};
use crate::units::Decimal;

/// XXH3-128 as 32 lower-case hex digits.
pub fn xxh128_hex(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

/// The next chaining hash: `c[n] = xxh128_hex(c[n-1] + xxh128_hex(body[n]))`, `c[0]` empty.
pub fn chain(previous: &str, body: &str) -> String {
    let mut input = String::from(previous);
    input.push_str(&xxh128_hex(body.as_bytes()));
    xxh128_hex(input.as_bytes())
}

/// A node of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id, as non-signer lists name it.
    pub id: String,
    /// Where it listens, like `http://host:6001`.
    pub socket: String,
    /// Its stake; a node without stake neither signs nor counts.
    pub stake: u64,
    /// Its key.
    pub public_key: BlsPublicKey,
}

/// The nodes of a network with their aggregated key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeList {
    nodes: BTreeMap<String, Node>,
    stake: u128,
    aggregate: AggregateKey,
}

/// Why a node list is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NodeListError {
    /// Not JSON of the expected shape.
    #[error("the node list is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// No nodes, no stake, or too many nodes.
    #[error("the node list must have 1 to {NODES_MAX} nodes, at least one of them with stake")]
    Size,
    /// A value of one node.
    #[error("node {id}: {field}: {error}")]
    Node {
        /// The node's key in the list.
        id: String,
        /// The field.
        field: &'static str,
        /// What is wrong.
        error: String,
    },
}

#[derive(Deserialize)]
struct RawNode<'a> {
    id: String,
    #[serde(borrow, rename = "pubkeyG2_X")]
    x: [&'a RawValue; 2],
    #[serde(borrow, rename = "pubkeyG2_Y")]
    y: [&'a RawValue; 2],
    socket: String,
    #[serde(borrow)]
    stake: &'a RawValue,
}

/// The entries of a JSON object in their order, repeated keys and all.
struct Entries<'a>(Vec<(String, RawNode<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of nodes by id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() >= NODES_MAX {
                        return Err(serde::de::Error::custom("too many nodes"));
                    }
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

impl NodeList {
    /// Reads a static network file as the network and its SDK take it: an object of nodes by id,
    /// with `pubkeyG2_X` and `pubkeyG2_Y` as `[imaginary, real]` JSON integers of up to 254 bits.
    pub fn read(json: &[u8]) -> Result<Self, NodeListError> {
        let entries: Entries<'_> =
            serde_json::from_slice(json).map_err(|error| NodeListError::Json(error.to_string()))?;
        let mut nodes = Vec::with_capacity(entries.0.len());
        for (id, raw) in entries.0 {
            let error = |field: &'static str, error: String| NodeListError::Node {
                id: id.clone(),
                field,
                error,
            };
            if raw.id != id {
                return Err(error("id", format!("{:?} differs from the entry's key", raw.id)));
            }
            let stake = Decimal::parse_lenient(raw.stake.get())
                .ok()
                .filter(|stake| stake.scale() == 0)
                .and_then(|stake| u64::try_from(stake.digits()).ok());
            let stake = stake.ok_or_else(|| {
                error("stake", format!("{} is no whole number below 2^64", raw.stake.get()))
            })?;
            let [x1, x0] = raw.x.map(RawValue::get);
            let [y1, y0] = raw.y.map(RawValue::get);
            let public_key = BlsPublicKey::from_decimal([x1, x0], [y1, y0])
                .map_err(|bls| error("pubkeyG2", bls.to_string()))?;
            nodes.push(Node { id, socket: raw.socket, stake, public_key });
        }
        Self::new(nodes)
    }

    /// A list of nodes with distinct ids, at least one of them with stake.
    pub fn new(nodes: Vec<Node>) -> Result<Self, NodeListError> {
        let mut list = Self { nodes: BTreeMap::new(), stake: 0, aggregate: AggregateKey::empty() };
        if nodes.len() > NODES_MAX {
            return Err(NodeListError::Size);
        }
        for node in nodes {
            if node.stake > 0 {
                list.stake =
                    list.stake.checked_add(u128::from(node.stake)).ok_or(NodeListError::Size)?;
                list.aggregate = list.aggregate.plus(&node.public_key);
            }
            let id = node.id.clone();
            if list.nodes.insert(id.clone(), node).is_some() {
                let error = "stands there twice".to_string();
                return Err(NodeListError::Node { id, field: "id", error });
            }
        }
        if list.stake == 0 { Err(NodeListError::Size) } else { Ok(list) }
    }

    /// The nodes by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The network file of these nodes: what [`NodeList::read`] reads.
    pub fn to_json(&self) -> String {
        let mut json = String::from("{");
        let text = |text: &str| serde_json::Value::from(text).to_string();
        for (position, node) in self.nodes.values().enumerate() {
            let ([x1, x0], [y1, y0]) = node.public_key.to_decimal();
            let (id, socket, stake) = (text(&node.id), text(&node.socket), node.stake);
            let comma = if position == 0 { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(
                json,
                "{comma}\n    {id}: {{\n        \"id\": {id},\n        \"pubkeyG2_X\": [{x1}, {x0}],\n        \
                 \"pubkeyG2_Y\": [{y1}, {y0}],\n        \"address\": {id},\n        \"socket\": {socket},\n        \
                 \"stake\": {stake}\n    }}"
            );
        }
        json.push_str("\n}\n");
        json
    }
}

/// The share of stake that must sign, in percent: above 0, at most 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(Decimal);

impl Threshold {
    /// From a percentage such as `67` or `66.6`; `None` out of range or with over 6 decimals.
    pub fn from_percent(percent: Decimal) -> Option<Self> {
        let hundred = Decimal::parse("100").ok()?;
        let in_millionths = percent.in_steps_of(Decimal::one_atom(6)).ok()?;
        let most = hundred.in_steps_of(Decimal::one_atom(6)).ok()?;
        (in_millionths > 0 && in_millionths <= most).then_some(Self(percent))
    }

    /// Whether so much of the stake may be missing: `100 · missing / total ≤ 100 − percent`.
    fn allows(self, missing: u128, total: u128) -> bool {
        let within = || {
            let percent = self.0.in_steps_of(Decimal::one_atom(6)).ok()?;
            let slack = 100_000_000_u128.checked_sub(percent)?;
            Some(missing.checked_mul(100_000_000)? <= slack.checked_mul(total)?)
        };
        within().unwrap_or(false)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// What the nodes sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedState {
    /// The lock: nodes have the batch in sequence.
    Sequenced,
    /// Finality: nodes have seen the lock.
    Locked,
}

/// The signed message: Python's `json.dumps` with sorted keys.
pub fn message(
    app_name: &str,
    state: SignedState,
    index: u64,
    parent_index: u64,
    timestamp: u64,
    chaining_hash: &str,
) -> String {
    let state = match state {
        SignedState::Sequenced => "sequenced",
        SignedState::Locked => "locked",
    };
    format!(
        "{{\"app_name\": {}, \"chaining_hash\": {}, \"index\": {index}, \
         \"parent_index\": {parent_index}, \"state\": \"{state}\", \"timestamp\": {timestamp}}}",
        python_json(app_name),
        python_json(chaining_hash),
    )
}

/// What is hashed to the curve for a message: the hex digits of its xxh128.
pub fn bls_message(message: &str) -> String {
    xxh128_hex(message.as_bytes())
}

/// A text as Python's `json.dumps` writes it: all but printable ASCII as `\uxxxx`.
fn python_json(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

/// A finality signature as `finalized` answers carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalitySignature {
    /// Index of the last batch that it covers.
    pub index: u64,
    /// The finalized index before it.
    pub parent_index: u64,
    /// Unix seconds.
    pub timestamp: u64,
    /// The chaining hash that the sender claims; what is checked is our own.
    #[serde(default)]
    pub chaining_hash: Option<String>,
    /// Ids of nodes that did not sign; null is none. At most as many as a network has nodes.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub nonsigners: Vec<String>,
    /// `1 x y`.
    pub signature: String,
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Option::<Bounded<String, NODES_MAX>>::deserialize(deserializer)?;
    list.map_or(Ok(Vec::new()), |list| {
        if list.is_cut {
            Err(serde::de::Error::custom("too many non-signers"))
        } else {
            Ok(list.items)
        }
    })
}

/// The first items of a JSON array. The others are passed over, so that no answer can take more
/// memory than its bound.
#[derive(Debug)]
struct Bounded<T, const MAX: usize> {
    items: Vec<T>,
    is_cut: bool,
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T, const MAX: usize>(core::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
            type Value = Bounded<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX {
                    match seq.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Bounded { items, is_cut: false }),
                    }
                }
                let mut is_cut = false;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    is_cut = true;
                }
                Ok(Bounded { items, is_cut })
            }
        }
        deserializer.deserialize_seq(ListVisitor(core::marker::PhantomData))
    }
}

/// Why a finality signature proves nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// A non-signer that is not in the node list.
    #[error("non-signer {0} is not in the node list")]
    UnknownNonsigner(String),
    /// A non-signer twice.
    #[error("non-signer {0} is listed twice")]
    RepeatedNonsigner(String),
    /// A non-signer without stake, whose key is not in the aggregate.
    #[error("non-signer {0} has no stake")]
    NonsignerWithoutStake(String),
    /// Too much stake did not sign.
    #[error("{missing} of {total} stake did not sign; the threshold is {threshold}")]
    Quorum {
        /// Stake of the non-signers.
        missing: u128,
        /// All stake.
        total: u128,
        /// What must sign.
        threshold: Threshold,
    },
    /// The signers' key is infinite, or the signature is no point.
    #[error("{0}")]
    Encoding(#[from] BlsError),
    /// The pairing does not hold.
    #[error("the signature is not that of the signers over this chaining hash")]
    Signature,
}

/// What is needed to check proofs of one app on one network.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The app's name on the network.
    pub app_name: String,
    /// The nodes.
    pub nodes: NodeList,
    /// The share of stake that must sign.
    pub threshold: Threshold,
}

impl Verifier {
    /// Checks a signature over a chaining hash that we computed.
    pub fn verify(
        &self,
        state: SignedState,
        signature: &FinalitySignature,
        chaining_hash: &str,
    ) -> Result<(), ProofError> {
        let mut missing = 0_u128;
        let mut key = self.nodes.aggregate;
        for (position, id) in signature.nonsigners.iter().enumerate() {
            let node = self
                .nodes
                .nodes
                .get(id)
                .ok_or_else(|| ProofError::UnknownNonsigner(id.chars().take(64).collect()))?;
            if node.stake == 0 {
                return Err(ProofError::NonsignerWithoutStake(id.clone()));
            }
            // At most as many rounds as nodes: a repeated one ends it.
            if signature.nonsigners.iter().take(position).any(|other| other == id) {
                return Err(ProofError::RepeatedNonsigner(id.clone()));
            }
            missing = missing.saturating_add(u128::from(node.stake));
            key = key.minus(&node.public_key);
        }
        if !self.threshold.allows(missing, self.nodes.stake) {
            let (total, threshold) = (self.nodes.stake, self.threshold);
            return Err(ProofError::Quorum { missing, total, threshold });
        }
        let text = message(
            &self.app_name,
            state,
            signature.index,
            signature.parent_index,
            signature.timestamp,
            chaining_hash,
        );
        let point = BlsSignature::parse(&signature.signature)?;
        if key.key()?.verify(bls_message(&text).as_bytes(), &point) {
            Ok(())
        } else {
            Err(ProofError::Signature)
        }
    }
}

/// A `finalized` answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Bodies from the asked index on.
    pub batches: Vec<String>,
    /// The sender's chaining hash of the first body.
    pub first_chaining_hash: String,
    /// Signatures over some of the indexes, in order. One that cannot be read is an error in its
    /// place: it does not discard what those before it prove.
    pub finalized_signatures: Vec<Result<FinalitySignature, String>>,
    /// Whether the answer had more batches or signatures than are read.
    pub is_cut: bool,
}

#[derive(Deserialize)]
struct Answer<'a> {
    status: String,
    // Absent in error answers.
    #[serde(borrow, default)]
    data: Option<RawPage<'a>>,
    // Its text alone: nothing that nests is read into memory.
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    batches: Bounded<String, PAGE_BATCHES_MAX>,
    first_chaining_hash: String,
    #[serde(borrow)]
    finalized_signatures: Bounded<&'a RawValue, PAGE_SIGNATURES_MAX>,
}

/// The start of a text from the network, for a message.
fn start_of(text: &str) -> String {
    text.chars().take(200).collect()
}

impl Page {
    /// Reads the body of a `finalized` answer; `None` where there is nothing new.
    pub fn read(json: &[u8]) -> Result<Option<Self>, PageError> {
        if json.len() > PAGE_BYTES_MAX {
            return Err(PageError::TooLarge);
        }
        let answer: Answer<'_> = serde_json::from_slice(json)
            .map_err(|error| PageError::Json(start_of(&error.to_string())))?;
        if answer.status != "success" {
            let error = answer.error.map_or(answer.status.as_str(), RawValue::get);
            return Err(PageError::Status(start_of(error)));
        }
        Ok(answer.data.map(|data| Self {
            is_cut: data.batches.is_cut || data.finalized_signatures.is_cut,
            batches: data.batches.items,
            first_chaining_hash: data.first_chaining_hash,
            finalized_signatures: data
                .finalized_signatures
                .items
                .into_iter()
                .map(|raw| {
                    serde_json::from_str(raw.get()).map_err(|error| start_of(&error.to_string()))
                })
                .collect(),
        }))
    }
}

/// What is wrong with a `finalized` answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PageError {
    /// Not JSON of the expected shape.
    #[error("the answer is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// The answer says that it failed.
    #[error("the answer's status is not success: {0}")]
    Status(String),
    /// More bytes, batches or signatures than an honest answer has.
    #[error("the answer is larger than an honest one can be")]
    TooLarge,
    /// Data without a batch.
    #[error("the answer has data but no batches")]
    Empty,
    /// The first chaining hash does not follow from ours.
    #[error("first_chaining_hash is {found}; after batch {after} of our history it is {expected}")]
    FirstChainingHash {
        /// What the answer says.
        found: String,
        /// What follows from our history.
        expected: String,
        /// The batch that we have.
        after: u64,
    },
    /// A signature over an index that is proven already, or out of order.
    #[error(
        "a signature over batch {index} does not belong here: batches up to {proven} are proven"
    )]
    SignatureOutOfOrder {
        /// The signature's index.
        index: u64,
        /// The last proven index.
        proven: u64,
    },
    /// A signature over an index that the answer does not reach.
    #[error("a signature over batch {index}, but the answer ends at {last}")]
    SignatureBeyondPage {
        /// The signature's index.
        index: u64,
        /// The last batch of the answer.
        last: u64,
    },
    /// A signature claims another chaining hash than follows from the bodies.
    #[error(
        "the signature over batch {index} is for chaining hash {found}; the bodies give {expected}"
    )]
    ChainingHash {
        /// The signature's index.
        index: u64,
        /// What the signature claims.
        found: String,
        /// What follows from the bodies.
        expected: String,
    },
    /// A signature that cannot be read.
    #[error("signature {position} of the answer, counted from 0, cannot be read: {error}")]
    SignatureForm {
        /// Its place in the answer.
        position: usize,
        /// Why.
        error: String,
    },
    /// A valid proof of another history than the one that we hold proven.
    #[error(
        "the network proves batch {index} after another history than ours: the two part at or before batch {after}"
    )]
    OtherHistory {
        /// The last batch that we hold.
        after: u64,
        /// The batch after it that is proven otherwise.
        index: u64,
    },
    /// Nothing new, although batches that we were sent are not proven: the last one always is.
    #[error("the answer has nothing after batch {last}, but the last signature is over {proven}")]
    TipNotSigned {
        /// The last batch that we were sent.
        last: u64,
        /// The last proven batch.
        proven: u64,
    },
    /// A signature that proves nothing.
    #[error("the signature over batch {index} proves nothing: {error}")]
    Proof {
        /// The signature's index.
        index: u64,
        /// Why.
        error: ProofError,
    },
}

impl PageError {
    /// A stable name, for machines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Empty => "empty",
            Self::FirstChainingHash { .. } => "first_chaining_hash",
            Self::SignatureOutOfOrder { .. } => "signature_out_of_order",
            Self::SignatureBeyondPage { .. } => "signature_beyond_page",
            Self::ChainingHash { .. } => "chaining_hash",
            Self::SignatureForm { .. } => "signature_form",
            Self::OtherHistory { .. } => "other_history",
            Self::TipNotSigned { .. } => "tip_not_signed",
            Self::Proof { error, .. } => match error {
                ProofError::UnknownNonsigner(_) => "unknown_nonsigner",
                ProofError::RepeatedNonsigner(_) => "repeated_nonsigner",
                ProofError::NonsignerWithoutStake(_) => "nonsigner_without_stake",
                ProofError::Quorum { .. } => "quorum",
                ProofError::Encoding(_) => "encoding",
                ProofError::Signature => "signature",
            },
        }
    }
}

/// A place in the sequence: an index and the chaining hash there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Batch index; 0 is before the first.
    pub index: u64,
    /// 32 hex digits; empty at index 0.
    pub chaining_hash: String,
}

impl Position {
    /// Before the first batch.
    pub const fn start() -> Self {
        Self { index: 0, chaining_hash: String::new() }
    }
}

/// A batch that a signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenBatch {
    /// Index in the sequence.
    pub index: u64,
    /// Its body.
    pub body: String,
    /// The chaining hash with it.
    pub chaining_hash: String,
}

/// Batches up to a signature that proves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenGroup {
    /// At least one batch, in sequence.
    pub batches: Vec<ProvenBatch>,
    /// The signature over the last of them.
    pub signature: FinalitySignature,
}

/// What a batch that is not proven costs in memory, in bytes, about.
const fn cost(body: &str) -> usize {
    body.len().saturating_add(BATCH_OVERHEAD)
}

/// Walks pages: keeps the chain over pages, and lets batches out only up to a signature that
/// verifies.
#[derive(Clone, Debug)]
pub struct Walker {
    proven: Position,
    /// Batches after `proven` that no signature covers yet.
    pending: VecDeque<ProvenBatch>,
    pending_bytes: usize,
}

impl Walker {
    /// Starts after a position that is known to be proven.
    pub const fn new(proven: Position) -> Self {
        Self { proven, pending: VecDeque::new(), pending_bytes: 0 }
    }

    /// The last proven position.
    pub const fn proven(&self) -> &Position {
        &self.proven
    }

    /// What to ask for next: the last index that we hold, proven or not.
    pub fn after(&self) -> u64 {
        self.pending.back().map_or(self.proven.index, |batch| batch.index)
    }

    /// Forgets the batches that are not proven, so that another gateway can be asked for them.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
    }

    /// Takes an answer without data. It is an error while batches are not proven: the last one
    /// always is.
    pub fn take_nothing(&mut self) -> Result<(), PageError> {
        let (last, proven) = (self.after(), self.proven.index);
        self.forget_pending();
        if last == proven { Ok(()) } else { Err(PageError::TipNotSigned { last, proven }) }
    }

    /// Takes the answer to `?after=` [`Walker::after`]. Returns what it proves, and what is wrong
    /// with it; a bad signature does not discard what those before it proved. After an error the
    /// batches that are not proven are forgotten.
    pub fn take(
        &mut self,
        verifier: &Verifier,
        page: Page,
    ) -> (Vec<ProvenGroup>, Option<PageError>) {
        let mut groups = Vec::new();
        let result = self.take_page(verifier, page, &mut groups);
        if result.is_err() {
            self.forget_pending();
        }
        (groups, result.err())
    }

    fn take_page(
        &mut self,
        verifier: &Verifier,
        page: Page,
        groups: &mut Vec<ProvenGroup>,
    ) -> Result<(), PageError> {
        self.check_first(verifier, &page)?;
        for body in page.batches {
            let previous = self.pending.back();
            let previous =
                previous.map_or(&self.proven.chaining_hash, |batch| &batch.chaining_hash);
            let chaining_hash = chain(previous, &body);
            let index = self.after().checked_add(1).ok_or(PageError::TooLarge)?;
            self.pending_bytes = self.pending_bytes.saturating_add(cost(&body));
            if self.pending_bytes > PENDING_BYTES_MAX {
                return Err(PageError::TooLarge);
            }
            self.pending.push_back(ProvenBatch { index, body, chaining_hash });
        }
        for (position, signature) in page.finalized_signatures.into_iter().enumerate() {
            let signature =
                signature.map_err(|error| PageError::SignatureForm { position, error })?;
            // What lies beyond the batches that were read is asked for again.
            if page.is_cut && signature.index > self.after() {
                break;
            }
            groups.push(self.take_signature(verifier, signature)?);
        }
        Ok(())
    }

    /// The sender's hash of the first body must be the one that follows from our history. Where it
    /// is not, and the sender's has a valid proof, the histories part.
    fn check_first(&self, verifier: &Verifier, page: &Page) -> Result<(), PageError> {
        let first = page.batches.first().ok_or(PageError::Empty)?;
        let previous = self.pending.back();
        let previous = previous.map_or(&self.proven.chaining_hash, |batch| &batch.chaining_hash);
        let expected = chain(previous, first);
        if expected == page.first_chaining_hash {
            return Ok(());
        }
        let after = self.after();
        // Batches that are not proven may be a liar's; then nothing follows from them.
        if self.pending.is_empty()
            && let Some(index) = self.proven_otherwise(verifier, page)
        {
            return Err(PageError::OtherHistory { after, index });
        }
        let found = page.first_chaining_hash.chars().take(64).collect();
        Err(PageError::FirstChainingHash { found, expected, after })
    }

    /// The first batch of a page that a signature proves over the sender's own chain.
    fn proven_otherwise(&self, verifier: &Verifier, page: &Page) -> Option<u64> {
        let signature = page.finalized_signatures.iter().flatten().next()?;
        let count = signature.index.checked_sub(self.proven.index)?.checked_sub(1)?;
        let bodies = page.batches.iter().skip(1).take(usize::try_from(count).ok()?);
        let mut index = self.proven.index.checked_add(1)?;
        let mut chaining_hash = page.first_chaining_hash.clone();
        for body in bodies {
            chaining_hash = chain(&chaining_hash, body);
            index = index.checked_add(1)?;
        }
        let is_proven = index == signature.index
            && verifier.verify(SignedState::Locked, signature, &chaining_hash).is_ok();
        is_proven.then_some(index)
    }

    fn take_signature(
        &mut self,
        verifier: &Verifier,
        signature: FinalitySignature,
    ) -> Result<ProvenGroup, PageError> {
        let index = signature.index;
        let proven = self.proven.index;
        let count = index.checked_sub(proven).filter(|count| *count > 0);
        let count = count.ok_or(PageError::SignatureOutOfOrder { index, proven })?;
        let last = self.after();
        let offset = usize::try_from(count).ok().and_then(|count| count.checked_sub(1));
        let batch = offset
            .and_then(|offset| self.pending.get(offset))
            .ok_or(PageError::SignatureBeyondPage { index, last })?;
        if let Some(claimed) = &signature.chaining_hash
            && *claimed != batch.chaining_hash
        {
            return Err(PageError::ChainingHash {
                index,
                found: claimed.chars().take(64).collect(),
                expected: batch.chaining_hash.clone(),
            });
        }
        verifier
            .verify(SignedState::Locked, &signature, &batch.chaining_hash)
            .map_err(|error| PageError::Proof { index, error })?;
        self.proven = Position { index, chaining_hash: batch.chaining_hash.clone() };
        let mut batches = Vec::new();
        while self.pending.front().is_some_and(|batch| batch.index <= index) {
            if let Some(batch) = self.pending.pop_front() {
                self.pending_bytes = self.pending_bytes.saturating_sub(cost(&batch.body));
                batches.push(batch);
            }
        }
        Ok(ProvenGroup { batches, signature })
    }
}
