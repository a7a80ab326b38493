//! Lists of names and values, as forms and sheets show them.

use leptos::prelude::*;

/// Names and values.
pub type Lines = Vec<(&'static str, String)>;

/// The rows of a `dl`.
pub fn lines_view(lines: Lines) -> impl IntoView {
    let line = |(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> };
    lines.into_iter().map(line).collect_view()
}
