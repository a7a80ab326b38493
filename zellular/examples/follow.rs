//! Prints an app's proven batches, one line each: index, chaining hash, body.
//!
//! ```text
//! cargo run -p zellular --features client --example follow -- NETWORK APP [GATEWAY [INDEX HASH]]
//! ```
//!
//! `NETWORK` is the path of a node list (`nodes.json`), `eigenlayer` for Zellular's own network, or
//! `eigenlayer:URL` for another subgraph. `GATEWAY` is the URL of the node to read from; `all` reads from any
//! node of the network. `INDEX HASH` is where an earlier run ended.

use std::env;
use std::error::Error;

use tokio::runtime::Handle;
use zellular::client::eigenlayer::EigenLayerNetwork;
use zellular::client::{Client, ClientOptions, HttpTransport, Network};
use zellular::{NodeList, Position};

const USAGE: &str = "usage: follow NODES.JSON|eigenlayer[:URL] APP [GATEWAY|all [INDEX HASH]]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (network, app_name, gateway, from) = match *arguments {
        [network, app_name] => (network, app_name, "all", Position::start()),
        [network, app_name, gateway] => (network, app_name, gateway, Position::start()),
        [network, app_name, gateway, index, hash] => {
            let from = Position { index: index.parse()?, chaining_hash: hash.into() };
            (network, app_name, gateway, from)
        }
        _ => return Err(USAGE.into()),
    };
    let network = match network.strip_prefix("eigenlayer") {
        Some("") => Network::EigenLayer(EigenLayerNetwork::ZELLULAR),
        Some(url) if url.starts_with(':') => Network::EigenLayer(
            EigenLayerNetwork::ZELLULAR.with_subgraph(url.trim_start_matches(':').into()),
        ),
        _ => Network::Fixed(NodeList::read(&std::fs::read(network)?)?),
    };
    let mut options = ClientOptions::new(app_name, network);
    if gateway != "all" {
        options.gateways = vec![gateway.into()];
    }
    let client = Client::open(options, HttpTransport::new(Handle::current())?).await?;
    let mut follower = client.follow(from);
    loop {
        for batch in follower.next().await?.batches {
            println!("{} {} {}", batch.index, batch.chaining_hash, batch.body);
        }
    }
}
