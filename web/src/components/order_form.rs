//! The order form: what it costs, what would be rejected and why, before anything is signed.

use std::sync::Arc;

use leptos::prelude::*;
use zellbook_core::genesis::{Market, Rules};
use zellbook_core::reject::Reject;
use zellbook_core::terms::Terms;
use zellbook_core::transaction::{Action, Order, SelfTrade, Side, TimeInForce};
use zellbook_core::units::Decimal;

use super::sign_sheet::ignore_held_enter;
use crate::format;
use crate::state::{SignRequest, State, use_state};

/// What the form says, or why it cannot be sent.
#[derive(Clone)]
struct Draft {
    rules: Arc<Rules>,
    market: Market,
    order: Order,
    terms: Terms,
}

/// Where a fault shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Price,
    Quantity,
    Whole,
}

/// A fault with its place.
type Fault = (Field, String);

fn fault(reject: &Reject) -> Fault {
    let field = match reject {
        Reject::PriceOffTick { .. } | Reject::NotPositive { field: "price", .. } => Field::Price,
        Reject::TooLarge { field: "price", .. } | Reject::WouldCross { .. } => Field::Price,
        Reject::QuantityOffLot { .. } | Reject::NotPositive { .. } | Reject::TooLarge { .. } => {
            Field::Quantity
        }
        _ => Field::Whole,
    };
    let text = reject.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    (field, first.unwrap_or_default() + letters.as_str() + ".")
}

/// A number as people type it: without needless zeros.
fn read(text: &str, field: Field, name: &str) -> Result<Decimal, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err((field, format!("Enter a {name}.")));
    }
    Decimal::parse_lenient(text)
        .map_err(|_| (field, format!("Enter the {name} in digits with a point, like 1500.25.")))
}

/// The order of the form, checked as the engine would check it.
fn draft(state: State, time_in_force: TimeInForce, self_trade: SelfTrade) -> Result<Draft, Fault> {
    let (rules, market) =
        state.market_rules().ok_or((Field::Whole, "The markets are loading.".to_string()))?;
    let (price, quantity) = (state.price.get(), state.quantity.get());
    let quantity = read(&quantity, Field::Quantity, "quantity");
    let order = Order {
        market: market.name.clone(),
        side: state.side.get(),
        price: read(&price, Field::Price, "price")?,
        quantity: quantity?,
        time_in_force,
        self_trade,
    };
    let terms = rules.terms(&order).map_err(|reject| fault(&reject))?;
    if time_in_force == TimeInForce::PostOnly {
        check_post_only(state, &order, &market)?;
    }
    check_open_orders(state, &rules, &market, time_in_force)?;
    let token =
        rules.token_at(terms.lock_token).map(|token| (token.symbol.clone(), token.decimals));
    if let Some((symbol, decimals)) = token
        && state.wallet.with(|wallet| wallet.account().is_some())
        && let Some(available) = state.available(&symbol)
    {
        let needed = Decimal::of_atoms(terms.lock, decimals);
        let atoms = |amount: Decimal| amount.in_steps_of(Decimal::one_atom(decimals)).unwrap_or(0);
        if atoms(available) < atoms(needed) {
            return Err(fault(&Reject::BalanceTooLow { token: symbol, needed, available }));
        }
    }
    Ok(Draft { rules, market, order, terms })
}

fn check_post_only(state: State, order: &Order, market: &Market) -> Result<(), Fault> {
    let Some(best) = state.book.with(|book| book.best(order.side.opposite())) else {
        return Ok(());
    };
    let ticks = |price: Decimal| price.in_steps_of(market.tick_size).unwrap_or(0);
    let crosses = match order.side {
        Side::Buy => ticks(order.price) >= ticks(best),
        Side::Sell => ticks(order.price) <= ticks(best),
    };
    let side = if order.side == Side::Buy { "ask" } else { "bid" };
    if crosses { Err(fault(&Reject::WouldCross { side, best })) } else { Ok(()) }
}

fn check_open_orders(
    state: State,
    rules: &Rules,
    market: &Market,
    time_in_force: TimeInForce,
) -> Result<(), Fault> {
    let most = rules.genesis.limits.open_orders_per_account;
    let open = state.account.with(|account| {
        let orders = account.iter().flat_map(|account| &account.open_orders);
        orders.filter(|order| order.market == market.name).count()
    });
    let is_full = u32::try_from(open).unwrap_or(u32::MAX) >= most;
    if is_full && time_in_force != TimeInForce::Ioc {
        return Err(fault(&Reject::TooManyOrders { market: market.name.clone(), most }));
    }
    Ok(())
}

impl Draft {
    fn symbol(&self, index: zellbook_core::genesis::TokenIndex) -> String {
        self.rules.token_at(index).map_or_else(String::new, |token| token.symbol.clone())
    }

