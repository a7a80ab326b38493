//! Files that the reader saves from the page or opens in it.

use leptos::ev::Event;
use leptos::prelude::{document, event_target};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, HtmlAnchorElement, HtmlInputElement, Url};

/// Why a file could not be saved: the browser did not allow it.
pub struct NotSaved;

/// Offers a text as a file to save.
pub fn save(name: &str, text: &str) -> Result<(), NotSaved> {
    let save = || {
        let parts = js_sys::Array::of1(&text.into());
        let url = Url::create_object_url_with_blob(&Blob::new_with_str_sequence(&parts)?)?;
        // A link that is clicked by the page is the only way to give a download its name.
        let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
        link.set_href(&url);
        link.set_download(name);
        link.click();
        // The click has started the download, so the page need not hold the text any longer.
        Url::revoke_object_url(&url)
    };
    save().map_err(|_: JsValue| NotSaved)
}

/// The text of the file that was chosen in a file field, or an empty text if it cannot be read. None if no file was
/// chosen.
pub fn chosen(event: &Event) -> Option<impl Future<Output = String> + use<>> {
    let input: HtmlInputElement = event_target(event);
    let file = input.files()?.get(0)?;
    Some(async move {
        let text = JsFuture::from(file.text()).await;
        text.ok().and_then(|text| text.as_string()).unwrap_or_default()
    })
}
