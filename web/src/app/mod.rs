//! The page: its states are made here, connected to the replica, and handed to the components as contexts.

mod account_panel;
mod account_part;
mod header;
mod live;
mod nav;
mod shortcuts;
mod splitter;
mod trading;
mod wallet_dialog;

use leptos::prelude::*;
use leptos::task::spawn_local;

use self::account_part::{AccountPart, AccountSheets};
use self::header::{Banner, Header};
use self::live::Live;
use self::shortcuts::ShortcutsSheet;
use self::trading::Trading;
use self::wallet_dialog::{AccountBanners, WalletDialog};
use crate::features::account::Toasts;
use crate::features::evidence::{Evidence, EvidenceSheet};
use crate::features::explorer::explorer;
use crate::features::market::Markets;
use crate::features::order::{DeadMan, FormState};
use crate::features::replica::Connection;
use crate::features::settings::{Settings, SettingsSheet};
use crate::features::signing::Signing;
use crate::features::wallet::Session;
use crate::platform::route::{Route, Router};
use crate::ui::interface::Interface;
use crate::ui::later::Later;

/// Makes the states of the page, provides them to its components, and starts everything that keeps them up to date.
fn start(router: Router) {
    let interface = Interface::new();
    let (connection, write_connection) = Connection::new();
    let (markets, write_markets) = Markets::new();
    let (session, write_account) = Session::new();
    let signing = Signing::new(markets, session, connection, interface);
    let form = FormState::new(markets);
    let settings = Settings::load();
    let switch = DeadMan::new();
    let part = AccountPart { markets, session, signing, switch, interface };
    provide_context(interface);
    provide_context(connection);
    provide_context(markets);
    provide_context(session);
    provide_context(signing);
    provide_context(form);
    provide_context(settings);
    provide_context(switch);
    provide_context(part);
    provide_context(router);
    provide_context(Evidence::new());
    shortcuts::listen(router, form, settings);
    // The writers go nowhere else, so no component can change what the replica reported.
    let live = Live { markets, session, interface, write_markets, write_connection, write_account };
    live.follow_feed();
    part.begin_if_needed();
    spawn_local(live.follow_markets());
}

#[component]
pub fn App() -> impl IntoView {
    let router = Router::start();
    start(router);
    let is_trading = Memo::new(move |_| router.route.with(|route| *route == Route::Trade));
    view! {
        <SkipLink is_trading />
        <Header />
        <div class="banners">
            <Banner />
            <AccountBanners />
        </div>
        // A view that is not shown is removed and costs nothing. The states stay, so coming back shows the present
        // book.
        <Show when=move || is_trading.get()>
            <Trading />
        </Show>
        <Show when=move || !is_trading.get()>
            <Later part=|| Box::pin(explorer()) />
        </Show>
        <AccountSheets />
        <WalletDialog />
        <SettingsSheet />
        <ShortcutsSheet />
        <EvidenceSheet />
        <Toasts />
    }
}

/// A link for the keyboard that leads past the header.
#[component]
fn SkipLink(is_trading: Memo<bool>) -> impl IntoView {
    move || {
        if is_trading.get() {
            view! { <a class="skip" href="#order-form">"Skip to the order form"</a> }
        } else {
            view! { <a class="skip" href="#content">"Skip to the content"</a> }
        }
    }
}