    /// "Buy 1.5 ETH at 2,000".
    fn title(&self) -> String {
        let verb = if self.order.side == Side::Buy { "Buy" } else { "Sell" };
        let quantity = format::number(&self.order.quantity.to_string(), 0);
        let price = format::number(&self.order.price.to_string(), 0);
        format!("{verb} {quantity} {} at {price}", self.symbol(self.market.base))
    }

    fn notional(&self) -> String {
        let atoms = self.market.quote_atoms(self.terms.price, self.terms.quantity);
        let text = self.rules.format_amount(self.market.quote, atoms.unwrap_or_default());
        format!("{} {}", format::number(&text, 0), self.symbol(self.market.quote))
    }

    fn locks(&self) -> String {
        let text = self.rules.format_amount(self.terms.lock_token, self.terms.lock);
        format!("{} {}", format::number(&text, 0), self.symbol(self.terms.lock_token))
    }

    fn request(&self) -> SignRequest {
        let word = if self.order.side == Side::Buy { "Costs at most" } else { "Brings at least" };
        SignRequest {
            title: self.title(),
            lines: vec![
                (word, self.notional()),
                ("Locks until filled or cancelled", self.locks()),
                ("Fee", format!("0 {}", self.symbol(self.market.quote))),
            ],
            action: Action::Order(self.order.clone()),
        }
    }
}

/// The order form.
#[component]
pub fn OrderForm() -> impl IntoView {
    let state = use_state();
    let time_in_force = RwSignal::new(TimeInForce::Gtc);
    let self_trade = RwSignal::new(SelfTrade::CancelNewest);
    // Faults show once the user has left a field, never while it is first typed.
    let left = RwSignal::new((false, false));
    let draft = Memo::new_with_compare(
        move |_| draft(state, time_in_force.get(), self_trade.get()),
        |_, _| true,
    );
    let fault_of = move |field: Field| {
        let seen = match field {
            Field::Price => left.get().0,
            Field::Quantity => left.get().1,
            Field::Whole => true,
        };
        let fault = draft.with(|draft| draft.as_ref().err().cloned())?;
        (fault.0 == field && seen).then_some(fault.1)
    };
    let wallet_fault = move || {
        state
            .wallet
            .with(|wallet| wallet.account().is_none())
            .then(|| "Make or import a key first.".to_string())
    };
    let reason = move || {
        let fault = || draft.with(|draft| draft.as_ref().err().cloned());
        wallet_fault().or_else(|| fault().map(|fault| fault.1))
    };
    // What stands below its field already is not said again beside the button.
    let shown_reason = move || {
        reason().filter(|reason| {
            let is_said = |field| fault_of(field).as_ref() == Some(reason);
            !is_said(Field::Price) && !is_said(Field::Quantity)
        })
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        left.set((true, true));
        if wallet_fault().is_some() {
            return;
        }
        if let Ok(draft) = draft.get_untracked() {
            state.request.set(Some(draft.request()));
        }
    };
    let side_button = move |side: Side, name: &'static str, class: &'static str| {
        view! {
            <button
                type="button"
                class=class
                class:active=move || state.side.get() == side
                aria-pressed=move || (state.side.get() == side).to_string()
                on:click=move |_| state.side.set(side)
            >
                {name}
            </button>
        }
    };
    let symbol = move |is_base: bool| {
        state.market_rules().and_then(|(rules, market)| {
            let index = if is_base { market.base } else { market.quote };
            rules.token_at(index).map(|token| token.symbol.clone())
        })
    };
    let available = move || {
        let (rules, market) = state.market_rules()?;
        let token = rules.token_at(market.lock_token(state.side.get()))?.symbol.clone();
        let amount = state.available(&token)?;
        Some(format!("{} {token}", format::number(&amount.to_string(), 0)))
    };
    let button_text = move || {
        let word = if state.side.get() == Side::Buy { "Buy" } else { "Sell" };
        draft.with(|draft| draft.as_ref().map_or_else(|_| word.to_string(), Draft::title))
    };
    let text_to_sign = move || {
        let draft = draft.get().ok()?;
        let account = state.wallet.with(crate::wallet::Wallet::account)?;
        let nonce = 0;
        let action = Action::Order(draft.order);
        let text = zellbook_core::transaction::Transaction { account, nonce, action }
            .text(&draft.rules.network);
        Some(text.replace("\nnonce: 0", "\nnonce: (the time when you sign)"))
    };
    view! {
        <section
            class="panel form-panel"
            class:open=move || state.form_open.get()
            aria-label="Order form"
            id="order-form"
        >
            <form on:submit=submit on:keydown=ignore_held_enter novalidate>
                <div class="form-head">
                    <h2>"Order"</h2>
                    <button type="button" class="quiet close" on:click=move |_| state.form_open.set(false)>
                        "Close"
                    </button>
                </div>
                <div class="sides" role="group" aria-label="Side">
                    {side_button(Side::Buy, "Buy", "buy")} {side_button(Side::Sell, "Sell", "sell")}
                </div>
                <NumberField
                    label="Price"
                    unit=Signal::derive(move || symbol(false))
                    value=state.price
                    fault=Signal::derive(move || fault_of(Field::Price))
                    step=Signal::derive(move || Some(state.market_rules()?.1.tick_size))
                    on_leave=move || left.update(|left| left.0 = true)
                />
                <NumberField
                    label="Quantity"
                    unit=Signal::derive(move || symbol(true))
                    value=state.quantity
                    fault=Signal::derive(move || fault_of(Field::Quantity))
                    step=Signal::derive(move || Some(state.market_rules()?.1.lot_size))
                    on_leave=move || left.update(|left| left.1 = true)
                />
                <label class="field">
                    <span>"Time in force"</span>
                    <select on:change=move |event| {
                        if let Ok(value) = event_target_value(&event).parse() {
                            time_in_force.set(value);
                        }
                    }>
                        <option value="gtc">"Until cancelled"</option>
                        <option value="ioc">"Fill at once or cancel"</option>
                        <option value="post_only">"Post only"</option>
                    </select>
                </label>
                <details>
                    <summary>"More"</summary>
                    <label class="field">
                        <span>"Where it meets my own order, cancel"</span>
                        <select on:change=move |event| {
                            if let Ok(value) = event_target_value(&event).parse() {
                                self_trade.set(value);
                            }
                        }>
                            <option value="cancel_newest">"this order"</option>
                            <option value="cancel_oldest">"the older order"</option>
                            <option value="cancel_both">"both"</option>
                        </select>
                    </label>
                    <p class="note">"The text that will be signed:"</p>
                    <pre class="text">
                        {move || text_to_sign().unwrap_or_else(|| "Fill in the form to see it.".into())}
                    </pre>
                </details>
                <dl class="cost">
                    <div>
                        <dt>"Available"</dt>
                        <dd>{move || available().unwrap_or_else(|| "–".into())}</dd>
                    </div>
                    <div>
                        <dt>{move || if state.side.get() == Side::Buy { "Costs at most" } else { "Brings at least" }}</dt>
                        <dd>{move || draft.with(|draft| draft.as_ref().map_or_else(|_| "–".into(), Draft::notional))}</dd>
                    </div>
                </dl>
                <button
                    type="submit"
                    class=move || if state.side.get() == Side::Buy { "main buy" } else { "main sell" }
                    aria-disabled=move || reason().is_some().to_string()
                    aria-describedby="order-reason"
                >
                    {button_text}
                </button>
                <p class="reason" id="order-reason">{shown_reason}</p>
            </form>
        </section>
    }
}

