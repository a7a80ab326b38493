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

/// How long to wait if the node's port cannot be opened again.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

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
            // Another program has taken the port while the node was killed. It may give it back.
            Err(error) => {
                tracing::warn!("node {node}: {error}");
                tokio::select! {
                    () = sleep(OPEN_AGAIN_AFTER) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        }
        // Closes the connections of the killed node.
        let _ = end.send(true);
        let revived = async {
            while network.is_down(node) {
                sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            () = revived => {}
            _ = stop.wait_for(|stop| *stop) => return,
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::time::Instant;

    use super::*;
    use crate::network::faults::{Fault, FaultKind};
    use crate::network::{Lie, NetworkOptions};

    /// Kills the only node of a network, takes its port, revives it, and waits until the node listens again.
    async fn lose_and_find_the_port() {
        let network = Network::new(NetworkOptions { stakes: vec![1], ..NetworkOptions::default() });
        let network = network.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listener, address) = listen::bind(any).await.unwrap();
        let (stopper, stop) = watch::channel(false);
        let node = tokio::spawn(keep_node(network.clone(), 0, listener, address, stop));
        let mut faults = Faults::new(network.clone(), vec![FaultKind::Kill], 1);
        let kill = Fault { kind: FaultKind::Kill, node: 0, lie: Lie::State };
        faults.begin(kill);
        let taken = loop {
            match std::net::TcpListener::bind(address) {
                Ok(taken) => break taken,
                Err(_) => sleep(LOOK_EVERY).await,
            }
        };
        faults.end(kill);
        // A loop without a wait would give this thread to no other task.
        sleep(4 * LOOK_EVERY).await;
        drop(taken);
        let since = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(since.elapsed() < Duration::from_secs(30), "the port is not opened again");
            sleep(LOOK_EVERY).await;
        }
        // It also ends while it is killed.
        faults.begin(kill);
        stopper.send(true).unwrap();
        node.await.unwrap();
    }

    #[test]
    fn a_node_waits_for_its_port_and_stops_when_asked() {
        let (done, is_done) = mpsc::channel();
        // On a thread of its own, so that a loop that never waits fails the test instead of hanging it.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(lose_and_find_the_port());
            done.send(()).unwrap();
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok(()));
    }
}
