//! Libraries that only some files may use, so that the rest of the code does not depend on them.

use super::syntax::Module;
use super::tree::{Tree, Violation, is_below};

const RULE: &str = "restricted library";

/// A restriction of libraries to some files.
pub struct Restriction {
    /// The name in messages.
    pub what: &'static str,
    /// Names of the crates, and names of their types that other crates re-export. `*` at the end matches any ending.
    pub names: &'static [&'static str],
    /// Beginnings of string literals that are restricted as well, such as SQL.
    pub texts: &'static [&'static str],
    /// The folder in which the restriction applies.
    pub within: &'static str,
    /// The files and folders in which use is allowed.
    pub allowed_in: &'static [&'static str],
}

pub const RESTRICTIONS: &[Restriction] = &[
    Restriction {
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
        allowed_in: &[
            "server/src/store",
            "server/src/outbox/disk.rs",
            "server/src/sequencer/embedded_store.rs",
        ],
    },
    Restriction {
        what: "axum",
        names: &["axum"],
        texts: &[],
        within: "server",
        allowed_in: &[
            "server/src/api",
            "server/src/listen",
            "server/src/sequencer/interface.rs",
            "server/testnet/src/chaos/transport.rs",
            "server/testnet/src/network/gateway.rs",
        ],
    },
    Restriction {
        what: "browser APIs",
        names: &["gloo_*", "js_sys", "wasm_bindgen*", "web_sys", "JsCast", "JsValue"],
        texts: &[],
        within: "web/src",
        allowed_in: &["web/src/platform"],
    },
];

/// Finds uses outside the allowed files.
pub fn check(file: &str, module: &Module, restrictions: &[Restriction]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for restriction in restrictions.iter().filter(|restriction| is_below(file, restriction.within))
    {
        if restriction.allowed_in.iter().any(|place| is_below(file, place)) {
            // A re-export would give other files access under another name.
            for import in module.imports.iter().filter(|import| import.public) {
                if import.path.first().is_some_and(|first| restriction.has(first)) {
                    let problem = format!("{} must not be re-exported", restriction.what);
                    violations.push(Violation::new(file, import.line, RULE, problem));
                }
            }
            continue;
        }
        let words = module.words.iter().filter(|(word, _)| restriction.has(word));
        let texts = module.strings.iter().filter(|(text, _)| restriction.has_text(text));
        let mut lines: Vec<usize> = words.chain(texts).map(|(_, line)| *line).collect();
        lines.sort_unstable();
        // One violation per line, though a line can have several of the names.
        lines.dedup();
        for line in lines {
            let problem = format!(
                "{} allowed only in {}",
                restriction.what,
                restriction.allowed_in.join(", ")
            );
            violations.push(Violation::new(file, line, RULE, problem));
        }
    }
    violations
}

/// Finds allowed files and folders that do not exist, so that the lists stay up to date.
pub fn stale(tree: &Tree, restrictions: &[Restriction]) -> Vec<Violation> {
    // The small trees of tests have only some of the folders.
    let active = restrictions.iter().filter(|restriction| tree.exists(restriction.within));
    let allowed = active.flat_map(|restriction| {
        restriction.allowed_in.iter().map(move |place| (restriction, place))
    });
    allowed
        .filter(|(_, place)| !tree.exists(place))
        .map(|(restriction, place)| {
            let problem = format!(
                "does not exist, but `xtask/src/tidy/restrictions.rs` allows {} there",
                restriction.what
            );
            Violation::new(place, 1, RULE, problem)
        })
        .collect()
}

impl Restriction {
    fn has(&self, word: &str) -> bool {
        self.names.iter().any(|name| match name.strip_suffix('*') {
            Some(beginning) => word.starts_with(beginning),
            None => word == *name,
        })
    }

    fn has_text(&self, literal: &str) -> bool {
        // A literal is stored as it is in the source, with prefix and quotes. SQL may begin on the line after them.
        let text = literal.trim_start_matches(['r', 'b', '#', '"']).trim_start();
        self.texts.iter().any(|beginning| text.starts_with(beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;

    fn found(file: &str, text: &str) -> Vec<usize> {
        let violations = check(file, &syntax::read(text).unwrap(), RESTRICTIONS);
        violations.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn sql_and_types_of_rusqlite_stay_in_the_store() {
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
    fn an_allowed_file_must_not_re_export_the_library() {
        assert_eq!(found("server/src/store/mod.rs", "pub use rusqlite::Connection;"), [1]);
    }

    #[test]
    fn axum_stays_in_the_files_that_serve_http() {
        let code = "fn f() -> axum::Router { todo!() }";
        assert_eq!(found("server/src/api/mod.rs", code), [0; 0]);
        assert_eq!(found("server/src/cli/serve.rs", code), [1]);
    }

    #[test]
    fn browser_apis_stay_in_the_platform_folder_even_inside_macros() {
        let code =
            "fn f() {\n view! { <p on:click=move |_| leptos::web_sys::window()>\"x\"</p> }\n}";
        assert_eq!(found("web/src/platform/clock.rs", code), [0; 0]);
        assert_eq!(found("web/src/features/book/view.rs", code), [2]);
        assert_eq!(found("web/src/ui/toast.rs", "use gloo_timers::future;"), [1]);
    }

    #[test]
    fn unit_tests_may_use_any_library() {
        assert_eq!(
            found("server/src/config.rs", "#[cfg(test)] mod tests { use rusqlite::Row; }"),
            [0; 0]
        );
    }
}
