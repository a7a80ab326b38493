//! `zellbook transfer`, `withdraw`, `balance` and `proof`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use zellbook_core::types::decode_hex;
use zellbook_core::wire::{AccountBody, BalanceProofBody};
use zellbook_core::{Action, Decimal, Hash, LeafKey, Proof, PublicKey};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::issuers::mark;
use super::output::Output;
use super::submit::{Submitter, submit_action};
use crate::config::read_secret_key;
use crate::store::read_balance;

#[derive(Args)]
pub struct TransferArguments {
    /// Amount, for example 1.5
    amount: Decimal,
    /// Token, for example ETH
    token: String,
    /// Account (public key) of the recipient
    #[arg(long, value_name = "PUBLIC_KEY")]
    to: PublicKey,
    #[command(flatten)]
    submitter: Submitter,
}

#[derive(Args)]
pub struct WithdrawArguments {
    /// Amount, for example 1.5
    amount: Decimal,
    /// Token, for example ETH
    token: String,
    /// Withdrawal address, to which the token's issuer pays: 1 to 128 characters of
    /// A-Z a-z 0-9 . _ : / @ + -
    #[arg(long, value_name = "TEXT")]
    destination: String,
    #[command(flatten)]
    submitter: Submitter,
}

/// The options of commands that read an account from a replica.
#[derive(Args)]
pub struct Asker {
    /// Account (public key) [default: that of --key]
    pub account: Option<PublicKey>,
    /// Key file of the account
    #[arg(long, value_name = "FILE", default_value = "zellbook.key")]
    key: PathBuf,
    /// URL of the replica
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "ZELLBOOK_SERVER"
    )]
    server: String,
}

impl Asker {
    fn account(&self) -> Result<PublicKey, Failure> {
        match self.account {
            Some(account) => Ok(account),
            None => Ok(read_secret_key(Path::new(&self.key))?.public_key()),
        }
    }

    pub fn ask(&self) -> Result<AccountBody, Failure> {
        let account = self.account()?;
        block_on(async { Client::new(&self.server)?.get(&format!("/v1/accounts/{account}")).await })
    }
}

#[derive(Args)]
pub struct BalanceArguments {
    #[command(flatten)]
    asker: Asker,
}

#[derive(Args)]
pub struct ProofArguments {
    /// Token, for example ETH
    token: String,
    #[command(flatten)]
    asker: Asker,
    /// State root to check the proof against, from a source that you trust: 64 hex digits [default: the
    /// root that the replica reports]
    #[arg(long, value_name = "HASH", value_parser = parse_root, requires = "network")]
    root: Option<Hash>,
    /// Network id, from a source that you trust: 64 hex digits. It defines the tokens, so --root requires
    /// it. The command fails if the replica belongs to another network
    #[arg(long, value_name = "ID", value_parser = parse_network)]
    network: Option<Hash>,
}

fn parse_network(text: &str) -> Result<Hash, String> {
    decode_hex(text).ok_or_else(|| "a network id must have 64 lower-case hex digits".into())
}

pub fn parse_root(text: &str) -> Result<Hash, String> {
    decode_hex(text).ok_or_else(|| "a state root must have 64 lower-case hex digits".into())
}

pub fn transfer(arguments: TransferArguments, output: Output) -> Result<(), Failure> {
    let TransferArguments { amount, token, to, submitter } = arguments;
    submit_action(&submitter, Action::Transfer { token, to, amount }, output)
}

pub fn withdraw(arguments: WithdrawArguments, output: Output) -> Result<(), Failure> {
    let WithdrawArguments { amount, token, destination, submitter } = arguments;
    submit_action(&submitter, Action::Withdraw { token, amount, destination }, output)
}

pub fn balance(arguments: BalanceArguments, output: Output) -> Result<(), Failure> {
    let body = arguments.asker.ask()?;
    output.print(|| describe_account(&body), || json!(body));
    Ok(())
}

fn describe_account(body: &AccountBody) -> String {
    let mut text = format!("account {}\nafter batch {}", body.account, body.batch);
    text.push_str(&match &body.certified_batch {
        Some(batch) => format!(", certified up to batch {batch}\n\n"),
        None => ", no batch is certified yet\n\n".into(),
    });
    text.push_str(&format!("{:<8}{:>28}{:>28}\n", "token", "available", "locked"));
    for balance in &body.balances {
        text.push_str(&format!(
            "{:<8}{:>28}{:>28}\n",
            balance.token, balance.available, balance.locked
        ));
    }
    if !body.open_orders.is_empty() {
        text.push_str("\nopen orders\n");
    }
    for order in &body.open_orders {
        text.push_str(&format!(
            "{:>8}  {:<4} {} {} at {}, filled {}",
            order.id, order.side, order.remaining, order.market, order.price, order.filled
        ));
        if let Some(expires) = &order.expires_ms {
            text.push_str(&format!(", expires {expires}"));
        }
        if let Some(client_id) = &order.client_id {
            text.push_str(&format!(", client id {client_id}"));
        }
        text.push('\n');
    }
    if let Some(time) = &body.switch_ms {
        text.push_str(&format!("\ndead-man's switch: all orders are cancelled at {time}\n"));
    }
    if !body.withdrawals.is_empty() {
        text.push_str("\nwithdrawals\n");
    }
    for withdrawal in &body.withdrawals {
        text.push_str(&format!(
            "{:>8}  {:<10} {} {} to {}\n",
            withdrawal.number,
            mark(withdrawal.certified),
            withdrawal.amount,
            withdrawal.token,
            withdrawal.destination
        ));
    }
    text
}

