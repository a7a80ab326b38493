//! Keeps the page up to date: the feed's messages, and the markets' figures, which the feed does not have. Only this
//! module has the writers of what the replica reports.

use leptos::prelude::*;
use zellbook_core::wire::{Channel, MarketsResponse};

use crate::features::market::{Markets, MarketsWriter};
use crate::features::replica::ConnectionWriter;
use crate::features::wallet::{AccountWriter, Session};
use crate::platform::feed::{Feed, Listener, News};
use crate::platform::{api, clock};
use crate::ui::interface::Interface;

/// How often the markets' figures are requested.
const FIGURES_EVERY_MS: u32 = 5000;

/// The wait before the markets are requested again while none are known.
const RETRY_MS: u32 = 2000;

/// The states that the replica's reports go to.
#[derive(Clone, Copy)]
pub struct Live {
    pub markets: Markets,
    pub session: Session,
    pub interface: Interface,
    pub write_markets: MarketsWriter,
    pub write_connection: ConnectionWriter,
    pub write_account: AccountWriter,
}

impl Listener for Live {
    fn wanted(&self) -> Vec<Channel> {
        let mut channels = vec![Channel::Status];
        // Nothing is tracked here, because the feed also calls this outside effects. The effect in `follow_feed`
        // tracks both signals.
        let market = self.markets.shown.get_untracked();
        if !market.is_empty() {
            channels.push(Channel::Book { market: market.clone() });
            channels.push(Channel::Trades { market });
        }
        let account = self.session.key_untracked();
        channels.extend(account.map(|account| Channel::Account { account: account.to_string() }));
        channels
    }

    fn set_connected(&self, is_connected: bool) {
        self.write_connection.set_connected(is_connected);
    }

    fn closing(&self, reason: Option<String>) {
        self.write_connection.set_close_reason(reason);
    }

    fn failed(&self, problem: Option<String>) {
        if let Some(problem) = problem {
            self.interface.report(problem);
        }
    }

    /// Changes each signal at most once, however many messages there were.
    fn show(&self, news: News) {
        self.write_markets.apply_books(&news.books);
        if news.has_tape || !news.trades.is_empty() {
            self.write_markets.add_trades(news.trades, news.has_tape);
        }
        if !news.account.is_empty() {
            self.write_account.apply(news.account);
        }
        if let Some(status) = news.status {
            self.write_connection.set_status(status);
        }
    }
}

impl Live {
    /// Follows the market and the account shown, for as long as the page lives.
    pub fn follow_feed(self) {
        let feed = Feed::start(self);
        Effect::new(move || {
            self.markets.shown.track();
            self.session.wallet.track();
            self.write_account.forget_if_other();
            feed.subscribe();
        });
    }

    /// Loads the markets until they are there, then keeps their figures up to date.
    pub async fn follow_markets(self) {
        let mut is_late = false;
        loop {
            let answer = api::markets().await;
            // Asked after the answer: genesis may have come first.
            let has_listing = self.markets.listing.with_untracked(Option::is_some);
            match answer {
                Ok(markets) => {
                    // If this loop never failed, the problem in the banner belongs to another part and must stay.
                    if is_late {
                        is_late = false;
                        self.interface.dismiss();
                    }
                    if !has_listing {
                        is_late = !self.show_listing(&markets);
                    }
                    self.write_markets.set_figures(markets);
                }
                Err(problem) if !has_listing => {
                    is_late = true;
                    self.interface.report(problem.to_string());
                }
                // The page has figures already, and says itself that they may be old.
                Err(_) => {}
            }
            let has_listing = self.markets.listing.with_untracked(Option::is_some);
            clock::sleep(if has_listing { FIGURES_EVERY_MS } else { RETRY_MS }).await;
        }
    }

    /// Returns whether the list can be read.
    fn show_listing(self, markets: &MarketsResponse) -> bool {
        match markets.listing() {
            Some(listing) => {
                self.write_markets.set_listing(&listing);
                true
            }
            None => {
                let text = "The replica sent a list of markets that this page cannot read.";
                self.interface.report(text);
                false
            }
        }
    }
}
