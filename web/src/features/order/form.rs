//! The order form: what an order would do now, what it costs, and why it would be rejected, before
//! anything is signed.

use leptos::prelude::*;
use zellbook_core::types::SelfTrade;
use zellbook_core::{Action, Decimal, Order, Side, Ticks, TimeInForce, Transaction};

use super::expiry::{Expiry, ExpiryField};
use super::faults::{FaultLine, Faults};
use super::number_field::NumberField;
use super::sign_sheet::{ignore_held_enter, lines_view};
use super::size_slider::{SizeSlider, largest};
use crate::draft::Draft;
use crate::fault::{Fault, Field, read_number};
use crate::format::{self, time_in_force_words, verb};
use crate::state::{State, use_state};

/// What the form offers, in this order.
const TIMES_IN_FORCE: [TimeInForce; 5] =
    [TimeInForce::Gtc, TimeInForce::Gtd, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::PostOnly];

/// What becomes of the account's own order where this one meets it.
const SELF_TRADES: [(SelfTrade, &str); 3] = [
    (SelfTrade::CancelNewest, "Cancel new"),
    (SelfTrade::CancelOldest, "Cancel resting"),
    (SelfTrade::CancelBoth, "Cancel both"),
];

/// How much worse than the best price a market order may trade, in basis points.
const SLIPPAGES: [u16; 4] = [10, 50, 100, 300];

/// What the form has beside price, quantity and side.
#[derive(Clone, Copy)]
struct Choices {
    time_in_force: RwSignal<TimeInForce>,
    expiry: Expiry,
    self_trade: RwSignal<SelfTrade>,
    /// Trades at once, at the best prices there are, up to `slippage`.
    is_market: RwSignal<bool>,
    slippage: RwSignal<u16>,
}

impl Choices {
    fn time_in_force(self) -> TimeInForce {
        if self.is_market.get() { TimeInForce::Ioc } else { self.time_in_force.get() }
    }

    /// The limit price of the order: the user's, or the bound of a market order.
    fn price(self, state: State) -> Result<Decimal, Fault> {
        if !self.is_market.get() {
            return read_number(&state.price.get(), Field::Price, "price");
        }
        let loading = || Fault::new(Field::Whole, "The market is loading.");
        let (_, market) = state.listed_market().ok_or_else(loading)?;
        let side = state.side.get();
        let best = state.book.with(|book| book.best(side.opposite())).ok_or_else(|| {
            let missing = if side == Side::Buy { "asks" } else { "bids" };
            Fault::new(
                Field::Whole,
                format!("There are no {missing} in the book. Place a limit order instead."),
            )
        })?;
        let bound = bound(best, side, self.slippage.get());
        market.format_price(bound).parse().map_err(|_| loading())
    }
}

/// The worst price of a market order: so many basis points from the best, and not a tick more.
fn bound(best: Ticks, side: Side, slippage_bps: u16) -> Ticks {
    let most = u128::from(best.0) * u128::from(slippage_bps) / 10_000;
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    Ticks(match side {
        Side::Buy => best.0.saturating_add(most),
        Side::Sell => best.0.saturating_sub(most).max(1),
    })
}

/// The order of the form.
fn draft(state: State, choices: Choices) -> Result<Draft, Fault> {
    let quantity = read_number(&state.quantity.get(), Field::Quantity, "quantity");
    let price = choices.price(state)?;
    let time_in_force = choices.time_in_force();
    let expires = match time_in_force {
        TimeInForce::Gtd => choices.expiry.time(state).map(Some),
        _ => Ok(None),
    };
    let order = Order {
        market: state.market.get(),
        side: state.side.get(),
        quantity: quantity?,
        price,
        time_in_force,
        expires: expires.as_ref().ok().copied().flatten(),
        self_trade: choices.self_trade.get(),
        client_id: None,
    };
    let mut draft = Draft::new(state, order)?;
    draft.is_market = choices.is_market.get();
    expires.map(|_| draft)
}