/// Fetches a balance proof and verifies it. With `--root` and `--network` the replica need not be trusted
/// for the balance; without them it is trusted for the root and for the list of tokens. How far the root's batch
/// has come is the replica's claim in both cases.
pub fn proof(arguments: ProofArguments, output: Output) -> Result<(), Failure> {
    let ProofArguments { token: symbol, asker, root: given, network } = arguments;
    let account = asker.account()?;
    let (rules, body) = block_on(async {
        let client = Client::new(&asker.server)?;
        let rules = client.rules().await?;
        // Checked before anything else is requested. Genesis decides which token has which index in the
        // leaf's key, so a root alone would not say what the balance is of.
        if network.is_some_and(|network| network != rules.network.0) {
            let found = rules.network;
            return Err(Failure::difference(format!(
                "the replica belongs to network {found}, not to that of --network"
            )));
        }
        if rules.listing.token(&symbol).is_none() {
            return Err(format!("the replica's genesis has no token {symbol}").into());
        }
        let path = format!("/v1/accounts/{account}/proof?token={symbol}");
        Ok((rules, client.get::<BalanceProofBody>(&path).await?))
    })?;
    let (token, _) = rules.listing.token(&symbol).ok_or("no such token")?;
    let wrong = |what: &str| {
        Failure::difference(format!("the replica's response has a {what} that is not valid hex"))
    };
    let theirs = parse_root(&body.root).map_err(|_| wrong("root"))?;
    let value = match &body.value {
        Some(value) => Some(hex::decode(value).map_err(|_| wrong("value"))?),
        None => None,
    };
    let proof = hex::decode(&body.proof).map_err(|_| wrong("proof"))?;
    let root = given.unwrap_or(theirs);
    // The key is computed here: a proof of another account's leaf must not pass.
    let key = LeafKey::Balance(account, token).to_bytes();
    let verified =
        Proof::from_bytes(&proof).and_then(|proof| proof.verify(&root, &key, value.as_deref()));
    if let Err(error) = verified {
        // The usual reason for a failure is that `--root` is the root of another batch, so the message
        // names both.
        let reported = if root == theirs {
            String::new()
        } else {
            format!("; the replica's proof is for {}, after batch {}", body.root, body.batch)
        };
        return Err(Failure::difference(format!("{error} {}{reported}", hex::encode(root))));
    }
    let balance = read_balance(value.as_deref());
    let format = |atoms| rules.listing.format_amount(token, atoms);
    let (available, locked) = (format(balance.available), format(balance.locked));
    // The decimals in the response are only for display, but a replica that gets them wrong is dishonest.
    if available != body.balance.available || locked != body.balance.locked {
        return Err(Failure::difference(format!(
            "the replica reports {} available and {} locked, but its proof is of {available} available and {locked} locked",
            body.balance.available, body.balance.locked
        )));
    }
    let root = hex::encode(root);
    let index = |batch: &str| batch.parse::<u64>().ok();
    let certified = body.certified_batch.as_deref().and_then(index);
    let is_certified = index(&body.batch).is_some_and(|batch| Some(batch) <= certified);
    output.print(
        || {
            let source = if given.is_some() {
                "the root of --root"
            } else {
                "the root that the replica reports; use --network and --root to check against values that you trust"
            };
            let reached = certified.map_or_else(
                || "no batch is certified yet".into(),
                |batch| format!("batches are certified up to {batch}"),
            );
            format!(
                "{available} {symbol} available, {locked} locked\nincluded in root {root}\n({source})\naccording to the replica this is the root after batch {}, which is {}; {reached}",
                body.batch,
                mark(is_certified)
            )
        },
        || {
            json!({
                "account": account.to_string(), "token": symbol, "available": available,
                "locked": locked, "batch": body.batch, "root": root,
                "root_was_given": given.is_some(), "certified": is_certified,
                "certified_batch": body.certified_batch,
            })
        },
    );
    Ok(())
}
