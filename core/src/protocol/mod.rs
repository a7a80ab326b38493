//! What clients and replicas exchange: transactions, batches, receipts, and the outcomes, events and rejects that
//! result from them.
//!
//! A batch body is parsed into elements ([`Element`]), whose signatures are checked ([`CheckedTransaction`]).
//! Orders and amounts are then checked against genesis ([`Terms`]). Everything in this module depends on the
//! bytes and on genesis only, never on the state.

mod action;
mod action_fields;
mod batch;
mod checked;
mod element;
mod event;
mod fields;
mod guide;
mod receipt;
mod reject;
mod terms;
mod transaction;

pub use action::{Action, KeyGrant, Order, OrderRef};
pub use batch::{Batch, elements};
pub use checked::{CheckedTransaction, Invalid, ReplayGuard, check_element, check_elements};
pub use element::Element;
pub use event::{CancelReason, Changes, Event, Fill, Outcome, TransactionOutcome};
pub(crate) use fields::{parse_client_id, parse_destination, parse_reference};
pub use guide::GuideOrder;
pub use receipt::{Receipt, ReceiptError, SignedReceipt};
pub use reject::{Reject, Suggestion};
pub use terms::Terms;
pub use transaction::{SignedTransaction, Transaction};
