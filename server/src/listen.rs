//! Listening on a TCP port: bounded in connections and time, and stopped in good order.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};

/// Connections at once, at most; a further one waits to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send the head of a request, and to begin the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the head of a request, at most.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long open requests have after a stop was asked for.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait when the system accepts nothing, for want of files perhaps.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A port that cannot be listened on.
#[derive(Debug, Error)]
#[error(
    "cannot listen on {address}: {error}; stop what uses the port, or choose another with --listen"
)]
pub struct ListenError {
    address: SocketAddr,
    error: std::io::Error,
}

/// Opens a port.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let wrap = |error| ListenError { address, error };
    let listener = TcpListener::bind(address).await.map_err(wrap)?;
    let address = listener.local_addr().map_err(wrap)?;
    Ok((listener, address))
}

/// Serves until told to stop; then open requests may end.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    // Closed when the last connection has dropped its sender.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed; without a permit there would be no bound.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        // Small answers must not wait for each other; without it they are only slower.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()))
            .with_upgrades();
        let mut stop = stop.clone();
        let open = open.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            // A client that breaks its own connection harms nobody else.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop((permit, open));
        });
    }
    drop(open);
    tokio::select! {
        _ = all_closed.recv() => {}
        () = tokio::time::sleep(GRACE) => {}
    }
}

/// Waits until told to stop.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to ask; that is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether standard input has ended, if that is to stop this process.
static INPUT_ENDED: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// From now on the end of standard input stops this process, as a signal does.
pub fn stop_with_input() {
    let (ended, watch) = watch::channel(false);
    if INPUT_ENDED.set(watch).is_ok() {
        // A thread of its own: nobody waits for it at the end.
        std::thread::spawn(move || {
            // An error ends it too.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            let _ = ended.send(true);
        });
    }
}

async fn input_ended() {
    match INPUT_ENDED.get() {
        Some(ended) => stopped(&mut ended.clone()).await,
        None => std::future::pending().await,
    }
}

/// Waits for SIGINT or SIGTERM, or the end of standard input where that is to stop this process.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!("SIGTERM cannot be caught: {error}");
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        () = input_ended() => {}
    }
}