/// A number with its unit inside, stepped by the arrow keys, with its fault below.
#[component]
fn NumberField(
    label: &'static str,
    #[prop(into)] unit: Signal<Option<String>>,
    value: RwSignal<String>,
    #[prop(into)] fault: Signal<Option<String>>,
    #[prop(into)] step: Signal<Option<Decimal>>,
    on_leave: impl Fn() + 'static,
) -> impl IntoView {
    let id = format!("field-{}", label.to_lowercase());
    let fault_id = format!("{id}-fault");
    let move_by = move |is_up: bool| {
        let Some(step) = step.get_untracked() else { return };
        let now = Decimal::parse_lenient(value.get_untracked().trim()).unwrap_or(Decimal::ZERO);
        let Some((below, above)) = now.neighbours(step) else { return };
        let next = if is_up {
            above
        } else if below == now {
            let steps = now.in_steps_of(step).unwrap_or(0).saturating_sub(1);
            Decimal::of_steps(steps, step).unwrap_or(now)
        } else {
            below
        };
        value.set(next.to_string());
    };
    let on_key = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        "ArrowUp" => {
            event.prevent_default();
            move_by(true);
        }
        "ArrowDown" => {
            event.prevent_default();
            move_by(false);
        }
        _ => {}
    };
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <div class="input">
                <input
                    id=id
                    inputmode="decimal"
                    autocomplete="off"
                    prop:value=move || value.get()
                    aria-invalid=move || fault.get().is_some().to_string()
                    aria-describedby=fault_id.clone()
                    on:input=move |event| value.set(event_target_value(&event))
                    on:blur=move |_| on_leave()
                    on:keydown=on_key
                />
                <span class="unit">{move || unit.get()}</span>
            </div>
            <p class="fault" id=fault_id>{move || fault.get()}</p>
        </div>
    }
}
