//! `zellbook snapshot`: the whole state in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::exchange::Exchange;
use zellbook_core::state_root::Hash;

use super::funds::parse_root;
use super::{Failure, Output};
use crate::bootstrap::read_snapshot;
use crate::config::{io_error, read_genesis, write_new};
use crate::store::Reader;

#[derive(Args)]
pub struct SnapshotArguments {
    #[command(subcommand)]
    command: SnapshotCommand,
}

#[derive(Subcommand)]
enum SnapshotCommand {
    /// Write the state of a data directory to a file; the replica may be running
    Write {
        /// Data directory of a replica
        #[arg(long, default_value = "data", env = "ZELLBOOK_DATA")]
        data: PathBuf,
        /// The file; never overwritten
        #[arg(long, default_value = "zellbook.snapshot")]
        out: PathBuf,
    },
    /// Check a snapshot: its leaves, its root and every invariant
    Check {
        /// The file
        file: PathBuf,
        /// Genesis file of its network
        #[arg(long, default_value = "data/genesis.json")]
        genesis: PathBuf,
        /// The root that it must have, 64 hex digits, from a source that you trust
        #[arg(long, value_parser = parse_root)]
        root: Option<Hash>,
    },
}

pub fn snapshot(arguments: SnapshotArguments, output: Output) -> Result<(), Failure> {
    match arguments.command {
        SnapshotCommand::Write { data, out } => write(&data, &out, output),
        SnapshotCommand::Check { file, genesis, root } => check(&file, &genesis, root, output),
    }
}

fn write(data: &Path, out: &Path, output: Output) -> Result<(), Failure> {
    let rules = Arc::new(read_genesis(&data.join("genesis.json"))?);
    let path = data.join("replica.sqlite");
    if !path.exists() {
        let (path, data) = (path.display(), data.display());
        return Err(format!("{path} is not there; is {data} a data directory?").into());
    }
    let reader = Reader::new(&path, Arc::clone(&rules));
    let loaded = reader.read_now(|view| Ok(view.load(&rules, &path)));
    let (mut exchange, _) = loaded.map_err(|error| reader.error(error))??;
    let bytes = exchange.to_snapshot();
    write_new(out, &bytes, 0o644)?;
    tell(&mut exchange, out, u64::try_from(bytes.len()).unwrap_or(u64::MAX), output);
    Ok(())
}

fn check(file: &Path, genesis: &Path, root: Option<Hash>, output: Output) -> Result<(), Failure> {
    let rules = Arc::new(read_genesis(genesis)?);
    let bytes = fs::metadata(file).map_err(io_error(file))?.len();
    let difference =
        |message: String| Failure::difference(format!("{}: {message}", file.display()));
    let mut exchange =
        read_snapshot(rules, file)?.map_err(|error| difference(error.to_string()))?;
    let found = exchange.root();
    if root.is_some_and(|root| root != found) {
        let (found, root) = (hex::encode(found), hex::encode(root.unwrap_or_default()));
        return Err(difference(format!("its root is {found}, not {root}")));
    }
    tell(&mut exchange, file, bytes, output);
    Ok(())
}

fn tell(exchange: &mut Exchange, file: &Path, bytes: u64, output: Output) {
    let (network, root) = (exchange.rules().network.to_string(), hex::encode(exchange.root()));
    let (batch, time) = (exchange.counters().batch, exchange.counters().time);
    let accounts = exchange.engine().ledger().accounts().count();
    output.print(
        || {
            format!(
                "{}: {bytes} bytes\nnetwork   {network}\nbatch     {batch}\nroot      {root}\ntime      {time}\naccounts  {accounts}",
                file.display()
            )
        },
        || {
            json!({
                "file": file, "bytes": bytes.to_string(), "network": network,
                "batch": batch.to_string(), "root": root, "time_ms": time.to_string(),
                "accounts": accounts.to_string(),
            })
        },
    );
}
