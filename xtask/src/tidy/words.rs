//! Words that the page no longer uses, such as "Make a key" for "Create wallet".

use super::tree::{Tree, Violation};

const RULE: &str = "old word";

/// One text per line. Some include quotation marks, because the same word is fine inside a longer text.
const OLD_WORDS: &str = include_str!("old_words.txt");

/// The files that are searched: the page and its tests.
const PLACES: [&str; 3] = ["web", "index.html", "tests/browser"];

/// Finds old words in the page and in its tests.
pub fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, text) in PLACES.iter().flat_map(|place| tree.below(place)) {
        for (index, line) in text.lines().enumerate() {
            // In whole lines and not in string literals, because the files are Rust, HTML, CSS and JavaScript.
            for word in OLD_WORDS.lines().filter(|word| line.contains(word)) {
                let problem =
                    format!("\"{word}\" is an old word; `docs/glossary.md` has the new one");
                violations.push(Violation::new(file, index + 1, RULE, problem));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> usize {
        check(&Tree::of(&[(file, text)])).len()
    }

    #[test]
    fn an_old_word_is_a_violation_in_the_page_and_its_tests_only() {
        assert!(OLD_WORDS.lines().count() > 10);
        for word in OLD_WORDS.lines() {
            assert!(!word.trim().is_empty());
            let text = format!("<p>\"{word}\"</p>");
            assert!(found("web/src/ui/x.rs", &text) > 0, "{word}");
            assert!(found("tests/browser/x.test.js", &text) > 0, "{word}");
            assert_eq!(found("docs/glossary.md", &text), 0);
        }
    }

    #[test]
    fn current_words_pass() {
        assert_eq!(
            found("index.html", "<h1>Wallet</h1> Max slippage, Good till cancelled (GTC)"),
            0
        );
    }
}
