//! The arguments of `zellbook devnet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use zellbook_server::cli::Failure;

use crate::network::faults::FaultKind;

#[derive(Args)]
pub struct DevnetArguments {
    /// Number of replicas; each runs as its own process
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub replicas: u8,
    /// Number of emulated nodes
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub nodes: u8,
    /// Stakes of the nodes, for example 40,40,10,10 [default: 10 each]
    #[arg(long, value_name = "STAKES", value_delimiter = ',')]
    pub stakes: Vec<u64>,
    /// Percentage of the stake that must sign a batch
    #[arg(long, value_name = "PERCENT", default_value_t = 67, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub threshold: u8,
    /// Time between two rounds of the nodes, in milliseconds; a batch is sequenced after about two rounds
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub interval_ms: u64,
    /// Seed of the random delays, losses and faults
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Node faults to inject: drop, duplicate, freeze, kill, partition, lie, equivocate, lag [default: none]
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    pub faults: Vec<FaultKind>,
    /// Time from one fault to the next, for example 30s or 2m; each fault lasts half of it
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_seconds, requires = "faults")]
    pub every: Duration,
    /// Folder for genesis, keys, node list and replicas. It must not exist yet, and is kept at the end
    /// [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Port of the first replica, with the others on the ports after it; 0 for free ports
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Port of the first node, with the others on the ports after it; 0 for free ports
    #[arg(long, default_value_t = 6001)]
    pub node_port: u16,
    /// Folder with the built web page; cargo xtask web builds it in target/site
    #[arg(long, value_name = "DIR", env = "ZELLBOOK_PAGE")]
    pub page: Option<PathBuf>,
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
    let seconds = seconds.ok_or(
        "a time must be a whole number of seconds or minutes above 0, for example 30s or 2m",
    )?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The port number `index` after the first; 0 (any free port) if that is 0.
pub fn port_of(first: u16, index: usize) -> Result<u16, Failure> {
    if first == 0 {
        return Ok(0);
    }
    let port = u16::try_from(index).ok().and_then(|index| first.checked_add(index));
    port.ok_or_else(|| {
        Failure::usage(format!("there are not enough ports after {first}; choose a lower one"))
    })
}
