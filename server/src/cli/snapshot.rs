//! `zellbook snapshot`: writes the whole state to a file, and checks such files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::{Exchange, Hash};

use super::failure::Failure;
use super::funds::parse_root;
use super::output::Output;
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
    /// Write the state of a replica to a file; the replica may be running
    Write {
        /// Data directory of the replica
        #[arg(long, value_name = "DIR", default_value = "data", env = "ZELLBOOK_DATA")]
        data: PathBuf,
        /// Snapshot file to write; an existing file is never overwritten
        #[arg(long, value_name = "FILE", default_value = "zellbook.snapshot")]
        out: PathBuf,
    },
    /// Check the leaves, the state root and every invariant of a snapshot
    Check {
        /// Snapshot file
        file: PathBuf,
        /// Genesis file of the snapshot's network
        #[arg(long, value_name = "FILE", default_value = "data/genesis.json")]
        genesis: PathBuf,
        /// State root that the snapshot must have, from a source that you trust: 64 hex digits
        #[arg(long, value_name = "HASH", value_parser = parse_root)]
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
        return Err(
            format!("{path} does not exist; is {data} the data directory of a replica?").into()
        );
    }
    let reader = Reader::new(&path, Arc::clone(&rules));
    // One read transaction, so the state is that after one batch even while the replica writes. `load` also
    // compares its root with the stored one.
    let loaded = reader.read_now(|view| Ok(view.load(&rules, &path)));
    let (mut exchange, _) = loaded.map_err(|error| reader.error(error))??;
    let bytes = exchange.to_snapshot();
    write_new(out, &bytes, 0o644)?;
    print_summary(&mut exchange, out, u64::try_from(bytes.len()).unwrap_or(u64::MAX), output);
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
    // Without `--root` the file was only checked against itself, which says nothing about who agrees with
    // it.
    if root.is_some_and(|root| root != found) {
        let (found, root) = (hex::encode(found), hex::encode(root.unwrap_or_default()));
        return Err(difference(format!("the state root is {found}, not {root}")));
    }
    print_summary(&mut exchange, file, bytes, output);
    Ok(())
}

fn print_summary(exchange: &mut Exchange, file: &Path, bytes: u64, output: Output) {
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
