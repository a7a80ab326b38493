//! Sheets: dialogs that slide over the page.

use leptos::ev::KeyboardEvent;
use leptos::html::Dialog;
use leptos::prelude::*;

/// Opens and closes a dialog as `is_open` says.
pub fn open_while(dialog: NodeRef<Dialog>, is_open: impl Fn() -> bool + 'static) {
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        // Closing a dialog that is closed does nothing.
        if !is_open() {
            dialog.close();
        } else if !dialog.open() {
            // The call fails only for a dialog that is open already.
            let _ = dialog.show_modal();
        }
    });
}

/// Ignores the Enter key while it is held down. It repeats, and would sign in the sheet that it has just opened.
pub fn ignore_held_enter(event: KeyboardEvent) {
    if event.repeat() && event.key() == "Enter" {
        event.prevent_default();
    }
}

/// A sheet with a heading and a button that closes it.
pub fn sheet(
    is_open: RwSignal<bool>,
    label: &'static str,
    body: impl Fn() -> AnyView + Send + Sync + 'static,
) -> impl IntoView {
    let dialog: NodeRef<Dialog> = NodeRef::new();
    open_while(dialog, move || is_open.get());
    // Esc closes the dialog without asking the signal, which follows by the dialog's `close` event. The body is made
    // anew each time, so nothing that was typed is left from before.
    view! {
        <dialog node_ref=dialog class="sheet" aria-label=label on:close=move |_| is_open.set(false)>
            <div class="sheet-head">
                <h2>{label}</h2>
                <button type="button" class="quiet" on:click=move |_| is_open.set(false)>"Close"</button>
            </div>
            {move || is_open.get().then(&body)}
        </dialog>
    }
}
