//! The chart library, a script that is loaded when a chart is first shown. `web/chart.js` offers the calls below on top
//! of it.

use leptos::prelude::document;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlScriptElement};

#[wasm_bindgen]
extern "C" {
    /// A chart in an element.
    #[derive(Clone)]
    pub type Chart;

    /// Puts a chart into an element. `on_point` is called with the time under the pointer, which is negative where
    /// there is none, and `on_oldest` when the first candles come into sight.
    #[wasm_bindgen(js_namespace = zellbookChart)]
    fn mount(element: &Element, on_point: &JsValue, on_oldest: &JsValue) -> Chart;

    /// Shows these candles in place of all others. `rows` has six numbers a candle: start in Unix milliseconds, open,
    /// high, low, close, volume.
    #[wasm_bindgen(method, js_name = setAll)]
    pub fn set_all(this: &Chart, rows: &[f64], digits: u8, step: f64, is_of_days: bool);

    /// Adds older candles before those that are shown.
    #[wasm_bindgen(method, js_name = setOlder)]
    pub fn set_older(this: &Chart, rows: &[f64]);

    /// Replaces the candles from a position on.
    #[wasm_bindgen(method, js_name = setFrom)]
    pub fn set_from(this: &Chart, rows: &[f64], first: usize);

    /// Marks fills. `marks` has two numbers a fill: the start of its candle, then 1 for a purchase or 0 for a sale.
    #[wasm_bindgen(method, js_name = setMarks)]
    pub fn set_marks(this: &Chart, marks: &[f64]);

    #[wasm_bindgen(method)]
    pub fn remove(this: &Chart);
}

/// A chart in an element, with the callbacks that it makes.
pub struct MountedChart {
    pub chart: Chart,
    /// The library only borrows its callbacks.
    _on_point: Closure<dyn FnMut(f64)>,
    _on_oldest: Closure<dyn FnMut()>,
}

impl MountedChart {
    /// Puts a chart into an element. [`load`] has to be done.
    pub fn new(
        element: &Element,
        on_point: impl FnMut(f64) + 'static,
        on_oldest: impl FnMut() + 'static,
    ) -> Self {
        let on_point = Closure::<dyn FnMut(f64)>::new(on_point);
        let on_oldest = Closure::<dyn FnMut()>::new(on_oldest);
        let chart = mount(element, on_point.as_ref(), on_oldest.as_ref());
        Self { chart, _on_point: on_point, _on_oldest: on_oldest }
    }
}

/// Reads a number for the library, which draws with floats. JavaScript's reader is used because Rust's would add its
/// tables to the page.
pub fn float(text: &str) -> f64 {
    js_sys::Number::parse_float(text)
}

/// Loads the script that index.html names, checked against the digest given there, if it is not loaded yet.
pub async fn load() -> Option<()> {
    // A script that failed to load has defined nothing, so the next chart tries again.
    if js_sys::Reflect::has(&js_sys::global(), &"zellbookChart".into()).ok()? {
        return Some(());
    }
    let meta = document().query_selector("meta[name=chart]").ok()??;
    let (path, integrity) = (meta.get_attribute("content")?, meta.get_attribute("data-integrity")?);
    let script: HtmlScriptElement = document().create_element("script").ok()?.dyn_into().ok()?;
    script.set_integrity(&integrity);
    script.set_src(&path);
    // The handlers are set before the script is in the document, because that starts the load.
    let loaded = js_sys::Promise::new(&mut |resolve, reject| {
        script.set_onload(Some(&resolve));
        script.set_onerror(Some(&reject));
    });
    document().head()?.append_child(&script).ok()?;
    JsFuture::from(loaded).await.ok().map(drop)
}
