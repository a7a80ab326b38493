//! A network whose operators are kept on a chain: an EigenLayer subgraph lists their keys, stakes and
//! sockets at any block. The query and the weights are those of the network's nodes and of its Python SDK
//! (`zellular` 0.2.10, `EigenlayerNetwork`): other ones would give another aggregated key.
//!
//! Each finality signature names a block, its *tag*, at which its signers' stakes count. The tag is not
//! signed. So it is never taken to be before one that proved something already, never after the chain's
//! last block, and not much older than the signature's own time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::sync::watch;
use zellular::bls::BlsPublicKey;
use zellular::{Membership, Node, NodeList, NodeListError, Page, Verifier};

use super::gateways::GatewayAddress;
use super::transport::{Bounds, Method, Request, Transport, TransportError};
use crate::clock::Clock;
use crate::config::{ConfigError, io_error, write_file};

/// Of an answer of the subgraph.
const ANSWER: Bounds = Bounds { bytes_max: 4 << 20, time_max: Duration::from_secs(15) };
/// Blocks behind the last that may still be taken back.
const REORGS: u64 = 5;
/// Blocks by which a tag may be older than its signature: a day of Ethereum's.
const AGE_MAX: u64 = 7200;
/// The least time of a block, in seconds: Ethereum's slots, of which some have none.
const BLOCK_S: u64 = 12;
/// New tags of one page for which the operators are asked, at most. A signature proves all before it.
const TAGS_PER_PAGE: usize = 8;
/// Atoms of stake that count as one here.
const STAKE_UNIT: u128 = 1_000_000_000;
/// What the stake of an operator counts at most, apart from those below.
const STAKE_MAX: u128 = 1_000_000_000_000_000_000;
/// Operators whose stake counts in full, as the network's nodes have it.
const FULL_STAKE: [&str; 4] = [
    "0x747b80a1c0b0e6031b389e3b7eaf9b5f759f34ed",
    "0x3eaa1c283dbf13357257e652649784a4cc08078c",
    "0x906585f83fa7d29b96642aa8f7b4267ab42b7b6c",
    "0x93d89ade53b8fcca53736be1a0d11d342d71118b",
];

