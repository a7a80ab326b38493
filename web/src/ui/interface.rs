//! What is shown above everything else: the problem in the banner, and the wallet's dialog.

use super::reader::{Reader, reader};
use leptos::prelude::*;

/// The state of the interface that belongs to no feature. Any component may report a problem or open the wallet.
#[derive(Clone, Copy)]
pub struct Interface {
    /// The problem in the banner.
    pub problem: Reader<Option<String>>,
    pub wallet_is_open: Reader<bool>,
    set_problem: RwSignal<Option<String>>,
    set_wallet_is_open: RwSignal<bool>,
}

impl Interface {
    pub fn new() -> Self {
        let (problem, set_problem) = reader(None);
        let (wallet_is_open, set_wallet_is_open) = reader(false);
        Self { problem, wallet_is_open, set_problem, set_wallet_is_open }
    }

    /// Shows a problem in the banner, in place of the one before.
    pub fn report(self, problem: impl Into<String>) {
        self.set_problem.set(Some(problem.into()));
    }

    /// Takes the problem off the banner.
    pub fn dismiss(self) {
        self.set_problem.set(None);
    }

    pub fn open_wallet(self) {
        self.set_wallet_is_open.set(true);
    }

    pub fn close_wallet(self) {
        self.set_wallet_is_open.set(false);
    }
}

pub fn use_interface() -> Interface {
    expect_context()
}
