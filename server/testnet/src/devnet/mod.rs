//! `zellbook devnet`: an emulated network and replicas on it, in one command.

mod replicas;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use zellbook_core::genesis::ReplicaSpec;

use super::{Failure, Output, block_on};
use crate::clock::Clock;
use crate::config::{Fees, development_genesis, io_error, new_secret_key, pretty, write_file};
use crate::devnet::faults::{FaultKind, Faults};
use crate::devnet::{Network, NetworkOptions};
use crate::listen;
use replicas::Replicas;

/// How often it is looked whether a node or a replica ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct DevnetArguments {
    /// Replicas, each a process of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    replicas: u8,
    /// Emulated nodes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    nodes: u8,
    /// The nodes' stakes, such as 40,40,10,10; without it 10 each
    #[arg(long, value_delimiter = ',')]
    stakes: Vec<u64>,
    /// Percent of stake that must sign
    #[arg(long, default_value_t = 67, value_parser = clap::value_parser!(u8).range(1..=100))]
    threshold: u8,
    /// Milliseconds between two rounds of the nodes: what is posted is final after about two
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    interval_ms: u64,
    /// What the emulation draws from: its delays, losses and faults
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Faults of nodes: drop, duplicate, freeze, kill, partition, lie, equivocate, lag
    #[arg(long, value_delimiter = ',')]
    faults: Vec<FaultKind>,
    /// Seconds from one fault to the next; each lasts for half of that
    #[arg(long, default_value = "30s", value_parser = parse_seconds, requires = "faults")]
    every: Duration,
    /// Folder for genesis, keys, node list and replicas, which must not exist, and is kept; without it a
    /// temporary one
    #[arg(long)]
    data: Option<PathBuf>,
    /// Port of the first replica; 0 for any
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of the first node; 0 for any
    #[arg(long, default_value_t = 6001)]
    node_port: u16,
    /// Folder with the built page (cargo xtask web makes target/site)
    #[arg(long, env = "ZELLBOOK_PAGE")]
    page: Option<PathBuf>,
}

/// `30s`, `2m` or a number of seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let (digits, factor) = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 60),
        (None, None) => (text, 1),
    };
    let seconds = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    let seconds = seconds.filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or("a time is a number of seconds above 0, such as 30s or 2m")?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The folder of a devnet: what is temporary goes with it.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        let is_temporary = given.is_none();
        let name = || format!("zellbook-devnet-{}", std::process::id());
        let path = given.unwrap_or_else(|| std::env::temp_dir().join(name()));
        // The nodes' history ends with them: what replicas kept of another would contradict it.
        fs::create_dir(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::from(format!(
                "{} is there already; the emulated nodes keep nothing, so each devnet needs a new folder",
                path.display()
            )),
            _ => io_error(&path)(error).into(),
        })?;
        Ok(Self { path, is_temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // What is left of it harms nobody.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Runs an emulated network and replicas until it is told to stop.
pub fn devnet(arguments: DevnetArguments, output: Output) -> Result<(), Failure> {
    let stakes = match arguments.stakes.len() {
        0 => vec![10; arguments.nodes.into()],
        count if count == usize::from(arguments.nodes) => arguments.stakes.clone(),
        count => {
            let nodes = arguments.nodes;
            return Err(Failure::usage(format!("--stakes has {count} stakes for {nodes} nodes")));
        }
    };
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
        let (listener, address) = listen::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        node_urls.push(format!("http://{address}"));
        tokio::spawn(keep_node(network.clone(), node, listener, address, stop.clone()));
    }
    let nodes = folder.join("nodes.json");
    let list = network.node_list(&node_urls)?;
    write_file(&nodes, list.to_json().as_bytes(), 0o644)?;
    let rounds = network.clone();
    let emulation = tokio::spawn(async move { rounds.run(Clock::system()).await });

    let mut replicas = Replicas::start(arguments, folder)?;
    tokio::select! {
        served = replicas.wait_until_served() => served?,
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
        () = disturb(&network, arguments) => Err("the faults ended".into()),
        ended = emulation => Err(match ended {
            Ok(()) => "the emulation ended".into(),
            Err(panic) => Failure::from(panic),
        }),
    };
    replicas.stop().await;
    let _ = stopper.send(true);
    result
}

/// The port of the nth of several.
fn port_of(first: u16, place: usize) -> Result<u16, Failure> {
    if first == 0 {
        return Ok(0);
    }
    let port = u16::try_from(place).ok().and_then(|place| first.checked_add(place));
    port.ok_or_else(|| Failure::usage(format!("there are not so many ports from {first} on")))
}

/// Serves a node whenever it is not killed: then nobody can connect to it.
async fn keep_node(
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
async fn disturb(network: &Network, arguments: &DevnetArguments) {
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

fn describe(folder: &Path, nodes: &[String], stakes: &[u64], replicas: &[String]) -> String {
    let mut text = format!("an emulation of a network of {} nodes\n", nodes.len());
    for (url, stake) in nodes.iter().zip(stakes) {
        text.push_str(&format!("  node     {url}  stake {stake}\n"));
    }
    for url in replicas {
        text.push_str(&format!("  replica  {url}  page and API\n"));
    }
    for (name, file) in
        [("genesis", "genesis.json"), ("nodes", "nodes.json"), ("issuer", "issuer.key")]
    {
        text.push_str(&format!("  {name:<8} {}\n", folder.join(file).display()));
    }
    text + "stop it with Ctrl-C"
}
