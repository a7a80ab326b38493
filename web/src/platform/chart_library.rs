//! The chart library: an asset of its own, which `web/chart.js` puts these calls over.

use leptos::prelude::document;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlScriptElement};

#[wasm_bindgen]
extern "C" {
    /// A chart in an element.
    #[derive(Clone)]
    pub type Chart;

    /// Puts a chart into an element. `point` is told the time under the pointer, or a negative number, and
    /// `oldest` that the first candles are in sight.
    #[wasm_bindgen(js_namespace = zellbookChart)]
    pub fn mount(
        element: &Element,
        point: &Closure<dyn FnMut(f64)>,
        oldest: &Closure<dyn FnMut()>,
    ) -> Chart;

    /// Shows other candles, as [`rows`](super::candle_chart) has them.
    #[wasm_bindgen(method, js_name = setAll)]
    pub fn set_all(this: &Chart, rows: &[f64], digits: u8, step: f64, is_of_days: bool);

    /// Shows more candles before those that are there.
    #[wasm_bindgen(method, js_name = setOlder)]
    pub fn set_older(this: &Chart, rows: &[f64]);

    /// Shows what changed from a position on.
    #[wasm_bindgen(method, js_name = setFrom)]
    pub fn set_from(this: &Chart, rows: &[f64], first: usize);

    /// Marks fills: the time of the candle, then 1 for a purchase or 0 for a sale, each in turn.
    #[wasm_bindgen(method, js_name = setMarks)]
    pub fn set_marks(this: &Chart, marks: &[f64]);

    /// Takes it away.
    #[wasm_bindgen(method)]
    pub fn remove(this: &Chart);
}

/// Loads the script that index.html names, with the digest that stands there, if it is not loaded yet.
pub async fn load() -> Option<()> {
    if js_sys::Reflect::has(&js_sys::global(), &"zellbookChart".into()).ok()? {
        return Some(());
    }
    let place = document().query_selector("meta[name=chart]").ok()??;
    let (path, integrity) =
        (place.get_attribute("content")?, place.get_attribute("data-integrity")?);
    let script: HtmlScriptElement = document().create_element("script").ok()?.dyn_into().ok()?;
    script.set_integrity(&integrity);
    script.set_src(&path);
    let loaded = js_sys::Promise::new(&mut |resolve, reject| {
        script.set_onload(Some(&resolve));
        script.set_onerror(Some(&reject));
    });
    document().head()?.append_child(&script).ok()?;
    JsFuture::from(loaded).await.ok().map(drop)
}
