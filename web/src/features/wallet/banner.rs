//! Warnings before anything is signed: the replica serves another network than before, or the Ethereum wallet shows
//! another account.

use leptos::prelude::*;
use zellbook_core::PublicKey;

use super::attempt::attempt;
use super::keys;
use super::session::{Session, use_session};
use crate::features::market::{Markets, use_markets};
use crate::features::replica::{Connection, use_connection};
use crate::platform::ethereum::{self, EthereumAccount};
use crate::platform::format::short;
use crate::ui::interface::{Interface, use_interface};

/// The id of the network that the replica serves now, or of the one that the page was loaded with while the replica has
/// reported none.
fn served_network(markets: Markets, connection: Connection) -> Option<String> {
    // The status goes first, because another replica may have taken over this address while the page is open.
    let reported = connection.status.with(|status| Some(status.as_ref()?.network.clone()));
    reported.or_else(|| markets.rules.with(|rules| Some(rules.as_ref()?.network.to_string())))
}

/// An account that was used on another network than the one that the replica serves now.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherNetwork {
    account: PublicKey,
    used: String,
    served: String,
}

impl OtherNetwork {
    /// None if the account is used on the network that the replica serves.
    pub fn of(
        markets: Markets,
        session: Session,
        connection: Connection,
        account: PublicKey,
    ) -> Option<Self> {
        let served = served_network(markets, connection)?;
        let used = session.wallet.with(|wallet| {
            wallet.settings.network(&account).filter(|used| *used != served).map(Into::into)
        });
        Some(Self { account, used: used?, served })
    }

    /// Uses the account on the network that the replica serves.
    fn accept(self, markets: Markets, session: Session, interface: Interface) {
        let Self { account, served, .. } = self;
        let is_loaded = markets.rules.with_untracked(|rules| {
            rules.as_ref().is_some_and(|rules| rules.network.to_string() == served)
        });
        attempt(interface, async move {
            keys::set(session, move |settings| {
                settings.networks.retain(|(known, _)| *known != account);
                settings.networks.push((account, served));
            })
            .await?;
            if !is_loaded {
                // The rules and markets shown are those of the other network.
                let _ = window().location().reload();
            }
            Ok(())
        });
    }
}

/// Explains what another network means, with a button to accept it.
#[component]
pub fn OtherNetworkNote(#[prop(into)] other: Signal<Option<OtherNetwork>>) -> impl IntoView {
    let (markets, session, interface) = (use_markets(), use_session(), use_interface());
    let text = move || {
        let OtherNetwork { used, served, .. } = other.get()?;
        Some(format!(
            "Different network: this address now serves {}, but you used your account on {}. Its balances and orders there are not here. If this change was not announced, sign nothing and ask the operator.",
            short(&served),
            short(&used),
        ))
    };
    let title = move || {
        other.with(|other| {
            let OtherNetwork { used, served, .. } = other.as_ref()?;
            Some(format!("Now {served}\nUsed on {used}"))
        })
    };
    let accept = move |_| {
        if let Some(other) = other.get_untracked() {
            other.accept(markets, session, interface);
        }
    };
    view! {
        <span title=title>{text}</span>
        <button type="button" class="small" on:click=accept>"Switch to this network"</button>
    }
}

/// An account that its Ethereum wallet does not show to this page.
#[derive(Clone, PartialEq, Eq)]
pub struct HiddenAccount {
    account: EthereumAccount,
    shown: Vec<String>,
}

impl HiddenAccount {
    /// `None` unless the account's wallet is known to hide it.
    pub fn of(session: Session, account: PublicKey) -> Option<Self> {
        let account = session.wallet.with(|wallet| wallet.ethereum_of(account).cloned())?;
        let shown = ethereum::shown_instead(&account)?;
        Some(Self { account, shown })
    }

    /// Explains what is wrong and what to do in the wallet.
    pub fn text(&self) -> String {
        let Self { account: EthereumAccount { name, address, .. }, shown } = self;
        let address = short(address);
        match shown.first() {
            Some(other) => format!(
                "{name} now has {} selected, not {address}, the active account here. Select {address} there again, or switch to the other account. Nothing is signed until then.",
                short(other),
            ),
            None => format!(
                "{name} no longer gives this page access to {address}: it is locked or disconnected. Reconnect it to sign with this account.",
            ),
        }
    }

    /// Goes on with the account that the wallet shows, or asks the wallet to show one.
    fn connect(self, session: Session, interface: Interface) {
        let Self { account: EthereumAccount { wallet: id, .. }, shown } = self;
        // The key of an account that was connected before is stored, so the user need not sign again.
        let known = session.wallet.with_untracked(|wallet| {
            let mut known = wallet.settings.ethereum.iter();
            let is_shown = |known: &&EthereumAccount| {
                known.wallet == id && shown.first() == Some(&known.address)
            };
            known.find(is_shown).map(|known| known.account)
        });
        attempt(interface, async move {
            match known {
                Some(known) => {
                    keys::set(session, move |settings| settings.selected = Some(known)).await
                }
                // A locked wallet shows no account. Asking for one makes it ask its user to unlock it.
                None if shown.is_empty() => ethereum::addresses(&id).await.map(drop),
                None => keys::connect(session, &id).await,
            }
        });
    }

    fn button(&self) -> String {
        match self.shown.first() {
            Some(other) => format!("Switch to {}", short(other)),
            None => "Reconnect".into(),
        }
    }
}

/// The warnings across the page. Also follows the active account's Ethereum wallet, and stores the network that an
/// account is first used on.
#[component]
pub fn AccountBanner() -> impl IntoView {
    let (markets, session) = (use_markets(), use_session());
    let (connection, interface) = (use_connection(), use_interface());
    let account = Memo::new(move |_| session.key());
    let served = Memo::new(move |_| served_network(markets, connection));
    Effect::new(move || {
        let (Some(account), Some(served)) = (account.get(), served.get()) else { return };
        // The first network is trusted, as there is nothing to compare it with. Every other one is reported.
        if session.wallet.with(|wallet| wallet.settings.network(&account).is_none()) {
            attempt(
                interface,
                keys::set(session, move |settings| {
                    // Another tab may have stored it meanwhile.
                    if settings.network(&account).is_none() {
                        settings.networks.push((account, served));
                    }
                }),
            );
        }
    });
    let provider = Memo::new(move |_| {
        session.wallet.with(|wallet| wallet.ethereum().map(|account| account.wallet.clone()))
    });
    Effect::new(move || {
        // The wallet may announce itself after the account is loaded.
        let announced = ethereum::announced();
        if let Some(id) = provider.get().filter(|id| announced.iter().any(|it| it.id == *id)) {
            ethereum::watch(&id);
        }
    });
    let other = Memo::new(move |_| OtherNetwork::of(markets, session, connection, account.get()?));
    let hidden = Memo::new(move |_| HiddenAccount::of(session, account.get()?));
    let connect = move |_| {
        if let Some(hidden) = hidden.get_untracked() {
            hidden.connect(session, interface);
        }
    };
    view! {
        <Show when=move || other.with(Option::is_some)>
            <p class="banner bad" role="alert">
                <OtherNetworkNote other />
            </p>
        </Show>
        <Show when=move || hidden.with(Option::is_some)>
            <p class="banner" role="alert">
                <span>{move || hidden.with(|hidden| hidden.as_ref().map(HiddenAccount::text))}</span>
                <button type="button" class="small" on:click=connect>
                    {move || hidden.with(|hidden| hidden.as_ref().map(HiddenAccount::button))}
                </button>
            </p>
        </Show>
    }
}
