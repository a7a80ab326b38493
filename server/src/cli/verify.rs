//! `zellbook verify`: checks evidence that comes from elsewhere, with signatures alone and without a state:
//! halt evidence, receipts, and captured responses of a sequencer network.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::certificate::Certifiers;
use zellbook_core::protocol::SignedReceipt;
use zellbook_core::types::{ReplicaIndex, decode_hex};
use zellbook_core::wire::ReceiptBody;
use zellbook_core::{PublicKey, Rules};
use zellular::{NodeList, Page, Position, Threshold, Verifier, Walker};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::network::threshold_of;
use super::output::Output;
use super::replay::membership;
use super::submit::stage_name;
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
    /// Halt evidence: the file that a replica wrote when it halted
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Genesis file of the network [default: genesis.json in the same folder]
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Node list of the network [default: nodes.json in the same folder]
    #[arg(long, value_name = "FILE")]
    nodes: Option<PathBuf>,
    /// Percentage of the stake that must have signed [default: the one in the same folder, else 67]
    #[arg(long, value_name = "PERCENT")]
    threshold: Option<Threshold>,
}

#[derive(Subcommand)]
enum VerifyCommand {
    /// Verify that a captured response of GET /node/{app}/batches/finalized?after=N is sequenced
    ///
    /// The network signs xxh128 of the bodies, which is no cryptographic hash. So this shows no more than that the
    /// batches are sequenced; a certified root would show that the bodies are the same for everyone.
    Sequenced(SequencedArguments),
    /// Verify a receipt, with which a replica signed that it received a transaction and when
    ///
    /// With --server, also asks a replica for the status of the transaction. A receipt for a valid
    /// transaction that no replica knows proves that its signer received the transaction and lost or
    /// withheld it.
    Receipt(ReceiptArguments),
}

