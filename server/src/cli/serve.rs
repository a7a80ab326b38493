//! `zellbook serve` and `zellbook sequencer`: the two commands that an operator keeps running.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use zellbook_core::genesis::Rules;
use zellbook_core::key::SecretKey;
use zellbook_core::limits::{BATCH_BYTES_DEFAULT, TRANSACTION_BYTES_MAX};
use zellular::Threshold;

use super::network::{
    Given, NODES_FILE, Network, NetworkSource, failed, parse_source, start_embedded,
};
use super::{Failure, block_on};
use crate::api::page::Page;
use crate::api::{self, App, Faucet};
use crate::attester::{Attester, replica_index};
use crate::bootstrap::{self, BootstrapError, Peer, Proofs};
use crate::clock::Clock;
use crate::config::DataDir;
use crate::evidence::{self, Evidence};
use crate::listen;
use crate::outbox::{Outbox, OutboxOptions, OutboxParts};
use crate::replica::{Parts, Replica};
use crate::sequencer::Sequencer;
use crate::sequencer::embedded::EmbeddedOptions;
use crate::snapshots::{self, Snapshots};
use crate::store::{Reader, Storage, Store, StoreError};

/// How long WebSocket clients get, after a stop signal, to receive the close reason.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// How long the last commit may take after a stop signal.
const COMMIT_GRACE: Duration = Duration::from_secs(10);

fn parse_batch_bytes(text: &str) -> Result<usize, String> {
    let least = TRANSACTION_BYTES_MAX + 2;
    text.parse()
        .ok()
        .filter(|bytes| *bytes >= least)
        .ok_or_else(|| format!("must be at least {least}, the length of the longest transaction"))
}

fn parse_snapshot_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=100).contains(count));
    count.ok_or_else(|| "must be from 1 to 100".into())
}

#[derive(Args)]
pub struct ServeArguments {
    /// Data directory for the replica's state, outbox and keys; created if it does not exist
    #[arg(long, default_value = "data", env = "ZELLBOOK_DATA")]
    data: PathBuf,
    /// Address and port of the API and the web page
    #[arg(long, default_value = "127.0.0.1:8080", env = "ZELLBOOK_LISTEN")]
    listen: SocketAddr,
    /// Genesis file [default: the one in --data, else a new development genesis]
    #[arg(long)]
    genesis: Option<PathBuf>,
    /// Sequencer network: a node list file (nodes.json), or eigenlayer:URL with the URL of a subgraph
    /// that lists the operators [default: the network that --data was used with before, else the
    /// embedded sequencer]
    #[arg(long, alias = "nodes", value_name = "FILE|eigenlayer:URL", value_parser = parse_source)]
    network: Option<NetworkSource>,
    /// Gateway to read from and post to; repeat the option for several [default: all nodes]
    #[arg(long = "gateway", requires = "network", value_name = "URL")]
    gateways: Vec<String>,
    /// Percentage of the stake that must sign a batch
    #[arg(long, default_value = "67")]
    threshold: Threshold,
    /// Key file of the token issuer, which the faucet signs deposits with [default: issuer.key in --data,
    /// if it exists]
    #[arg(long)]
    issuer_key: Option<PathBuf>,
    /// Key file of the replica: signs receipts, and attestations if genesis names the key [default:
    /// replica.key in --data, generated if it does not exist]
    #[arg(long)]
    replica_key: Option<PathBuf>,
    /// Folder with the built web page; cargo xtask web builds it in target/site
    #[arg(long, env = "ZELLBOOK_PAGE")]
    page: Option<PathBuf>,
    /// Maximum length of a posted batch, in bytes: the limit of the sequencer network
    #[arg(long, default_value_t = BATCH_BYTES_DEFAULT, value_parser = parse_batch_bytes)]
    batch_bytes: usize,
    /// Time to collect transactions into one batch, in milliseconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    gather_ms: u64,
    /// Time to wait for a posted batch to be finalized before posting it again, in milliseconds; used
    /// until the network's latency has been measured
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..))]
    repost_ms: u64,
    /// Number of batches between two snapshots that other replicas can start from; 0 for no snapshots
    #[arg(long, default_value_t = 10_000, value_name = "BATCHES")]
    snapshot_every: u64,
    /// Number of snapshots to keep
    #[arg(long, default_value_t = 2, value_parser = parse_snapshot_count, value_name = "COUNT")]
    snapshots_kept: usize,
    /// Start from a snapshot of the replica at this URL, if --data has no state yet. The snapshot is
    /// accepted only if the replicas in genesis certified it and the network's proofs lead to it
    #[arg(long, value_name = "URL")]
    bootstrap: Option<String>,
    /// Maximum size of the --bootstrap snapshot, in bytes. The state needs about six times as much memory
    #[arg(long, default_value_t = 1 << 30, requires = "bootstrap", value_name = "BYTES")]
    snapshot_bytes_max: u64,
    /// First apply the batches of the replica at this URL, with the same proofs as from a gateway. Needed
    /// if the network has pruned its history
    #[arg(long, value_name = "URL")]
    bootstrap_log: Option<String>,
    /// Stop when standard input is closed. A parent process that holds the other end of the pipe thus
    /// cannot leave this replica behind
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

