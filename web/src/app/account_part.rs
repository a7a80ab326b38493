//! What only people with a wallet need: the wallet itself, what was signed, the account's channel. This part of the
//! page is loaded if this browser has stored something, and otherwise when the wallet is opened.

use std::cell::Cell;

use leptos::prelude::*;
use leptos::task::spawn_local;
use zellbook_core::wire::{AccountBody, AccountChangeBody};

use crate::features::market::{Markets, genesis};
use crate::features::order::{self, DeadMan, EditSheet};
use crate::features::signing::{self, SignSheet, Signing, use_signing};
use crate::features::wallet::{Session, keys, use_session};
use crate::platform::feed::AccountMessage;
use crate::platform::{clock, database, feed, tabs};
use crate::ui::interface::Interface;
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};

/// The wait before genesis is asked for again.
const RETRY_MS: u32 = 2000;

/// The most past orders, fills and withdrawals that the page remembers. Its tables ask the replica for older ones.
const NEWEST_MAX: usize = 200;

thread_local! {
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// Begins the part for people with a wallet.
#[derive(Clone, Copy)]
pub struct AccountPart {
    pub markets: Markets,
    pub session: Session,
    pub signing: Signing,
    pub switch: DeadMan,
    pub interface: Interface,
}

impl AccountPart {
    /// Begins now if this browser has stored something, or else when another tab stores something.
    pub fn begin_if_needed(self) {
        spawn_local(async move {
            if database::may_exist().await {
                self.begin().await;
            } else {
                self.session.begin_without_wallet();
            }
        });
        // The other tab sends its message after it has stored something, so the wallet that begins here finds it.
        tabs::listen_to_any(move || spawn_local(self.begin()));
    }

    pub fn has_begun() -> bool {
        HAS_BEGUN.get()
    }

    /// Begins, once. If the part cannot be loaded the page says so, and this can be called again.
    pub async fn begin(self) {
        if HAS_BEGUN.get() {
            return;
        }
        if begin_part(self).await.is_err() {
            let text = "The wallet could not be loaded: the replica does not answer, or it now serves a different version of the page. Reload the page.";
            self.interface.report(text);
        }
    }

    async fn follow_account(self) {
        let mut is_late = false;
        while let Err(problem) = genesis::rules(self.markets).await {
            is_late = true;
            self.interface.report(problem.to_string());
            clock::sleep(RETRY_MS).await;
        }
        // If this loop never failed, the problem in the banner belongs to another part and must stay.
        if is_late {
            self.interface.dismiss();
        }
        self.signing.resume().await;
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn begin_part(part: AccountPart) -> Result<(), NotLoaded> {
    // Somebody else may have begun while this was loaded. The mark is set here and not in `begin`, so that a part
    // that could not be loaded is tried again.
    if HAS_BEGUN.replace(true) {
        return Ok(());
    }
    // Before the wallet: once it has an account, the feed subscribes to it and has to read the snapshot.
    feed::read_accounts(read_account);
    signing::load_preview();
    keys::start(part.session);
    order::keep_alive(part.session, part.signing, part.switch);
    spawn_local(part.follow_account());
    Ok(())
}

impl AccountMessage for AccountBody {
    fn account(&self) -> &str {
        &self.account
    }

    fn apply(self: Box<Self>, _: Option<AccountBody>) -> Option<AccountBody> {
        Some(*self)
    }
}

impl AccountMessage for AccountChangeBody {
    fn account(&self) -> &str {
        &self.account
    }

    fn apply(self: Box<Self>, account: Option<AccountBody>) -> Option<AccountBody> {
        let mut account = account?;
        account.apply(*self, NEWEST_MAX);
        Some(account)
    }
}

fn read_account(json: &str, is_snapshot: bool) -> Option<Box<dyn AccountMessage>> {
    if is_snapshot {
        serde_json::from_str(json).ok().map(|body: AccountBody| Box::new(body) as _)
    } else {
        serde_json::from_str(json).ok().map(|change: AccountChangeBody| Box::new(change) as _)
    }
}

/// The sheets that need an account.
#[component]
pub fn AccountSheets() -> impl IntoView {
    let has_account = use_session().has_account();
    view! {
        <Show when=move || has_account.get()>
            <Later part=|| Box::pin(sheets()) />
        </Show>
    }
}

#[wasm_split(account, wasm_split_path = ::leptos::wasm_split, fallible)]
fn sheets() -> Result<MakeView, NotLoaded> {
    Ok(|| {
        // The sheets go when the last account does, in any tab.
        let signing = use_signing();
        on_cleanup(move || signing.forget());
        view! {
            <EditSheet />
            <SignSheet />
        }
        .into_any()
    })
}
