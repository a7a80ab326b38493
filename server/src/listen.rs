//! An HTTP server on a TCP port, bounded in connections, sizes and times, with a graceful shutdown.

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

/// The most connections at once. Further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send the head of a request, or to start the next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long requests in progress may take after a stop signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// The wait after a failed accept, for example because there are too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[derive(Debug, Error)]
#[error(
    "cannot listen on {address}: {error}; stop the program that uses the port, or choose another with --listen"
)]
pub struct ListenError {
    address: SocketAddr,
    error: std::io::Error,
}

/// Opens a port. Port 0 chooses a free one; the result has the real address.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    let wrap = |error| ListenError { address, error };
    let listener = TcpListener::bind(address).await.map_err(wrap)?;
    let address = listener.local_addr().map_err(wrap)?;
    Ok((listener, address))
}

/// Serves until `stop` is set, then lets the requests in progress finish.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    // Closed when the last connection has dropped its sender.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Fails only if the semaphore is closed, which never happens.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // Nagle's algorithm would delay small responses. A failure only makes them slower.
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
            // Errors of a connection concern only its client.
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
        () = tokio::time::sleep(SHUTDOWN_GRACE) => {}
    }
}

/// Waits until `stop` is set.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, thus that the process is stopping.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Becomes true when standard input is closed; unset unless that should stop the process.
static INPUT_ENDED: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// Makes the process stop when its standard input is closed, as if by a signal.
pub fn stop_with_input() {
    let (ended, watch) = watch::channel(false);
    if INPUT_ENDED.set(watch).is_ok() {
        // A plain thread, because the runtime would wait at shutdown for a blocking read to end.
        std::thread::spawn(move || {
            // An error counts as the end of input too.
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

/// Waits for SIGINT or SIGTERM, or for the end of standard input after [`stop_with_input`].
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => {
            tracing::warn!("cannot handle SIGTERM: {error}");
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
