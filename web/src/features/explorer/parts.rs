//! What views are made of: headings, facts, tables, and links to other views.

use zellbook_core::Side;

use crate::platform::dom::{KEY, Node, element, text, with};
use crate::platform::format;
use crate::platform::route::HEADING;

/// The heading of a view, and the buttons or links beside it.
pub fn heading(title: &str, mut more: Vec<Node>) -> Node {
    let title = with(element("h1", "", vec![text(title)]), "id", HEADING);
    // The router gives it the focus when the view opens. With -1 the Tab key still skips it.
    more.insert(0, with(title, "tabindex", "-1"));
    element("div", "heading", more)
}

/// A sentence below the heading.
pub fn lead(message: &str) -> Node {
    element("p", "lead", vec![text(message)])
}

/// A hash or key below the heading.
pub fn lead_hash(hash: &str) -> Node {
    element("p", "lead", vec![whole(hash)])
}

pub fn section(name: &str, mut body: Vec<Node>) -> Node {
    body.insert(0, element("h2", "", vec![text(name)]));
    with(element("section", "panel", body), "aria-label", name)
}

pub fn facts(facts: Vec<(&str, Node)>) -> Node {
    let fact = |(name, value)| {
        let name = element("dt", "", vec![text(name)]);
        element("div", "", vec![name, element("dd", "", vec![value])])
    };
    element("dl", "facts", facts.into_iter().map(fact).collect())
}

/// The cells of a row.
pub type Row = Vec<Node>;

/// A table, or the text `empty` if it has no rows. A column whose name begins with `#` has numbers. A narrow page lays
/// each row out as a list of names and values; the roles say that it is a table all the same.
pub fn table(caption: &str, columns: &[&str], rows: Vec<Row>, empty: &str) -> Node {
    if rows.is_empty() {
        return element("p", "empty", vec![text(empty)]);
    }
    let role = |node, role| with(node, "role", role);
    let class = |name: &str| if name.starts_with('#') { "number" } else { "" };
    let head = |name: &&str| {
        let cell = element("th", class(name), vec![text(name.trim_start_matches('#'))]);
        role(with(cell, "scope", "col"), "columnheader")
    };
    let cell = |(name, value): (&&str, Node)| {
        let cell = element("td", class(name), vec![element("span", "", vec![value])]);
        role(with(cell, "data-label", name.trim_start_matches('#')), "cell")
    };
    let row = |cells: Row| {
        // The first cell identifies the row. So a row whose numbers change is found among those shown and changed there,
        // and the rows around it stay.
        let key = cells.first().and_then(|cell| cell.text_content()).unwrap_or_default();
        let cells = columns.iter().zip(cells).map(cell).collect();
        role(with(element("tr", "", cells), KEY, &key), "row")
    };
    let heads = role(element("tr", "", columns.iter().map(head).collect()), "row");
    let parts = vec![
        element("caption", "visually-hidden", vec![text(caption)]),
        role(element("thead", "", vec![heads]), "rowgroup"),
        role(element("tbody", "", rows.into_iter().map(row).collect()), "rowgroup"),
    ];
    role(element("table", "rows", parts), "table")
}

pub fn note(message: &str) -> Node {
    element("p", "note", vec![text(message)])
}

/// Several nodes as one.
pub fn all(parts: Vec<Node>) -> Node {
    element("span", "", parts)
}

/// A number in the reader's form.
pub fn number(digits: &str) -> Node {
    text(&format::number(digits, 0))
}

/// A number with its unit.
pub fn amount(digits: &str, unit: &str) -> Node {
    text(&format!("{} {unit}", format::number(digits, 0)))
}

/// A value, or a dash if there is none.
pub fn or_dash(value: Option<&String>, shown: fn(&str) -> Node) -> Node {
    value.map_or_else(|| text("–"), |value| shown(value))
}

/// A hash or key in full. One click selects it.
pub fn whole(hash: &str) -> Node {
    element("span", "hash whole", vec![text(hash)])
}

/// A shortened hash with the whole hash as its title.
pub fn short(hash: &str) -> Node {
    with(element("span", "hash", vec![text(&format::short(hash))]), "title", hash)
}

/// A link to another view.
pub fn link(path: &str, label: &str) -> Node {
    with(element("a", "", vec![text(label)]), "href", path)
}

/// A link to an answer of the API, in a window of its own.
pub fn raw_link(path: &str, label: &str) -> Node {
    // The target also keeps the router from taking the click, as it does for links without one.
    with(with(link(path, label), "target", "_blank"), "rel", "noreferrer")
}

pub fn batch_link(index: &str) -> Node {
    link(&format!("/batches/{index}"), &format::number(index, 0))
}

pub fn market_link(name: &str) -> Node {
    // A slash would end the part of the path. No symbol contains a hyphen, so the name can be read back.
    link(&format!("/markets/{}", name.replacen('/', "-", 1)), name)
}

/// A link whose text is a shortened key or hash, with the whole one as its title.
fn hash_link(kind: &str, hash: &str) -> Node {
    let link = link(&format!("/{kind}/{hash}"), &format::short(hash));
    with(with(link, "class", "hash"), "title", hash)
}

pub fn transaction_link(hash: &str) -> Node {
    hash_link("transactions", hash)
}

pub fn account_link(key: &str) -> Node {
    hash_link("accounts", key)
}

/// A local time with the full UTC time on hover.
pub fn time(milliseconds: &str) -> Node {
    let utc = format::utc(milliseconds);
    let time = element("time", "", vec![text(&format::date_time(milliseconds))]);
    with(with(time, "datetime", &utc), "title", &utc)
}

pub fn side(side: Side) -> Node {
    let class = if side == Side::Buy { "bid" } else { "ask" };
    element("span", class, vec![text(format::verb(side))])
}

/// A word with a green check mark or a red cross.
pub fn mark(is_good: bool, word: &str) -> Node {
    let (class, sign) = if is_good { ("bid", "✓ ") } else { ("ask", "✕ ") };
    // The word says it already, so a screen reader need not read the sign.
    let sign = with(element("span", "", vec![text(sign)]), "aria-hidden", "true");
    element("span", class, vec![sign, text(word)])
}
