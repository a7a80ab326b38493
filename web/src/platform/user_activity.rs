//! Whether somebody is using this page.

use leptos::prelude::window;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

/// Calls back at each press, key and turn of the wheel, for as long as the page lives.
pub fn listen(on_activity: impl Fn() + 'static) {
    let listener = Closure::<dyn Fn()>::new(on_activity).into_js_value();
    for name in ["pointerdown", "keydown", "wheel"] {
        // The call fails only for invalid arguments, which these are not.
        let _ = window().add_event_listener_with_callback(name, listener.unchecked_ref());
    }
}
