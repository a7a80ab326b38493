//! `zellbook serve` and `zellbook sequencer`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use zellbook_core::finality::{Node, NodeList, Threshold, Verifier};
use zellbook_core::genesis::Rules;
use zellbook_core::key::SecretKey;
use zellbook_core::limits::{BATCH_BYTES_DEFAULT, TRANSACTION_BYTES_MAX};
use zellbook_core::units::Decimal;

use super::{Failure, block_on};
use crate::api::page::Page;
use crate::api::{self, App, Faucet};
use crate::attester::{Attester, place_of};
use crate::clock::Clock;
use crate::config::{DataDir, io_error, write_file};
use crate::evidence::{self, Evidence};
use crate::listen;
use crate::outbox::{Outbox, OutboxOptions, OutboxParts};
use crate::replica::{Parts, Replica};
use crate::sequencer::embedded::{Embedded, EmbeddedOptions};
use crate::sequencer::{GatewayAddress, HttpTransport, Sequencer, Zellular};
use crate::store::{Reader, Storage, Store, StoreError};

/// How long the last commit may take after a stop was asked for.
const COMMIT_PATIENCE: Duration = Duration::from_secs(10);

/// A percentage of stake, such as 67 or 66.6.
pub fn parse_threshold(text: &str) -> Result<Threshold, String> {
    Decimal::parse_lenient(text)
        .ok()
        .and_then(Threshold::from_percent)
        .ok_or_else(|| "a threshold is a percentage above 0 and at most 100, such as 67".into())
}

fn parse_batch_bytes(text: &str) -> Result<usize, String> {
    let least = TRANSACTION_BYTES_MAX + 2;
    text.parse()
        .ok()
        .filter(|bytes| *bytes >= least)
        .ok_or_else(|| format!("must be at least {least}, so that every transaction fits"))
}

#[derive(Args)]
pub struct ServeArguments {
    /// Where the replica keeps its state, outbox and keys; made if it is not there
    #[arg(long, default_value = "data", env = "ZELLBOOK_DATA")]
    data: PathBuf,
    /// Address and port of API and page
    #[arg(long, default_value = "127.0.0.1:8080", env = "ZELLBOOK_LISTEN")]
    listen: SocketAddr,
    /// Genesis file; without it the one kept in --data, or a new development genesis
    #[arg(long)]
    genesis: Option<PathBuf>,
    /// Node list of a sequencer network (nodes.json); without it the embedded sequencer is used
    #[arg(long)]
    nodes: Option<PathBuf>,
    /// Gateways to read from and post to; without it the nodes' own sockets
    #[arg(long = "gateway", requires = "nodes", value_name = "URL")]
    gateways: Vec<String>,
    /// Percent of stake that must sign
    #[arg(long, default_value = "67", value_parser = parse_threshold)]
    threshold: Threshold,
    /// Key of the tokens' issuer, for the faucet; without it issuer.key in --data, if it is there
    #[arg(long)]
    issuer_key: Option<PathBuf>,
    /// Key that signs receipts, and attests to roots and to the clock if genesis names it; without it
    /// replica.key in --data, made if it is not there
    #[arg(long)]
    replica_key: Option<PathBuf>,
    /// Folder with the built page (cargo xtask web makes target/site)
    #[arg(long, env = "ZELLBOOK_PAGE")]
    page: Option<PathBuf>,
    /// Bytes of UTF-8 in a batch that we post, at most; the network's limit
    #[arg(long, default_value_t = BATCH_BYTES_DEFAULT, value_parser = parse_batch_bytes)]
    batch_bytes: usize,
    /// Milliseconds for which transactions are gathered into a batch
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    gather_ms: u64,
    /// Milliseconds until what was posted and not seen finalized is posted again, while the network's
    /// latency is not measured
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..))]
    repost_ms: u64,
}

#[derive(Args)]
pub struct SequencerArguments {
    /// Where the sequence and the key are kept; made if it is not there
    #[arg(long, default_value = "sequencer-data")]
    data: PathBuf,
    /// Address and port
    #[arg(long, default_value = "127.0.0.1:6001")]
    listen: SocketAddr,
    /// Name of the app, as genesis names it
    #[arg(long, default_value = "zellbook")]
    app: String,
    /// Milliseconds between finalized groups
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    interval_ms: u64,
}

