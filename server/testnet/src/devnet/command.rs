//! Runs the nodes and replicas of a devnet until it is stopped.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use zellbook_core::rules::ReplicaSpec;
use zellbook_server::cli::{Failure, Output, block_on};
use zellbook_server::clock::Clock;
use zellbook_server::config::{
    Fees, development_genesis, io_error, new_secret_key, pretty, write_file,
};
use zellbook_server::listen;

use super::arguments::{DevnetArguments, port_of};
use super::folder::Folder;
use super::nodes::{disturb, keep_node};
use super::replicas::Replicas;
use crate::network::{Network, NetworkOptions};

pub fn devnet(arguments: DevnetArguments, output: Output) -> Result<(), Failure> {
    let stakes = match arguments.stakes.len() {
        0 => vec![10; arguments.nodes.into()],
        count if count == usize::from(arguments.nodes) => arguments.stakes.clone(),
        count => {
            let nodes = arguments.nodes;
            return Err(Failure::usage(format!(
                "--stakes has {count} stakes for {nodes} nodes; give one stake per node"
            )));
        }
    };
    // It outlives `run`, so that a temporary folder is removed when no process uses it any more.
    let folder = Folder::new(arguments.data.clone())?;
    block_on(run(&arguments, stakes, &folder.path, output))
}

async fn run(
    arguments: &DevnetArguments,
    stakes: Vec<u64>,
    folder: &Path,
    output: Output,
) -> Result<(), Failure> {
    let issuer = new_secret_key(&folder.join("issuer.key"))?.public_key();
    let mut specs = Vec::new();
    for number in 0..arguments.replicas {
        let own = folder.join(format!("replica-{number}"));
        fs::create_dir(&own).map_err(io_error(&own))?;
        let public_key = new_secret_key(&own.join("replica.key"))?.public_key();
        specs.push(ReplicaSpec { public_key, weight: 1 });
    }
    let rules = development_genesis(issuer, true, specs, Fees::none(issuer))?;
    let genesis = folder.join("genesis.json");
    write_file(&genesis, pretty(&rules).as_bytes(), 0o644)?;

    let network = Network::new(NetworkOptions {
        apps: vec![rules.genesis.app_name.clone()],
        stakes: stakes.clone(),
        threshold_percent: arguments.threshold.into(),
        interval: Duration::from_millis(arguments.interval_ms),
        seed: arguments.seed,
        ..NetworkOptions::default()
    })?;
    let (stopper, stop) = watch::channel(false);
    let mut node_urls = Vec::new();
    for node in 0..network.len() {
        let port = port_of(arguments.node_port, node)?;
        // All ports are open before the node list is written, because with port 0 only the listener knows its address.
        let (listener, address) = listen::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        node_urls.push(format!("http://{address}"));
        tokio::spawn(keep_node(network.clone(), node, listener, address, stop.clone()));
    }
    let nodes = folder.join("nodes.json");
    let list = network.node_list(&node_urls)?;
    write_file(&nodes, list.to_json().as_bytes(), 0o644)?;
    let rounds = network.clone();
    // A task of its own: if its assertions fail, the command can report the panic and stop the replicas.
    let emulation = tokio::spawn(async move { rounds.run(Clock::system()).await });

    // Only now, since replicas connect to the nodes at once.
    let mut replicas = Replicas::start(arguments, folder)?;
    tokio::select! {
        served = replicas.wait_until_served() => served?,
        // Replicas that are still starting are killed when they are dropped.
        () = listen::stop_signal() => return Ok(()),
    }
    let urls = replicas.urls();
    output.print(
        || describe(folder, &node_urls, &stakes, &urls),
        || {
            json!({
                "replicas": urls,
                "nodes": node_urls,
                "genesis": genesis,
                "node_list": nodes,
                "issuer_key": folder.join("issuer.key"),
                "network": rules.network.to_string(),
            })
        },
    );
    let result = tokio::select! {
        () = listen::stop_signal() => Ok(()),
        failure = replicas.keep_running() => Err(failure),
        () = disturb(&network, arguments) => Err("fault injection stopped unexpectedly".into()),
        ended = emulation => Err(match ended {
            Ok(()) => "the emulated network stopped unexpectedly".into(),
            Err(panic) => Failure::from(panic),
        }),
    };
    // Before the nodes: otherwise the last lines in the replicas' logs would be failures of gateways.
    replicas.stop().await;
    let _ = stopper.send(true);
    result
}

fn describe(folder: &Path, nodes: &[String], stakes: &[u64], replicas: &[String]) -> String {
    let mut text = format!("emulated network of {} nodes\n", nodes.len());
    for (url, stake) in nodes.iter().zip(stakes) {
        text.push_str(&format!("  node     {url}  stake {stake}\n"));
    }
    for url in replicas {
        text.push_str(&format!("  replica  {url}  web page and API\n"));
    }
    for (name, file) in
        [("genesis", "genesis.json"), ("nodes", "nodes.json"), ("issuer", "issuer.key")]
    {
        text.push_str(&format!("  {name:<8} {}\n", folder.join(file).display()));
    }
    text + "press Ctrl-C to stop"
}
