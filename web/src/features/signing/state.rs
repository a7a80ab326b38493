//! What is being signed, and what this page sent.

use leptos::prelude::*;
use zellbook_core::Transaction;

use super::request::{Outcome, SignRequest};
use super::sent::Sent;
use crate::features::market::Markets;
use crate::features::replica::Connection;
use crate::features::wallet::Session;
use crate::ui::interface::Interface;
use crate::ui::reader::{Reader, reader};

/// Called when a request has ended.
pub type Done = Box<dyn FnOnce(Outcome)>;

/// A request on the sheet, with the transaction as it would be signed now.
#[derive(Clone)]
pub struct OnSheet {
    pub request: SignRequest,
    pub transaction: Transaction,
}

/// Signs, sends and follows transactions. `sign.rs` and `sending.rs` have what it does.
#[derive(Clone, Copy)]
pub struct Signing {
    pub(super) markets: Markets,
    pub(super) session: Session,
    pub(super) connection: Connection,
    pub(super) interface: Interface,
    /// The transactions that this page sent, newest first.
    pub sent: Reader<Vec<Sent>>,
    pub(super) write_sent: RwSignal<Vec<Sent>>,
    pub(super) on_sheet: RwSignal<Option<OnSheet>>,
    /// Whether a request is between a form and the sheet. A second click at that time must not place a second order.
    pub(super) is_preparing: StoredValue<bool>,
    /// What to call when the request on the sheet has ended.
    pub(super) done: StoredValue<Option<Done>, LocalStorage>,
}

impl Signing {
    pub fn new(
        markets: Markets,
        session: Session,
        connection: Connection,
        interface: Interface,
    ) -> Self {
        let (sent, write_sent) = reader(Vec::new());
        Self {
            markets,
            session,
            connection,
            interface,
            sent,
            write_sent,
            on_sheet: RwSignal::new(None),
            is_preparing: StoredValue::new(false),
            done: StoredValue::new_local(None),
        }
    }
}

pub fn use_signing() -> Signing {
    expect_context()
}
