//! `zellbook rollback`: returns a halted replica to its last certified batch.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::output::Output;
use crate::config::{DataDir, read_genesis};
use crate::rollback::{Left, Rollback, RollbackError, roll_back};

#[derive(Args)]
pub struct RollbackArguments {
    /// Data directory of the replica, which must not be running
    #[arg(long, value_name = "DIR", default_value = "data", env = "ZELLBOOK_DATA")]
    data: PathBuf,
    /// Snapshot file to build the state from, of a batch whose root the store has; without it the state is built
    /// from genesis, or from the newest snapshot in the data directory if the store began with one
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
}

pub fn rollback(arguments: RollbackArguments, output: Output) -> Result<(), Failure> {
    let folder = arguments.data.display();
    // Checked first, because opening a data directory would create it.
    if !arguments.data.join("replica.sqlite").exists() {
        return Err(format!(
            "{folder} has no replica.sqlite; is it the data directory of a replica?"
        )
        .into());
    }
    let data = DataDir::open(&arguments.data)?;
    let rules = Arc::new(read_genesis(&data.file("genesis.json"))?);
    let mut reported = Instant::now();
    let report = |batch| {
        if reported.elapsed() > Duration::from_secs(1) {
            reported = Instant::now();
            eprintln!("built up to batch {batch}");
        }
    };
    let done = roll_back(&data, &rules, arguments.snapshot.as_deref(), report);
    let Rollback { from, batch, root } = done.map_err(|error: RollbackError| {
        if error.is_difference() { Failure::difference(error) } else { Failure::from(error) }
    })?;
    let Left { old_store, evidence } = Left::in_folder(&data);
    output.print(
        || {
            let mut text = match batch {
                0 => format!("no batch is certified, so the store was rolled back from batch {from} to genesis\n"),
                _ if batch == from => format!("the last batch, {batch}, is certified, so nothing was rolled back\n"),
                _ => format!("rolled back from batch {from} to batch {batch}, the last certified one\nroot  {root}\n"),
            };
            for (what, path) in [("the old store is", &old_store), ("the evidence is", &evidence)] {
                if path.exists() {
                    text.push_str(&format!("{what} {}\n", path.display()));
                }
            }
            text.push_str("zellbook serve reads the later batches again: give it a gateway that serves what other replicas have\n");
            text
        },
        || json!({ "from": from.to_string(), "batch": batch.to_string(), "root": root }),
    );
    Ok(())
}
