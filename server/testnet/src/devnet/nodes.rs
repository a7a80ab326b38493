//! The nodes of a devnet: each listens while it is not killed, and has the faults that were asked for.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use zellbook_server::listen;

use super::arguments::DevnetArguments;
use crate::network::Network;
use crate::network::faults::Faults;

/// How often it is looked whether a node was killed or started.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Serves a node whenever it is not killed: then nobody can connect to it.
pub async fn keep_node(
    network: Network,
    node: usize,
    listener: TcpListener,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let mut listener = Some(listener);
    loop {
        let (end, ended) = watch::channel(false);
        let opened = match listener.take() {
            Some(listener) => Ok((listener, address)),
            None => listen::bind(address).await,
        };
        match opened {
            Ok((listener, _)) => {
                let serving = listen::serve(listener, network.router(node), ended);
                let life = async {
                    while !network.is_down(node) {
                        sleep(LOOK_EVERY).await;
                    }
                };
                tokio::select! {
                    () = serving => {}
                    () = life => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
            Err(error) => tracing::warn!("node {node}: {error}"),
        }
        // Its connections end with it.
        let _ = end.send(true);
        while network.is_down(node) {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Makes the faults that were asked for, for ever.
pub async fn disturb(network: &Network, arguments: &DevnetArguments) {
    let mut faults = Faults::new(network.clone(), arguments.faults.clone(), arguments.seed);
    loop {
        sleep(arguments.every / 2).await;
        let Some(fault) = faults.draw(None) else { continue };
        tracing::info!("fault: {fault}");
        faults.begin(fault);
        sleep(arguments.every / 2).await;
        faults.end(fault);
        tracing::info!("over: {fault}");
    }
}
