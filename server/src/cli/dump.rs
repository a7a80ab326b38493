//! The JSON file that `zellbook replay --dump` writes: end state, trades and outcomes.

use serde_json::{Map, Value, json};
use zellbook_core::types::TokenIndex;
use zellbook_core::wire::RejectBody;
use zellbook_core::{Event, Exchange, Outcome, Rules, Side};

/// The events of the batches applied so far.
#[derive(Default)]
pub struct Dump {
    trades: Vec<Value>,
    outcomes: Vec<Value>,
    /// Expired orders and session keys, and dead-man's switches that fired.
    due: Vec<Value>,
}

impl Dump {
    pub fn add(&mut self, rules: &Rules, outcome: &Outcome) {
        self.due.extend(outcome.due.iter().map(|event| due(outcome.index, event)));
        for (position, transaction) in outcome.transactions.iter().enumerate() {
            let reject = transaction.result.as_ref().err().map(RejectBody::from);
            self.outcomes.push(json!({
                "batch": outcome.index.to_string(),
                "position": position.to_string(),
                "hash": transaction.hash.map(|hash| hash.to_string()),
                "account": transaction.account.map(|account| account.to_string()),
                "kind": transaction.kind,
                "applied": reject.is_none(),
                "reject": reject,
            }));
            for event in transaction.result.iter().flatten() {
                let Event::Filled(fill) = event else { continue };
                let Some(market) = rules.listing.market_at(fill.market) else { continue };
                self.trades.push(json!({
                    "id": fill.trade.to_string(),
                    "batch": outcome.index.to_string(),
                    "market": market.name,
                    "price": market.format_price(fill.price),
                    "quantity": market.format_quantity(fill.quantity.0.into()),
                    "maker": fill.maker.to_string(),
                    "taker": fill.taker.to_string(),
                    "taker_side": fill.taker_side,
                    "maker_order": fill.maker_order.to_string(),
                    "taker_order": fill.taker_order.to_string(),
                    "maker_fee": rules.listing.format_amount(market.quote, fill.maker_fee),
                    "taker_fee": rules.listing.format_amount(market.quote, fill.taker_fee),
                }));
            }
        }
    }

    /// The whole dump: the collected events and the end state.
    pub fn finish(self, rules: &Rules, exchange: &Exchange) -> Value {
        let mut balances = Map::new();
        for account in exchange.engine().ledger().accounts() {
            let mut tokens = Map::new();
            for (index, token) in (0_u16..).map(TokenIndex).zip(&rules.genesis.tokens) {
                let balance = account.balance(index);
                tokens.insert(
                    token.symbol.clone(),
                    json!({
                        "available": rules.listing.format_amount(index, balance.available),
                        "locked": rules.listing.format_amount(index, balance.locked),
                    }),
                );
            }
            balances.insert(account.key.to_string(), tokens.into());
        }
        let mut orders = Map::new();
        for market in &rules.listing.markets {
            let side = |side| -> Vec<Value> {
                let book = exchange.engine().book(market.index).into_iter();
                book.flat_map(|book| book.orders(side))
                    .map(|order| {
                        let account = exchange.engine().ledger().get(order.account);
                        json!({
                            "id": order.id.to_string(),
                            "account": account.map(|account| account.key.to_string()),
                            "price": market.format_price(order.price),
                            "quantity": market.format_quantity(order.quantity.0.into()),
                            "remaining": market.format_quantity(order.remaining.0.into()),
                        })
                    })
                    .collect()
            };
            orders.insert(
                market.name.clone(),
                json!({ "bids": side(Side::Buy), "asks": side(Side::Sell) }),
            );
        }
        json!({
            "network": rules.network.to_string(),
            "batches": exchange.counters().batch.to_string(),
            "balances": balances,
            "orders": orders,
            "trades": self.trades,
            "outcomes": self.outcomes,
            "due": self.due,
        })
    }
}

/// An event of a timer, which takes effect before the first transaction of its batch.
fn due(index: u64, event: &Event) -> Value {
    let index = index.to_string();
    match event {
        Event::Cancelled { order, account, reason, .. } => json!({
            "batch": index, "event": "cancelled", "account": account.to_string(),
            "order": order.to_string(), "reason": reason.name(),
        }),
        Event::KeyEnded { account, key, .. } => json!({
            "batch": index, "event": "key_expired", "account": account.to_string(),
            "key": key.to_string(),
        }),
        Event::SwitchFired { account } => json!({
            "batch": index, "event": "switch_fired", "account": account.to_string(),
        }),
        // Timers cause no other events. If one is added, the dump shows it instead of leaving it out.
        other => json!({ "batch": index, "event": format!("{other:?}") }),
    }
}
