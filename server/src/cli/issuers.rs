//! `zellbook deposits` and `zellbook withdrawals`: what an issuer has credited, and what it has to pay.

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use zellbook_core::wire::{DepositsResponse, WithdrawalsResponse};

use super::client::Client;
use super::failure::{Failure, block_on};
use super::output::Output;

#[derive(Args)]
pub struct IssuerArguments {
    /// Only those of this token, for example ETH
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Only those with a higher number, for example the last one that was dealt with
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most to show, at most 1000
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Also show what is sequenced and not certified. Do not rely on it: one dishonest gateway is enough to
    /// show a false deposit or withdrawal
    #[arg(long)]
    sequenced: bool,
    /// URL of the replica
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "ZELLBOOK_SERVER"
    )]
    server: String,
}

pub fn deposits(arguments: IssuerArguments, output: Output) -> Result<(), Failure> {
    list("deposits", arguments, output, |answer: &DepositsResponse| {
        let mut text = heading(answer.certified_batch.as_deref(), &answer.batch);
        for deposit in &answer.deposits {
            text.push_str(&format!(
                "{:>8}  {:<10} {} {} to {}, reference {}, in batch {}\n",
                deposit.number,
                mark(deposit.certified),
                deposit.amount,
                deposit.token,
                deposit.account,
                deposit.reference,
                deposit.batch
            ));
        }
        text
    })
}

pub fn withdrawals(arguments: IssuerArguments, output: Output) -> Result<(), Failure> {
    list("withdrawals", arguments, output, |answer: &WithdrawalsResponse| {
        let mut text = heading(answer.certified_batch.as_deref(), &answer.batch);
        for withdrawal in &answer.withdrawals {
            text.push_str(&format!(
                "{:>8}  {:<10} {} {} to {}, of {} in batch {}\n",
                withdrawal.number,
                mark(withdrawal.certified),
                withdrawal.amount,
                withdrawal.token,
                withdrawal.destination,
                withdrawal.account,
                withdrawal.batch
            ));
        }
        text
    })
}

fn list<T: Serialize + DeserializeOwned>(
    route: &str,
    arguments: IssuerArguments,
    output: Output,
    describe: fn(&T) -> String,
) -> Result<(), Failure> {
    let IssuerArguments { token, after, limit, sequenced, server } = arguments;
    let mut path = format!("/v1/{route}?after={after}&limit={limit}&sequenced={sequenced}");
    if let Some(token) = token {
        // Symbols have letters and digits only. Anything else would change the query.
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Failure::usage("--token must be the symbol of a token, for example ETH"));
        }
        path.push_str(&format!("&token={token}"));
    }
    let answer: T = block_on(async { Client::new(&server)?.get(&path).await })?;
    output.print(|| describe(&answer), || json!(answer));
    Ok(())
}

fn heading(certified: Option<&str>, last: &str) -> String {
    match certified {
        Some(batch) => format!("certified up to batch {batch} of {last}\n\n"),
        None => format!("no batch is certified yet; the last sequenced one is {last}\n\n"),
    }
}

/// How far a batch has come, in one of the two words for it.
pub const fn mark(certified: bool) -> &'static str {
    if certified { "certified" } else { "sequenced" }
}
