//! Wallet actions whose failure the banner shows, because nothing on the sheet has a line for it.

use leptos::task::spawn_local;
use zellbook_vault::VaultError;

use crate::ui::interface::Interface;

/// Does some work and reports its failure in the banner.
pub fn attempt(interface: Interface, work: impl Future<Output = Result<(), VaultError>> + 'static) {
    spawn_local(async move {
        if let Err(error) = work.await {
            interface.report(error.to_string());
        }
    });
}
