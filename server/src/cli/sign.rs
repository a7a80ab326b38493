//! `zellbook sign`: signs a transaction that is given as JSON, and does not send it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use zellbook_core::types::{Scheme, UnknownName, decode_hex};
use zellbook_core::{NetworkId, PublicKey, SignedTransaction, Transaction};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::output::Output;
use crate::clock::now_ms;
use crate::config::{io_error, read_genesis, read_secret_key};

/// Where `zellbook serve` stores genesis by default.
const STORED_GENESIS: &str = "data/genesis.json";

#[derive(Args)]
pub struct SignArguments {
    /// File with the transaction's JSON, without scheme and signature; account and nonce are filled in if
    /// they are missing
    transaction: PathBuf,
    /// Key file
    #[arg(long, value_name = "FILE", default_value = "zellbook.key")]
    key: PathBuf,
    /// Account (public key) to sign for, if --key is a session key
    #[arg(long, value_name = "PUBLIC_KEY")]
    account: Option<PublicKey>,
    /// Genesis file, whose hash is the network id [default: data/genesis.json if it exists, else the
    /// genesis of --server]
    #[arg(long, value_name = "FILE", conflicts_with = "network")]
    genesis: Option<PathBuf>,
    /// Network id: 64 hex digits
    #[arg(long, value_name = "ID", value_parser = parse_network)]
    network: Option<NetworkId>,
    /// URL of a replica to fetch genesis from, if there is no genesis file [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "ZELLBOOK_SERVER")]
    server: Option<String>,
    /// Signature scheme: raw, or eip191 for Ethereum wallets
    #[arg(long, default_value = "raw", value_parser = parse_scheme)]
    scheme: Scheme,
}

fn parse_network(text: &str) -> Result<NetworkId, String> {
    decode_hex(text)
        .map(NetworkId)
        .ok_or_else(|| "a network id must have 64 lower-case hex digits".into())
}

fn parse_scheme(text: &str) -> Result<Scheme, String> {
    text.parse().map_err(|error: UnknownName| format!("the scheme {error}"))
}

pub fn sign(arguments: SignArguments, output: Output) -> Result<(), Failure> {
    let key = read_secret_key(&arguments.key)?;
    let path = &arguments.transaction;
    let json = fs::read_to_string(path).map_err(io_error(path))?;
    let network = match (&arguments.genesis, arguments.network) {
        (Some(path), _) => read_genesis(path)?.network,
        (None, Some(network)) => network,
        // Before any replica, also before one that `--server` or the environment names: the network id decides
        // what the signature is good for, so no replica may choose it where a file can.
        (None, None) if Path::new(STORED_GENESIS).exists() => {
            read_genesis(Path::new(STORED_GENESIS))?.network
        }
        (None, None) => {
            let server = arguments.server.as_deref().unwrap_or("http://127.0.0.1:8080");
            block_on(async { Ok(Client::new(server)?.rules().await?.network) })?
        }
    };
    let ours = key.public_key();
    let account = arguments.account.unwrap_or(ours);
    let mut transaction = Transaction::from_json_unsigned(&json, account, now_ms())
        .map_err(|reject| format!("{}: {reject}", path.display()))?;
    // With `--account`, a key that is not the account's must be a session key, so the file need not name it
    // as `signer`.
    if transaction.signer.is_none() && arguments.account.is_some() && transaction.account != ours {
        transaction.signer = Some(ours);
    }
    let theirs = transaction.signing_key();
    // Found here rather than as `bad_signature` later, with an explanation that the exchange cannot give.
    if theirs != ours {
        let path = path.display();
        return Err(format!(
            "{path}: this transaction must be signed by {theirs}, but --key is {ours}; if it is a session key, add --account"
        )
        .into());
    }
    let text = transaction.text(&network);
    let hash = transaction.hash(&network);
    let scheme = arguments.scheme;
    let signed = SignedTransaction { transaction, scheme, signature: key.sign(scheme, &text) };
    let digest = hex::encode(scheme.digest(&text));
    let element = signed.to_json();
    output.print(
        || format!("{text}\n\nscheme {}\ndigest {digest}\nhash {hash}\n\n{element}", scheme.name()),
        || {
            let transaction: serde_json::Value = serde_json::from_str(&element).unwrap_or_default();
            json!({
                "text": text, "scheme": scheme.name(), "digest": digest,
                "hash": hash.to_string(), "transaction": transaction,
            })
        },
    );
    Ok(())
}
