//! The operators of a network, learned block by block from an EigenLayer subgraph.
//!
//! Each finality signature names a block, its *tag*, at which the stakes of its signers count. The tag is not
//! signed, so a dishonest gateway could name a block of long ago, when operators had stake who have sold it
//! and risk nothing. A tag is therefore never taken to be before one that already proved something, never
//! after the chain's last block, and at most a day older than the signature's own time.
//!
//! A reader needs the lists of only a few blocks: signatures name a new tag now and then, and only the tags
//! that occur are asked for. Lists that proved something are stored, so that their proofs can be checked
//! again later, also without the subgraph.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::watch;

use super::error::OperatorsError;
use super::lists::{make_folder, read_lists, write_list};
use super::network::EigenLayerNetwork;
use super::subgraph::{read_head, read_operators};
use crate::client::gateway::GatewayAddress;
use crate::client::transport::{Bounds, Method, Request, Transport};
use crate::client::url::is_http_url;
use crate::client::verifier::VerifierWatch;
use crate::nodes::{Membership, NodeList};
use crate::page::Page;
use crate::proof::Verifier;

/// The limits of an answer of the subgraph.
const ANSWER: Bounds = Bounds { bytes_max: 4 << 20, time_max: Duration::from_secs(15) };
/// The number of blocks behind the last that the chain may still replace. The network's nodes and its Python
/// SDK use the same margin.
const REORG_BLOCKS: u64 = 5;
/// How much older than its signature a tag may be, in seconds: a day.
const TAG_AGE_MAX_S: u64 = 86_400;
/// The largest number of new tags of one page for which the subgraph is asked. The latest ones suffice,
/// because a signature proves all batches before it.
const TAGS_PER_PAGE: usize = 8;

/// The operators of a network that keeps them on a chain.
#[derive(Debug)]
pub struct Operators<T> {
    transport: T,
    network: EigenLayerNetwork,
    /// Where lists that proved something are stored, if anywhere.
    folder: Option<PathBuf>,
    state: Mutex<State>,
    verifier: watch::Sender<Arc<Verifier>>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    lists: BTreeMap<u64, Arc<NodeList>>,
    /// The highest tag that proved something, if one did.
    floor: Option<u64>,
    /// The last batch and the tag of each signature of the last page. Whether they prove anything shows in
    /// the index that is asked for next.
    unconfirmed: Vec<(u64, u64)>,
}

/// The chain's last block.
#[derive(Clone, Copy, Debug)]
struct Head {
    block: u64,
    /// When it was asked for, in Unix seconds.
    time_s: u64,
}

impl<T: Transport> Operators<T> {
    /// Opens the operators of a network, with the lists that `folder` holds already. Returns them with a
    /// verifier whose node lists grow as they are learned. The node lists of `verifier` are replaced.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be read or written.
    pub fn open(
        transport: T,
        network: EigenLayerNetwork,
        folder: Option<PathBuf>,
        verifier: Verifier,
    ) -> Result<(Self, VerifierWatch), OperatorsError> {
        let lists = match &folder {
            Some(folder) => {
                make_folder(folder)?;
                read_lists(folder)?
            }
            None => BTreeMap::new(),
        };
        // Only lists that proved something are stored, so the latest of them sets the floor.
        let floor = lists.keys().next_back().copied();
        let lists = lists.into_iter().map(|(tag, list)| (tag, Arc::new(list))).collect();
        let state = State { lists, floor, ..State::default() };
        let (verifier, watch) = watch::channel(Arc::new(verifier));
        let operators = Self { transport, network, folder, state: Mutex::new(state), verifier };
        operators.show(&operators.state());
        Ok((operators, watch))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes the lists to the verifier.
    fn show(&self, state: &State) {
        let lists = state.lists.iter().map(|(tag, list)| (*tag, NodeList::clone(list))).collect();
        self.verifier.send_modify(|verifier| {
            let Verifier { app_name, threshold, .. } = &**verifier;
            // A new value instead of a change in place: a check that has begun ends with the same verifier.
            *verifier = Arc::new(Verifier {
                app_name: app_name.clone(),
                nodes: Membership::ByBlock(lists),
                threshold: *threshold,
            });
        });
    }

    async fn query(&self, query: &str) -> Result<Vec<u8>, OperatorsError> {
        let body = json!({ "query": query }).to_string().into_bytes();
        let url = self.network.subgraph_url.clone().into_owned();
        let request = Request::with_body(Method::Post, url, "application/json", body);
        let answer = self.transport.send(request, ANSWER).await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(OperatorsError::Status(answer.status))
        }
    }

    /// Asks for the chain's last block. It must not go back by more than a reorganisation.
    async fn ask_head(&self) -> Result<u64, OperatorsError> {
        let found = read_head(&self.query("{ _meta { block { number } } }").await?)?;
        let mut state = self.state();
        if let Some(Head { block: known, .. }) = state.head
            && found < known.saturating_sub(REORG_BLOCKS)
        {
            return Err(OperatorsError::WentBack { found, known });
        }
        state.head = Some(Head { block: found, time_s: unix_seconds() });
        Ok(found)
    }

