//! The arguments of `zellbook serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;
use zellbook_core::types::limits::{BATCH_BYTES_DEFAULT, TRANSACTION_BYTES_MAX};
use zellular::Threshold;

use crate::api::Origin;
use crate::cli::network::{NetworkSource, parse_source};
use crate::client_address::parse_network;

fn parse_batch_bytes(text: &str) -> Result<usize, String> {
    // The outbox never splits a transaction, so the longest must fit, with the brackets of the array.
    let least = TRANSACTION_BYTES_MAX + 2;
    text.parse()
        .ok()
        .filter(|bytes| *bytes >= least)
        .ok_or_else(|| format!("must be at least {least}, the length of the longest transaction"))
}

fn parse_snapshot_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=100).contains(count));
    count.ok_or_else(|| "must be from 1 to 100".into())
}

#[derive(Args)]
pub struct ServeArguments {
    /// Data directory for the replica's state, outbox and keys; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "data", env = "ZELLBOOK_DATA")]
    pub data: PathBuf,
    /// Address and port of the API and the web page
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", env = "ZELLBOOK_LISTEN")]
    pub listen: SocketAddr,
    /// Address and port of /healthz, /readyz and /metrics, which --listen then does not have [default: they
    /// are at --listen]
    #[arg(long, value_name = "ADDRESS", env = "ZELLBOOK_ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,
    /// Origin under which users open the page, if it is not the address of --listen: scheme://host or
    /// scheme://host:port; repeat the option for several
    #[arg(long = "origin", value_name = "ORIGIN")]
    pub origins: Vec<Origin>,
    /// Proxy whose X-Forwarded-For names the client: an address or a network (10.0.0.0/8); repeat the
    /// option for several
    #[arg(long = "trusted-proxy", value_name = "ADDRESS", value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Genesis file [default: the one in --data, else a new development genesis]
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Sequencer network: a node list file (nodes.json), or eigenlayer:URL with the URL of a subgraph
    /// that lists the operators [default: the network that --data was used with before, else the
    /// embedded sequencer]
    #[arg(long, alias = "nodes", value_name = "FILE|eigenlayer:URL", value_parser = parse_source)]
    pub network: Option<NetworkSource>,
    /// Gateway to read from and post to; repeat the option for several [default: all nodes]
    #[arg(long = "gateway", requires = "network", value_name = "URL")]
    pub gateways: Vec<String>,
    /// Percentage of the stake that must sign a batch: the network's own threshold [default: the one that --data was
    /// used with before, else the one in a file `threshold` beside the node list of --network, else 67]
    #[arg(long, value_name = "PERCENT")]
    pub threshold: Option<Threshold>,
    /// Key file of the token issuer, which the faucet signs deposits with [default: issuer.key in --data,
    /// if it exists]
    #[arg(long, value_name = "FILE")]
    pub issuer_key: Option<PathBuf>,
    /// Key file of the replica: signs receipts, and attestations if genesis names the key [default:
    /// replica.key in --data, generated if it does not exist]
    #[arg(long, value_name = "FILE")]
    pub replica_key: Option<PathBuf>,
    /// Folder with the built web page; cargo xtask web builds it in target/site
    #[arg(long, value_name = "DIR", env = "ZELLBOOK_PAGE")]
    pub page: Option<PathBuf>,
    /// Maximum length of a posted batch, in bytes: the limit of the sequencer network
    #[arg(long, value_name = "BYTES", default_value_t = BATCH_BYTES_DEFAULT, value_parser = parse_batch_bytes)]
    pub batch_bytes: usize,
    /// Time to collect transactions into one batch, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub gather_ms: u64,
    /// Time to wait for a posted batch to be sequenced before posting it again, in milliseconds; used
    /// until the network's latency has been measured
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..))]
    pub repost_ms: u64,
    /// Report in /readyz that the replica is not ready if transactions wait in the outbox and none of them has come
    /// back in a batch for this many seconds: the network takes nothing; 0 for no limit. Raise it for a network that
    /// takes longer to sequence a batch
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub ready_max_stall: u64,
    /// Report in /readyz that the replica is not ready if the oldest transaction in the outbox has waited for longer
    /// than this many seconds since it was received (oldest_waiting_ms in /v1/status); 0 for no limit. One account
    /// with more transactions than the network takes of it at once can make that long
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub ready_max_wait: u64,
    /// Report in /readyz that the replica is not ready if the last batch was sequenced more than this many seconds
    /// ago (batch_age_ms in /v1/status); 0 for no limit. An idle exchange has no new batches
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub ready_max_batch_age: u64,
    /// Memory for the store's page cache, in MiB. A store that fits is not read from disk while batches are applied
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=65_536))]
    pub page_cache_mib: u32,
    /// Number of batches between two snapshots that other replicas can start from; 0 for no snapshots
    #[arg(long, default_value_t = 10_000, value_name = "BATCHES")]
    pub snapshot_every: u64,
    /// Number of snapshots to keep
    #[arg(long, default_value_t = 2, value_parser = parse_snapshot_count, value_name = "COUNT")]
    pub snapshots_kept: usize,
    /// Start from a snapshot of the replica at this URL, if --data has no state yet. The snapshot is
    /// accepted only if the replicas in genesis certified it and the network's proofs lead to it
    #[arg(long, value_name = "URL")]
    pub bootstrap: Option<String>,
    /// Maximum size of the --bootstrap snapshot, in bytes. The state needs about six times as much memory
    #[arg(long, default_value_t = 1 << 30, requires = "bootstrap", value_name = "BYTES")]
    pub snapshot_bytes_max: u64,
    /// First apply the batches of the replica at this URL, with the same proofs as from a gateway. Needed
    /// if the network has pruned its history
    #[arg(long, value_name = "URL")]
    pub bootstrap_log: Option<String>,
    /// Stop when standard input is closed. A parent process that holds the other end of the pipe thus
    /// cannot leave this replica behind
    #[arg(long, hide = true)]
    pub stop_with_input: bool,
}