/// The order form.
#[component]
pub fn OrderForm() -> impl IntoView {
    let state = use_state();
    let choices = Choices {
        time_in_force: RwSignal::new(TimeInForce::Gtc),
        expiry: Expiry::new(),
        self_trade: RwSignal::new(SelfTrade::CancelNewest),
        is_market: RwSignal::new(false),
        slippage: RwSignal::new(50),
    };
    let draft_now = move || draft(state, choices);
    let draft = Memo::new_with_compare(move |_| draft_now(), |_, _| true);
    let fault =
        move || draft.with(|draft| draft.as_ref().map_or_else(|f| Some(f.clone()), Draft::fault));
    let faults = Faults::new(Signal::derive(fault), state.price, state.quantity);
    // What was signed leaves an empty field, which is no mistake of the user.
    Effect::new(move || {
        if state.request.with(Option::is_none) {
            faults.forget();
        }
    });
    let section: NodeRef<leptos::html::Section> = NodeRef::new();
    Effect::new(move || {
        if let (true, Some(section)) = (state.form_open.get(), section.get_untracked()) {
            // What it covers is not where the keyboard should be.
            request_animation_frame(move || {
                let _ = section.focus();
            });
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        faults.leave_all();
        if untrack(move || faults.is_blocked()) {
            return;
        }
        // Anew: an expiry counts from now.
        if let Ok(draft) = untrack(draft_now) {
            state.request.set(Some(draft.request()));
        }
    };
    let side_button = move |side: Side, class: &'static str| {
        view! {
            <button
                type="button"
                class=class
                class:active=move || state.side.get() == side
                aria-pressed=move || (state.side.get() == side).to_string()
                on:click=move |_| state.side.set(side)
            >
                {verb(side)}
            </button>
        }
    };
    let kind_button = move |name: &'static str, is_market: bool| {
        let is_chosen = move || choices.is_market.get() == is_market;
        view! {
            <button
                type="button"
                class:active=is_chosen
                aria-pressed=move || is_chosen().to_string()
                on:click=move |_| choices.is_market.set(is_market)
            >
                {name}
            </button>
        }
    };
    let slippage_option = move |bps: u16| {
        let text = format!("{} %", format::number(&format::percent_of_bps(bps), 0));
        view! { <option value=bps.to_string() selected=move || choices.slippage.get() == bps>{text}</option> }
    };
    // The largest order that the balance pays for.
    let largest = Memo::new(move |_| {
        let price = choices.price(state).ok();
        largest(state, price, choices.time_in_force())
    });
    let time_in_force_option = |value: TimeInForce| {
        view! { <option value=value.name()>{time_in_force_words(value)}</option> }
    };
    // It is shown anew after another time in force, so it tells what is chosen.
    let self_trade_option = move |(value, words): (SelfTrade, &'static str)| {
        let is_chosen = move || choices.self_trade.get() == value;
        view! { <option value=value.name() selected=is_chosen>{words}</option> }
    };
    let available = move || {
        let (listing, market) = state.listed_market()?;
        let token = listing.token_at(market.cost_token(state.side.get()))?.symbol.clone();
        let amount = state.available(&token)?;
        Some(format!("{} {token}", format::number(&amount.to_string(), 0)))
    };
    let lines = move || draft.with(|draft| draft.as_ref().map(Draft::lines).unwrap_or_default());
    let button_text = move || {
        draft.with(|draft| {
            draft.as_ref().map_or_else(|_| verb(state.side.get()).to_string(), Draft::title)
        })
    };
    let text_to_sign = move || {
        let mut order = draft.with(|draft| draft.as_ref().map(|draft| draft.order.clone()).ok())?;
        let account = state.wallet.with(crate::wallet::Wallet::account)?;
        let network = state.rules.get()?.network;
        // What is not known yet stands as zero, then in words.
        let is_counted = choices.expiry.is_counted();
        order.expires = order.expires.map(|time| if is_counted { 0 } else { time });
        let action = Action::Order(order);
        let transaction =
            Transaction { account, signer: None, nonce: 0, valid_until: None, action };
        let text = transaction.text(&network);
        let text = text.replace("\nnonce: 0", "\nnonce: (time of signing)");
        Some(text.replace("\nexpires: 0", "\nexpires: (counted from the time of signing)"))
    };
    view! {
        <section
            class="panel form-panel"
            class:open=move || state.form_open.get()
            aria-label="Order form"
            id="order-form"
            tabindex="-1"
            node_ref=section
            on:keydown=move |event| {
                if event.key() == "Escape" {
                    state.form_open.set(false);
                }
            }
        >
            <form on:submit=submit on:keydown=ignore_held_enter novalidate>
                <div class="form-head">
                    <h2>"Place order"</h2>
                    <button type="button" class="quiet close" on:click=move |_| state.form_open.set(false)>
                        "Close"
                    </button>
                </div>
                <div class="sides" role="group" aria-label="Side">
                    {side_button(Side::Buy, "buy")} {side_button(Side::Sell, "sell")}
                </div>
                <div class="kinds" role="group" aria-label="Order type">
                    {kind_button("Limit", false)} {kind_button("Market", true)}
                </div>
                <Show
                    when=move || !choices.is_market.get()
                    fallback=move || {
                        view! {
                            <label class="field">
                                <span>"Max slippage"</span>
                                <select on:change=move |event| {
                                    if let Ok(bps) = event_target_value(&event).parse() {
                                        choices.slippage.set(bps);
                                    }
                                }>{SLIPPAGES.map(slippage_option).collect_view()}</select>
                            </label>
                        }
                    }
                >
                    <NumberField
                        id="field-price"
                        label="Price"
                        unit=Signal::derive(move || state.symbol(false))
                        value=state.price
                        faults
                        field=Field::Price
                        step=Signal::derive(move || Some(state.listed_market()?.1.tick_size))
                    />
                </Show>
                <NumberField
                    id="field-quantity"
                    label="Quantity"
                    unit=Signal::derive(move || state.symbol(true))
                    value=state.quantity
                    faults
                    field=Field::Quantity
                    step=Signal::derive(move || Some(state.listed_market()?.1.lot_size))
                />
                <SizeSlider quantity=state.quantity largest />
                <label class="field" class:hidden=move || choices.is_market.get()>
                    <span>"Time in force"</span>
                    <select on:change=move |event| {
                        if let Ok(value) = event_target_value(&event).parse() {
                            choices.time_in_force.set(value);
                        }
                    }>{TIMES_IN_FORCE.map(time_in_force_option).collect_view()}</select>
                </label>
                <Show when=move || choices.time_in_force() == TimeInForce::Gtd>
                    <ExpiryField expiry=choices.expiry faults />
                </Show>
                <details>
                    <summary>"Advanced"</summary>
                    // A post-only order meets none.
                    <Show when=move || choices.time_in_force() != TimeInForce::PostOnly>
                        <label class="field">
                            <span>"Self-trade prevention"</span>
                            <select on:change=move |event| {
                                if let Ok(value) = event_target_value(&event).parse() {
                                    choices.self_trade.set(value);
                                }
                            }>
                                {SELF_TRADES.map(self_trade_option).collect_view()}
                            </select>
                        </label>
                    </Show>
                    <p class="note">"Message to sign:"</p>
                    <pre class="text">
                        {move || text_to_sign().unwrap_or_else(|| "Complete the form to see it.".into())}
                    </pre>
                </details>
                <dl class="cost">
                    <div>
                        <dt>"Available"</dt>
                        <dd>{move || available().unwrap_or_else(|| "–".into())}</dd>
                    </div>
                    {move || lines_view(lines())}
                </dl>
                <div class="send">
                    <FaultLine faults field=Field::Whole id="order-reason" class="reason" />
                    <button
                        type="submit"
                        class=move || if state.side.get() == Side::Buy { "main buy" } else { "main sell" }
                        aria-disabled=move || faults.is_blocked().to_string()
                        aria-describedby="order-reason"
                    >
                        {button_text}
                    </button>
                </div>
            </form>
        </section>
    }
}
