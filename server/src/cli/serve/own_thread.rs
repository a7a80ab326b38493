//! Runs tasks that may block, each on its own thread.

use tokio::sync::{oneshot, watch};

/// A task that runs on its own thread.
pub struct OwnThread<T> {
    /// Receives the task's result, or an error if the task panicked or was stopped.
    pub ended: oneshot::Receiver<T>,
}

/// Runs a future on its own thread until it ends or `stop` is set. The future may block the thread.
pub fn on_own_thread<T: Send + 'static>(
    name: &str,
    future: impl Future<Output = T> + Send + 'static,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<OwnThread<T>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                // The stop comes first, so that a stopping process does not begin another step of the task.
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
