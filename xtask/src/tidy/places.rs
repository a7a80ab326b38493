//! Libraries that only named places use, so that what they bring stays behind one door.

use super::syntax::Module;
use super::tree::{Breach, Tree, is_below};

const RULE: &str = "places";

/// What is used in some places only.
pub struct Fence {
    /// What a breach calls it.
    pub what: &'static str,
    /// The names of the crates in code, and of traits and types of theirs that other crates pass on. A name that
    /// ends with `*` stands for all that begin so.
    pub names: &'static [&'static str],
    /// How string literals begin that belong there too.
    pub texts: &'static [&'static str],
    /// The folder that the fence stands in.
    pub within: &'static str,
    /// Files and folders where it is allowed.
    pub places: &'static [&'static str],
}

pub const FENCES: &[Fence] = &[
    Fence {
        what: "SQL and the types of rusqlite",
        names: &["rusqlite"],
        texts: &[
            "ALTER TABLE ",
            "BEGIN",
            "CREATE ",
            "DELETE FROM ",
            "INSERT ",
            "PRAGMA ",
            "SELECT ",
            "UPDATE ",
        ],
        within: "server",
        places: &[
            "server/src/store",
            "server/src/outbox/disk.rs",
            "server/src/sequencer/embedded_store.rs",
        ],
    },
    Fence {
        what: "axum",
        names: &["axum"],
        texts: &[],
        within: "server",
        places: &[
            "server/src/api",
            "server/src/listen.rs",
            "server/src/sequencer/interface.rs",
            "server/testnet/src/chaos/transport.rs",
            "server/testnet/src/network/gateway.rs",
        ],
    },
    Fence {
        what: "browser APIs",
        names: &["gloo_*", "js_sys", "wasm_bindgen*", "web_sys", "JsCast", "JsValue"],
        texts: &[],
        within: "web/src",
        places: &["web/src/platform"],
    },
];

/// Finds uses of fenced crates, and of texts that go with them, outside their places.
pub fn check(file: &str, module: &Module, fences: &[Fence]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for fence in fences.iter().filter(|fence| is_below(file, fence.within)) {
        if fence.places.iter().any(|place| is_below(file, place)) {
            // A re-export would carry it out of its places under another name.
            for import in module.imports.iter().filter(|import| import.public) {
                if import.path.first().is_some_and(|first| fence.has(first)) {
                    let problem = format!("{} must not be re-exported", fence.what);
                    breaches.push(Breach::new(file, import.line, RULE, problem));
                }
            }
            continue;
        }
        let words = module.words.iter().filter(|(word, _)| fence.has(word));
        let texts = module.strings.iter().filter(|(text, _)| fence.has_text(text));
        let mut lines: Vec<usize> = words.chain(texts).map(|(_, line)| *line).collect();
        lines.sort_unstable();
        lines.dedup();
        for line in lines {
            let problem = format!("{} only in {}", fence.what, fence.places.join(", "));
            breaches.push(Breach::new(file, line, RULE, problem));
        }
    }
    breaches
}

/// Finds places that do not exist any more.
pub fn stale(tree: &Tree, fences: &[Fence]) -> Vec<Breach> {
    let standing = fences.iter().filter(|fence| tree.exists(fence.within));
    let places = standing.flat_map(|fence| fence.places.iter().map(move |place| (fence, place)));
    places
        .filter(|(_, place)| !tree.exists(place))
        .map(|(fence, place)| {
            let problem = format!(
                "does not exist; it is a place for {} in `xtask/src/tidy/places.rs`",
                fence.what
            );
            Breach::new(place, 1, RULE, problem)
        })
        .collect()
}

impl Fence {
    fn has(&self, word: &str) -> bool {
        self.names.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => word.starts_with(beginning),
            None => word == *name,
        })
    }

    fn has_text(&self, literal: &str) -> bool {
        let text = literal.trim_start_matches(['r', 'b', '#', '"']).trim_start();
        self.texts.iter().any(|beginning| text.starts_with(beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;

    fn found(file: &str, text: &str) -> Vec<usize> {
        let breaches = check(file, &syntax::read(text).unwrap(), FENCES);
        breaches.iter().map(|breach| breach.line).collect()
    }

    #[test]
    fn sql_and_its_types_stay_in_the_store() {
        let code =
            "use rusqlite::Connection;\nfn f(c: &Connection) {\n c.execute(\"INSERT INTO t\") }";
        assert_eq!(found("server/src/store/write.rs", code), [0; 0]);
        assert_eq!(found("server/src/replica/apply.rs", code), [1, 3]);
        assert_eq!(found("server/src/replica/apply.rs", "fn f(e: rusqlite::Error) {}"), [1]);
        assert_eq!(
            found("server/src/api/error.rs", "const HINT: &str = \"Update the page\";"),
            [0; 0]
        );
    }

    #[test]
    fn a_place_does_not_pass_it_on() {
        assert_eq!(found("server/src/store/mod.rs", "pub use rusqlite::Connection;"), [1]);
    }

    #[test]
    fn axum_stays_where_http_is_served() {
        let code = "fn f() -> axum::Router { todo!() }";
        assert_eq!(found("server/src/api/mod.rs", code), [0; 0]);
        assert_eq!(found("server/src/cli/serve.rs", code), [1]);
    }

    #[test]
    fn browser_apis_stay_in_the_platform_also_inside_macros() {
        let code =
            "fn f() {\n view! { <p on:click=move |_| leptos::web_sys::window()>\"x\"</p> }\n}";
        assert_eq!(found("web/src/platform/clock.rs", code), [0; 0]);
        assert_eq!(found("web/src/features/book/view.rs", code), [2]);
        assert_eq!(found("web/src/ui/toast.rs", "use gloo_timers::future;"), [1]);
    }

    #[test]
    fn tests_may_use_what_they_need() {
        assert_eq!(
            found("server/src/config.rs", "#[cfg(test)] mod tests { use rusqlite::Row; }"),
            [0; 0]
        );
    }
}
