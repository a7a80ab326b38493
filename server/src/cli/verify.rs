//! `zellbook verify`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::certificate::Certifiers;
use zellbook_core::finality::{NodeList, Page, Position, Threshold, Verifier, Walker};
use zellbook_core::genesis::{ReplicaIndex, Rules};
use zellbook_core::key::{PublicKey, decode_hex};
use zellbook_core::receipt::Receipt;
use zellbook_core::wire::ReceiptBody;

use super::client::Client;
use super::replay::membership;
use super::serve::parse_threshold;
use super::submit::stage_name;
use super::{Failure, Output, block_on};
use crate::config::{io_error, read_genesis};
use crate::evidence::{Contradiction, Evidence, Finding, ReadError};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct VerifyArguments {
    #[command(subcommand)]
    command: Option<VerifyCommand>,
    #[command(flatten)]
    evidence: EvidenceArguments,
}

#[derive(Args)]
struct EvidenceArguments {
    /// A file of evidence that a replica wrote when it halted
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Genesis file of its network; without it the one beside the evidence
    #[arg(long)]
    genesis: Option<PathBuf>,
    /// Node list (nodes.json); without it the one beside the evidence
    #[arg(long)]
    nodes: Option<PathBuf>,
    /// Percent of stake that must sign
    #[arg(long, default_value = "67", value_parser = parse_threshold)]
    threshold: Threshold,
}

#[derive(Subcommand)]
enum VerifyCommand {
    /// Check one captured answer of GET /node/{app}/batches/finalized?after=N
    Finalized(FinalizedArguments),
    /// Check a receipt: that a replica signed that it took a transaction, and when
    ///
    /// With --server it is also asked whether the transaction is in the sequence. One that a replica
    /// took, that could have had an effect, and that no replica has: that is what a receipt is for.
    Receipt(ReceiptArguments),
}

#[derive(Args)]
struct ReceiptArguments {
    /// The receipt's JSON, as a replica answered with it
    receipt: PathBuf,
    /// The replica's public key, as one knows it from elsewhere; without it the key in the receipt is
    /// only shown
    #[arg(long)]
    replica: Option<PublicKey>,
    /// Genesis file of the network, which the receipt must be for
    #[arg(long)]
    genesis: Option<PathBuf>,
    /// A replica to ask for the transaction, better another one
    #[arg(long)]
    server: Option<String>,
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
    match arguments.command {
        Some(VerifyCommand::Finalized(arguments)) => finalized(arguments, output),
        Some(VerifyCommand::Receipt(arguments)) => receipt(&arguments, output),
        None => evidence(&arguments.evidence, output),
    }
}

/// Checks a receipt, and asks what became of its transaction.
fn receipt(arguments: &ReceiptArguments, output: Output) -> Result<(), Failure> {
    let path = arguments.receipt.display();
    let bytes = fs::read(&arguments.receipt).map_err(io_error(&arguments.receipt))?;
    let difference = |message: String| Failure::difference(format!("{path}: {message}"));
    let body: ReceiptBody = serde_json::from_slice(&bytes)
        .map_err(|error| difference(format!("it is no receipt: {error}")))?;
    let (receipt, replica) =
        Receipt::verify(&body).map_err(|error| difference(error.to_string()))?;
    if let Some(expected) = arguments.replica.filter(|expected| *expected != replica) {
        return Err(difference(format!("it is signed by {replica}, not by {expected}")));
    }
    if let Some(genesis) = &arguments.genesis {
        let ours = read_genesis(genesis)?.network;
        if ours != receipt.network {
            let theirs = receipt.network;
            return Err(difference(format!("it is for network {theirs}, not for {ours}")));
        }
    }
    let hash = receipt.transaction.to_string();
    let asked = arguments
        .server
        .as_ref()
        .map(|server| block_on(async { Client::new(server)?.known(&hash).await }));
    let status = asked.transpose()?;
    let became = match &status {
        None => String::new(),
        Some(None) => "; the replica asked has never seen it".into(),
        Some(Some(status)) => {
            let batch = status
                .batch
                .as_ref()
                .map_or_else(String::new, |batch| format!(" in batch {batch}"));
            format!("; it is {}{batch}", stage_name(status.status))
        }
    };
    output.print(
        || {
            format!(
                "replica {replica} took {hash} at {} (Unix milliseconds){became}",
                receipt.received_ms
            )
        },
        || {
            json!({
                "holds": true, "replica": replica.to_string(), "transaction": hash,
                "received_ms": receipt.received_ms.to_string(),
                "status": status.flatten(),
            })
        },
    );
    Ok(())
}

