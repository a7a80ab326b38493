//! Chooses the sequencer network of a replica: the one that `--network` names, else the one that the data
//! directory was used with before, else the embedded sequencer.
//!
//! A data directory stays with one network for good, because the history in it is signed by that network's
//! signatures alone.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use zellbook_core::Rules;
use zellular::{Membership, NodeList, Threshold, Verifier};

use super::failure::Failure;
use crate::config::{DataDir, io_error, write_file};
use crate::listen;
use crate::sequencer::embedded::{Embedded, EmbeddedOptions};
use crate::sequencer::interface;
use zellular::client::eigenlayer::{EigenLayerNetwork, Operators};
use zellular::client::{
    GatewayAddress, HttpTransport, NetworkClient, VerifierWatch, fixed, is_http_url,
};

/// The node list of the data directory's network.
pub const NODES_FILE: &str = "nodes.json";
/// The operator lists that signatures were checked with, by block.
pub const OPERATORS_FOLDER: &str = "operators";
/// The address of the subgraph that lists the operators of the data directory's network.
const SUBGRAPH_FILE: &str = "subgraph.url";

/// The share of the stake that must sign on the data directory's network.
pub const THRESHOLD_FILE: &str = "threshold";

/// The value of `--network`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSource {
    /// A file with a node list that never changes.
    File(PathBuf),
    /// The URL of a subgraph that lists EigenLayer operators.
    EigenLayer(String),
}

pub fn parse_source(text: &str) -> Result<NetworkSource, String> {
    match text.strip_prefix("eigenlayer:") {
        None => Ok(NetworkSource::File(text.into())),
        Some(url) if is_http_url(url) => Ok(NetworkSource::EigenLayer(url.into())),
        Some(_) => Err("eigenlayer: must be followed by the URL of a subgraph without a user name, for example eigenlayer:https://example.org/subgraphs/name/zellular".into()),
    }
}

/// A network that is not the embedded sequencer.
pub enum Outside {
    /// A node list that never changes.
    Fixed(Box<NodeList>),
    /// The URL of a subgraph that lists the operators.
    EigenLayer(String),
}

/// The network and gateways from the command line; both may be missing.
pub struct Given {
    network: Option<Outside>,
    gateways: Vec<GatewayAddress>,
}

impl Given {
    /// Reads the node list and checks the gateway addresses.
    pub fn read(source: Option<&NetworkSource>, gateways: &[String]) -> Result<Self, Failure> {
        let network = match source {
            None => None,
            Some(NetworkSource::File(path)) => Some(Outside::Fixed(Box::new(read_nodes(path)?))),
            Some(NetworkSource::EigenLayer(url)) => Some(Outside::EigenLayer(url.clone())),
        };
        // The sockets in a node list come from the nodes' operators, so they are checked like the addresses
        // on the command line.
        let node_sockets = match &network {
            Some(Outside::Fixed(nodes)) if gateways.is_empty() => GatewayAddress::of_nodes(nodes),
            _ => Vec::new(),
        };
        // The stake behind these gateways is unknown, so their reports count equally.
        let given = gateways.iter().map(|url| GatewayAddress { url: url.clone(), stake: 1 });
        for GatewayAddress { url, .. } in given.clone().chain(node_sockets) {
            // The status endpoint shows these addresses to everyone, so they must not contain a password.
            if !is_http_url(&url) {
                let example = "use a URL like http://127.0.0.1:6001, without a user name";
                return Err(format!("invalid gateway address {url}: {example}").into());
            }
        }
        Ok(Self { network, gateways: given.collect() })
    }

    /// Whether a network was given, so that the embedded sequencer is not used.
    pub const fn is_outside(&self) -> bool {
        self.network.is_some()
    }

    /// Falls back to the network that the data directory was used with before. Fails if another network is
    /// given.
    pub fn or_stored(mut self, data: &DataDir) -> Result<Self, Failure> {
        // Only the embedded sequencer makes this key, so it shows where the history in this directory comes
        // from.
        let own_key = data.file("bls.key");
        let (subgraph, nodes) = (data.file(SUBGRAPH_FILE), data.file(NODES_FILE));
        let (has_key, has_subgraph) = (own_key.exists(), subgraph.exists());
        // The embedded sequencer writes a node list too. Without its key, the list is that of another network.
        let has_nodes = nodes.exists() && !has_key;
        let other = |file: &Path| {
            Err(Failure::from(format!(
                "{} shows that this data directory belongs to another network than that of --network, and signatures of the other do not cover its batches; use another --data",
                file.display()
            )))
        };
        match &self.network {
            Some(_) if has_key => {
                return Err(format!(
                    "{} shows that this data directory has its own embedded sequencer; use another --data for the network of --network",
                    own_key.display()
                )
                .into());
            }
            // The address of the subgraph may change: the operators are those on the chain.
            Some(Outside::EigenLayer(_)) if has_nodes => return other(&nodes),
            Some(Outside::Fixed(_)) if has_subgraph => return other(&subgraph),
            // The nodes' addresses may change, but not who signs.
            Some(Outside::Fixed(given))
                if has_nodes && !read_nodes(&nodes)?.has_signers_of(given) =>
            {
                return other(&nodes);
            }
            Some(_) => {}
            None if has_subgraph && has_nodes => {
                return Err(format!(
                    "{} and {} name two networks; move away the one that this data directory was not used with",
                    subgraph.display(),
                    nodes.display()
                )
                .into());
            }
            None if has_subgraph => {
                tracing::info!("using the subgraph stored in {}", subgraph.display());
                let url = fs::read_to_string(&subgraph).map_err(io_error(&subgraph))?;
                self.network = Some(Outside::EigenLayer(url.trim().into()));
            }
            None if has_nodes => {
                tracing::info!("using the node list stored in {}", nodes.display());
                self.network = Some(Outside::Fixed(Box::new(read_nodes(&nodes)?)));
            }
            None => {}
        }
        Ok(self)
    }
}