/// Why the operators are not known.
#[derive(Debug, Error)]
pub enum OperatorsError {
    /// No answer.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// A status that is no success.
    #[error("status {0}")]
    Status(u16),
    /// Errors in the place of data.
    #[error("it says: {0}")]
    Refused(String),
    /// Not JSON of the expected shape.
    #[error("the answer is not valid JSON of the expected shape: {0}")]
    Json(String),
    /// A value of one operator.
    #[error("operator {id}: {field}: {error}")]
    Operator {
        /// Its id.
        id: String,
        /// The field.
        field: &'static str,
        /// What is wrong.
        error: String,
    },
    /// No usable list.
    #[error("{0}")]
    List(#[from] NodeListError),
    /// The chain went back.
    #[error("its last block is {found}, after it was {known}: it is behind, or it lies")]
    WentBack {
        /// What it says now.
        found: u64,
        /// What it said before.
        known: u64,
    },
    /// The lists cannot be kept.
    #[error("{0}")]
    Disk(#[from] ConfigError),
}

/// The operators of a network.
#[derive(Debug)]
pub struct EigenLayer<T> {
    transport: T,
    url: String,
    /// Where lists are kept, so that proofs can be checked again later.
    folder: PathBuf,
    clock: Clock,
    state: Mutex<State>,
    verifier: watch::Sender<Arc<Verifier>>,
}

#[derive(Debug, Default)]
struct State {
    /// The last block, and when it was that, Unix seconds.
    head: Option<(u64, u64)>,
    lists: BTreeMap<u64, Arc<NodeList>>,
    /// The highest tag that proved something.
    floor: u64,
    /// The last batch and the tag of each signature of the last page.
    asked: Vec<(u64, u64)>,
}

impl<T: Transport> EigenLayer<T> {
    /// Operators by a subgraph, with a folder to keep lists in, where there may be some already. The
    /// verifier starts with those.
    pub fn open(
        transport: T,
        url: String,
        folder: PathBuf,
        verifier: Verifier,
        clock: Clock,
    ) -> Result<(Self, watch::Receiver<Arc<Verifier>>), OperatorsError> {
        std::fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        let lists = read_lists(&folder)?;
        let floor = lists.keys().next_back().copied().unwrap_or(0);
        let lists = lists.into_iter().map(|(tag, list)| (tag, Arc::new(list))).collect();
        let state = State { lists, floor, ..State::default() };
        let (verifier, watch) = watch::channel(Arc::new(verifier));
        let operators = Self { transport, url, folder, clock, state: Mutex::new(state), verifier };
        operators.show(&operators.state());
        Ok((operators, watch))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the lists to those who verify.
    fn show(&self, state: &State) {
        let lists = state.lists.iter().map(|(tag, list)| (*tag, NodeList::clone(list))).collect();
        self.verifier.send_modify(|verifier| {
            let Verifier { app_name, threshold, .. } = &**verifier;
            *verifier = Arc::new(Verifier {
                app_name: app_name.clone(),
                nodes: Membership::ByBlock(lists),
                threshold: *threshold,
            });
        });
    }

    async fn query(&self, query: &str) -> Result<Vec<u8>, OperatorsError> {
        let body = json!({ "query": query }).to_string().into_bytes();
        let request = Request::with_body(Method::Post, self.url.clone(), "application/json", body);
        let answer = self.transport.send(request, ANSWER).await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(OperatorsError::Status(answer.status))
        }
    }

    /// Asks for the last block; it never goes back.
    async fn ask_head(&self) -> Result<u64, OperatorsError> {
        let found = read_head(&self.query("{ _meta { block { number } } }").await?)?;
        let mut state = self.state();
        if let Some((known, _)) = state.head
            && found < known.saturating_sub(REORGS)
        {
            return Err(OperatorsError::WentBack { found, known });
        }
        state.head = Some((found, self.clock.now_ms() / 1000));
        Ok(found)
    }

    async fn ask_list(&self, block: u64) -> Result<NodeList, OperatorsError> {
        let query = format!(
            "{{ operators(block: {{ number: {block} }}) {{ id socket stake pubkeyG2_X pubkeyG2_Y }} }}"
        );
        read_operators(&self.query(&query).await?)
    }

    /// The gateways as the chain has them now, or as it had them last if the subgraph does not answer.
    pub async fn gateways(&self) -> Result<Vec<GatewayAddress>, OperatorsError> {
        let now = async {
            let block = self.ask_head().await?.saturating_sub(REORGS);
            self.ask_list(block).await
        };
        match now.await {
            Ok(list) => Ok(addresses(&list)),
            Err(error) => {
                let kept = self.state().lists.values().next_back().cloned();
                let Some(kept) = kept else { return Err(error) };
                tracing::warn!("the subgraph: {error}; the operators kept are used");
                Ok(addresses(&kept))
            }
        }
    }

    /// A tag, or the highest that proved something if that is higher.
    pub fn at_least(&self, tag: u64) -> u64 {
        tag.max(self.state().floor)
    }

    /// Makes the signatures of a page ready to be verified: learns the operators at their tags, and
    /// marks those whose tag cannot be. `after` is what the page was asked for: all signatures up to it
    /// were good.
    pub async fn admit(&self, after: u64, mut page: Page) -> Result<Page, OperatorsError> {
        self.proven(after)?;
        let mut tags: Vec<u64> = Vec::new();
        let (mut head, floor) = {
            let state = self.state();
            (state.head, state.floor)
        };
        let last = page.finalized_signatures.iter().flatten().map(|read| read.tag).max();
        // Once a page: one may be full of blocks that are not there.
        if last.is_some_and(|last| head.is_none_or(|(block, _)| last > block)) {
            self.ask_head().await?;
            head = self.state().head;
        }
        for signature in &mut page.finalized_signatures {
            let Ok(read) = signature else { continue };
            match head.map_or(Ok(read.tag), |head| checked_tag(read.tag, read.timestamp, head)) {
                // It is not signed: one before what has proven something already is taken for that.
                Ok(tag) => {
                    read.tag = tag.max(floor);
                    tags.push(read.tag);
                }
                Err(error) => *signature = Err(error),
            }
        }
        self.learn(&tags).await?;
        let mut state = self.state();
        // What is not known is not needed: a later signature proves the same, or the next page does.
        page.finalized_signatures.retain(|signature| {
            signature.as_ref().map_or(true, |read| state.lists.contains_key(&read.tag))
        });
        let signatures = page.finalized_signatures.iter().flatten();
        state.asked = signatures.map(|read| (read.index, read.tag)).collect();
        Ok(page)
    }

    /// Asks for the operators at the last of some tags that are not known.
    async fn learn(&self, tags: &[u64]) -> Result<(), OperatorsError> {
        let unknown: Vec<u64> = {
            let state = self.state();
            let mut unknown: Vec<u64> =
                tags.iter().copied().filter(|tag| !state.lists.contains_key(tag)).collect();
            unknown.sort_unstable();
            unknown.dedup();
            unknown.into_iter().rev().take(TAGS_PER_PAGE).collect()
        };
        for tag in &unknown {
            let list = self.ask_list(*tag).await?;
            self.state().lists.insert(*tag, Arc::new(list));
        }
        if !unknown.is_empty() {
            self.show(&self.state());
        }
        Ok(())
    }

    /// Notes that all signatures up to an index were good; keeps the lists that proved something.
    pub fn proven(&self, after: u64) -> Result<(), OperatorsError> {
        let mut state = self.state();
        let asked = std::mem::take(&mut state.asked);
        let good = asked.into_iter().filter(|(index, _)| *index <= after).map(|(_, tag)| tag);
        for tag in good {
            if tag <= state.floor && state.lists.range(..tag).next_back().is_some() {
                continue;
            }
            let before = state.lists.range(..tag).next_back().map(|(_, list)| Arc::clone(list));
            let list = state.lists.get(&tag).map(Arc::clone);
            if let Some(list) = list.filter(|list| before.as_ref() != Some(list)) {
                let path = self.folder.join(format!("{tag}.json"));
                write_file(&path, list.to_json().as_bytes(), 0o644)?;
            }
            state.floor = state.floor.max(tag);
        }
        // Nothing is verified by lists before the last that proved something.
        let floor = state.floor;
        let last = state.lists.range(..=floor).next_back().map(|(tag, _)| *tag);
        if let Some(last) = last {
            state.lists.retain(|tag, _| *tag >= last);
        }
        Ok(())
    }
}

/// The lists kept in a folder, by block.
pub fn read_lists(folder: &std::path::Path) -> Result<BTreeMap<u64, NodeList>, OperatorsError> {
    let mut lists = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io_error(folder))? {
        let path = entry.map_err(io_error(folder))?.path();
        let tag = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let is_list = path.extension().is_some_and(|extension| extension == "json");
        if let Some(tag) = tag.filter(|_| is_list) {
            let json = std::fs::read(&path).map_err(io_error(&path))?;
            lists.insert(tag, NodeList::read(&json)?);
        }
    }
    Ok(lists)
}

/// A tag that can be, for a signature of a time in Unix seconds.
fn checked_tag(tag: u64, timestamp: u64, (head, head_s): (u64, u64)) -> Result<u64, String> {
    if tag > head {
        return Err(format!("its tag is block {tag}, but the chain's last is {head}"));
    }
    // At most so many blocks since; fewer, where slots have none.
    let since = head_s.saturating_sub(timestamp) / BLOCK_S;
    let oldest = head.saturating_sub(since).saturating_sub(AGE_MAX);
    if tag < oldest {
        return Err(format!(
            "its tag is block {tag}, but at its time the chain was at block {oldest} at least, less a day"
        ));
    }
    Ok(tag)
}

/// Where the operators with stake listen.
fn addresses(list: &NodeList) -> Vec<GatewayAddress> {
    let usable = list.nodes().filter(|node| is_address(&node.socket));
    usable.map(|node| GatewayAddress { url: node.socket.clone(), stake: node.stake }).collect()
}

/// Whether a text is an HTTP address without a user name.
pub fn is_address(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[derive(Deserialize)]
struct Answer<'a, D> {
    data: Option<D>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

fn read_answer<'a, D: Deserialize<'a>>(json: &'a [u8]) -> Result<D, OperatorsError> {
    let start = |text: &str| text.chars().take(200).collect::<String>();
    let answer: Answer<'a, D> = serde_json::from_slice(json)
        .map_err(|error| OperatorsError::Json(start(&error.to_string())))?;
    match (answer.data, answer.errors) {
        (Some(data), None) => Ok(data),
        (_, errors) => Err(OperatorsError::Refused(start(errors.map_or("no data", RawValue::get)))),
    }
}

#[derive(Deserialize)]
struct HeadData {
    _meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    block: Block,
}

#[derive(Deserialize)]
struct Block {
    number: u64,
}

fn read_head(json: &[u8]) -> Result<u64, OperatorsError> {
    read_answer::<HeadData>(json).map(|data| data._meta.block.number)
}

#[derive(Deserialize)]
struct OperatorsData<'a> {
    #[serde(borrow)]
    operators: Vec<RawOperator<'a>>,
}

#[derive(Deserialize)]
struct RawOperator<'a> {
    id: String,
    socket: String,
    #[serde(borrow)]
    stake: &'a RawValue,
    #[serde(borrow, rename = "pubkeyG2_X")]
    x: [&'a RawValue; 2],
    #[serde(borrow, rename = "pubkeyG2_Y")]
    y: [&'a RawValue; 2],
}

/// The digits of a whole number, which is a JSON text or integer.
fn digits(raw: &RawValue) -> Option<&str> {
    let text = raw.get();
    let text = text.strip_prefix('"').map_or(Some(text), |text| text.strip_suffix('"'))?;
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_whole && (text == "0" || !text.starts_with('0'))).then_some(text)
}

fn read_operators(json: &[u8]) -> Result<NodeList, OperatorsError> {
    let data: OperatorsData<'_> = read_answer(json)?;
    let mut nodes = Vec::new();
    for operator in data.operators {
        let id: String = operator.id.chars().take(64).collect();
        let error = |field, error: &str| OperatorsError::Operator {
            id: id.clone(),
            field,
            error: error.into(),
        };
        let stake = digits(operator.stake).and_then(|digits| digits.parse::<u128>().ok());
        let stake = stake.ok_or_else(|| error("stake", "it is no whole number below 2^128"))?;
        let counts = if FULL_STAKE.contains(&&*operator.id) { stake } else { stake.min(STAKE_MAX) };
        if counts == 0 {
            // It neither signs nor counts, and its key may be anything.
            continue;
        }
        let counts = u64::try_from((counts / STAKE_UNIT).max(1))
            .map_err(|_| error("stake", "it is more than can be counted"))?;
        let coordinates = |pair: [&'_ RawValue; 2]| -> Option<[String; 2]> {
            let [imaginary, real] = pair.map(digits);
            Some([imaginary?.into(), real?.into()])
        };
        let (x, y) = coordinates(operator.x)
            .zip(coordinates(operator.y))
            .ok_or_else(|| error("pubkeyG2", "its coordinates are no whole numbers"))?;
        let public_key = BlsPublicKey::from_decimal([&x[0], &x[1]], [&y[0], &y[1]])
            .map_err(|bls| error("pubkeyG2", &bls.to_string()))?;
        nodes.push(Node { id: operator.id, socket: operator.socket, stake: counts, public_key });
    }
    Ok(NodeList::new(nodes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#""pubkeyG2_X":["11633492373796688333891670101778793766174427687395983187851066684257834555524","6399560207126626204118171292628198785299721344014392706766163623225231934411"],"pubkeyG2_Y":["15882337343627909688550304664944540392736952410793012715397012039728701545699","18788775059225111222164060048785458077862696772855519502574717139373425767977"]"#;

    fn operators(operators: &[String]) -> Result<NodeList, OperatorsError> {
        read_operators(
            format!(r#"{{"data":{{"operators":[{}]}}}}"#, operators.join(",")).as_bytes(),
        )
    }

    fn operator(id: &str, stake: &str) -> String {
        format!(r#"{{"id":"{id}","socket":"http://localhost:1","stake":{stake},{KEY}}}"#)
    }

    #[test]
    fn stakes_count_as_the_networks_nodes_count_them() {
        let list = operators(&[
            operator("small", r#""1500000000""#),
            operator("dust", "1"),
            operator("none", r#""0""#),
            operator("large", r#""40000000000000000000""#),
            operator(FULL_STAKE[0], r#""40000000000000000000""#),
        ])
        .unwrap();
        let stake = |id: &str| list.get(id).map(|node| node.stake);
        assert_eq!(["small", "dust", "none"].map(stake), [Some(1), Some(1), None]);
        assert_eq!(stake("large"), Some(1_000_000_000));
        assert_eq!(stake(FULL_STAKE[0]), Some(40_000_000_000));
    }

    #[test]
    fn keys_are_read_to_the_last_digit() {
        let list = operators(&[operator("a", "1")]).unwrap();
        let ([x, _], _) = list.get("a").unwrap().public_key.to_decimal();
        assert!(x.ends_with("6684257834555524"), "{x}");
    }

    #[test]
    fn hostile_answers_end_in_an_error_that_says_what_is_wrong() {
        let good = operator("a", "1");
        let long = "9".repeat(5000);
        let many: Vec<String> = (0..1025).map(|n| operator(&format!("n{n}"), "1")).collect();
        let cases: Vec<(Vec<String>, &str)> = vec![
            (vec![operator("a", "1.5")], "stake"),
            (vec![operator("a", "1e18")], "stake"),
            (vec![operator("a", "-1")], "stake"),
            (vec![operator("a", "\"\"")], "stake"),
            (vec![operator("a", "\"01\"")], "stake"),
            (vec![operator("a", "null")], "stake"),
            (vec![operator("a", &long)], "stake"),
            (vec![operator(FULL_STAKE[0], "340282366920938463463374607431768211455")], "counted"),
            (vec![operator("a", "0")], "at least one"),
            (vec![], "at least one"),
            (vec![good.clone(), good.clone()], "twice"),
            (vec![good.replace("524\"", "525\"")], "pubkeyG2"),
            (vec![good.replace("\"11633492373796688333891670101778793766174427687395983187851066684257834555524\"", "1.1633492373796688e75")], "pubkeyG2"),
            (vec![good.replace("pubkeyG2_Y", "pubkeyG2_Z")], "missing field"),
            (vec![good.replace("\"id\":\"a\"", "\"id\":\"a\",\"id\":\"b\"")], "duplicate field"),
            (many, "1024"),
        ];
        for (list, expected) in cases {
            let error = operators(&list).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(error.len() < 600, "{error}");
        }
        for (answer, expected) in [
            ("", "not valid JSON"),
            ("<html>", "not valid JSON"),
            (r#"{"data":null}"#, "no data"),
            (r#"{"errors":[{"message":"block is not there"}]}"#, "block is not there"),
            (r#"{"data":{"operators":[]},"errors":[{"message":"half"}]}"#, "half"),
        ] {
            let error = read_operators(answer.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        assert!(read_head(br#"{"data":{"_meta":{"block":{"number":17}}}}"#).is_ok_and(|n| n == 17));
        for number in ["-1", "1.0", "\"17\"", "null", "18446744073709551616"] {
            let answer = format!(r#"{{"data":{{"_meta":{{"block":{{"number":{number}}}}}}}}}"#);
            assert!(read_head(answer.as_bytes()).is_err(), "{number}");
        }
    }

    #[test]
    fn a_tag_is_neither_of_the_future_nor_much_older_than_its_signature() {
        let (head, head_s) = (20_000_000, 1_795_000_000);
        let check = |tag, ago_s| checked_tag(tag, head_s - ago_s, (head, head_s)).is_ok();
        assert!(check(head, 0) && !check(head + 1, 0));
        assert!(check(head - AGE_MAX, 0) && !check(head - AGE_MAX - 1, 0));
        // A signature of a year ago may have the tag of then.
        let year_s = 365 * 86_400;
        assert!(check(head - year_s / BLOCK_S, year_s));
        assert!(!check(0, year_s));
        assert!(checked_tag(head, u64::MAX, (head, head_s)).is_ok());
    }
}
