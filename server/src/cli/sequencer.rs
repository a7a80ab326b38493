//! `zellbook sequencer`: the embedded sequencer on its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::sync::watch;
use zellular::Threshold;

use super::failure::{Failure, block_on};
use super::network::{NODES_FILE, THRESHOLD_FILE, failed, start_embedded};
use crate::config::{DataDir, write_file};
use crate::listen;
use crate::sequencer::embedded::EmbeddedOptions;
use crate::sequencer::interface;

#[derive(Args)]
pub struct SequencerArguments {
    /// Data directory for the batches and the signing key; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "sequencer-data")]
    data: PathBuf,
    /// Address and port of the sequencer
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6001")]
    listen: SocketAddr,
    /// Name of the app, as in genesis
    #[arg(long, value_name = "NAME", default_value = "zellbook")]
    app: String,
    /// Time between two signed groups of batches, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    interval_ms: u64,
}

pub fn sequencer(arguments: SequencerArguments) -> Result<(), Failure> {
    block_on(async {
        let data = DataDir::open(&arguments.data)?;
        let interval = Duration::from_millis(arguments.interval_ms);
        let options = EmbeddedOptions { interval, ..EmbeddedOptions::default() };
        // Before the start, because the node list names the address, and `--listen` can leave the port to
        // the system.
        let (listener, address) = listen::bind(arguments.listen).await?;
        let (embedded, _, failure) = start_embedded(&data, &arguments.app, address, options)?;
        // In the folder of the node list, where replicas look for it.
        let threshold = Threshold::DEFAULT.to_string();
        write_file(&data.file(THRESHOLD_FILE), threshold.as_bytes(), 0o644)?;
        tracing::info!("sequencer of app {} listening at http://{address}", arguments.app);
        tracing::info!(
            "start replicas with zellbook serve --network {}",
            data.file(NODES_FILE).display()
        );
        let (stopper, stop) = watch::channel(false);
        let mut serving =
            tokio::spawn(listen::serve(listener, interface::router(embedded.node()), stop));
        tokio::select! {
            () = listen::stop_signal() => {}
            error = failed(failure) => return Err(Failure::halted(error)),
            result = &mut serving => return Ok(result?),
        }
        let _ = stopper.send(true);
        Ok(serving.await?)
    })
}