#[derive(Args)]
struct ReceiptArguments {
    /// File with the receipt's JSON, as the replica returned it
    receipt: PathBuf,
    /// Public key of the replica, from a source that you trust; without it the key in the receipt is shown
    /// but not checked
    #[arg(long, value_name = "PUBLIC_KEY")]
    replica: Option<PublicKey>,
    /// Genesis file of the network that the receipt must belong to
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// URL of a replica to ask for the transaction, preferably not the one that signed
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

#[derive(Args)]
struct SequencedArguments {
    /// File with the body of the response
    response: PathBuf,
    /// Node list of the network (nodes.json)
    #[arg(long, value_name = "FILE")]
    nodes: PathBuf,
    /// Name of the app
    #[arg(long, value_name = "NAME")]
    app: String,
    /// Percentage of the stake that must have signed
    #[arg(long, value_name = "PERCENT")]
    threshold: Threshold,
    /// The N of ?after=N in the request
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    after: u64,
    /// Chaining hash at --after: 32 hex digits; empty if --after is 0
    #[arg(long, value_name = "HASH", default_value = "", value_parser = parse_chain)]
    chain: String,
}

fn parse_chain(text: &str) -> Result<String, String> {
    if text.is_empty() || decode_hex::<16>(text).is_some() {
        Ok(text.into())
    } else {
        Err("a chaining hash must have 32 lower-case hex digits".into())
    }
}

pub fn verify(arguments: VerifyArguments, output: Output) -> Result<(), Failure> {
    match arguments.command {
        Some(VerifyCommand::Sequenced(arguments)) => sequenced(arguments, output),
        Some(VerifyCommand::Receipt(arguments)) => receipt(&arguments, output),
        None => evidence(&arguments.evidence, output),
    }
}

/// Verifies a receipt and, with `--server`, looks up the status of its transaction.
fn receipt(arguments: &ReceiptArguments, output: Output) -> Result<(), Failure> {
    let path = arguments.receipt.display();
    let bytes = fs::read(&arguments.receipt).map_err(io_error(&arguments.receipt))?;
    let difference = |message: String| Failure::difference(format!("{path}: {message}"));
    let body: ReceiptBody = serde_json::from_slice(&bytes)
        .map_err(|error| difference(format!("this is not a receipt: {error}")))?;
    let SignedReceipt { receipt, replica, .. } =
        body.verify().map_err(|error| difference(error.to_string()))?;
    if let Some(expected) = arguments.replica.filter(|expected| *expected != replica) {
        return Err(difference(format!("the receipt is signed by {replica}, not by {expected}")));
    }
    if let Some(genesis) = &arguments.genesis {
        let ours = read_genesis(genesis)?.network;
        if ours != receipt.network {
            let theirs = receipt.network;
            return Err(difference(format!("the receipt is for network {theirs}, not for {ours}")));
        }
    }
    let hash = receipt.transaction.to_string();
    // Asked only after the receipt was checked, so that a forged one accuses nobody.
    let asked = arguments
        .server
        .as_ref()
        .map(|server| block_on(async { Client::new(server)?.known(&hash).await }));
    let status = asked.transpose()?;
    let outcome = match &status {
        None => String::new(),
        Some(None) => "; the replica at --server does not know it".into(),
        Some(Some(status)) => {
            let batch = status
                .batch
                .as_ref()
                .map_or_else(String::new, |batch| format!(" in batch {batch}"));
            format!("; its status is {}{batch}", stage_name(status.status))
        }
    };
    output.print(
        || {
            format!(
                "replica {replica} received {hash} at {} (Unix milliseconds){outcome}",
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

/// Verifies halt evidence and explains what it proves.
fn evidence(arguments: &EvidenceArguments, output: Output) -> Result<(), Failure> {
    let file =
        arguments.file.as_deref().ok_or_else(|| Failure::usage("give a halt evidence file"))?;
    let shown = file.display();
    let evidence = match Evidence::read(file) {
        // Exit code 1: a file that cannot be read says nothing about the evidence. Code 3 is for evidence
        // that does not hold.
        Err(ReadError::File(error)) => return Err(error.into()),
        Err(error) => return Err(Failure::difference(format!("{shown}: {error}"))),
        Ok(evidence) => evidence,
    };
    let beside = file.with_file_name("genesis.json");
    if arguments.genesis.is_none() && !beside.exists() {
        return Err(Failure::usage(format!(
            "{} does not exist: name the genesis file of the network with --genesis",
            beside.display()
        )));
    }
    let rules = read_genesis(arguments.genesis.as_deref().unwrap_or(&beside))?;
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    let nodes = membership(folder, arguments.nodes.as_deref())?;
    let app_name = rules.genesis.app_name.clone();
    let threshold = threshold_of(folder, None, arguments.threshold)?;
    let verifier = Verifier { app_name, nodes, threshold };
    let finding = evidence
        .check(&rules, &verifier)
        .map_err(|error| Failure::difference(format!("{shown} is not valid evidence: {error}")))?;
    let explanation = &evidence.explanation;
    output.print(
        || {
            let meaning = explain(&evidence, &finding, &rules);
            format!("reason that the replica gave: {explanation}\n\n{meaning}")
        },
        || json!({ "holds": true, "explanation": explanation, "evidence": evidence.contradiction }),
    );
    Ok(())
}

/// What valid evidence proves, and what to do next.
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
                "The evidence is valid. These replicas, with weight {weight} of {total}, signed the state root\n  {certified_root}\nafter batch {batch}, in sequenced batches:\n{}\
                 The replica that halted had computed\n  {ours}\n\
                 That root is its own claim: the evidence does not show who else signed it. To find out who is right, apply the batches again with zellbook replay --from, on its data directory or on another replica. zellbook diff finds the first batch where two replicas differ.",
                signers.collect::<String>()
            )
        }
        (Finding::Fork { batch }, Contradiction::Fork { ours, theirs, .. }) => {
            format!(
                "The evidence is valid: there is a fork. The nodes of the network signed two histories. The chaining hash at batch {batch} is\n  {} in the replica's history, covered by the signature at batch {}\n  {} in the network's current history, covered by the signature at batch {}\n\
                 Either the network lost its history and was restarted, or its nodes are dishonest.",
                ours.chaining_hash, ours.proof.index, theirs.chaining_hash, theirs.proof.index
            )
        }
        (
            Finding::Bodies { batch, ours, theirs },
            Contradiction::Bodies { our_gateway, their_gateway, .. },
        ) => {
            let our_gateway = our_gateway.as_deref().unwrap_or("a gateway that it did not record");
            format!(
                "The evidence is valid: two bodies of batch {batch} have the same xxh128, so one signature of the network covers both. Their SHA-256 are\n  {} from {our_gateway}, which the replica read from\n  {} from {their_gateway}\n\
                 One of them is forged. The network's signature does not show which; the names of the gateways are the replica's claim. A certified root shows it: compare batch {batch} of a replica whose root of it or of a later batch is certified.",
                hex::encode(ours),
                hex::encode(theirs)
            )
        }
        // `check` returns the finding that belongs to the kind of evidence, so no other pair occurs.
        _ => String::new(),
    }
}

fn sequenced(arguments: SequencedArguments, output: Output) -> Result<(), Failure> {
    let read = |path: &PathBuf| fs::read(path).map_err(io_error(path));
    // The chaining hash before the first batch is the empty text, and no other batch has that hash.
    if (arguments.after == 0) != arguments.chain.is_empty() {
        return Err(
            "--chain is the chaining hash at --after: it is required if --after is above 0, and must be empty otherwise".into()
        );
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
    // After an error this is 0, because the walker drops what has no signature.
    let unsigned = walker.after() - walker.proven().index;
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
                    "sequenced up to batch {} by a signature made at {} (Unix seconds), {} non-signers\n",
                    signature.index,
                    signature.timestamp,
                    signature.nonsigners.len()
                ));
            }
            let proven = walker.proven();
            text + &format!(
                "sequenced up to batch {}, chaining hash {:?}; {unsigned} batches after it have no signature; nothing here shows what is certified",
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
                "unsigned": unsigned.to_string(),
                "error": error.as_ref().map(|error| {
                    json!({ "type": error.name(), "message": error.to_string() })
                }),
            })
        },
    );
    // Reported last: what the signatures before the error prove holds all the same, and was printed.
    error.map_or(Ok(()), |error| Err(Failure::difference(format!("{} ({})", error, error.name()))))
}
