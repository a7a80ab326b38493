//! Which sequencer network a replica is on: the one that the operator gives, the one that its folder is
//! of, or the embedded sequencer.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use zellbook_core::finality::{Membership, Node, NodeList, Threshold, Verifier};
use zellbook_core::genesis::Rules;

use super::Failure;
use crate::clock::Clock;
use crate::config::{DataDir, io_error, write_file};
use crate::listen;
use crate::sequencer::embedded::{Embedded, EmbeddedOptions};
use crate::sequencer::{
    EigenLayer, GatewayAddress, HttpTransport, VerifierWatch, Zellular, fixed, is_address,
};

/// The node list that a folder is of.
pub const NODES_FILE: &str = "nodes.json";
/// The lists of operators that proved something, by block.
pub const OPERATORS_FOLDER: &str = "operators";
/// The address of the subgraph that a folder's operators are from.
const SUBGRAPH_FILE: &str = "subgraph.url";

/// Where the nodes of a network are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSource {
    /// A file of nodes that stay the same.
    File(PathBuf),
    /// A subgraph of EigenLayer's operators.
    EigenLayer(String),
}

/// What `--network` takes.
pub fn parse_source(text: &str) -> Result<NetworkSource, String> {
    match text.strip_prefix("eigenlayer:") {
        None => Ok(NetworkSource::File(text.into())),
        Some(url) if is_address(url) => Ok(NetworkSource::EigenLayer(url.into())),
        Some(_) => Err("give the address of a subgraph without a user name, such as eigenlayer:https://example.org/subgraphs/name/zellular".into()),
    }
}

/// A network that is not the embedded sequencer.
pub enum Outside {
    /// Nodes that stay the same.
    Fixed(Box<NodeList>),
    /// Operators that a subgraph lists.
    EigenLayer(String),
}

/// The network that was given, if any, with its gateways if those were given.
pub struct Given {
    network: Option<Outside>,
    gateways: Vec<GatewayAddress>,
}

impl Given {
    /// Reads what the operator gave.
    pub fn read(source: Option<&NetworkSource>, gateways: &[String]) -> Result<Self, Failure> {
        let network = match source {
            None => None,
            Some(NetworkSource::File(path)) => Some(Outside::Fixed(Box::new(read_nodes(path)?))),
            Some(NetworkSource::EigenLayer(url)) => Some(Outside::EigenLayer(url.clone())),
        };
        let node_sockets = match &network {
            Some(Outside::Fixed(nodes)) if gateways.is_empty() => gateways_of(nodes),
            _ => Vec::new(),
        };
        // What given gateways say of the network counts alike.
        let given = gateways.iter().map(|url| GatewayAddress { url: url.clone(), stake: 1 });
        for GatewayAddress { url, .. } in given.clone().chain(node_sockets) {
            // The status shows the addresses to everyone: they may hold no password.
            if !is_address(&url) {
                let example = "give an address such as http://127.0.0.1:6001, without a user name";
                return Err(format!("gateway {url}: {example}").into());
            }
        }
        Ok(Self { network, gateways: given.collect() })
    }

    /// Whether it is a network of others.
    pub const fn is_outside(&self) -> bool {
        self.network.is_some()
    }

    /// A folder stays with the sequencer that its history is of: a network's, which is kept in it, or its
    /// own.
    pub fn or_kept(mut self, data: &DataDir) -> Result<Self, Failure> {
        let own_key = data.file("bls.key");
        if self.is_outside() {
            if own_key.exists() {
                return Err(format!(
                    "{} is the key of a sequencer of this folder's own; use another --data for the network of --network",
                    own_key.display()
                )
                .into());
            }
            return Ok(self);
        }
        let (nodes, subgraph) = (data.file(NODES_FILE), data.file(SUBGRAPH_FILE));
        if subgraph.exists() {
            tracing::info!("using the subgraph kept in {}", subgraph.display());
            let url = fs::read_to_string(&subgraph).map_err(io_error(&subgraph))?;
            self.network = Some(Outside::EigenLayer(url.trim().into()));
        } else if nodes.exists() && !own_key.exists() {
            tracing::info!("using the node list kept in {}", nodes.display());
            self.network = Some(Outside::Fixed(Box::new(read_nodes(&nodes)?)));
        }
        Ok(self)
    }
}

