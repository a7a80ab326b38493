//! The published view: what the API shows of the state without a query. It has the last committed batch and
//! its root, the books, and the figures of the last 24 hours.
//!
//! It is replaced as a whole after each commit. Readers hold an `Arc` of one version, so they see one
//! consistent state and never wait for the replica. A commit replaces only the books that it changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use zellbook_core::types::MarketIndex;
use zellbook_core::wire::{BookBody, LevelBody};
use zellbook_core::{Exchange, Hash, Market, Side, Ticks};

use super::attestable::Attestable;
use super::network_time::{ClockReading, NetworkTime};
use super::ticker::Ticker;
use crate::store::AppliedBatch;

/// The most price levels that are published per side.
pub const BOOK_DEPTH_MAX: usize = 500;

#[derive(Clone, Debug)]
pub struct Published {
    /// The last committed batch.
    pub batch: u64,
    /// The state root after it.
    pub root: Hash,
    /// The exchange's time, in Unix milliseconds.
    pub time_ms: u64,
    /// The last batch with a certified root, and that root.
    pub certified: Option<(u64, Hash)>,
    /// The votes that this replica can cast.
    pub attestable: Attestable,
    /// The network's chaining hash after the last batch.
    pub chaining_hash: String,
    /// When the last batch was applied; `None` if by an earlier process.
    pub applied_ms: Option<u64>,
    /// The time of the last batch's sequence proof, in Unix milliseconds; `None` if this replica has no batch.
    pub finalized_ms: Option<u64>,
    /// `None` until a proof arrives while the replica follows the network.
    pub network_time: Option<NetworkTime>,
    /// The last batch that holds more than attestations.
    pub content: u64,
    /// By market.
    pub books: Vec<Arc<BookBody>>,
    /// By market.
    pub tickers: Vec<Arc<Ticker>>,
}

impl Published {
    /// The view of a restored state. Its tickers are empty.
    pub fn new(
        exchange: &Exchange,
        root: Hash,
        chaining_hash: String,
        attestable: Attestable,
    ) -> Self {
        let batch = exchange.counters().batch;
        let markets = &exchange.rules().listing.markets;
        Self {
            batch,
            root,
            time_ms: exchange.counters().time,
            certified: certified(exchange),
            attestable,
            chaining_hash,
            applied_ms: None,
            finalized_ms: None,
            network_time: None,
            // Unknown after a restart. If the last batches hold only attestations, one more round of them follows.
            content: batch,
            books: markets.iter().map(|market| Arc::new(book(exchange, market, batch))).collect(),
            tickers: markets.iter().map(|_| Arc::default()).collect(),
        }
    }

    /// Updates the view with a commit. `exchange` has applied its last batch.
    pub fn follow(
        &mut self,
        exchange: &Exchange,
        batches: &[AppliedBatch],
        attestable: Attestable,
    ) {
        let Some(last) = batches.last() else { return };
        self.batch = last.index;
        self.root = last.outcome.root;
        self.time_ms = exchange.counters().time;
        // Certified batches only increase. The batch that the state started from is certified, but not yet in
        // its own state.
        self.certified = certified(exchange).max(self.certified);
        self.attestable = attestable;
        self.chaining_hash.clone_from(&last.chaining_hash);
        self.applied_ms = Some(last.applied_ms);
        self.finalized_ms = Some(last.time_ms);
        let content = batches.iter().rfind(|batch| batch.has_content());
        self.content = content.map_or(self.content, |batch| batch.index);
        for batch in batches {
            for trade in &batch.rows.trades {
                let (fill, time_ms) = (&trade.fill, trade.time_ms);
                if let Some(ticker) = self.tickers.get_mut(usize::from(fill.market.0)) {
                    let ticker = Arc::make_mut(ticker);
                    ticker.add(fill.price, fill.quantity.0, time_ms, batch.applied_ms);
                }
            }
        }
        let changed: BTreeSet<MarketIndex> = batches
            .iter()
            .flat_map(AppliedBatch::touched_levels)
            .map(|(market, ..)| market)
            .collect();
        for index in changed {
            let market = exchange.rules().listing.market_at(index);
            let slot = self.books.get_mut(usize::from(index.0));
            if let (Some(market), Some(slot)) = (market, slot) {
                // Read from the engine as a whole. Changes applied to the old levels could not fill the last
                // levels again after one of the first is gone, since no deeper ones are published.
                *slot = Arc::new(book(exchange, market, last.index));
            }
        }
    }
}

impl Published {
    /// This replica's clock beside the network's time.
    pub fn clock(&self, own_ms: u64) -> ClockReading {
        ClockReading::new(own_ms, self.network_time.as_ref())
    }
}

fn certified(exchange: &Exchange) -> Option<(u64, Hash)> {
    exchange.engine().attestations().last_certified().map(|(batch, root)| (batch, *root))
}

fn level(market: &Market, price: Ticks, quantity: u128, orders: u32) -> LevelBody {
    (market.format_price(price), market.format_quantity(quantity), orders.to_string())
}

fn book(exchange: &Exchange, market: &Market, batch: u64) -> BookBody {
    let side = |side| {
        let book = exchange.engine().book(market.index).into_iter();
        book.flat_map(|book| book.levels(side))
            .take(BOOK_DEPTH_MAX)
            .map(|row| level(market, row.price, row.quantity, row.orders))
            .collect()
    };
    BookBody {
        market: market.name.clone(),
        batch: batch.to_string(),
        bids: side(Side::Buy),
        asks: side(Side::Sell),
    }
}
