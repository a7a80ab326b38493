//! The nodes of a network with their stakes and keys.
//!
//! A network is either fixed, with one node list in a file, or its operators are registered on a chain
//! and can change from block to block. [`Membership`] answers which nodes count for a signature.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::bls::{AggregateKey, BlsPublicKey};
use crate::limits::NODES_MAX;

/// A node of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The id by which non-signer lists name it, usually an Ethereum address.
    pub id: String,
    /// The address at which it listens, like `http://host:6001`. It can be anything that the operator
    /// registered.
    pub socket: String,
    /// Its stake. A node without stake neither signs nor counts.
    pub stake: u64,
    /// Its BLS key.
    pub public_key: BlsPublicKey,
}

/// The nodes of a network: 1 to [`NODES_MAX`] of them with distinct ids, at least one of them with
/// stake. It keeps the sum of the keys, from which a check subtracts only the few non-signers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeList {
    nodes: BTreeMap<String, Node>,
    stake: u128,
    aggregate: AggregateKey,
}

/// Which nodes a network has when.
#[derive(Clone, Debug)]
pub enum Membership {
    /// The network's nodes never change.
    Fixed(Box<NodeList>),
    /// Each list applies from its block on, until the next list does.
    ByBlock(BTreeMap<u64, NodeList>),
}

impl Membership {
    /// Returns the nodes at a block, or `None` if the block is before the first known list.
    pub fn at(&self, block: u64) -> Option<&NodeList> {
        match self {
            Self::Fixed(nodes) => Some(nodes),
            Self::ByBlock(lists) => lists.range(..=block).next_back().map(|(_, nodes)| nodes),
        }
    }
}

impl From<NodeList> for Membership {
    fn from(nodes: NodeList) -> Self {
        Self::Fixed(Box::new(nodes))
    }
}

/// Why a node list is invalid.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NodeListError {
    /// The file is not JSON of the expected shape.
    #[error("the node list is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// The list has no node with stake, or too many nodes.
    #[error("a node list must have 1 to {NODES_MAX} nodes, at least one of them with stake")]
    Size,
    /// A field of one node is invalid.
    #[error("node {id}: {field}: {error}")]
    Node {
        /// The node's key in the list.
        id: String,
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        error: String,
    },
}

#[derive(Deserialize)]
struct RawNode<'a> {
    id: String,
    // Coordinates have 254 bits, and a stake can be written as `10.0`. As JSON numbers both would become
    // floats and lose digits, so only their text is read.
    #[serde(borrow, rename = "pubkeyG2_X")]
    x: [&'a RawValue; 2],
    #[serde(borrow, rename = "pubkeyG2_Y")]
    y: [&'a RawValue; 2],
    socket: String,
    #[serde(borrow)]
    stake: &'a RawValue,
}

/// The entries of a JSON object in their order, with repeated keys. A map would keep only one of two
/// entries with the same id, where a list with such entries must be refused.
struct Entries<'a>(Vec<(String, RawNode<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with nodes by id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    // Refused while it is read, so that a list of any length takes bounded memory.
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

/// Reads a whole JSON number below 2^64. A fraction of zeros is accepted: Python writes `10.0`.
fn whole_number(text: &str) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    let is_whole = whole.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole && fraction.bytes().all(|byte| byte == b'0') { whole.parse().ok() } else { None }
}

