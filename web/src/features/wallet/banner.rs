//! What somebody with a key is told before anything is signed: that the Ethereum wallet shows another account, and
//! that the replica tells another network.

use leptos::prelude::*;
use zellbook_core::PublicKey;

use super::attempt;
use crate::format::short;
use crate::state::{State, use_state};
use crate::wallet::{self, EthereumAccount, Wallet, ethereum};

/// The network that the replica says it serves now; before it said anything, the one that the page was loaded with.
fn told(state: State) -> Option<String> {
    let told = state.status.with(|status| status.as_ref().map(|status| status.network.clone()));
    told.or_else(|| state.rules.with(|rules| rules.as_ref().map(|rules| rules.network.to_string())))
}

/// An account and two networks: the one that it is used on, and the other one that the replica tells.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherNetwork {
    account: PublicKey,
    used: String,
    told: String,
}

impl OtherNetwork {
    /// Whether an account meets another network than before.
    pub fn of(state: State, account: PublicKey) -> Option<Self> {
        let told = told(state)?;
        let used = state.wallet.with(|wallet| {
            wallet.settings.network(&account).filter(|used| *used != told).map(Into::into)
        });
        Some(Self { account, used: used?, told })
    }

    /// Uses the account on the network that the replica tells.
    fn accept(self, state: State) {
        let Self { account, told, .. } = self;
        let is_loaded = state.rules.with_untracked(|rules| {
            rules.as_ref().is_some_and(|rules| rules.network.to_string() == told)
        });
        attempt(async move {
            wallet::set(state.wallet, move |settings| {
                settings.networks.retain(|(known, _)| *known != account);
                settings.networks.push((account, told));
            })
            .await?;
            if !is_loaded {
                // Rules and markets on show are those of the other network. Where the browser refuses, the user reloads.
                let _ = window().location().reload();
            }
            Ok(())
        });
    }
}

/// What another network means, and the way to accept it.
#[component]
pub fn OtherNetworkNote(#[prop(into)] other: Signal<Option<OtherNetwork>>) -> impl IntoView {
    let state = use_state();
    let text = move || {
        let OtherNetwork { used, told, .. } = other.get()?;
        Some(format!(
            "Different network: this address now serves {}, but you used your account on {}. Its balances and orders there are not here. If this change was not announced, sign nothing and ask the operator.",
            short(&told),
            short(&used),
        ))
    };
    let title = move || {
        other.with(|other| {
            let OtherNetwork { used, told, .. } = other.as_ref()?;
            Some(format!("Now {told}\nUsed on {used}"))
        })
    };
    let accept = move |_| {
        if let Some(other) = other.get_untracked() {
            other.accept(state);
        }
    };
    view! {
        <span title=title>{text}</span>
        <button type="button" class="small" on:click=accept>"Switch to this network"</button>
    }
}

/// An account whose wallet shows others, or none.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden {
    account: EthereumAccount,
    shown: Vec<String>,
}

impl Hidden {
    /// Whether the wallet of an account is known not to show it.
    pub fn of(state: State, account: PublicKey) -> Option<Self> {
        let account = state.wallet.with(|wallet| wallet.ethereum_of(account).cloned())?;
        let shown = ethereum::shown_instead(&account)?;
        Some(Self { account, shown })
    }

    /// What is the matter, and what to do in the wallet.
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

    /// Goes on with the account that the wallet shows, or has it show one.
    fn connect(self, state: State) {
        let Self { account: EthereumAccount { wallet: id, .. }, shown } = self;
        let known = state.wallet.with_untracked(|wallet| {
            let mut known = wallet.settings.ethereum.iter();
            let is_shown = |known: &&EthereumAccount| {
                known.wallet == id && shown.first() == Some(&known.address)
            };
            known.find(is_shown).map(|known| known.account)
        });
        attempt(async move {
            match known {
                Some(known) => {
                    wallet::set(state.wallet, move |settings| settings.selected = Some(known)).await
                }
                None if shown.is_empty() => ethereum::addresses(&id).await.map(drop),
                None => wallet::connect(state.wallet, &id).await,
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

/// The lines across the page. Also follows the Ethereum wallet of the account that acts, and notes the network
/// that an account is first used on.
#[component]
pub fn AccountBanner() -> impl IntoView {
    let state = use_state();
    let account = Memo::new(move |_| state.wallet.with(Wallet::account));
    let told = Memo::new(move |_| told(state));
    Effect::new(move || {
        let (Some(account), Some(told)) = (account.get(), told.get()) else { return };
        if state.wallet.with(|wallet| wallet.settings.network(&account).is_none()) {
            attempt(wallet::set(state.wallet, move |settings| {
                // Another tab may have noted it meanwhile.
                if settings.network(&account).is_none() {
                    settings.networks.push((account, told));
                }
            }));
        }
    });
    let provider = Memo::new(move |_| {
        state.wallet.with(|wallet| wallet.ethereum().map(|account| account.wallet.clone()))
    });
    Effect::new(move || {
        // It may announce itself later than it is known to be needed.
        let announced = ethereum::announced();
        if let Some(id) = provider.get().filter(|id| announced.iter().any(|it| it.id == *id)) {
            ethereum::watch(&id);
        }
    });
    let other = Memo::new(move |_| OtherNetwork::of(state, account.get()?));
    let hidden = Memo::new(move |_| Hidden::of(state, account.get()?));
    let connect = move |_| {
        if let Some(hidden) = hidden.get_untracked() {
            hidden.connect(state);
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
                <span>{move || hidden.with(|hidden| hidden.as_ref().map(Hidden::text))}</span>
                <button type="button" class="small" on:click=connect>
                    {move || hidden.with(|hidden| hidden.as_ref().map(Hidden::button))}
                </button>
            </p>
        </Show>
    }
}
