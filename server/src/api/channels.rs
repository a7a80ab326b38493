//! The channels of the feed: the data of a subscription's first message, and the messages of a commit.
//!
//! The messages of a commit are serialized once, for all subscribers of a channel. Only their numbers belong
//! to one subscription.

use std::sync::Arc;

use zellbook_core::PublicKey;
use zellbook_core::wire::{Channel, FeedData, TradeBody, TradesResponse};

use super::accounts::parse_account;
use super::app::App;
use super::error::ApiError;
use super::reads::Reads;
use crate::published::{BOOK_DEPTH_MAX, Messages, Update};

/// The number of trades in a snapshot of the channel `trades`.
const TRADES: u32 = 50;
/// The most trades in one change; more come in several.
const TRADES_MAX: usize = 500;

/// The channel with its names in one form, and the account of an account channel. A client that spells a name
/// in two ways must not subscribe to one channel twice, and all subscribers of a channel share its messages.
pub fn named(channel: Channel) -> Result<(Channel, Option<PublicKey>), ApiError> {
    // A market as in genesis (`ETH/USDT`). The form of paths (`ETH-USDT`) is accepted too.
    let slash = |market: String| market.replacen('-', "/", 1);
    Ok(match channel {
        Channel::Book { market } => (Channel::Book { market: slash(market) }, None),
        Channel::Trades { market } => (Channel::Trades { market: slash(market) }, None),
        Channel::Account { account } => {
            let key = parse_account(&account)?;
            (Channel::Account { account: key.to_string() }, Some(key))
        }
        Channel::Status => (Channel::Status, None),
    })
}

/// The data of a channel's first message, and the last batch that it includes.
pub async fn snapshot(
    reads: &Reads,
    channel: &Channel,
    account: Option<PublicKey>,
) -> Result<(FeedData, u64), ApiError> {
    let app = &reads.app;
    // The status stays available after a halt, so that clients learn the reason.
    if let Some(error) = app.halted().filter(|_| *channel != Channel::Status) {
        return Err(error);
    }
    let (data, batch) = match (channel, account) {
        (Channel::Book { market }, _) => {
            let body = app.book(app.market(market)?, BOOK_DEPTH_MAX);
            let batch = body.batch.clone();
            (FeedData::Book(body), batch)
        }
        (Channel::Trades { market }, _) => {
            let body = app.trades(reads, app.market(market)?, u64::MAX, TRADES).await?;
            let batch = body.batch.clone();
            (FeedData::Trades(body), batch)
        }
        (Channel::Account { .. }, Some(key)) => {
            let body = app.account(reads, key).await?;
            let batch = body.batch.clone();
            (FeedData::Account(body), batch)
        }
        (Channel::Status | Channel::Account { .. }, _) => {
            let body = app.status();
            let batch = body.batch.clone();
            (FeedData::Status(body), batch)
        }
    };
    // This replica wrote the digits.
    Ok((data, batch.parse().unwrap_or(0)))
}

/// The messages of a commit in a channel, in JSON without the part that belongs to a subscription. There are
/// none if the commit does not change the channel.
pub async fn changes(
    app: &App,
    update: &Arc<Update>,
    channel: &Channel,
    account: Option<PublicKey>,
) -> Result<Messages, ApiError> {
    // Kept for no channel that the commit does not change: clients can subscribe to any number of accounts.
    let is_changed = match (channel, account) {
        (Channel::Book { market }, _) => update.books.iter().any(|body| body.market == *market),
        (Channel::Trades { .. }, _) => update.trades().next().is_some(),
        (Channel::Account { .. }, Some(key)) => update.account(&key).is_some(),
        (Channel::Status | Channel::Account { .. }, _) => true,
    };
    if !is_changed {
        return Ok(Messages::from([]));
    }
    let make = async {
        let data = match (channel, account) {
            (Channel::Book { market }, _) => {
                let changed = update.books.iter().filter(|body| body.market == *market);
                changed.cloned().map(FeedData::Book).collect()
            }
            (Channel::Trades { market }, _) => trades(app, update, market),
            (Channel::Account { .. }, Some(key)) => account_changes(app, update, key).await?,
            (Channel::Status | Channel::Account { .. }, _) => vec![FeedData::Status(app.status())],
        };
        let json = data.iter().map(FeedData::shared_json).collect::<Result<Vec<_>, _>>();
        Ok(Messages::from(json.map_err(|error| ApiError::internal(&error))?))
    };
    update.messages(channel, make).await
}

async fn account_changes(
    app: &App,
    update: &Arc<Update>,
    account: PublicKey,
) -> Result<Vec<FeedData>, ApiError> {
    if update.account(&account).is_none() {
        return Ok(Vec::new());
    }
    let update = Arc::clone(update);
    let bodies = app.read_for_feed(move |view| match update.account(&account) {
        Some(changes) => view.account_change(&account, update.batch, update.certified, changes),
        None => Ok(Vec::new()),
    });
    Ok(bodies.await?.into_iter().map(FeedData::AccountChange).collect())
}

/// The trades of a commit in one market, newest first in each message.
fn trades(app: &App, update: &Update, name: &str) -> Vec<FeedData> {
    let Some(market) = app.rules.listing.market(name) else { return Vec::new() };
    let rows = update.trades().filter(|row| row.fill.market == market.index);
    let trades: Vec<TradeBody> = rows.map(|row| row.body(market)).collect();
    let message = |trades: &[TradeBody]| {
        FeedData::Trades(TradesResponse {
            market: market.name.clone(),
            batch: update.batch.to_string(),
            trades: trades.iter().rev().cloned().collect(),
        })
    };
    trades.chunks(TRADES_MAX).map(message).collect()
}