impl NodeList {
    /// Reads a static network file, in the format that the network's nodes (`ZSEQUENCER_NODES_FILE`) and
    /// the Python SDK (`StaticNetwork`) take: a JSON object with nodes by id, whose `pubkeyG2_X` and
    /// `pubkeyG2_Y` are `[imaginary, real]` JSON integers of up to 254 bits.
    ///
    /// # Errors
    ///
    /// Fails at the first node or field that is invalid.
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
                return Err(error("id", format!("{:?} differs from the key of its entry", raw.id)));
            }
            let stake = whole_number(raw.stake.get()).ok_or_else(|| {
                error("stake", format!("{} is not a whole number below 2^64", raw.stake.get()))
            })?;
            let [x1, x0] = raw.x.map(RawValue::get);
            let [y1, y0] = raw.y.map(RawValue::get);
            let public_key = BlsPublicKey::from_decimal([x1, x0], [y1, y0])
                .map_err(|bls| error("pubkeyG2", bls.to_string()))?;
            nodes.push(Node { id, socket: raw.socket, stake, public_key });
        }
        Self::new(nodes)
    }

    /// Makes a list of some nodes.
    ///
    /// # Errors
    ///
    /// Fails if an id is repeated, if no node has stake, or if there are more than [`NODES_MAX`] nodes.
    pub fn new(nodes: Vec<Node>) -> Result<Self, NodeListError> {
        let mut list = Self { nodes: BTreeMap::new(), stake: 0, aggregate: AggregateKey::empty() };
        if nodes.len() > NODES_MAX {
            return Err(NodeListError::Size);
        }
        for node in nodes {
            // A node without stake never signs, so its key must not be in the sum.
            if node.stake > 0 {
                list.stake =
                    list.stake.checked_add(u128::from(node.stake)).ok_or(NodeListError::Size)?;
                list.aggregate = list.aggregate.plus(&node.public_key);
            }
            let id = node.id.clone();
            if list.nodes.insert(id.clone(), node).is_some() {
                let error = "the id is listed twice".to_string();
                return Err(NodeListError::Node { id, field: "id", error });
            }
        }
        if list.stake == 0 { Err(NodeListError::Size) } else { Ok(list) }
    }

    /// Returns the node with an id.
    pub fn get(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Returns the stake of all nodes together.
    pub const fn stake(&self) -> u128 {
        self.stake
    }

    /// Returns the sum of the keys of all nodes with stake.
    pub const fn aggregate(&self) -> AggregateKey {
        self.aggregate
    }

    /// Returns the nodes in ascending order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Returns whether another list counts the same signatures: those of the same nodes with the same keys and
    /// stakes, at whatever addresses.
    pub fn has_signers_of(&self, other: &Self) -> bool {
        let signers = |list: &Self| {
            let signers = list.nodes().filter(|node| node.stake > 0);
            signers.map(|node| (node.id.clone(), node.stake, node.public_key)).collect::<Vec<_>>()
        };
        signers(self) == signers(other)
    }

    /// Writes the network file that [`NodeList::read`] reads.
    pub fn to_json(&self) -> String {
        // Written by hand, because a JSON library has no numbers of 254 bits.
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

#[cfg(test)]
mod tests {
    use super::{Membership, NODES_MAX, Node, NodeList, NodeListError};
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn nodes() -> Vec<Node> {
        let json = include_bytes!("../tests/vectors/equal4/nodes.json");
        NodeList::read(json).unwrap().nodes().cloned().collect()
    }

    #[test]
    fn the_nodes_at_a_block_are_those_of_the_last_list_up_to_it() {
        let list = |count| NodeList::new(nodes().into_iter().take(count).collect()).unwrap();
        let lists = [(10, list(1)), (20, list(2))];
        let membership = Membership::ByBlock(lists.into_iter().collect());
        let count = |block| membership.at(block).map(|list| list.nodes().count());
        assert_eq!(
            [9, 10, 19, 20, u64::MAX].map(count),
            [None, Some(1), Some(1), Some(2), Some(2)]
        );
        let fixed = Membership::from(list(3));
        assert_eq!(fixed.at(0).map(|list| list.nodes().count()), Some(3));
    }

    #[test]
    fn an_id_may_be_listed_only_once() {
        let mut list = nodes();
        list.push(list[0].clone());
        let id = list[0].id.clone();
        let error = NodeList::new(list).unwrap_err();
        assert_eq!(error.to_string(), format!("node {id}: id: the id is listed twice"));
    }

    #[test]
    fn a_list_needs_stake_and_has_a_largest_size() {
        let without = nodes().into_iter().map(|node| Node { stake: 0, ..node });
        assert_eq!(NodeList::new(without.collect()), Err(NodeListError::Size));
        assert_eq!(NodeList::new(Vec::new()), Err(NodeListError::Size));
        let node = &nodes()[0];
        let many = |count| (0..count).map(|n| Node { id: format!("{n}"), ..node.clone() });
        let most = NodeList::new(many(NODES_MAX).collect()).unwrap();
        assert_eq!(NodeList::read(most.to_json().as_bytes()), Ok(most));
        let more = many(NODES_MAX.saturating_add(1));
        assert_eq!(NodeList::new(more.clone().collect()), Err(NodeListError::Size));
        let mut list = NodeList::new(nodes()).unwrap();
        list.nodes = more.map(|node| (node.id.clone(), node)).collect();
        let error = NodeList::read(list.to_json().as_bytes());
        assert!(error.unwrap_err().to_string().contains("too many nodes"));
    }
}
