//! `zellbook order`, `cancel` and `balance`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use zellbook_core::key::{PublicKey, SecretKey};
use zellbook_core::transaction::{Action, Order, SelfTrade, Side, TimeInForce, Transaction};
use zellbook_core::units::Decimal;
use zellbook_core::wire::{AccountBody, Stage, TransactionStatus};

use super::client::Client;
use super::{Failure, Output, block_on};
use crate::clock::now_ms;
use crate::config::read_secret_key;

/// Whose key signs, and which replica is asked.
#[derive(Args)]
struct Trader {
    /// Key file (zellbook key new makes one)
    #[arg(long, default_value = "zellbook.key")]
    key: PathBuf,
    /// Replica
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "ZELLBOOK_SERVER")]
    server: String,
    /// Refuse to sign unless the replica's genesis has this network id
    #[arg(long)]
    network: Option<String>,
    /// Print the hash and do not wait for the outcome
    #[arg(long)]
    no_wait: bool,
}

#[derive(Args)]
pub struct OrderArguments {
    /// buy or sell
    side: Side,
    /// Quantity in base, such as 1.5
    quantity: Decimal,
    /// Market, such as ETH/USDT
    market: String,
    /// Limit price in quote per base: the worst price that you accept
    #[arg(long)]
    price: Decimal,
    /// gtc (stands until cancelled), ioc (fills at once or is cancelled) or post_only (never takes)
    #[arg(long, default_value = "gtc")]
    time_in_force: TimeInForce,
    /// Where the order meets one of your own: cancel_newest, cancel_oldest or cancel_both
    #[arg(long, default_value = "cancel_newest")]
    self_trade: SelfTrade,
    #[command(flatten)]
    trader: Trader,
}

#[derive(Args)]
pub struct CancelArguments {
    /// Id of the order
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    order: Option<u64>,
    /// All open orders
    #[arg(long)]
    all: bool,
    /// With --all: of this market only
    #[arg(long, requires = "all", conflicts_with = "order")]
    market: Option<String>,
    #[command(flatten)]
    trader: Trader,
}

#[derive(Args)]
pub struct BalanceArguments {
    /// The account (public key); without it that of --key
    account: Option<PublicKey>,
    /// Key file
    #[arg(long, default_value = "zellbook.key")]
    key: PathBuf,
    /// Replica
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "ZELLBOOK_SERVER")]
    server: String,
}

pub fn order(arguments: OrderArguments, output: Output) -> Result<(), Failure> {
    let OrderArguments { side, quantity, market, price, time_in_force, self_trade, trader } =
        arguments;
    let order = Order { market, side, quantity, price, time_in_force, self_trade };
    act(&trader, Action::Order(order), output)
}

pub fn cancel(arguments: CancelArguments, output: Output) -> Result<(), Failure> {
    let action = match arguments.order {
        Some(order) => Action::Cancel { order },
        None => Action::CancelAll { market: arguments.market },
    };
    act(&arguments.trader, action, output)
}

/// Signs, submits and follows an action.
fn act(trader: &Trader, action: Action, output: Output) -> Result<(), Failure> {
    let key: SecretKey = read_secret_key(&trader.key)?;
    block_on(async {
        let client = Client::new(&trader.server)?;
        let rules = client.rules().await?;
        let ours = rules.network.to_string();
        if let Some(expected) = &trader.network
            && *expected != ours
        {
            return Err(format!(
                "the replica is of network {ours}, not {expected}; nothing was signed"
            )
            .into());
        }
        let transaction = Transaction { account: key.public_key(), nonce: now_ms(), action };
        let hash = transaction.hash(&rules.network).to_string();
        let signed = transaction.sign(&rules.network, &key).to_json();
        client.submit(signed).await.map_err(|failure| match failure.code {
            1 => Failure::from(format!(
                "{}; whether it took {hash} is not known: ask for that before you order again",
                failure.message
            )),
            _ => failure,
        })?;
        if trader.no_wait {
            output.print(|| hash.clone(), || json!({ "hash": hash }));
            return Ok(());
        }
        let status = client
            .wait(&hash, |status| {
                if !output.json {
                    eprintln!("{hash} {}", stage_name(status.status));
                }
            })
            .await?;
        output.print(|| describe(&status), || json!(status));
        match status.reject {
            Some(reject) => Err(Failure::rejected(reject.message)),
            None => Ok(()),
        }
    })
}

const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Received => "received",
        Stage::Posted => "posted",
        Stage::Finalized => "finalized",
        Stage::Applied => "applied",
        Stage::Rejected => "rejected",
    }
}

fn describe(status: &TransactionStatus) -> String {
    let batch = status.batch.as_deref().unwrap_or_default();
    let mut text = format!("{} in batch {batch}", stage_name(status.status));
    if let Some(order) = &status.order {
        text.push_str(&format!(
            "\norder {}: {} {} {} at {}, filled {}, open {}",
            order.id,
            order.side,
            order.quantity,
            order.market,
            order.price,
            order.filled,
            order.remaining
        ));
    }
    text
}

pub fn balance(arguments: BalanceArguments, output: Output) -> Result<(), Failure> {
    let account = match arguments.account {
        Some(account) => account,
        None => read_secret_key(&arguments.key)?.public_key(),
    };
    let body: AccountBody = block_on(async {
        Client::new(&arguments.server)?.get(&format!("/v1/accounts/{account}")).await
    })?;
    output.print(|| describe_account(&body), || json!(body));
    Ok(())
}

fn describe_account(body: &AccountBody) -> String {
    let mut text = format!("account {}\nafter batch {}\n\n", body.account, body.batch);
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
            "{:>8}  {:<4} {} {} at {}, filled {}\n",
            order.id, order.side, order.remaining, order.market, order.price, order.filled
        ));
    }
    text
}
