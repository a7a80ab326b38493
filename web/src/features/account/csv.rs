//! Tables as files of comma-separated values (RFC 4180), for spreadsheets.

use leptos::prelude::document;
use wasm_bindgen::{JsCast, JsValue};

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A value in quotes. One that a spreadsheet would compute is marked as text.
fn quoted(value: &str) -> String {
    let mark = if value.starts_with(FORMULA) { "'" } else { "" };
    format!("\"{mark}{}\"", value.replace('"', "\"\""))
}

fn text(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        row.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(",") + "\r\n"
    };
    rows.iter().map(line).collect()
}

/// Offers rows as a file to save.
pub fn save(name: &str, rows: &[Vec<String>]) -> Result<(), JsValue> {
    let parts = js_sys::Array::of1(&text(rows).into());
    let blob = web_sys::Blob::new_with_str_sequence(&parts)?;
    let url = web_sys::Url::create_object_url_with_blob(&blob)?;
    let link: web_sys::HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    web_sys::Url::revoke_object_url(&url)
}
