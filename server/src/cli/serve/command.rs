//! Starts a replica with its API, and shuts it down gracefully.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::arguments::ServeArguments;
use super::catch_up::{bootstrap_from, catch_up_from};
use super::keys::{faucet, load_page, refuse_after_halt, replica_key};
use super::own_thread::{OwnThread, on_own_thread};
use crate::api::{self, App, Bodies, Origins, Queues, Readiness, Sockets};
use crate::assemble::{Assembled, Assembly, Files, assemble};
use crate::bootstrap::Proofs;
use crate::cli::failure::{Failure, block_on};
use crate::cli::network::{Given, Network, failed};
use crate::client_address::TrustedProxies;
use crate::clock::Clock;
use crate::config::DataDir;
use crate::listen;
use crate::outbox::OutboxOptions;
use crate::replica::Halt;
use crate::sequencer::gateway_bodies;
use crate::snapshots::{self, Snapshots};
use crate::store::{Storage, Store, StoreError};

/// How long WebSocket clients get, after a stop signal, to receive the close reason.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// How long the last commit may take after a stop signal.
const COMMIT_GRACE: Duration = Duration::from_secs(10);

pub fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    listen::raise_file_limit();
    if arguments.stop_with_input {
        listen::stop_with_input();
    }
    block_on(run(arguments))
}

async fn run(arguments: ServeArguments) -> Result<(), Failure> {
    // Arguments are checked first, so that a typing error leaves no half-made data directory behind.
    let page = load_page(&arguments)?;
    let given = Given::read(arguments.network.as_ref(), &arguments.gateways)?;
    let data = DataDir::open(&arguments.data)?;
    // Before the network and the store are opened: after a halt the directory stays as it is.
    refuse_after_halt(&data)?;
    let given = given.or_stored(&data)?;
    let is_outside = given.is_outside();
    let rules = data.rules(arguments.genesis.as_deref(), !given.is_outside())?;
    let faucet = faucet(&arguments, &data, &rules)?;
    let replica_key = replica_key(&arguments, &data, &rules)?;
    // The port is opened before the long steps, so a port in use is reported at once. Clients that connect
    // by then wait in the system's queue.
    let (listener, address) = listen::bind(arguments.listen).await?;
    let admin_listener = match arguments.admin_listen {
        Some(address) => Some(listen::bind(address).await?),
        None => None,
    };
    let (stopper, stop) = watch::channel(false);
    let clock = Clock::system();
    let network = (arguments.network.as_ref(), given);
    let Network { sequencer, verifier, failure } =
        Network::connect(network, &data, &rules, arguments.threshold, stop.clone()).await?;

    if is_outside && sequencer.gateways().len() < 2 {
        tracing::warn!(
            "there is only one gateway, so no body is compared with that of another one: until a batch is certified, this gateway can deceive the replica about it. Add a second --gateway"
        );
    }
    let files = Files::in_folder(data.path());
    let damage = |error: StoreError| {
        if error.is_damage() { Failure::halted(error) } else { Failure::from(error) }
    };
    // Before the store is opened, because opening it would create an empty one.
    if let Some(url) = &arguments.bootstrap {
        let proofs = Proofs { sequencer: &*sequencer, verifier: &verifier };
        let bytes_max = arguments.snapshot_bytes_max;
        bootstrap_from(url, &data, &files.store, &rules, &proofs, bytes_max).await?;
    }
    let store = Store::open(&files.store, &rules).map_err(damage)?;
    store.set_page_cache(arguments.page_cache_mib).map_err(damage)?;
    let state = store.load(&rules).map_err(damage)?;
    let start = store.start()?;
    tracing::info!("network {} ({}), batch {}", rules.network, rules.genesis.name, state.1.index);
    let mut assembled = assemble(Assembly {
        rules: &rules,
        files: &files,
        store,
        state,
        outbox_options: OutboxOptions {
            batch_bytes_max: arguments.batch_bytes,
            gather: Duration::from_millis(arguments.gather_ms),
            repost_after: Duration::from_millis(arguments.repost_ms),
        },
        sequencer: Arc::clone(&sequencer),
        verifier: verifier.clone(),
        key: &replica_key,
        clock,
        random: Rng::new(),
    })?;
    // Before the API is served, which would otherwise show states that are far behind.
    if let Some(url) = &arguments.bootstrap_log {
        catch_up_from(url, &mut assembled.replica, &*sequencer).await?;
    }
    let Assembled { reader, outbox, watch, .. } = &assembled;
    let snapshots = Snapshots::open(&data.file(snapshots::FOLDER_NAME), arguments.snapshots_kept)?;
    if arguments.snapshot_every > 0 {
        let (reader, published) = (reader.clone(), watch.published.clone());
        let every = arguments.snapshot_every;
        let counts = Arc::clone(&watch.counts);
        tokio::spawn(snapshots.clone().keep_making(reader, published, every, counts, clock));
    }
    let gateways = Arc::clone(&sequencer);
    let sockets = Sockets::new();
    let app = Arc::new(App {
        faucet,
        verifier,
        replica_key,
        rules,
        reader: reader.clone(),
        outbox: outbox.clone(),
        watch: watch.clone(),
        gateways: Box::new(move || gateway_bodies(gateways.gateways())),
        start,
        snapshots,
        origins: Origins::new(arguments.origins),
        page,
        clock,
        bodies: Bodies::default(),
        in_progress: Arc::default(),
        unsent: Arc::default(),
        checks: Arc::default(),
        queues: Queues::default(),
        readiness: Readiness {
            stall_max: limit(arguments.ready_max_stall),
            wait_max: limit(arguments.ready_max_wait),
            batch_age_max: limit(arguments.ready_max_batch_age),
        },
        sockets: Arc::clone(&sockets),
        stop: stop.clone(),
    });

    if let Some((listener, address)) = admin_listener {
        serve_admin(listener, Arc::clone(&app), &stopper)?;
        tracing::info!("health and metrics at http://{address}");
    }
    let with_admin = arguments.admin_listen.is_none();
    let serving = tokio::spawn(listen::serve_behind(
        TrustedProxies::new(arguments.trusted_proxies),
        listener,
        api::router(app, with_admin),
        stop,
    ));
    // Both block their thread while they sync to disk, which would hold up requests on the shared runtime.
    let (follow, post, compare) = assembled.into_tasks();
    tokio::spawn(compare);
    let following = on_own_thread("replica", follow, stopper.subscribe())?;
    let posting = on_own_thread("outbox", post, stopper.subscribe())?;
    tokio::spawn(Arc::clone(&sequencer).survey_nodes());
    tokio::spawn(sequencer.refresh_operators());
    tracing::info!("serving at http://{address}");
    let mut running = Running { serving, following, posting };
    let result = running.wait_for_end(failure).await;
    tracing::info!("stopping");
    // Fails only if every receiver is gone, so that nothing is left to stop.
    let _ = stopper.send(true);
    running.stop(&sockets).await;
    result
}

