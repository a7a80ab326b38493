//! The markets as this page knows them, and the book and trades of the one shown.

use std::sync::Arc;

use leptos::prelude::*;
use zellbook_core::wire::{BookBody, MarketsResponse, TradeBody};
use zellbook_core::{Listing, Market, Rules};

use super::book::Book;
use crate::platform::format::Steps;
use crate::ui::reader::{Reader, reader};

/// The most trades that are stored. The chart needs as many as a snapshot has, 50, to notice that it missed some.
const TRADES_MAX: usize = 60;

/// Markets and market data, to read. [`Markets::show`] is the only change that any component can make.
#[derive(Clone, Copy)]
pub struct Markets {
    /// The tokens and markets, once they are known: first as the replica lists them, then as genesis does.
    pub listing: Reader<Option<Arc<Listing>>>,
    /// The rules of genesis, once something is signed or checked: see [`super::genesis`].
    pub rules: Reader<Option<Arc<Rules>>>,
    /// Every market's figures of the last 24 hours.
    pub figures: Reader<Option<MarketsResponse>>,
    /// The name of the market shown. Empty until the markets are known.
    pub shown: Reader<String>,
    pub book: Reader<Book>,
    /// The last trades of the market shown, newest first.
    pub trades: Reader<Vec<TradeBody>>,
    write: Write,
}

#[derive(Clone, Copy)]
struct Write {
    listing: RwSignal<Option<Arc<Listing>>>,
    rules: RwSignal<Option<Arc<Rules>>>,
    figures: RwSignal<Option<MarketsResponse>>,
    shown: RwSignal<String>,
    book: RwSignal<Book>,
    trades: RwSignal<Vec<TradeBody>>,
}

/// Writes what the replica reports about markets.
#[derive(Clone, Copy)]
pub struct MarketsWriter(Markets);

impl Markets {
    pub fn new() -> (Self, MarketsWriter) {
        let (listing, set_listing) = reader(None);
        let (rules, set_rules) = reader(None);
        let (figures, set_figures) = reader(None);
        let (shown, set_shown) = reader(String::new());
        let (book, set_book) = reader(Book::default());
        let (trades, set_trades) = reader(Vec::new());
        let write = Write {
            listing: set_listing,
            rules: set_rules,
            figures: set_figures,
            shown: set_shown,
            book: set_book,
            trades: set_trades,
        };
        let markets = Self { listing, rules, figures, shown, book, trades, write };
        (markets, MarketsWriter(markets))
    }

    /// Shows another market. Its book and trades come with the feed.
    pub fn show(self, name: String) {
        // The feed is subscribed to this market already and would send no new snapshot for the emptied book.
        if self.shown.with_untracked(|shown| *shown == name) {
            return;
        }
        // Emptied now and not when the snapshot comes: in the ticks and lots of another market these numbers are wrong.
        self.write.book.set(Book::default());
        self.write.trades.set(Vec::new());
        self.write.shown.set(name);
    }

    /// The listing and the market shown, once both are known.
    pub fn shown_market(self) -> Option<(Arc<Listing>, Market)> {
        let listing = self.listing.get()?;
        let market = listing.market(&self.shown.get())?.clone();
        Some((listing, market))
    }

    /// The symbol of the base token of the market shown, or of its quote token.
    pub fn symbol(self, is_base: bool) -> Option<String> {
        let (listing, market) = self.shown_market()?;
        let token = listing.token_at(if is_base { market.base } else { market.quote })?;
        Some(token.symbol.clone())
    }

    /// How many decimals the numbers of a market have.
    pub fn steps(self, market: &str) -> Steps {
        self.listing.with(|listing| {
            let market = listing.as_ref().and_then(|listing| listing.market(market));
            market.map_or_else(Steps::default, Steps::of)
        })
    }

    /// Stores the rules of genesis. From now on the page lists the markets by them.
    pub(super) fn set_rules(self, rules: Arc<Rules>) {
        self.list(&rules.listing);
        self.write.rules.set(Some(rules));
    }

    /// Lists the markets, and shows the first one if none is shown yet.
    fn list(self, listing: &Listing) {
        // A new listing makes the chart request its candles again, so an equal one is not written.
        if self.listing.with_untracked(|now| now.as_deref() != Some(listing)) {
            self.write.listing.set(Some(Arc::new(listing.clone())));
        }
        if let Some(first) = listing.markets.first()
            && self.shown.with_untracked(String::is_empty)
        {
            self.write.shown.set(first.name.clone());
        }
    }
}

impl MarketsWriter {
    /// Stores the listing that the replica reports, unless the one of genesis is known.
    pub fn set_listing(self, listing: &Listing) {
        if self.0.rules.with_untracked(Option::is_none) {
            self.0.list(listing);
        }
    }

    pub fn set_figures(self, figures: MarketsResponse) {
        self.0.write.figures.set(Some(figures));
    }

    /// Applies channel snapshots (true) and changes of books. Those of other markets than the one shown are dropped.
    pub fn apply_books(self, books: &[(BookBody, bool)]) {
        let listing = self.0.listing.get_untracked();
        let shown = self.0.shown.get_untracked();
        let market = listing.as_ref().and_then(|listing| listing.market(&shown));
        // A frame without news of the book must not notify everything that follows the book.
        if let Some(market) = market.filter(|_| !books.is_empty()) {
            self.0.write.book.update(|book| {
                for (body, is_snapshot) in books {
                    if body.market == market.name {
                        book.apply(body, market, *is_snapshot);
                    }
                }
            });
        }
    }

    /// Adds new trades of the market shown, newest first. A snapshot takes the place of all others.
    pub fn add_trades(self, new: Vec<TradeBody>, is_snapshot: bool) {
        // The feed itself drops trades of a market that it is no longer subscribed to.
        self.0.write.trades.update(|trades| {
            if is_snapshot {
                trades.clear();
            }
            trades.splice(0..0, new);
            trades.truncate(TRADES_MAX);
        });
    }
}

pub fn use_markets() -> Markets {
    expect_context()
}
