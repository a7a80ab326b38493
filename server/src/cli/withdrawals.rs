//! `zellbook withdrawals`: the withdrawals that an issuer has to pay.

use clap::Args;
use serde_json::json;
use zellbook_core::wire::WithdrawalsResponse;

use super::client::Client;
use super::failure::{Failure, block_on};
use super::output::Output;

#[derive(Args)]
pub struct WithdrawalsArguments {
    /// Only withdrawals of this token, for example ETH
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Only withdrawals with a higher number, for example the last one that was paid
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// The most withdrawals to show, at most 1000
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Also show withdrawals that are sequenced and not certified. Do not pay these: one dishonest gateway is
    /// enough to show a false one
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

pub fn withdrawals(arguments: WithdrawalsArguments, output: Output) -> Result<(), Failure> {
    let WithdrawalsArguments { token, after, limit, sequenced, server } = arguments;
    let mut path = format!("/v1/withdrawals?after={after}&limit={limit}&sequenced={sequenced}");
    if let Some(token) = token {
        // Symbols have letters and digits only. Anything else would change the query.
        if !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Failure::usage("--token must be the symbol of a token, for example ETH"));
        }
        path.push_str(&format!("&token={token}"));
    }
    let answer: WithdrawalsResponse = block_on(async { Client::new(&server)?.get(&path).await })?;
    output.print(|| describe(&answer), || json!(answer));
    Ok(())
}

fn describe(answer: &WithdrawalsResponse) -> String {
    let mut text = match &answer.certified_batch {
        Some(batch) => format!("certified up to batch {batch} of {}\n\n", answer.batch),
        None => {
            format!("no batch is certified yet; the last sequenced one is {}\n\n", answer.batch)
        }
    };
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
}

/// How far a batch has come, in one of the two words for it.
pub const fn mark(certified: bool) -> &'static str {
    if certified { "certified" } else { "sequenced" }
}