    async fn ask_list(&self, block: u64) -> Result<NodeList, OperatorsError> {
        // Without `first:`, as in the query of the network's nodes and of its Python SDK. A subgraph then
        // lists at most 100 operators, the same ones for all: with more than these, every signature would
        // look false.
        let query = format!(
            "{{ operators(block: {{ number: {block} }}) {{ id socket stake pubkeyG2_X pubkeyG2_Y }} }}"
        );
        read_operators(&self.network, &self.query(&query).await?)
    }

    /// Returns the addresses of the current operators, or of the latest known ones if the subgraph does not
    /// answer. Operators whose address is not an HTTP URL are left out.
    ///
    /// # Errors
    ///
    /// Fails if the subgraph does not answer and no list is known.
    pub async fn gateways(&self) -> Result<Vec<GatewayAddress>, OperatorsError> {
        let now = async {
            // Operators of the very last blocks could be gone again after a reorganisation.
            let block = self.ask_head().await?.saturating_sub(REORG_BLOCKS);
            self.ask_list(block).await
        };
        match now.await {
            Ok(list) => Ok(addresses(&list)),
            Err(error) => {
                let stored = self.state().lists.values().next_back().cloned();
                let Some(stored) = stored else { return Err(error) };
                tracing::warn!("the subgraph: {error}; using the operators known so far");
                Ok(addresses(&stored))
            }
        }
    }

    /// Returns a tag, or the highest that proved something if that is higher.
    pub(crate) fn at_least(&self, tag: u64) -> u64 {
        tag.max(self.state().floor.unwrap_or(0))
    }

    /// Prepares the signatures of a page for verification: learns the operators at their tags, and replaces
    /// those with an impossible tag by an error. `after` is the index for which the page was asked, so all
    /// signatures up to it were valid.
    pub(crate) async fn admit(&self, after: u64, mut page: Page) -> Result<Page, OperatorsError> {
        // First, because what the last page proved raises the floor for the tags of this one.
        self.proven(after)?;
        let mut tags: Vec<u64> = Vec::new();
        let (mut head, floor) = {
            let state = self.state();
            (state.head, state.floor.unwrap_or(0))
        };
        let last = page.finalized_signatures.iter().flatten().map(|read| read.tag).max();
        // Once per page, because a hostile page may be full of blocks that do not exist.
        if last.is_some_and(|last| head.is_none_or(|head| last > head.block)) {
            self.ask_head().await?;
            head = self.state().head;
        }
        for signature in &mut page.finalized_signatures {
            let Ok(read) = signature else { continue };
            let checked = match head {
                Some(head) => checked_tag(read.tag, read.timestamp, head, self.network.block_s),
                // Never reached: for a page with any signature, the last block was asked for above.
                None => Ok(read.tag),
            };
            match checked {
                // The tag is not signed. An honest node can send an old one; it is raised to the highest
                // that proved something.
                Ok(tag) => {
                    read.tag = tag.max(floor);
                    tags.push(read.tag);
                }
                Err(error) => *signature = Err(error),
            }
        }
        self.learn(&tags).await?;
        let mut state = self.state();
        // Signatures with other tags are not needed: a later one, here or on the next page, proves as much.
        page.finalized_signatures.retain(|signature| {
            signature.as_ref().map_or(true, |read| state.lists.contains_key(&read.tag))
        });
        let signatures = page.finalized_signatures.iter().flatten();
        state.unconfirmed = signatures.map(|read| (read.index, read.tag)).collect();
        Ok(page)
    }

    /// Asks for the operators at the latest of some tags, where they are not known.
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
            // The lock is taken anew for each answer and never held while the subgraph is asked.
            self.state().lists.insert(*tag, Arc::new(list));
        }
        if !unknown.is_empty() {
            self.show(&self.state());
        }
        Ok(())
    }

    /// Notes that all signatures up to an index were valid, and stores the lists that proved something.
    pub(crate) fn proven(&self, after: u64) -> Result<(), OperatorsError> {
        let mut state = self.state();
        let unconfirmed = std::mem::take(&mut state.unconfirmed);
        let good = unconfirmed.into_iter().filter(|(index, _)| *index <= after).map(|(_, tag)| tag);
        // Each tag once: pages of a quiet network name the same block again and again, and a write waits for
        // the disk.
        let good: BTreeSet<u64> =
            good.filter(|tag| state.floor.is_none_or(|floor| *tag > floor)).collect();
        for tag in good {
            let floor = state.floor.unwrap_or(0);
            // The list that the files show for this block, if no file is added.
            let before = state.lists.range(..=floor).next_back().map(|(_, list)| Arc::clone(list));
            let before = before.filter(|_| state.floor.is_some());
            let list = state.lists.get(&tag).map(Arc::clone);
            // A list that equals the one before it needs no file: it applies until the next one.
            if let Some(list) = list.filter(|list| before.as_ref() != Some(list))
                && let Some(folder) = &self.folder
            {
                write_list(folder, tag, &list)?;
            }
            state.floor = Some(tag);
        }
        // Lists before the last one that proved something verify nothing any more.
        let last = state.floor.and_then(|floor| state.lists.range(..=floor).next_back());
        if let Some(last) = last.map(|(tag, _)| *tag) {
            state.lists.retain(|tag, _| *tag >= last);
        }
        Ok(())
    }
}

