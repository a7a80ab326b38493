//! What stops the process: a signal, or the end of its standard input.

use std::sync::OnceLock;

use tokio::sync::watch;

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