#[derive(Args)]
pub struct SequencerArguments {
    /// Data directory for the batches and the signing key; created if it does not exist
    #[arg(long, default_value = "sequencer-data")]
    data: PathBuf,
    /// Address and port of the sequencer
    #[arg(long, default_value = "127.0.0.1:6001")]
    listen: SocketAddr,
    /// Name of the app, as in genesis
    #[arg(long, default_value = "zellbook")]
    app: String,
    /// Time between two signed groups of batches, in milliseconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    interval_ms: u64,
}

pub fn sequencer(arguments: SequencerArguments) -> Result<(), Failure> {
    block_on(async {
        let data = DataDir::open(&arguments.data)?;
        let interval = Duration::from_millis(arguments.interval_ms);
        let options = EmbeddedOptions { interval, ..EmbeddedOptions::default() };
        let (listener, address) = listen::bind(arguments.listen).await?;
        let (embedded, _, failure) = start_embedded(&data, &arguments.app, address, options)?;
        tracing::info!("sequencer of app {} listening at http://{address}", arguments.app);
        tracing::info!(
            "start replicas with zellbook serve --network {}",
            data.file(NODES_FILE).display()
        );
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

pub fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    if arguments.stop_with_input {
        listen::stop_with_input();
    }
    block_on(async move {
        // Arguments are checked first, so that a typing error leaves no half-made data directory behind.
        let page = load_page(&arguments)?;
        let given = Given::read(arguments.network.as_ref(), &arguments.gateways)?;
        let data = DataDir::open(&arguments.data)?;
        refuse_after_halt(&data)?;
        let given = given.or_stored(&data)?;
        let rules = data.rules(arguments.genesis.as_deref(), !given.is_outside())?;
        let faucet = faucet(&arguments, &data, &rules)?;
        let replica_key = replica_key(&arguments, &data, &rules)?;
        let (listener, address) = listen::bind(arguments.listen).await?;
        let (stopper, stop) = watch::channel(false);
        let clock = Clock::system();
        let Network { sequencer, verifier, failure } =
            Network::connect(given, &data, &rules, arguments.threshold, clock, stop.clone())
                .await?;

        let path = data.file("replica.sqlite");
        let damage = |error: StoreError| {
            if error.is_damage() { Failure::halted(error) } else { Failure::from(error) }
        };
        if let Some(url) = &arguments.bootstrap {
            let proofs = Proofs { sequencer: &*sequencer, verifier: &verifier };
            bootstrap_from(url, &data, &path, &rules, &proofs, arguments.snapshot_bytes_max)
                .await?;
        }
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
        let replica_index = replica_index(&rules, &replica_key);
        let (mut replica, replica_watch) = Replica::new(Parts {
            state,
            storage: store,
            reader: reader.clone(),
            verifier: verifier.clone(),
            outbox: outbox.clone(),
            replica_index,
            clock,
            random: Rng::new(),
            evidence: data.file(evidence::FILE_NAME),
        })?;
        if let Some(url) = &arguments.bootstrap_log {
            catch_up_from(url, &mut replica, &*sequencer).await?;
        }
        let snapshots =
            Snapshots::open(&data.file(snapshots::FOLDER_NAME), arguments.snapshots_kept)?;
        if arguments.snapshot_every > 0 {
            let published = replica_watch.published.clone();
            let every = arguments.snapshot_every;
            tokio::spawn(snapshots.clone().keep_making(reader.clone(), published, every, clock));
        }
        let attester = replica_index.map(|_| {
            let key = replica_key.clone();
            Attester::new(Arc::clone(&rules), key, &replica_watch, clock, Rng::new())
        });
        let (published, health) = (replica_watch.published.clone(), replica_watch.health.clone());
        let gateways = Arc::clone(&sequencer);
        let sockets = Arc::new(Semaphore::new(api::SOCKETS_MAX));
        let app = App {
            faucet,
            verifier,
            replica_key,
            rules,
            reader,
            outbox,
            watch: replica_watch,
            gateways: Box::new(move || gateways.gateways()),
            start,
            snapshots,
            page,
            clock,
            sockets: Arc::clone(&sockets),
            stop: stop.clone(),
        };

        let mut serving = tokio::spawn(listen::serve(listener, api::router(app), stop));
        let follow = replica.follow(Arc::clone(&sequencer), posted);
        let mut following = on_own_thread("replica", follow, stopper.subscribe())?;
        let post = outbox_task.run(Arc::clone(&sequencer), published, health, attester);
        let mut posting = on_own_thread("outbox", post, stopper.subscribe())?;
        tokio::spawn(Arc::clone(&sequencer).keep_surveyed());
        tokio::spawn(sequencer.keep_operators());
        tracing::info!("serving at http://{address}");
        let result = tokio::select! {
            () = listen::stop_signal() => Ok(()),
            error = failed(failure) => Err(Failure::halted(error)),
            halt = &mut following.ended => Err(match halt {
                Ok(halt) => Failure::halted(halt),
                Err(_) => Failure::halted("the task that applies batches panicked"),
            }),
            result = &mut posting.ended => Err(match result {
                Ok(Ok(())) => Failure::halted("the outbox stopped unexpectedly"),
                Ok(Err(error)) => Failure::halted(format!("the outbox failed: {error}")),
                Err(_) => Failure::halted("the outbox panicked"),
            }),
            result = &mut serving => Err(match result {
                Ok(()) => Failure::from("the HTTP server stopped unexpectedly"),
                Err(panic) => Failure::from(panic),
            }),
        };
        tracing::info!("stopping");
        let _ = stopper.send(true);
        if !serving.is_finished() {
            // Requests in progress are still answered. Errors no longer matter at this point.
            let _ = serving.await;
        }
        // Every socket holds a permit, so having all permits means that every client got the close reason.
        let all = u32::try_from(api::SOCKETS_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, sockets.acquire_many(all)).await;
        // The threads end after the commit in progress; a commit that is cut off is rolled back at the
        // next start.
        if !following.ended.is_terminated() {
            let _ = tokio::time::timeout(COMMIT_GRACE, following.ended).await;
        }
        if !posting.ended.is_terminated() {
            let _ = tokio::time::timeout(COMMIT_GRACE, posting.ended).await;
        }
        result
    })
}

/// Creates the store from a snapshot of another replica, unless there is a store already.
async fn bootstrap_from<Q: Sequencer>(
    url: &str,
    data: &DataDir,
    store: &Path,
    rules: &Arc<Rules>,
    proofs: &Proofs<'_, Q>,
    bytes_max: u64,
) -> Result<(), Failure> {
    if store.exists() {
        tracing::info!("--bootstrap {url} is not needed: {} already has a state", store.display());
        return Ok(());
    }
    let peer = Peer::new(url).map_err(bootstrap_failure)?;
    let folder = data.file(bootstrap::FOLDER_NAME);
    let begun = tokio::select! {
        begun = bootstrap::from_snapshot(&peer, rules, proofs, &folder, store, bytes_max) => begun,
        () = listen::stop_signal() => return Err("stopped during --bootstrap".into()),
    };
    let position = begun.map_err(bootstrap_failure)?;
    tracing::info!("starting from the certified snapshot of batch {}", position.index);
    Ok(())
}

/// Applies the proven batches of another replica's log.
async fn catch_up_from<Q: Sequencer>(
    url: &str,
    replica: &mut Replica<Store>,
    sequencer: &Q,
) -> Result<(), Failure> {
    let peer = Peer::new(url).map_err(bootstrap_failure)?;
    let caught_up = tokio::select! {
        caught_up = bootstrap::catch_up(replica, &peer, sequencer) => caught_up,
        () = listen::stop_signal() => return Err("stopped during --bootstrap-log".into()),
    };
    let batch = caught_up.map_err(bootstrap_failure)?;
    tracing::info!("caught up to batch {batch} from the log of {url}");
    Ok(())
}

fn bootstrap_failure(error: BootstrapError) -> Failure {
    match error {
        BootstrapError::Lie { .. } => Failure::difference(error),
        BootstrapError::Halt(halt) => Failure::halted(halt),
        error => Failure::from(error),
    }
}

/// A replica that halted stays halted, also when a process manager restarts it: its operator has to look
/// at the evidence first.
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
        "{explanation}. This happened during an earlier run; the evidence is in {path}. Check it with zellbook verify {path}, and see docs/operating.md for what to do next"
    )))
}

/// A task that runs on its own thread.
struct OwnThread<T> {
    /// Receives the task's result, or an error if the task panicked or was stopped.
    ended: oneshot::Receiver<T>,
}

/// Runs a future on its own thread until it ends or `stop` is set. The future may block the thread.
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
                // An error means that the sender is gone, thus that the process is stopping.
                _ = stop.wait_for(|stop| *stop) => {}
                output = future => {
                    // Fails only if the receiver is gone, when the process is stopping.
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
            "--issuer-key: genesis has no token with a faucet whose issuer is {account}"
        )
        .into());
    }
    Ok(faucet)
}

/// The key that this replica signs receipts with, and attestations if genesis names it.
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
    if replica_index(rules, &key).is_none() {
        if arguments.replica_key.is_some() {
            return Err(format!(
                "--replica-key: {public_key} is not one of the replicas in genesis"
            )
            .into());
        }
        tracing::info!(
            "this replica does not attest: genesis does not name its key {public_key} (replica.key); it only signs receipts"
        );
    }
    Ok(key)
}
