//! The arguments of `zellbook devnet`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use zellbook_server::cli::Failure;

use crate::network::faults::FaultKind;

#[derive(Args)]
pub struct DevnetArguments {
    /// Replicas, each a process of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub replicas: u8,
    /// Emulated nodes
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub nodes: u8,
    /// The nodes' stakes, such as 40,40,10,10; without it 10 each
    #[arg(long, value_delimiter = ',')]
    pub stakes: Vec<u64>,
    /// Percent of stake that must sign
    #[arg(long, default_value_t = 67, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub threshold: u8,
    /// Milliseconds between two rounds of the nodes: what is posted is final after about two
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub interval_ms: u64,
    /// What the emulation draws from: its delays, losses and faults
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Faults of nodes: drop, duplicate, freeze, kill, partition, lie, equivocate, lag
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<FaultKind>,
    /// Seconds from one fault to the next; each lasts for half of that
    #[arg(long, default_value = "30s", value_parser = parse_seconds, requires = "faults")]
    pub every: Duration,
    /// Folder for genesis, keys, node list and replicas, which must not exist, and is kept; without it a
    /// temporary one
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Port of the first replica; 0 for any
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Port of the first node; 0 for any
    #[arg(long, default_value_t = 6001)]
    pub node_port: u16,
    /// Folder with the built page (cargo xtask web makes target/site)
    #[arg(long, env = "ZELLBOOK_PAGE")]
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
    let seconds = seconds.ok_or("a time is a number of seconds above 0, such as 30s or 2m")?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The port of the nth of several.
pub fn port_of(first: u16, place: usize) -> Result<u16, Failure> {
    if first == 0 {
        return Ok(0);
    }
    let port = u16::try_from(place).ok().and_then(|place| first.checked_add(place));
    port.ok_or_else(|| Failure::usage(format!("there are not so many ports from {first} on")))
}
