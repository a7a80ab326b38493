//! `zellbook order`, `replace`, `cancel` and `cancel-after`.

use clap::Args;
use zellbook_core::key::decode_hex;
use zellbook_core::transaction::{
    Action, Order, OrderRef, SelfTrade, Side, TimeInForce, TransactionHash,
};
use zellbook_core::units::Decimal;

use super::submit::{Moment, SessionSigner, Submitter, act_as, parse_moment};
use super::{Failure, Output};

/// What an order says.
#[derive(Args)]
struct Terms {
    /// buy or sell
    side: Side,
    /// Quantity in base, such as 1.5
    quantity: Decimal,
    /// Market, such as ETH/USDT
    market: String,
    /// Limit price in quote per base: the worst price that you accept
    #[arg(long)]
    price: Decimal,
    /// gtc (stands until cancelled), gtd (stands until --expires), ioc (what does not fill at once is
    /// cancelled), fok (fills wholly at once, or is rejected) or post_only (never takes) [default: gtc,
    /// with --expires gtd]
    #[arg(long)]
    time_in_force: Option<TimeInForce>,
    /// When the order is cancelled: Unix milliseconds, or a duration from now such as 10m
    #[arg(long, value_name = "WHEN", value_parser = parse_moment)]
    expires: Option<Moment>,
    /// Where the order meets one of your own: cancel_newest, cancel_oldest or cancel_both
    #[arg(long, default_value = "cancel_newest")]
    self_trade: SelfTrade,
    /// A name of your own for the order, 1 to 36 of A-Z a-z 0-9 . _ : - and not that of another open
    /// order of yours
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
}

impl Terms {
    fn order(self) -> Result<Order, Failure> {
        let time_in_force = match (self.time_in_force, self.expires) {
            (Some(TimeInForce::Gtd), None) => {
                let message = "--time-in-force gtd needs --expires, such as --expires 10m";
                return Err(Failure::usage(message));
            }
            (None | Some(TimeInForce::Gtd), Some(_)) => TimeInForce::Gtd,
            (Some(other), Some(_)) => {
                let message = format!("--expires goes with --time-in-force gtd, not with {other}");
                return Err(Failure::usage(message));
            }
            (time_in_force, None) => time_in_force.unwrap_or(TimeInForce::Gtc),
        };
        Ok(Order {
            market: self.market,
            side: self.side,
            quantity: self.quantity,
            price: self.price,
            time_in_force,
            expires: self.expires.map(Moment::ms),
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

/// Which open order a replacement takes the place of.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Replaced {
    /// The open order, by its id
    #[arg(long, value_name = "ID")]
    order: Option<u64>,
    /// The open order, by the hash of the transaction that placed it
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    transaction: Option<TransactionHash>,
    /// The open order, by its client id
    #[arg(long, value_name = "NAME")]
    replaces_client_id: Option<String>,
}

#[derive(Args)]
pub struct ReplaceArguments {
    #[command(flatten)]
    replaced: Replaced,
    /// The order that takes its place; of its quantity, what the open order has filled is filled
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

/// Which open orders are cancelled.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Cancelled {
    /// Id of the order
    order: Option<u64>,
    /// The order that the transaction with this hash placed
    #[arg(long, value_name = "HASH", value_parser = parse_hash)]
    transaction: Option<TransactionHash>,
    /// The order with this client id
    #[arg(long, value_name = "NAME")]
    client_id: Option<String>,
    /// All open orders
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub struct CancelArguments {
    #[command(flatten)]
    cancelled: Cancelled,
    /// With --all: of this market only
    #[arg(long, requires = "all", conflicts_with_all = ["order", "transaction", "client_id"])]
    market: Option<String>,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

#[derive(Args)]
pub struct CancelAfterArguments {
    /// When all open orders of the account are cancelled, unless you say so again before: a duration
    /// from now such as 60s, Unix milliseconds, or off
    #[arg(value_name = "WHEN", value_parser = parse_switch)]
    time: Moment,
    #[command(flatten)]
    session: SessionSigner,
    #[command(flatten)]
    submitter: Submitter,
}

fn parse_hash(text: &str) -> Result<TransactionHash, String> {
    let bytes = decode_hex(text).map(TransactionHash);
    bytes.ok_or_else(|| "a transaction's hash is 64 lower-case hex digits".into())
}

fn parse_switch(text: &str) -> Result<Moment, String> {
    if text == "off" {
        return Ok(Moment::At(0));
    }
    parse_moment(text).map_err(|problem| format!("{problem}; or off"))
}

/// The order that one of three options names.
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
    act_as(&submitter, &session, Action::Order(terms.order()?), output)
}

pub fn replace(arguments: ReplaceArguments, output: Output) -> Result<(), Failure> {
    let ReplaceArguments { replaced, terms, session, submitter } = arguments;
    let target = target(replaced.order, replaced.transaction, replaced.replaces_client_id)
        .ok_or_else(|| Failure::usage("name the open order, such as --order 17"))?;
    act_as(&submitter, &session, Action::Replace { target, order: terms.order()? }, output)
}

pub fn cancel(arguments: CancelArguments, output: Output) -> Result<(), Failure> {
    let CancelArguments { cancelled, market, session, submitter } = arguments;
    let action = match target(cancelled.order, cancelled.transaction, cancelled.client_id) {
        Some(target) => Action::Cancel(target),
        None => Action::CancelAll { market },
    };
    act_as(&submitter, &session, action, output)
}

pub fn cancel_after(arguments: CancelAfterArguments, output: Output) -> Result<(), Failure> {
    let CancelAfterArguments { time, session, submitter } = arguments;
    act_as(&submitter, &session, Action::CancelAllAfter { time: time.ms() }, output)
}
