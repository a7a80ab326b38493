//! Markets: all of them, and each with its rules, figures, book and trades.

use leptos::prelude::*;
use zellbook_core::Market;
use zellbook_core::wire::{
    BookBody, LevelBody, MarketBody, MarketsResponse, TradeBody, TradesResponse,
};

use super::context::{Context, View};
use super::load::{Load, load};
use super::parts::{self, Row};
use crate::platform::dom::{Node, button, element, text, with};
use crate::platform::format::{self, Steps};
use crate::platform::route::Route;

const DEPTH: usize = 10;
const TRADES_SHOWN: usize = 25;
const MARKETS: &[&str] =
    &["Market", "#Last price", "#Bid", "#Ask", "#24 h high", "#24 h low", "#24 h volume"];
const LEVELS: &[&str] = &["#Price", "#Quantity", "#Orders"];
const TRADES: &[&str] = &["Trade", "Time", "Taker", "#Price", "#Quantity", "Batch"];

pub fn markets(context: Context) -> View {
    let load = load(|| "/v1/markets".into()).live(context);
    let row = move |market: &MarketBody| {
        let steps = context.markets.steps(&market.name);
        let price = |value: &Option<String>| {
            text(&value.as_ref().map_or_else(|| "–".into(), |value| steps.price(value)))
        };
        vec![
            parts::market_link(&market.name),
            price(&market.last),
            price(&market.bid),
            price(&market.ask),
            price(&market.high_24h),
            price(&market.low_24h),
            text(&format!("{} {}", steps.quantity(&market.volume_24h), market.base)),
        ]
    };
    Box::new(move || {
        let mut view = vec![parts::heading("Markets", Vec::new())];
        view.extend(load.show(|body: MarketsResponse| {
            let rows = body.markets.iter().map(row).collect();
            let table = parts::table("Markets", MARKETS, rows, "No markets.");
            vec![element("div", "panel", vec![table])]
        }));
        view
    })
}

/// The requests of a market's view.
#[derive(Clone, Copy)]
struct Asked {
    figures: Load,
    book: Load,
    trades: Load,
}

pub fn market(context: Context, name: String) -> View {
    let asked = StoredValue::new(None::<Asked>);
    // The replica is asked only about markets that exist.
    let of_genesis = {
        let name = name.clone();
        Memo::new(move |_| {
            context.markets.listing.with(|listing| listing.as_ref()?.market(&name).cloned())
        })
    };
    let changed = RwSignal::new(());
    Effect::new(move || {
        let Some(market) = of_genesis.get() else { return };
        let path = format!("/v1/markets/{}", market.name.replacen('/', "-", 1));
        let (of_book, of_trades) =
            (format!("{path}/book?depth={DEPTH}"), format!("{path}/trades?limit={TRADES_SHOWN}"));
        asked.set_value(Some(Asked {
            // All markets, because the API has no figures of a single one.
            figures: load(|| "/v1/markets".into()).live(context),
            book: load(move || of_book.clone()).live(context),
            trades: load(move || of_trades.clone()).live(context),
        }));
        changed.set(());
    });
    Box::new(move || {
        changed.track();
        let (Some(market), Some(asked)) = (of_genesis.get(), asked.get_value()) else {
            let mut view = vec![parts::heading(&name, Vec::new())];
            // While the listing is loading, the market may still turn out to exist.
            if let Some(listing) = context.markets.listing.get() {
                let links = listing.markets.iter().map(|market| parts::market_link(&market.name));
                let message = format!("There is no market {name}. Available markets:");
                let message = vec![
                    element("p", "", vec![text(&message)]),
                    element("p", "actions", links.collect()),
                ];
                view.push(with(element("div", "panel problem", message), "role", "alert"));
            }
            return view;
        };
        let trade = {
            let name = name.clone();
            button("Trade", "", move || {
                context.markets.show(name.clone());
                context.router.go(Route::Trade);
            })
        };
        let mut view = vec![parts::heading(&name, vec![trade])];
        view.extend(asked.figures.show(|body: MarketsResponse| {
            let own = body.markets.iter().find(|body| body.name == name);
            own.map(|own| figures(context.markets.steps(&name), own)).into_iter().collect()
        }));
        let book = asked.book.show(|body: BookBody| vec![book(&market, &body)]);
        view.push(parts::section("Order book", book));
        let tape = asked.trades.show(|body: TradesResponse| {
            let rows = body.trades.iter().map(|one| trade_row(&market, one)).collect();
            let empty = "No trades yet.";
            vec![parts::table("Recent trades", TRADES, rows, empty)]
        });
        view.push(parts::section("Recent trades", tape));
        view
    })
}

fn book(market: &Market, body: &BookBody) -> Node {
    let side = |name: &str, class: &str, levels: &[LevelBody], empty: &str| {
        let row = |level: &LevelBody| -> Row {
            let price = format::in_steps(&level.0, market.tick_size);
            vec![
                element("span", class, vec![text(&price)]),
                text(&format::in_steps(&level.1, market.lot_size)),
                parts::number(&level.2),
            ]
        };
        let caption = format!("{name}, best price first");
        let table = parts::table(&caption, LEVELS, levels.iter().map(row).collect(), empty);
        element("div", "", vec![element("h3", "", vec![text(name)]), table])
    };
    let no_bids = "No bids.";
    let no_asks = "No asks.";
    let bids = side("Bids", "bid", &body.bids, no_bids);
    element("div", "two", vec![bids, side("Asks", "ask", &body.asks, no_asks)])
}

fn trade_row(market: &Market, trade: &TradeBody) -> Row {
    vec![
        parts::number(&trade.id),
        parts::time(&trade.time_ms),
        parts::side(trade.taker_side),
        text(&format::in_steps(&trade.price, market.tick_size)),
        text(&format::in_steps(&trade.quantity, market.lot_size)),
        parts::batch_link(&trade.batch),
    ]
}

fn figures(steps: Steps, market: &MarketBody) -> Node {
    let quote = |value: &str| parts::amount(value, &market.quote);
    let price = |value: &Option<String>| match value {
        Some(value) => text(&format!("{} {}", steps.price(value), market.quote)),
        None => text("–"),
    };
    let fee = |bps: &str| parts::amount(bps, "bps of the quote amount");
    let rules = parts::facts(vec![
        ("Tick size", quote(&market.tick_size)),
        ("Lot size", parts::amount(&market.lot_size, &market.base)),
        ("Min. order value", quote(&market.notional_min)),
        ("Maker fee", fee(&market.maker_fee_bps)),
        ("Taker fee", fee(&market.taker_fee_bps)),
    ]);
    let day = parts::facts(vec![
        ("Last price", price(&market.last)),
        ("Best bid", price(&market.bid)),
        ("Best ask", price(&market.ask)),
        ("24 h open", price(&market.open_24h)),
        ("24 h high", price(&market.high_24h)),
        ("24 h low", price(&market.low_24h)),
        ("24 h volume", text(&format!("{} {}", steps.quantity(&market.volume_24h), market.base))),
    ]);
    let parts = vec![parts::section("Rules", vec![rules]), parts::section("Statistics", vec![day])];
    element("div", "two", parts)
}