fn gateways_of(nodes: &NodeList) -> Vec<GatewayAddress> {
    let address = |node: &Node| GatewayAddress { url: node.socket.clone(), stake: node.stake };
    nodes.nodes().map(address).collect()
}

/// Reads a node list.
pub fn read_nodes(path: &Path) -> Result<NodeList, Failure> {
    let json = fs::read(path).map_err(io_error(path))?;
    NodeList::read(&json).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The sequencer that a replica uses.
pub struct Network {
    /// Its client.
    pub sequencer: Arc<Zellular<HttpTransport>>,
    /// Whose signatures prove batches.
    pub verifier: VerifierWatch,
    /// Tells of the embedded sequencer's end.
    pub failure: oneshot::Receiver<String>,
}

impl Network {
    /// Reaches a network, or starts the embedded sequencer. What a network's proofs are checked by is
    /// kept in the folder, so that a replay of it knows whom to believe.
    pub async fn connect(
        given: Given,
        data: &DataDir,
        rules: &Rules,
        threshold: Threshold,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let app_name = rules.genesis.app_name.clone();
        let transport = HttpTransport::new(Handle::current())?;
        let client = |gateways: Vec<GatewayAddress>| {
            Zellular::new(transport.clone(), &app_name, gateways, Rng::new())
        };
        let verifier =
            |nodes: Membership| Verifier { app_name: app_name.clone(), nodes, threshold };
        let is_given = !given.gateways.is_empty();
        match given.network {
            Some(Outside::Fixed(nodes)) => {
                write_file(&data.file(NODES_FILE), nodes.to_json().as_bytes(), 0o644)?;
                let gateways = if is_given { given.gateways } else { gateways_of(&nodes) };
                Ok(Self {
                    sequencer: Arc::new(client(gateways)),
                    verifier: fixed(verifier(Membership::Fixed(nodes))),
                    failure: oneshot::channel().1,
                })
            }
            Some(Outside::EigenLayer(url)) => {
                write_file(&data.file(SUBGRAPH_FILE), url.as_bytes(), 0o644)?;
                let folder = data.file(OPERATORS_FOLDER);
                let none = verifier(Membership::ByBlock(Default::default()));
                let transport = transport.clone();
                let (operators, verifier) =
                    EigenLayer::open(transport, url.clone(), folder, none, clock)
                        .map_err(|error| format!("the operators kept: {error}"))?;
                let gateways = if is_given {
                    given.gateways
                } else {
                    operators
                        .gateways()
                        .await
                        .map_err(|error| format!("subgraph {url}: {error}"))?
                };
                Ok(Self {
                    sequencer: Arc::new(client(gateways).with_operators(operators, !is_given)),
                    verifier,
                    failure: oneshot::channel().1,
                })
            }
            None => {
                let (listener, address) =
                    listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
                let (embedded, nodes, failure) =
                    start_embedded(data, &app_name, address, EmbeddedOptions::default())?;
                tracing::info!("embedded sequencer at http://{address}");
                tokio::spawn(listen::serve(listener, embedded.router(), stop));
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

/// Starts an embedded sequencer and writes its node list.
pub fn start_embedded(
    data: &DataDir,
    app_name: &str,
    address: SocketAddr,
    options: EmbeddedOptions,
) -> Result<(Embedded, NodeList, oneshot::Receiver<String>), Failure> {
    let key = data.bls_key("bls.key")?;
    let path = data.file("sequencer.sqlite");
    let (embedded, failure) = Embedded::start(&path, app_name, key, options)?;
    let nodes = embedded.nodes(&format!("http://{address}"));
    write_file(&data.file(NODES_FILE), nodes.to_json().as_bytes(), 0o644)?;
    Ok((embedded, nodes, failure))
}

/// Resolves when the sequencer's disk has failed, and not before.
pub async fn failed(failure: oneshot::Receiver<String>) -> String {
    match failure.await {
        Ok(error) => format!("the embedded sequencer: {error}"),
        // It ended in good order, with the process.
        Err(_) => std::future::pending().await,
    }
}
