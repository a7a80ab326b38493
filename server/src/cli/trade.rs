//! `zellbook order`, `replace`, `cancel` and `cancel-after`: the commands that a session key may sign.

use clap::Args;
use zellbook_core::protocol::OrderRef;
use zellbook_core::types::{SelfTrade, decode_hex};
use zellbook_core::{Action, Decimal, Order, Side, TimeInForce, TransactionHash};

use super::failure::Failure;
use super::output::Output;
use super::submit::{Moment, SessionSigner, Submitter, parse_moment, submit_as};

/// The options that describe an order.
#[derive(Args)]
struct Terms {
    /// Side: buy or sell
    side: Side,
    /// Quantity in the base token, for example 1.5
    quantity: Decimal,
    /// Market, for example ETH/USDT
    market: String,
    /// Limit price in quote per base: the worst price that you accept
    #[arg(long)]
    price: Decimal,
    /// Time in force: gtc (good till cancelled), gtd (good till --expires), ioc (immediate or cancel), fok
    /// (fill or kill) or post_only (only posts to the book, never takes) [default: gtc, or gtd with
    /// --expires]
    #[arg(long)]
    time_in_force: Option<TimeInForce>,
    /// When the order expires: Unix milliseconds, or a duration from now, for example 10m
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    expires: Option<Moment>,
    /// Self-trade prevention, if the order would match one of your own: cancel_newest, cancel_oldest or
    /// cancel_both
    #[arg(long, default_value = "cancel_newest")]
    self_trade: SelfTrade,
    /// Your own name for the order: 1 to 36 characters of A-Z a-z 0-9 . _ : - that none of your open
    /// orders has
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
}

impl Terms {
    /// The order, as a function of the present time, from which its expiry may count.
    fn order(self) -> Result<impl FnOnce(u64) -> Order, Failure> {
        let time_in_force = match (self.time_in_force, self.expires) {
            (Some(TimeInForce::Gtd), None) => {
                let message = "--time-in-force gtd requires --expires, for example --expires 10m";
                return Err(Failure::usage(message));
            }
            (None | Some(TimeInForce::Gtd), Some(_)) => TimeInForce::Gtd,
            (Some(other), Some(_)) => {
                let message = format!("--expires requires --time-in-force gtd, not {other}");
                return Err(Failure::usage(message));
            }
            (time_in_force, None) => time_in_force.unwrap_or(TimeInForce::Gtc),
        };
        Ok(move |now| Order {
            market: self.market,
            side: self.side,
            quantity: self.quantity,
            price: self.price,
            time_in_force,
            expires: self.expires.map(|moment| moment.ms(now)),
            self_trade: self.self_trade,
            client_id: self.client_id,
        })
    }
}

#[derive(Args)]
pub struct OrderArguments {
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

/// The options that name the open order to replace.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Replaced {
    /// Order to replace, by its id
    #[arg(long, value_name = "ID")]
    order: Option<u64>,
    /// Order to replace, by the hash of the transaction that placed it
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    transaction: Option<TransactionHash>,
    /// Order to replace, by its client id
    #[arg(long, value_name = "NAME")]
    replaces_client_id: Option<String>,
}

#[derive(Args)]
pub struct ReplaceArguments {
    #[command(flatten)]
    replaced: Replaced,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

/// The options that name the open orders to cancel.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Cancelled {
    /// Order to cancel, by its id
    order: Option<u64>,
    /// Order to cancel, by the hash of the transaction that placed it
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    transaction: Option<TransactionHash>,
    /// Order to cancel, by its client id
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
    /// Cancel all open orders
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub struct CancelArguments {
    #[command(flatten)]
    cancelled: Cancelled,
    /// Cancel only the orders of this market; requires --all
    #[arg(long, requires = "all", conflicts_with_all = ["order", "transaction", "client_id"])]
    market: Option<String>,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

#[derive(Args)]
pub struct CancelAfterArguments {
    /// When to cancel all open orders of the account: a duration from now, for example 60s, Unix
    /// milliseconds, or off to disable the switch
    #[arg(value_name = "WHEN", value_parser = parse_switch)]
    time: Moment,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

fn parse_hash(text: &str) -> Result<TransactionHash, String> {
    let bytes = decode_hex(text).map(TransactionHash);
    bytes.ok_or_else(|| "a transaction hash must have 64 lower-case hex digits".into())
}

fn parse_switch(text: &str) -> Result<Moment, String> {
    if text == "off" {
        // Time 0 disarms the switch (section 4 of the protocol).
        return Ok(Moment::At(0));
    }
    parse_moment(text).map_err(|problem| format!("{problem}; or `off`"))
}

/// The order that is named by whichever of the three options is present.
fn target(
    order: Option<u64>,
    transaction: Option<TransactionHash>,
    client_id: Option<String>,
) -> Option<OrderRef> {
    order
        .map(OrderRef::Id)
        .or(transaction.map(OrderRef::Transaction))
        .or(client_id.map(OrderRef::ClientId))
}

pub fn order(arguments: OrderArguments, output: Output) -> Result<(), Failure> {
    let OrderArguments { terms, session, submitter } = arguments;
    let order = terms.order()?;
    submit_as(&submitter, &session, |now| Action::Order(order(now)), output)
}

pub fn replace(arguments: ReplaceArguments, output: Output) -> Result<(), Failure> {
    let ReplaceArguments { replaced, terms, session, submitter } = arguments;
    let target = target(replaced.order, replaced.transaction, replaced.replaces_client_id)
        .ok_or_else(|| Failure::usage("name the open order, for example with --order 17"))?;
    let order = terms.order()?;
    let action = |now| Action::Replace { target, order: order(now) };
    submit_as(&submitter, &session, action, output)
}

pub fn cancel(arguments: CancelArguments, output: Output) -> Result<(), Failure> {
    let CancelArguments { cancelled, market, session, submitter } = arguments;
    let action = match target(cancelled.order, cancelled.transaction, cancelled.client_id) {
        Some(target) => Action::Cancel(target),
        // clap requires exactly one of the options, so this is `--all`.
        None => Action::CancelAll { market },
    };
    submit_as(&submitter, &session, |_| action, output)
}

pub fn cancel_after(arguments: CancelAfterArguments, output: Output) -> Result<(), Failure> {
    let CancelAfterArguments { time, session, submitter } = arguments;
    let action = |now| Action::CancelAllAfter { time: time.ms(now) };
    submit_as(&submitter, &session, action, output)
}