/// Runs the embedded sequencer alone.
pub fn sequencer(arguments: SequencerArguments) -> Result<(), Failure> {
    block_on(async {
        let data = DataDir::open(&arguments.data)?;
        let interval = Duration::from_millis(arguments.interval_ms);
        let options = EmbeddedOptions { interval, ..EmbeddedOptions::default() };
        let (listener, address) = listen::bind(arguments.listen).await?;
        let (embedded, _, failure) = start_embedded(&data, &arguments.app, address, options)?;
        tracing::info!("sequencer of {} at http://{address}", arguments.app);
        tracing::info!("give replicas --nodes {}", data.file("nodes.json").display());
        let (stopper, stop) = watch::channel(false);
        let mut serving = tokio::spawn(listen::serve(listener, embedded.router(), stop));
        tokio::select! {
            () = listen::stop_signal() => {}
            error = failed(failure) => return Err(Failure::halted(error)),
            result = &mut serving => return Ok(result?),
        }
        let _ = stopper.send(true);
        Ok(serving.await?)
    })
}

/// Resolves when the sequencer's disk has failed, and not before.
async fn failed(failure: oneshot::Receiver<String>) -> String {
    match failure.await {
        Ok(error) => format!("the embedded sequencer: {error}"),
        // It ended in good order, with the process.
        Err(_) => std::future::pending().await,
    }
}

/// Starts an embedded sequencer and writes its node list.
fn start_embedded(
    data: &DataDir,
    app_name: &str,
    address: SocketAddr,
    options: EmbeddedOptions,
) -> Result<(Embedded, NodeList, oneshot::Receiver<String>), Failure> {
    let key = data.bls_key("bls.key")?;
    let path = data.file("sequencer.sqlite");
    let (embedded, failure) = Embedded::start(&path, app_name, key, options)?;
    let nodes = embedded.nodes(&format!("http://{address}"));
    write_file(&data.file("nodes.json"), nodes.to_json().as_bytes(), 0o644)?;
    Ok((embedded, nodes, failure))
}

/// The sequencer that a replica uses.
struct Network {
    /// Whose signatures prove batches.
    nodes: NodeList,
    /// Whom to ask and to post to.
    gateways: Vec<GatewayAddress>,
    /// Tells of the embedded sequencer's end.
    failure: oneshot::Receiver<String>,
}

