//! The steps to the first trade.

use leptos::prelude::*;
use zellbook_core::{Decimal, Lots, Side};

use super::faucet::ask_faucet;
use crate::features::market::{Markets, use_markets};
use crate::features::order::{FormState, use_form};
use crate::features::replica::use_connection;
use crate::features::signing::{Signing, use_signing};
use crate::features::wallet::{Session, use_session};
use crate::platform::focus::focus;
use crate::ui::interface::{Interface, use_interface};

/// The suggested order spends the balance divided by this.
const SUGGESTED_PART: u128 = 100;

/// What the buttons of the steps work on.
#[derive(Clone, Copy)]
struct Context {
    markets: Markets,
    session: Session,
    signing: Signing,
    form: FormState,
    interface: Interface,
}

impl Context {
    fn of_page() -> Self {
        Self {
            markets: use_markets(),
            session: use_session(),
            signing: use_signing(),
            form: use_form(),
            interface: use_interface(),
        }
    }

    fn open_wallet(self) {
        self.interface.open_wallet();
    }

    fn ask_faucet(self) {
        ask_faucet(self.session, self.signing, self.interface);
    }

    /// Fills the form with a small order at the best ask, or opens the empty form if nobody sells.
    fn suggest(self) {
        // A buy at the best ask fills at once, so a newcomer sees a whole trade and not an order that waits.
        let fill = || {
            let (listing, market) = self.markets.shown_market()?;
            let best = self.markets.book.with(|book| book.best(Side::Sell))?;
            let price = Decimal::of_steps(u128::from(best.0), market.tick_size)?;
            let quote = listing.token_at(market.quote)?;
            let available = self.session.available(&quote.symbol)?;
            let atoms = available.in_steps_of(Decimal::one_atom(quote.decimals)).ok()?;
            let lot = market.quote_atoms(best, Lots(1))?;
            // At least one lot. If that is more than the balance or less than the market's minimum, the form says so.
            let lots = (atoms / SUGGESTED_PART).checked_div(lot.0)?.max(1);
            let quantity = Decimal::of_steps(lots, market.lot_size)?;
            self.form.fill(Side::Buy, price.to_string(), quantity.to_string());
            Some(())
        };
        // The form is filled before it is opened, because filling it chooses the side.
        let field = if untrack(fill).is_some() { "#field-quantity" } else { "#field-price" };
        self.form.open(self.form.side.get_untracked());
        // Two frames later the form is there and has had the focus as a whole.
        request_animation_frame(move || request_animation_frame(move || focus(field)));
    }
}

/// Whether each of [`STEPS`] is done.
type Done = [bool; 4];

const STEPS: [&str; 4] = [
    "Create or import a wallet, or connect an Ethereum wallet. The keys stay in this browser.",
    "Get test tokens to trade with.",
    "Place an order. The form shows what it costs before you sign.",
    "Now or later: write down your recovery phrase. Nobody else can restore your wallet.",
];

/// A button that does a step.
#[derive(Clone, Copy)]
struct Button {
    step: usize,
    name: &'static str,
    press: fn(Context),
}

const OPEN: Button = Button { step: 0, name: "Create wallet", press: Context::open_wallet };
const TOKENS: Button = Button { step: 1, name: "Get test tokens", press: Context::ask_faucet };
const ORDER: Button = Button { step: 2, name: "Suggest an order", press: Context::suggest };
const BACK_UP: Button = Button { step: 3, name: "Back up now", press: Context::open_wallet };

/// The steps, each marked if it is done and with a button if it can be done now.
fn steps(context: Context, done: Done, buttons: &[Button]) -> impl IntoView + use<> {
    let step = |(index, is_done): (usize, bool)| {
        let button = buttons.iter().find(|button| button.step == index).copied().map(|button| {
            let Button { name, press, .. } = button;
            view! { <button type="button" on:click=move |_| press(context)>{name}</button> }
        });
        view! {
            <li class:done=is_done>
                <span class="mark" aria-hidden="true">{if is_done { "✓" } else { "○" }}</span>
                <span>{STEPS.get(index).copied()}</span>
                {button}
            </li>
        }
    };
    let list = done.into_iter().enumerate().map(step).collect_view();
    view! {
        <div class="welcome">
            <h3>"Your first trade"</h3>
            <ol>{list}</ol>
        </div>
    }
}

/// The steps before there is a wallet.
#[component]
pub fn Welcome() -> impl IntoView {
    steps(Context::of_page(), [false; 4], &[OPEN])
}

/// The steps once there is a wallet. They disappear with the first trade.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let context = Context::of_page();
    let (session, connection) = (context.session, use_connection());
    // Memos: with each batch the account changes, and making the steps again would take the focus from their buttons.
    let is_backed_up =
        Memo::new(move |_| session.wallet.with(|wallet| wallet.settings.is_backed_up));
    let has_tokens = Memo::new(move |_| {
        session.account.with(|account| {
            let mut balances = account.iter().flat_map(|account| &account.balances);
            // Locked tokens count too: they may all be in an order that waits.
            balances.any(|balance| balance.available != "0" || balance.locked != "0")
        })
    });
    let gives = Memo::new(move |_| connection.has_faucet());
    move || {
        let (is_backed_up, has_tokens) = (is_backed_up.get(), has_tokens.get());
        let mut buttons = Vec::new();
        // The backup can be made from the start, but no step waits for it: writing down a phrase would put off the
        // first trade.
        if !is_backed_up {
            buttons.push(BACK_UP);
        }
        if has_tokens {
            buttons.push(ORDER);
        } else if gives.get() {
            buttons.push(TOKENS);
        }
        // The third step is never shown as done: all steps disappear with the first fill.
        steps(context, [true, has_tokens, false, is_backed_up], &buttons)
    }
}
