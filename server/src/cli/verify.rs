//! `zellbook verify`.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::finality::{NodeList, Page, Position, Threshold, Verifier, Walker};
use zellbook_core::key::decode_hex;

use super::serve::parse_threshold;
use super::{Failure, Output};
use crate::config::io_error;

#[derive(Args)]
pub struct VerifyArguments {
    #[command(subcommand)]
    command: VerifyCommand,
}

#[derive(Subcommand)]
enum VerifyCommand {
    /// Check one captured answer of GET /node/{app}/batches/finalized?after=N
    Finalized(FinalizedArguments),
}

#[derive(Args)]
struct FinalizedArguments {
    /// The answer's body
    response: PathBuf,
    /// Node list (nodes.json)
    #[arg(long)]
    nodes: PathBuf,
    /// Name of the app
    #[arg(long)]
    app: String,
    /// Percent of stake that must sign
    #[arg(long, value_parser = parse_threshold)]
    threshold: Threshold,
    /// The index that was asked for: batches up to it are known
    #[arg(long, default_value_t = 0)]
    after: u64,
    /// The chaining hash at --after, 32 hex digits; empty at 0
    #[arg(long, default_value = "", value_parser = parse_chain)]
    chain: String,
}

fn parse_chain(text: &str) -> Result<String, String> {
    if text.is_empty() || decode_hex::<16>(text).is_some() {
        Ok(text.into())
    } else {
        Err("a chaining hash is 32 lower-case hex digits".into())
    }
}

pub fn verify(arguments: VerifyArguments, output: Output) -> Result<(), Failure> {
    let VerifyCommand::Finalized(arguments) = arguments.command;
    let read = |path: &PathBuf| fs::read(path).map_err(io_error(path));
    if (arguments.after == 0) != arguments.chain.is_empty() {
        return Err("--chain is the chaining hash at --after: give it from index 1 on".into());
    }
    let nodes = NodeList::read(&read(&arguments.nodes)?)
        .map_err(|error| format!("{}: {error}", arguments.nodes.display()))?;
    let (app_name, threshold) = (arguments.app, arguments.threshold);
    let verifier = Verifier { app_name, nodes, threshold };
    let mut walker =
        Walker::new(Position { index: arguments.after, chaining_hash: arguments.chain });
    let response = arguments.response.display();
    let page = Page::read(&read(&arguments.response)?)
        .map_err(|error| Failure::difference(format!("{response}: {error} ({})", error.name())))?;
    let (groups, error) = match page {
        Some(page) => walker.take(&verifier, page),
        None => (Vec::new(), None),
    };
    let unproven = walker.after() - walker.proven().index;
    output.print(
        || {
            let mut text = String::new();
            for group in &groups {
                for batch in &group.batches {
                    let (index, hash) = (batch.index, &batch.chaining_hash);
                    text.push_str(&format!("batch {index}  {hash}  {} bytes\n", batch.body.len()));
                }
                let signature = &group.signature;
                text.push_str(&format!(
                    "proven up to {} by a signature of {} (Unix seconds), {} non-signers\n",
                    signature.index,
                    signature.timestamp,
                    signature.nonsigners.len()
                ));
            }
            let proven = walker.proven();
            text + &format!(
                "after {} chain {:?}, {unproven} batches not proven",
                proven.index, proven.chaining_hash
            )
        },
        || {
            let batches: Vec<_> = groups
                .iter()
                .flat_map(|group| &group.batches)
                .map(|batch| {
                    json!({
                        "index": batch.index.to_string(), "body": batch.body,
                        "chaining_hash": batch.chaining_hash,
                    })
                })
                .collect();
            json!({
                "batches": batches,
                "after": walker.proven().index.to_string(),
                "chain": walker.proven().chaining_hash,
                "unproven": unproven.to_string(),
                "error": error.as_ref().map(|error| {
                    json!({ "type": error.name(), "message": error.to_string() })
                }),
            })
        },
    );
    error.map_or(Ok(()), |error| Err(Failure::difference(format!("{} ({})", error, error.name()))))
}
