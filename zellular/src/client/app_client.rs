//! The client that an app uses.

use std::path::PathBuf;
use std::sync::Arc;

use fastrand::Rng;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::eigenlayer::{EigenLayerNetwork, Operators, OperatorsError};
use super::error::GatewayError;
use super::follow::Follower;
use super::gateway::{GatewayAddress, GatewayStatus};
use super::http::HttpTransport;
use super::lane::Route;
use super::network_client::NetworkClient;
use super::transport::Transport;
use super::url::is_http_url;
use super::verifier::{VerifierWatch, fixed};
use crate::nodes::{Membership, NodeList};
use crate::proof::Verifier;
use crate::threshold::Threshold;
use crate::walker::Position;

/// Which network an app is on.
#[derive(Clone, Debug)]
pub enum Network {
    /// A network whose nodes never change.
    Fixed(NodeList),
    /// A network whose operators are registered on a chain.
    EigenLayer(EigenLayerNetwork),
}

/// The options of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The app's name on the network.
    pub app_name: String,
    /// The network.
    pub network: Network,
    /// The share of the stake that must sign.
    pub threshold: Threshold,
    /// The base URLs of the nodes to read from and post to, for example `http://127.0.0.1:6001`. If there are
    /// none, all nodes of the network are used.
    pub gateways: Vec<String>,
    /// The folder for the operator lists that proved something, on a network of [`Network::EigenLayer`].
    /// Without one, a restart needs the subgraph.
    pub operators_folder: Option<PathBuf>,
}

impl ClientOptions {
    /// Returns the options of an app on a network, with a threshold of 67 % and all nodes as gateways.
    pub fn new(app_name: &str, network: Network) -> Self {
        Self {
            app_name: app_name.into(),
            network,
            threshold: Threshold::DEFAULT,
            gateways: Vec::new(),
            operators_folder: None,
        }
    }
}

/// Why a client cannot start.
#[derive(Debug, Error)]
pub enum ClientError {
    /// A gateway's address is not an HTTP URL, or contains a user name.
    #[error("gateway {0}: give a URL without a user name, for example http://127.0.0.1:6001")]
    Gateway(String),
    /// The network's operators are not known.
    #[error("the network's operators: {0}")]
    Operators(#[from] OperatorsError),
    /// The system's TLS roots cannot be loaded.
    #[error("TLS: {0}")]
    Tls(#[from] reqwest::Error),
}

/// A client of one app on a network. While it exists, tasks of its own ask the nodes for their state and keep
/// the operators up to date.
#[derive(Debug)]
pub struct Client<T = HttpTransport> {
    network: Arc<NetworkClient<T>>,
    verifier: VerifierWatch,
    tasks: Vec<JoinHandle<()>>,
}

impl Client {
    /// Connects an app to a network, with the options of [`ClientOptions::new`].
    ///
    /// # Errors
    ///
    /// See [`Client::open`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub async fn connect(app_name: &str, network: Network) -> Result<Self, ClientError> {
        Self::open(ClientOptions::new(app_name, network), HttpTransport::new(Handle::current())?)
            .await
    }
}

impl<T: Transport + Clone> Client<T> {
    /// Opens a client over a transport. Gateways are asked only later, so this works while they are down.
    ///
    /// # Errors
    ///
    /// Fails if a gateway's address is invalid, or if the operators of the network are needed and not known.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub async fn open(options: ClientOptions, transport: T) -> Result<Self, ClientError> {
        let ClientOptions { app_name, network, threshold, gateways, operators_folder } = options;
        if let Some(bad) = gateways.iter().find(|url| !is_http_url(url)) {
            return Err(ClientError::Gateway(bad.clone()));
        }
        // Nothing is known about the stake of given gateways, so their claims weigh the same.
        let given = gateways.into_iter().map(|url| GatewayAddress { url, stake: 1 });
        let given: Vec<_> = given.collect();
        let verifier =
            |nodes: Membership| Verifier { app_name: app_name.clone(), nodes, threshold };
        let client =
            |gateways| NetworkClient::new(transport.clone(), &app_name, gateways, Rng::new());
        let (network, verifier) = match network {
            Network::Fixed(nodes) => {
                let gateways =
                    if given.is_empty() { GatewayAddress::of_nodes(&nodes) } else { given };
                (client(gateways), fixed(verifier(nodes.into())))
            }
            Network::EigenLayer(network) => {
                // No list is known yet, so nothing verifies until the operators of a block are learned.
                let none = verifier(Membership::ByBlock(Default::default()));
                let (operators, verifier) =
                    Operators::open(transport.clone(), network, operators_folder, none)?;
                let are_gateways = given.is_empty();
                // With given gateways, a start does not need the subgraph.
                let gateways = if are_gateways { operators.gateways().await? } else { given };
                (client(gateways).with_operators(operators, are_gateways), verifier)
            }
        };
        let network = Arc::new(network);
        let tasks = vec![
            tokio::spawn(Arc::clone(&network).survey_nodes()),
            tokio::spawn(Arc::clone(&network).refresh_operators()),
        ];
        Ok(Self { network, verifier, tasks })
    }
}

impl<T: Transport> Client<T> {
    /// Posts batches, in this order, to one gateway. Returns the URL of the gateway that took them.
    ///
    /// That is no promise. Keep each batch until a [`Follower`] returns it, and post it again if that takes
    /// too long. Several batches in one call must not be larger than the network takes: the network drops
    /// larger ones without a word.
    ///
    /// # Errors
    ///
    /// Fails if none of up to five gateways took them.
    pub async fn post(&self, batches: &[String]) -> Result<Arc<str>, GatewayError> {
        self.network.post(batches, Route::Lane(0)).await
    }

    /// Posts batches again that were not seen finalized, to another gateway if there is one.
    ///
    /// # Errors
    ///
    /// Fails if none of up to five gateways took them.
    pub async fn post_again(&self, batches: &[String]) -> Result<Arc<str>, GatewayError> {
        self.network.post(batches, Route::Repost).await
    }

    /// Follows the app's batches after a position: [`Position::start`], or one that was proven and stored
    /// before.
    ///
    /// Have one follower at a time on a network of [`Network::EigenLayer`]: which operator lists have proven
    /// something is recorded once per client, by the position of the follower.
    pub fn follow(&self, from: Position) -> Follower<T> {
        Follower::new(Arc::clone(&self.network), self.verifier.clone(), from)
    }

    /// Returns the state of all gateways.
    pub fn gateways(&self) -> Vec<GatewayStatus> {
        self.network.gateways()
    }

    /// Returns the verifier of this app, to check proofs from elsewhere.
    pub fn verifier(&self) -> VerifierWatch {
        self.verifier.clone()
    }
}

impl<T> Drop for Client<T> {
    fn drop(&mut self) {
        // The tasks hold the network client, and without this they would run for ever.
        for task in &self.tasks {
            task.abort();
        }
    }
}
