//! Where the pointer is.

use leptos::ev::PointerEvent;
use leptos::prelude::document;
use wasm_bindgen::JsCast;
use web_sys::Element;

/// The pointer's distance from the left edge of the element that listens, in `parts` of its width.
pub fn parts_from_left(event: &PointerEvent, parts: u128) -> Option<u128> {
    let element: Element = event.current_target()?.dyn_into().ok()?;
    // An element that is not shown has no width to divide by.
    let width = u128::try_from(element.client_width()).ok().filter(|width| *width > 0)?;
    // A captured pointer may be left or right of the element.
    let x = u128::try_from(event.offset_x()).unwrap_or(0);
    Some(x.min(width) * parts / width)
}

/// The pointer's distance from the lower edge of the window, in hundredths of the window's height.
pub fn percent_from_bottom(event: &PointerEvent) -> Option<i32> {
    let window = document().document_element()?.client_height();
    ((window - event.client_y()) * 100).checked_div(window)
}

/// Sends all events of a pointer that is down to the element under it until it is lifted. Without it, a drag ends as
/// soon as the pointer leaves a thin element.
pub fn capture(event: &PointerEvent) {
    if let Some(element) = event.target().and_then(|it| it.dyn_into::<Element>().ok()) {
        let _ = element.set_pointer_capture(event.pointer_id());
    }
}