/// Runs a replica.
pub fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    block_on(async move {
        // What the operator gave is checked before anything is made.
        let page = load_page(&arguments)?;
        let given = given_network(&arguments)?;
        let data = DataDir::open(&arguments.data)?;
        refuse_after_halt(&data)?;
        let given = kept_network(given, &data)?;
        let rules = data.rules(arguments.genesis.as_deref(), given.is_none())?;
        let faucet = faucet(&arguments, &data, &rules)?;
        let replica_key = replica_key(&arguments, &data, &rules)?;
        let (listener, address) = listen::bind(arguments.listen).await?;
        let (stopper, stop) = watch::channel(false);
        let network = match given {
            Some((nodes, gateways)) => {
                // Kept, so that a replay of this folder knows whom to believe.
                write_file(&data.file("nodes.json"), nodes.to_json().as_bytes(), 0o644)?;
                Network { nodes, gateways, failure: oneshot::channel().1 }
            }
            None => embedded_network(&data, &rules, stop.clone()).await?,
        };
        let app_name = rules.genesis.app_name.clone();
        let transport = HttpTransport::new(Handle::current())?;
        let sequencer = Arc::new(Zellular::new(transport, &app_name, network.gateways, Rng::new()));
        let clock = Clock::system();
        let verifier = Verifier { app_name, nodes: network.nodes, threshold: arguments.threshold };

        let path = data.file("replica.sqlite");
        let damage = |error: StoreError| {
            if error.is_damage() { Failure::halted(error) } else { Failure::from(error) }
        };
        let store = Store::open(&path, &rules).map_err(damage)?;
        let state = store.load(&rules).map_err(damage)?;
        let start = store.start()?;
        tracing::info!(
            "network {} ({}), batch {}",
            rules.network,
            rules.genesis.name,
            state.1.index
        );
        let reader = Reader::new(&path, Arc::clone(&rules));
        let posted = Arc::new(Notify::new());
        let options = OutboxOptions {
            batch_bytes_max: arguments.batch_bytes,
            gather: Duration::from_millis(arguments.gather_ms),
            repost_after: Duration::from_millis(arguments.repost_ms),
        };
        let outbox_path = data.file("outbox.sqlite");
        let (outbox, outbox_task) = Outbox::open(OutboxParts {
            path: &outbox_path,
            rules: &rules,
            store: reader.clone(),
            options,
            posted: Arc::clone(&posted),
            clock,
            random: Rng::new(),
        })?;
        let place = place_of(&rules, &replica_key);
        let (replica, replica_watch) = Replica::new(Parts {
            state,
            storage: store,
            reader: reader.clone(),
            verifier,
            outbox: outbox.clone(),
            place,
            clock,
            random: Rng::new(),
            evidence: data.file(evidence::FILE_NAME),
        })?;
        let attester = place.map(|_| {
            let key = replica_key.clone();
            Attester::new(Arc::clone(&rules), key, &replica_watch, clock, Rng::new())
        });
        let published = replica_watch.published.clone();
        let gateways = Arc::clone(&sequencer);
        let app = App {
            faucet,
            replica_key,
            rules,
            reader,
            outbox,
            watch: replica_watch,
            gateways: Box::new(move || gateways.gateways()),
            start,
            page,
            clock,
            sockets: Arc::new(Semaphore::new(api::SOCKETS_MAX)),
        };

        let mut serving = tokio::spawn(listen::serve(listener, api::router(app), stop));
        let follow = replica.follow(Arc::clone(&sequencer), posted);
        let mut following = on_own_thread("replica", follow, stopper.subscribe())?;
        let post = outbox_task.run(Arc::clone(&sequencer), published, attester);
        let mut posting = on_own_thread("outbox", post, stopper.subscribe())?;
        tokio::spawn(sequencer.keep_surveyed());
        tracing::info!("serving at http://{address}");
        let result = tokio::select! {
            () = listen::stop_signal() => Ok(()),
            error = failed(network.failure) => Err(Failure::halted(error)),
            halt = &mut following.ended => Err(match halt {
                Ok(halt) => Failure::halted(halt),
                Err(_) => Failure::halted("its task ended by itself"),
            }),
            result = &mut posting.ended => Err(match result {
                Ok(Ok(())) => Failure::halted("the outbox ended"),
                Ok(Err(error)) => Failure::halted(format!("the outbox: {error}")),
                Err(_) => Failure::halted("the outbox panicked"),
            }),
            result = &mut serving => Err(match result {
                Ok(()) => Failure::from("the server ended"),
                Err(panic) => Failure::from(panic),
            }),
        };
        tracing::info!("stopping");
        let _ = stopper.send(true);
        if !serving.is_finished() {
            // What it was asked last may still be answered; errors no longer matter.
            let _ = serving.await;
        }
        if !following.ended.is_terminated() {
            // A commit may end; there is no answer.
            let _ = tokio::time::timeout(COMMIT_PATIENCE, following.ended).await;
        }
        if !posting.ended.is_terminated() {
            let _ = tokio::time::timeout(COMMIT_PATIENCE, posting.ended).await;
        }
        result
    })
}

/// A replica that halted does not start again before its operator has decided what to do.
fn refuse_after_halt(data: &DataDir) -> Result<(), Failure> {
    let path = data.file(evidence::FILE_NAME);
    if !path.exists() {
        return Ok(());
    }
    let explanation = match Evidence::read(&path) {
        Ok(evidence) => evidence.explanation,
        Err(error) => error.to_string(),
    };
    let path = path.display();
    Err(Failure::halted(format!(
        "{explanation}. That was at an earlier start, and is kept in {path}: look at it with zellbook verify {path}; docs/operating.md says what can be done"
    )))
}

/// A task on a thread of its own.
struct OwnThread<T> {
    /// Resolves with what it came to; to an error if it panicked, or was told to stop.
    ended: oneshot::Receiver<T>,
}

/// Runs a future on a thread of its own, which it may block, until it ends or is told to stop.
fn on_own_thread<T: Send + 'static>(
    name: &str,
    future: impl Future<Output = T> + Send + 'static,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<OwnThread<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                // An error means that nobody is left to ask; that is a stop too.
                _ = stop.wait_for(|stop| *stop) => {}
                output = future => {
                    // Nobody may be left to be told.
                    let _ = end.send(output);
                }
            }
        });
    })?;
    Ok(OwnThread { ended })
}

fn load_page(arguments: &ServeArguments) -> Result<Option<Page>, Failure> {
    let Some(folder) = &arguments.page else { return Ok(None) };
    Page::load(folder).map(Some).map_err(|error| {
        let folder = folder.display();
        format!("--page {folder}: {error}; build the page with cargo xtask web").into()
    })
}

