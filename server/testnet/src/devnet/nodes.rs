//! Serves the nodes of a devnet, and injects the chosen faults.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use zellbook_server::listen;

use super::arguments::DevnetArguments;
use crate::network::Network;
use crate::network::faults::Faults;

/// How often to check whether a node was killed or restarted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Listens on the node's port except while the node is killed, so that clients cannot connect then.
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
        // The first listener comes from the caller, who needed its address. After a kill the same port is opened again.
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
                    // Ending this wait drops the listener, so that the system refuses connections to the killed node.
                    () = life => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
            Err(error) => tracing::warn!("node {node}: {error}"),
        }
        // Closes the connections of the killed node.
        let _ = end.send(true);
        while network.is_down(node) {
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Injects random faults of the chosen kinds. Never returns.
pub async fn disturb(network: &Network, arguments: &DevnetArguments) {
    let mut faults = Faults::new(network.clone(), arguments.faults.clone(), arguments.seed);
    loop {
        // Half of the time without a fault, so that the network recovers before the next one.
        sleep(arguments.every / 2).await;
        let Some(fault) = faults.draw(None) else { continue };
        tracing::info!("fault starts: {fault}");
        faults.begin(fault);
        sleep(arguments.every / 2).await;
        faults.end(fault);
        tracing::info!("fault ends: {fault}");
    }
}
