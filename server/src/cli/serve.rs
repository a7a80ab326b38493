//! `zellbook serve` and `zellbook sequencer`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use fastrand::Rng;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use zellbook_core::finality::Threshold;
use zellbook_core::genesis::Rules;
use zellbook_core::key::SecretKey;
use zellbook_core::limits::{BATCH_BYTES_DEFAULT, TRANSACTION_BYTES_MAX};
use zellbook_core::units::Decimal;

use super::network::{
    Given, NODES_FILE, Network, NetworkSource, failed, parse_source, start_embedded,
};
use super::{Failure, block_on};
use crate::api::page::Page;
use crate::api::{self, App, Faucet};
use crate::attester::{Attester, place_of};
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

/// How long the WebSockets have to end after a stop was asked for.
const PARTING_PATIENCE: Duration = Duration::from_secs(1);
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

fn parse_kept(text: &str) -> Result<usize, String> {
    let kept = text.parse().ok().filter(|kept| (1..=100).contains(kept));
    kept.ok_or_else(|| "must be from 1 to 100".into())
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
    /// Sequencer network: its node list (nodes.json), or eigenlayer:URL for the operators that a
    /// subgraph lists; without it the one that --data is of, or else the embedded sequencer
    #[arg(long, alias = "nodes", value_name = "FILE|eigenlayer:URL", value_parser = parse_source)]
    network: Option<NetworkSource>,
    /// Gateways to read from and post to; without it the nodes' own sockets
    #[arg(long = "gateway", requires = "network", value_name = "URL")]
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
    /// A snapshot for others to start from is made after so many batches; 0 for none
    #[arg(long, default_value_t = 10_000, value_name = "BATCHES")]
    snapshot_every: u64,
    /// Snapshots that are kept, the newest
    #[arg(long, default_value_t = 2, value_parser = parse_kept, value_name = "COUNT")]
    snapshots_kept: usize,
    /// Start from a snapshot of the replica at this address, if --data has no state yet. It is accepted
    /// only if replicas of genesis certified it and the network's proofs lead to it
    #[arg(long, value_name = "URL")]
    bootstrap: Option<String>,
    /// Bytes of the snapshot to start from, at most. It is read piece by piece; the state in it takes
    /// some six times as many bytes of memory
    #[arg(long, default_value_t = 1 << 30, requires = "bootstrap", value_name = "BYTES")]
    snapshot_bytes_max: u64,
    /// First apply the batches that the replica at this address has, with the same proofs as from a
    /// gateway: for when the network has pruned its history
    #[arg(long, value_name = "URL")]
    bootstrap_log: Option<String>,
    /// Stop when standard input ends, as it does with the process that it is a pipe from
    #[arg(long, hide = true)]
    stop_with_input: bool,
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
        tracing::info!("give replicas --network {}", data.file(NODES_FILE).display());
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

/// Runs a replica.
pub fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    if arguments.stop_with_input {
        listen::stop_with_input();
    }
    block_on(async move {
        // What the operator gave is checked before anything is made.
        let page = load_page(&arguments)?;
        let given = Given::read(arguments.network.as_ref(), &arguments.gateways)?;
        let data = DataDir::open(&arguments.data)?;
        refuse_after_halt(&data)?;
        let given = given.or_kept(&data)?;
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
        let place = place_of(&rules, &replica_key);
        let (mut replica, replica_watch) = Replica::new(Parts {
            state,
            storage: store,
            reader: reader.clone(),
            verifier: verifier.clone(),
            outbox: outbox.clone(),
            place,
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
        let attester = place.map(|_| {
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
        // Those who follow the feed are told; who does not listen is not waited for.
        let all = u32::try_from(api::SOCKETS_MAX).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(PARTING_PATIENCE, sockets.acquire_many(all)).await;
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

/// Makes the store out of a snapshot of another replica, if there is none.
async fn bootstrap_from<Q: Sequencer>(
    url: &str,
    data: &DataDir,
    store: &Path,
    rules: &Arc<Rules>,
    proofs: &Proofs<'_, Q>,
    bytes_max: u64,
) -> Result<(), Failure> {
    if store.exists() {
        tracing::info!("--bootstrap {url}: not needed, {} has a state", store.display());
        return Ok(());
    }
    let peer = Peer::new(url).map_err(bootstrap_failure)?;
    let folder = data.file(bootstrap::FOLDER_NAME);
    let begun = tokio::select! {
        begun = bootstrap::from_snapshot(&peer, rules, proofs, &folder, store, bytes_max) => begun,
        () = listen::stop_signal() => return Err("stopped while starting from a snapshot".into()),
    };
    let position = begun.map_err(bootstrap_failure)?;
    tracing::info!("starting from batch {}, which replicas certified", position.index);
    Ok(())
}

/// Applies what the log of another replica proves.
async fn catch_up_from<Q: Sequencer>(
    url: &str,
    replica: &mut Replica<Store>,
    sequencer: &Q,
) -> Result<(), Failure> {
    let peer = Peer::new(url).map_err(bootstrap_failure)?;
    let caught_up = tokio::select! {
        caught_up = bootstrap::catch_up(replica, &peer, sequencer) => caught_up,
        () = listen::stop_signal() => return Err("stopped while reading the log".into()),
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
