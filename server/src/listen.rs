//! Listening on a TCP port, and stopping in good order.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

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

/// How long open connections have after a stop was asked for.
const GRACE: Duration = Duration::from_secs(2);

/// Serves until told to stop; then open requests may end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut stop_serving = stop.clone();
    let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
        // An error means that nobody is left to ask; that is a stop too.
        let _ = stop_serving.wait_for(|stop| *stop).await;
    });
    tokio::select! {
        result = serve => result,
        () = async {
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}

/// Waits for SIGINT or SIGTERM.
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
    }
}