/// Checks all signatures of a file of evidence, and says what they prove.
fn evidence(arguments: &EvidenceArguments, output: Output) -> Result<(), Failure> {
    let file = arguments.file.as_deref().ok_or_else(|| Failure::usage("give a file"))?;
    let shown = file.display();
    let evidence = match Evidence::read(file) {
        Err(ReadError::File(error)) => return Err(error.into()),
        Err(error) => return Err(Failure::difference(format!("{shown}: {error}"))),
        Ok(evidence) => evidence,
    };
    let beside = file.with_file_name("genesis.json");
    if arguments.genesis.is_none() && !beside.exists() {
        return Err(Failure::usage(format!(
            "{} is not there: give the genesis file of the network with --genesis",
            beside.display()
        )));
    }
    let rules = read_genesis(arguments.genesis.as_deref().unwrap_or(&beside))?;
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let nodes = membership(folder, arguments.nodes.as_deref())?;
    let app_name = rules.genesis.app_name.clone();
    let verifier = Verifier { app_name, nodes, threshold: arguments.threshold };
    let finding = evidence
        .check(&rules, &verifier)
        .map_err(|error| Failure::difference(format!("{shown} proves nothing: {error}")))?;
    let explanation = &evidence.explanation;
    output.print(
        || format!("the replica said: {explanation}\n\n{}", explain(&evidence, &finding, &rules)),
        || json!({ "holds": true, "explanation": explanation, "evidence": evidence.contradiction }),
    );
    Ok(())
}

/// What evidence that holds means.
fn explain(evidence: &Evidence, finding: &Finding, rules: &Rules) -> String {
    match (finding, &evidence.contradiction) {
        (
            Finding::Certified { batch, certifiers },
            Contradiction::CertifiedRoot { our_root, certified_root, .. },
        ) => {
            let ours = our_root.as_deref().unwrap_or("none");
            let Certifiers { replicas, weight, total } = certifiers;
            let replica = |index: &ReplicaIndex| rules.genesis.replicas.get(usize::from(index.0));
            let signers = replicas.iter().filter_map(replica);
            let signers = signers.map(|replica| format!("  {}\n", replica.public_key));
            format!(
                "It holds: these replicas, of weight {weight} of {total}, signed the root\n  {certified_root}\nafter batch {batch}, in batches that the network has proven:\n{}\
                 The replica that halted had\n  {ours}\n\
                 Its own root is its word alone. Apply the batches anew to see who is right: zellbook replay --from its data directory or another replica; zellbook diff finds the first batch where two replicas differ.",
                signers.collect::<String>()
            )
        }
        (Finding::TwoHistories { batch }, Contradiction::OtherHistory { ours, theirs, .. }) => {
            format!(
                "It holds: the nodes of the network signed two histories. At batch {batch} the chaining hash is\n  {} as this replica has it, signed with batch {}\n  {} as the network has it now, signed with batch {}\n\
                 The network lost its history and was started anew, or its nodes signed what they must not.",
                ours.chaining_hash, ours.proof.index, theirs.chaining_hash, theirs.proof.index
            )
        }
        // A finding is of the kind of its evidence.
        _ => String::new(),
    }
}

fn finalized(arguments: FinalizedArguments, output: Output) -> Result<(), Failure> {
    let read = |path: &PathBuf| fs::read(path).map_err(io_error(path));
    if (arguments.after == 0) != arguments.chain.is_empty() {
        return Err("--chain is the chaining hash at --after: give it from index 1 on".into());
    }
    let nodes = NodeList::read(&read(&arguments.nodes)?)
        .map_err(|error| format!("{}: {error}", arguments.nodes.display()))?;
    let (app_name, threshold) = (arguments.app, arguments.threshold);
    let verifier = Verifier { app_name, nodes: nodes.into(), threshold };
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