/// Serves health and metrics on a thread of their own, so that they answer however busy the API is.
fn serve_admin(
    listener: TcpListener,
    app: Arc<App>,
    stopper: &watch::Sender<bool>,
) -> std::io::Result<()> {
    // A listener belongs to the runtime that it was made in, so it moves as one of the system.
    let listener = listener.into_std()?;
    let stop = stopper.subscribe();
    let serve = async move {
        let listener = TcpListener::from_std(listener)?;
        listen::serve(listener, api::admin_router(app), stop).await;
        Ok::<(), std::io::Error>(())
    };
    on_own_thread("admin", serve, stopper.subscribe()).map(drop)
}

/// A limit in seconds, where 0 stands for none.
fn limit(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// The tasks of a running replica.
struct Running {
    serving: JoinHandle<()>,
    following: OwnThread<Halt>,
    posting: OwnThread<Result<(), StoreError>>,
}

impl Running {
    /// Waits for the stop signal. A task that ends before it is a failure.
    async fn wait_for_end(&mut self, sequencer: oneshot::Receiver<String>) -> Result<(), Failure> {
        tokio::select! {
            () = listen::stop_signal() => Ok(()),
            error = failed(sequencer) => Err(Failure::halted(error)),
            halt = &mut self.following.ended => Err(match halt {
                Ok(halt) => Failure::halted(halt),
                Err(_) => Failure::halted("the task that applies batches panicked"),
            }),
            result = &mut self.posting.ended => Err(match result {
                Ok(Ok(())) => Failure::halted("the outbox stopped unexpectedly"),
                Ok(Err(error)) => Failure::halted(format!("the outbox failed: {error}")),
                Err(_) => Failure::halted("the outbox panicked"),
            }),
            result = &mut self.serving => Err(match result {
                Ok(()) => Failure::from("the HTTP server stopped unexpectedly"),
                Err(panic) => Failure::from(panic),
            }),
        }
    }

    /// Waits until all tasks have stopped, for at most the grace period of each.
    async fn stop(self, sockets: &Sockets) {
        let Self { serving, following, posting } = self;
        // `wait_for_end` may have awaited this task to its end; awaiting it once more would panic. The same
        // holds for the two receivers below.
        if !serving.is_finished() {
            // Requests in progress are still answered. Errors no longer matter at this point.
            let _ = serving.await;
        }
        // A socket is closed once its client got the close reason.
        let _ = timeout(SHUTDOWN_GRACE, sockets.all_closed()).await;
        // The threads end after the commit in progress; a commit that is cut off is rolled back at the
        // next start.
        if !following.ended.is_terminated() {
            let _ = timeout(COMMIT_GRACE, following.ended).await;
        }
        if !posting.ended.is_terminated() {
            let _ = timeout(COMMIT_GRACE, posting.ended).await;
        }
    }
}