/// A node list and the gateways to it.
type GivenNetwork = Option<(NodeList, Vec<GatewayAddress>)>;

fn read_nodes(path: &Path) -> Result<NodeList, Failure> {
    let json = fs::read(path).map_err(io_error(path))?;
    NodeList::read(&json).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A folder stays with the sequencer that its history is of: a network's, whose node list is kept in
/// it, or its own.
fn kept_network(given: GivenNetwork, data: &DataDir) -> Result<GivenNetwork, Failure> {
    let (kept, own_key) = (data.file("nodes.json"), data.file("bls.key"));
    match given {
        Some(_) if own_key.exists() => Err(format!(
            "{} is the key of a sequencer of this folder's own; use another --data for the network of --nodes",
            own_key.display()
        )
        .into()),
        Some(given) => Ok(Some(given)),
        None if kept.exists() && !own_key.exists() => {
            tracing::info!("using the node list kept in {}", kept.display());
            let nodes = read_nodes(&kept)?;
            let gateways = gateways_of(&nodes);
            Ok(Some((nodes, gateways)))
        }
        None => Ok(None),
    }
}

fn gateways_of(nodes: &NodeList) -> Vec<GatewayAddress> {
    let address = |node: &Node| GatewayAddress { url: node.socket.clone(), stake: node.stake };
    nodes.nodes().map(address).collect()
}

/// The node list and gateways that were given, if any.
fn given_network(arguments: &ServeArguments) -> Result<GivenNetwork, Failure> {
    let Some(path) = &arguments.nodes else { return Ok(None) };
    let nodes = read_nodes(path)?;
    let gateways = if arguments.gateways.is_empty() {
        gateways_of(&nodes)
    } else {
        // What these say of the network counts alike.
        let given = arguments.gateways.iter().cloned();
        given.map(|url| GatewayAddress { url, stake: 1 }).collect()
    };
    for GatewayAddress { url, .. } in &gateways {
        // The status shows the addresses to everyone: they may hold no password.
        let is_address = reqwest::Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host().is_some()
                && url.username().is_empty()
                && url.password().is_none()
        });
        if !is_address {
            let example = "give an address such as http://127.0.0.1:6001, without a user name";
            return Err(format!("gateway {url}: {example}").into());
        }
    }
    Ok(Some((nodes, gateways)))
}

/// The embedded sequencer, started on a loopback port of its own.
async fn embedded_network(
    data: &DataDir,
    rules: &Rules,
    stop: watch::Receiver<bool>,
) -> Result<Network, Failure> {
    let (listener, address) = listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let options = EmbeddedOptions::default();
    let (embedded, nodes, failure) =
        start_embedded(data, &rules.genesis.app_name, address, options)?;
    tracing::info!("embedded sequencer at http://{address}");
    tokio::spawn(listen::serve(listener, embedded.router(), stop));
    Ok(Network {
        nodes,
        gateways: vec![GatewayAddress { url: format!("http://{address}"), stake: 1 }],
        failure,
    })
}

fn faucet(
    arguments: &ServeArguments,
    data: &DataDir,
    rules: &Rules,
) -> Result<Option<Faucet>, Failure> {
    let key = match &arguments.issuer_key {
        Some(path) => crate::config::read_secret_key(path)?,
        None if data.file("issuer.key").exists() => data.secret_key("issuer.key")?,
        None => return Ok(None),
    };
    let account = key.public_key();
    let faucet = Faucet::new(rules, key);
    if faucet.is_none() && arguments.issuer_key.is_some() {
        return Err(format!(
            "--issuer-key: {account} is the issuer of no token with a faucet in this genesis"
        )
        .into());
    }
    Ok(faucet)
}

/// The key that this replica signs receipts with, and attests with if genesis names it.
fn replica_key(
    arguments: &ServeArguments,
    data: &DataDir,
    rules: &Rules,
) -> Result<SecretKey, Failure> {
    let key = match &arguments.replica_key {
        Some(path) => crate::config::read_secret_key(path)?,
        None => data.secret_key("replica.key")?,
    };
    let public_key = key.public_key();
    if place_of(rules, &key).is_none() {
        if arguments.replica_key.is_some() {
            return Err(format!(
                "--replica-key: {public_key} is not among the replicas of this genesis"
            )
            .into());
        }
        tracing::info!(
            "replica.key is {public_key}, which genesis does not name: it signs receipts, and does not attest"
        );
    }
    Ok(key)
}
