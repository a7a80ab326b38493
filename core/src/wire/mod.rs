//! The JSON of the API: what a replica answers, and what the page and other clients read.
//!
//! Conventions, which each field's documentation does not repeat:
//!
//! - Every number is a text, because many JSON parsers read numbers as floats. Prices, quantities and amounts are
//!   decimals in their usual units: quote per base, base, whole tokens. Ids, indexes and counts are decimal digits.
//! - A name that ends in `_ms` is a Unix time or a duration in milliseconds. Which clock it is read from is stated
//!   there: the replica's own, a sequence proof's, or the exchange's time.
//! - Hashes, keys and signatures are lower-case hex. An account is its public key.
//! - A missing value is `null`. Lists are in the order that is stated.
//! - `batch` next to a state is the last batch that the answer takes into account, so that answers can be compared.
//!
//! Server and page use the same types (two for the feed's messages), so they cannot disagree. Nothing here is part
//! of consensus, and no other module of this crate imports it.

mod accounts;
mod batches;
mod errors;
mod feed;
mod listing;
mod markets;
mod proofs;
mod receipts;
mod replicas;
mod transactions;

pub use accounts::{
    AccountBody, AccountChangeBody, BalanceBody, DepositBody, DepositsResponse, FillBody,
    FillsResponse, LedgerEntryBody, LedgerKind, LedgerResponse, MoreBody, OrderBody, OrderStatus,
    OrdersResponse, PayoutBody, SessionKeyBody, WithdrawalBody, WithdrawalsResponse,
};
pub use batches::{
    BatchBody, BatchTradesResponse, BatchesResponse, ContentsBody, ElementBody, HeaderBody,
    HeadersResponse,
};
pub use errors::{ErrorBody, ErrorDetail, RejectBody};
pub use feed::{Channel, ClientMessage, FeedData, ReceivedMessage, ServerMessage, feed_prefix};
pub use markets::{
    BookBody, CandleBody, CandlesResponse, LevelBody, LimitsBody, MarketBody, MarketsResponse,
    TokenBody, TradeBody, TradesResponse,
};
pub use proofs::{
    AttestationBody, BalanceProofBody, CertifiedBody, OrderProofBody, ProofBody, ProvenOrderBody,
};
pub use replicas::{
    GatewayBody, NetworkBody, PostingBody, ReplicaBody, ReplicaState, ReplicasResponse,
    SnapshotBody, SnapshotsResponse, StatusBody,
};
pub use transactions::{
    ReceiptBody, SignedBody, SimulationBody, Stage, SubmitResponse, Submitted, TransactionStatus,
};

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use serde_json::json;

    use super::*;
    use crate::types::Side;

    #[test]
    fn feed_messages_and_fills_are_read_back_as_they_were_written() {
        let trade = TradeBody {
            id: "1".into(),
            market: "ETH/USDT".into(),
            price: "2000".into(),
            quantity: "0.5".into(),
            taker_side: Side::Buy,
            maker_order: "1".into(),
            taker_order: "2".into(),
            batch: "7".into(),
            time_ms: "1795346226000".into(),
        };
        let fill = FillBody {
            trade: trade.clone(),
            side: Side::Sell,
            order: "1".into(),
            is_maker: true,
            fee: "0.1".into(),
        };
        let json = serde_json::to_string(&fill).unwrap();
        assert_eq!(serde_json::from_str::<FillBody>(&json).unwrap(), fill);
        let (market, batch) = ("ETH/USDT".to_string(), "7".to_string());
        let book = BookBody {
            market: market.clone(),
            batch: batch.clone(),
            bids: alloc::vec![("1".into(), "2".into(), "3".into())],
            asks: Vec::new(),
        };
        let trades = TradesResponse { market, batch, trades: alloc::vec![trade] };
        let error = ErrorDetail {
            code: "bad".into(),
            message: "a \"quoted\" word".into(),
            details: json!({"a": 1}),
        };
        let received = |json: &str, kind: &str, channel, number| {
            let received: ReceivedMessage = serde_json::from_str(json).unwrap();
            assert_eq!(received.kind, kind);
            assert_eq!((received.channel, received.number), (channel, number));
            let carried = received.data.or(received.message).or(received.reason);
            carried.unwrap().get().to_string()
        };
        let feed = |is_snapshot, data: &FeedData| {
            feed_prefix(is_snapshot, 3) + &data.shared_json().unwrap()
        };
        let message = feed(true, &FeedData::Book(book.clone()));
        let data = received(&message, "snapshot", Some("book"), Some("3"));
        assert_eq!(serde_json::from_str::<BookBody>(&data).unwrap(), book);
        let message = feed(false, &FeedData::Trades(trades.clone()));
        let data = received(&message, "change", Some("trades"), Some("3"));
        assert_eq!(serde_json::from_str::<TradesResponse>(&data).unwrap(), trades);
        let json = |message: &ServerMessage| serde_json::to_string(message).unwrap();
        let text = received(&json(&ServerMessage::Error(error.clone())), "error", None, None);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), error.message);
        let closing = ServerMessage::Closing { reason: "it stops".into() };
        assert_eq!(received(&json(&closing), "closing", None, None), "\"it stops\"");
        for json in ["{}", "[]", r#"{"type":1}"#, r#"{"type":"change","number":1}"#] {
            assert!(serde_json::from_str::<ReceivedMessage>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_switch_that_was_turned_off_differs_from_one_that_did_not_change() {
        let mut change = AccountChangeBody { batch: "2".into(), ..AccountChangeBody::default() };
        for (switch, json) in [
            (None, r#"{"account":"","batch":"2","certified_batch":null}"#),
            (Some(None), r#"{"account":"","batch":"2","certified_batch":null,"switch_ms":null}"#),
            (
                Some(Some("5".into())),
                r#"{"account":"","batch":"2","certified_batch":null,"switch_ms":"5"}"#,
            ),
        ] {
            change.switch_ms = switch;
            assert_eq!(serde_json::to_string(&change).unwrap(), json);
            assert_eq!(serde_json::from_str::<AccountChangeBody>(json).unwrap(), change);
        }
    }

    #[test]
    fn kinds_of_ledger_entries_have_the_same_name_in_json_and_in_queries() {
        for kind in [
            LedgerKind::Deposit,
            LedgerKind::Withdrawal,
            LedgerKind::TransferOut,
            LedgerKind::TransferIn,
        ] {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let error = "deposits".parse::<LedgerKind>().unwrap_err().to_string();
        assert_eq!(error, "must be one of deposit, withdrawal, transfer_out, transfer_in");
    }
}