/// Checks that a tag is possible for a signature of a time in Unix seconds.
fn checked_tag(tag: u64, timestamp: u64, head: Head, block_s: u64) -> Result<u64, String> {
    if tag > head.block {
        return Err(format!(
            "its tag is block {tag}, but the chain's last block is {}",
            head.block
        ));
    }
    // The chain cannot have made more blocks since then. It may have made fewer, where slots were empty.
    let blocks = |seconds: u64| seconds.checked_div(block_s).unwrap_or(0);
    let since = blocks(head.time_s.saturating_sub(timestamp));
    let oldest = head.block.saturating_sub(since).saturating_sub(blocks(TAG_AGE_MAX_S));
    if tag < oldest {
        return Err(format!(
            "its tag is block {tag}, more than a day before its time: block {oldest} is the oldest possible"
        ));
    }
    Ok(tag)
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the addresses of the operators in a list.
fn addresses(list: &NodeList) -> Vec<GatewayAddress> {
    let usable = list.nodes().filter(|node| is_http_url(&node.socket));
    usable.map(|node| GatewayAddress { url: node.socket.clone(), stake: node.stake }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{EigenLayerNetwork, Head, NodeList, Operators, Verifier, checked_tag};
    use crate::client::transport::{Answer, Bounds, Request, Transport, TransportError};
    use crate::nodes::Membership;
    use crate::threshold::Threshold;

    /// A subgraph that does not answer.
    struct Silent;

    impl Transport for Silent {
        async fn send(&self, _: Request, _: Bounds) -> Result<Answer, TransportError> {
            Err(TransportError::Connection("silent".into()))
        }
    }

    fn open(folder: &Path) -> Operators<Silent> {
        let verifier = Verifier {
            app_name: "a".into(),
            nodes: Membership::ByBlock(Default::default()),
            threshold: Threshold::DEFAULT,
        };
        let folder = Some(folder.to_path_buf());
        Operators::open(Silent, EigenLayerNetwork::ZELLULAR, folder, verifier).unwrap().0
    }

    impl Operators<Silent> {
        /// Takes signatures, each with its last batch, its tag and the operators there, and their proof.
        fn prove(&self, signatures: &[(u64, u64, &NodeList)]) {
            let mut state = self.state();
            for (_, tag, list) in signatures {
                state.lists.entry(*tag).or_insert_with(|| NodeList::clone(list).into());
            }
            state.unconfirmed = signatures.iter().map(|(index, tag, _)| (*index, *tag)).collect();
            drop(state);
            self.proven(signatures.iter().map(|signature| signature.0).max().unwrap()).unwrap();
        }
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_list_is_written_once_and_each_tag_that_proved_something_finds_its_list_again() {
        let folder = std::env::temp_dir().join(format!("zellular-proven-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let one =
            NodeList::read(include_bytes!("../../../tests/vectors/equal4/nodes.json")).unwrap();
        let two =
            NodeList::read(include_bytes!("../../../tests/vectors/unequal4/nodes.json")).unwrap();
        let operators = open(&folder);
        operators.prove(&[(1, 0, &one)]);
        assert_eq!(files(&folder), ["0.json"]);
        // The same tag again needs no write, and neither does another block with the same operators.
        fs::remove_file(folder.join("0.json")).unwrap();
        operators.prove(&[(2, 0, &one), (3, 0, &one)]);
        operators.prove(&[(4, 7, &one)]);
        assert_eq!(files(&folder), [""; 0]);
        // Blocks may come out of order within a page, and some prove nothing.
        operators.prove(&[(5, 30, &one), (6, 20, &two)]);
        assert_eq!(files(&folder), ["20.json", "30.json"]);
        operators.state().lists.insert(40, NodeList::clone(&two).into());
        operators.prove(&[(7, 50, &two)]);
        assert_eq!(files(&folder), ["20.json", "30.json", "50.json"]);
        // After a restart the last of them counts as proven.
        let operators = open(&folder);
        assert_eq!(operators.at_least(1), 50);
        operators.prove(&[(8, 50, &two)]);
        assert_eq!(operators.at_least(60), 60);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_tag_is_not_in_the_future_and_at_most_a_day_older_than_its_signature() {
        let head = Head { block: 20_000_000, time_s: 1_795_000_000 };
        let (block, time_s, day) = (head.block, head.time_s, 7200);
        let check = |tag, ago_s| checked_tag(tag, time_s - ago_s, head, 12).is_ok();
        assert!(check(block, 0) && !check(block + 1, 0));
        assert!(check(block - day, 0) && !check(block - day - 1, 0));
        // A signature of a year ago may have a tag of that time.
        let year_s = 365 * 86_400;
        assert!(check(block - year_s / 12, year_s));
        assert!(!check(0, year_s));
        assert!(checked_tag(block, u64::MAX, head, 12).is_ok());
    }
}
