//! `zellbook session`: manages session keys, which can trade for an account but never move its funds.

use clap::{Args, Subcommand};
use serde_json::json;
use zellbook_core::protocol::KeyGrant;
use zellbook_core::wire::AccountBody;
use zellbook_core::{Action, Decimal, PublicKey};

use super::failure::Failure;
use super::funds::Asker;
use super::output::Output;
use super::submit::{Moment, Submitter, parse_moment, submit_action, submit_at};

#[derive(Args)]
pub struct SessionArguments {
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Subcommand)]
enum SessionCommand {
    /// Allow a key to place and cancel orders for the account, within limits
    ///
    /// Generate the key with zellbook key new --out session.key, authorize its public key with this
    /// command, then sign orders with --signer session.key --account ACCOUNT. A session key can never
    /// transfer or withdraw. Authorizing a key again replaces its limits.
    ///
    /// Example: zellbook session authorize 02ab… --expires 12h --market ETH/USDT
    Authorize(AuthorizeArguments),
    /// Revoke a session key
    Revoke(RevokeArguments),
    /// List the session keys of an account
    List(ListArguments),
}

#[derive(Args)]
struct AuthorizeArguments {
    /// Public key of the session key
    session_key: PublicKey,
    /// When the key expires: Unix milliseconds, or a duration from now, for example 12h
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    expires: Moment,
    /// The only market that the key may trade in, for example ETH/USDT [default: all markets]
    #[arg(long)]
    market: Option<String>,
    /// The only token that the key's orders may spend (a buy spends quote, a sell base); requires
    /// --spend-limit
    #[arg(long, value_name = "TOKEN", requires = "spend_limit")]
    spend_token: Option<String>,
    /// Total amount that the key's orders may spend; requires --spend-token
    #[arg(long, value_name = "AMOUNT", requires = "spend_token")]
    spend_limit: Option<Decimal>,
    #[command(flatten)]
    submitter: Submitter,
}

#[derive(Args)]
struct RevokeArguments {
    /// Public key of the session key
    session_key: PublicKey,
    #[command(flatten)]
    submitter: Submitter,
}

#[derive(Args)]
struct ListArguments {
    #[command(flatten)]
    asker: Asker,
}

pub fn session(arguments: SessionArguments, output: Output) -> Result<(), Failure> {
    match arguments.command {
        SessionCommand::Authorize(arguments) => {
            let AuthorizeArguments { session_key: key, expires, market, .. } = arguments;
            let spend = arguments.spend_token.zip(arguments.spend_limit);
            let action = |now| {
                Action::AuthorizeKey(KeyGrant { key, expires: expires.ms(now), market, spend })
            };
            submit_at(&arguments.submitter, action, output)
        }
        SessionCommand::Revoke(arguments) => submit_action(
            &arguments.submitter,
            Action::RevokeKey { key: arguments.session_key },
            output,
        ),
        SessionCommand::List(arguments) => {
            let body = arguments.asker.ask()?;
            output.print(|| describe(&body), || json!({ "session_keys": body.session_keys }));
            Ok(())
        }
    }
}

fn describe(body: &AccountBody) -> String {
    let mut text = format!("account {}\nafter batch {}\n", body.account, body.batch);
    if body.session_keys.is_empty() {
        text.push_str("no session keys\n");
    }
    for key in &body.session_keys {
        let market = key.market.as_deref().unwrap_or("all markets");
        text.push_str(&format!("\n{}\n  expires {}, {market}", key.key, key.expires_ms));
        if let (Some(token), Some(limit), Some(spent)) =
            (&key.spend_token, &key.spend_limit, &key.spent)
        {
            text.push_str(&format!(", {spent} of {limit} {token} spent"));
        }
        text.push('\n');
    }
    text
}