pub fn read_nodes(path: &Path) -> Result<NodeList, Failure> {
    let json = fs::read(path).map_err(io_error(path))?;
    NodeList::read(&json).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The threshold that is stored in a folder, beside a network's nodes.
pub fn stored_threshold(folder: &Path) -> Result<Option<Threshold>, Failure> {
    let path = folder.join(THRESHOLD_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(io_error(&path))?;
    let threshold = text.trim().parse().map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(threshold))
}

/// The given threshold, or that of the network: the one that is stored in the data directory, or beside the node list of
/// `--network`, or that of the embedded sequencer.
pub fn threshold_of(
    data: &Path,
    source: Option<&NetworkSource>,
    given: Option<Threshold>,
) -> Result<Threshold, Failure> {
    if let Some(threshold) = given {
        return Ok(threshold);
    }
    if let Some(stored) = stored_threshold(data)? {
        return Ok(stored);
    }
    let beside = match source {
        Some(NetworkSource::File(path)) => stored_threshold(path.parent().unwrap_or(data))?,
        _ => None,
    };
    if source.is_some() && beside.is_none() {
        tracing::warn!(
            "no --threshold was given, and no file `threshold` is beside the node list: this replica takes {} % of the stake as enough. Ask for the network's own threshold",
            Threshold::DEFAULT
        );
    }
    Ok(beside.unwrap_or(Threshold::DEFAULT))
}

/// A connection to the replica's sequencer.
pub struct Network {
    pub sequencer: Arc<NetworkClient<HttpTransport>>,
    /// Checks sequence proofs with the network's current nodes.
    pub verifier: VerifierWatch,
    /// Receives the error that stopped the embedded sequencer, if one runs.
    pub failure: oneshot::Receiver<String>,
}

impl Network {
    /// Connects to the network, or starts the embedded sequencer. Also stores the node list or subgraph
    /// address in the data directory, so that `zellbook replay` can check the proofs in it later.
    pub async fn connect(
        (source, given): (Option<&NetworkSource>, Given),
        data: &DataDir,
        rules: &Rules,
        threshold: Option<Threshold>,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let app_name = rules.genesis.app_name.clone();
        let threshold = threshold_of(data.path(), source, threshold)?;
        // Part of the network, like its nodes: without it, a later start or a replay would ask for more signatures
        // than there are.
        write_file(&data.file(THRESHOLD_FILE), threshold.to_string().as_bytes(), 0o644)?;
        let transport = HttpTransport::new(Handle::current())?;
        let client = |gateways: Vec<GatewayAddress>| {
            NetworkClient::new(transport.clone(), &app_name, gateways, Rng::new())
        };
        let verifier =
            |nodes: Membership| Verifier { app_name: app_name.clone(), nodes, threshold };
        let is_given = !given.gateways.is_empty();
        match given.network {
            Some(Outside::Fixed(nodes)) => {
                // Written before the first batch is applied, so that no history is ever without the list
                // that proves it.
                write_file(&data.file(NODES_FILE), nodes.to_json().as_bytes(), 0o644)?;
                let gateways =
                    if is_given { given.gateways } else { GatewayAddress::of_nodes(&nodes) };
                Ok(Self {
                    sequencer: Arc::new(client(gateways)),
                    verifier: fixed(verifier(Membership::Fixed(nodes))),
                    // No embedded sequencer can fail here. The sender is dropped at once, and `failed` then
                    // waits for ever.
                    failure: oneshot::channel().1,
                })
            }
            Some(Outside::EigenLayer(url)) => {
                write_file(&data.file(SUBGRAPH_FILE), url.as_bytes(), 0o644)?;
                let folder = data.file(OPERATORS_FOLDER);
                // Starts with the stored lists only. Others are fetched when a signature names their block.
                let none = verifier(Membership::ByBlock(Default::default()));
                let transport = transport.clone();
                let network = EigenLayerNetwork::ZELLULAR.with_subgraph(url.clone());
                let (operators, verifier) = Operators::open(transport, network, Some(folder), none)
                    .map_err(|error| format!("the stored operator lists: {error}"))?;
                // Without a gateway there is nothing to read, so an unreachable subgraph is an error here
                // and only a warning later.
                let gateways = if is_given {
                    given.gateways
                } else {
                    operators
                        .gateways()
                        .await
                        .map_err(|error| format!("subgraph {url}: {error}"))?
                };
                Ok(Self {
                    // Gateways from the command line stay as they are; otherwise they change with the
                    // operators.
                    sequencer: Arc::new(client(gateways).with_operators(operators, !is_given)),
                    verifier,
                    failure: oneshot::channel().1,
                })
            }
            None => {
                // Bound to the loopback interface at a free port: only this process uses it. The replica
                // still goes through HTTP and proofs, so it runs the same code as with a network.
                let (listener, address) =
                    listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
                let (embedded, nodes, failure) =
                    start_embedded(data, &app_name, address, EmbeddedOptions::default())?;
                tracing::info!("embedded sequencer listening at http://{address}");
                // The router keeps the node, and with it the sequencer, after `embedded` is dropped.
                tokio::spawn(listen::serve(listener, interface::router(embedded.node()), stop));
                let gateways = vec![GatewayAddress { url: format!("http://{address}"), stake: 1 }];
                Ok(Self {
                    sequencer: Arc::new(client(gateways)),
                    verifier: fixed(verifier(nodes.into())),
                    failure,
                })
            }
        }
    }
}

/// Starts an embedded sequencer and writes the node list to check its batches against.
pub fn start_embedded(
    data: &DataDir,
    app_name: &str,
    address: SocketAddr,
    options: EmbeddedOptions,
) -> Result<(Embedded, NodeList, oneshot::Receiver<String>), Failure> {
    let key = data.bls_key("bls.key")?;
    let path = data.file("sequencer.sqlite");
    let (embedded, failure) = Embedded::start(&path, app_name, key, options)?;
    // Written at each start, because the port can be another one.
    let nodes = embedded.nodes(&format!("http://{address}"));
    write_file(&data.file(NODES_FILE), nodes.to_json().as_bytes(), 0o644)?;
    Ok((embedded, nodes, failure))
}

/// Waits for the embedded sequencer's disk to fail; never resolves otherwise.
pub async fn failed(failure: oneshot::Receiver<String>) -> String {
    match failure.await {
        Ok(error) => format!("the embedded sequencer: {error}"),
        // The sender was dropped by an ordinary stop, or there is no embedded sequencer.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../zellular/tests/vectors").join(name)
    }

    #[test]
    fn a_data_directory_stays_with_the_network_that_it_was_first_used_with() {
        let [first, second] = ["equal4/nodes.json", "unequal4/nodes.json"]
            .map(|name| NetworkSource::File(vectors(name)));
        let subgraph = |host: &str| NetworkSource::EigenLayer(format!("https://{host}/subgraph"));
        let list = fs::read_to_string(vectors("equal4/nodes.json")).unwrap();
        let moved = list.replace("localhost", "127.0.0.2").replace("http://", "https://");
        assert_ne!(list, moved);
        let fixed = &[(NODES_FILE, &*list)][..];
        let elsewhere = &[(NODES_FILE, &*moved)][..];
        let chain = &[(SUBGRAPH_FILE, "https://one.example/subgraph")][..];
        let both = &[fixed, chain].concat()[..];
        let embedded = &[("bls.key", ""), (NODES_FILE, &*list)][..];
        for (stored, given, expected) in [
            (&[][..], None, Ok("embedded")),
            (&[], Some(&first), Ok("fixed")),
            (&[], Some(&subgraph("one.example")), Ok("eigenlayer")),
            (fixed, None, Ok("fixed")),
            (fixed, Some(&first), Ok("fixed")),
            (elsewhere, Some(&first), Ok("fixed")),
            (fixed, Some(&second), Err("nodes.json")),
            (fixed, Some(&subgraph("one.example")), Err("nodes.json")),
            (chain, None, Ok("eigenlayer")),
            (chain, Some(&subgraph("two.example")), Ok("eigenlayer")),
            (chain, Some(&first), Err("subgraph.url")),
            (both, None, Err("two networks")),
            (both, Some(&first), Err("subgraph.url")),
            (embedded, None, Ok("embedded")),
            (embedded, Some(&first), Err("bls.key")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let data = DataDir::open(folder.path()).unwrap();
            for (name, content) in stored {
                fs::write(data.file(name), content).unwrap();
            }
            let found = Given::read(given, &[]).and_then(|given| given.or_stored(&data));
            let found = found.map(|given| match given.network {
                None => "embedded",
                Some(Outside::Fixed(_)) => "fixed",
                Some(Outside::EigenLayer(_)) => "eigenlayer",
            });
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{stored:?} {given:?}"),
                (Err(failure), Err(part)) => {
                    assert!(failure.message.contains(part), "{}", failure.message);
                }
                (found, _) => panic!("{stored:?} {given:?}: {:?}", found.map_err(|it| it.message)),
            }
        }
    }
}
