//! Words that the page does not use any more.

use super::tree::{Breach, Tree};

const RULE: &str = "words";

/// One a line, as they were on the page; with its quotes where the word alone has good uses too.
const OLD_WORDS: &str = include_str!("old_words.txt");

/// The page and what drives it.
const PLACES: [&str; 3] = ["web", "index.html", "tests/browser"];

/// Finds old words in the page and in its tests.
pub fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (file, text) in PLACES.iter().flat_map(|place| tree.below(place)) {
        for (index, line) in text.lines().enumerate() {
            for word in OLD_WORDS.lines().filter(|word| line.contains(word)) {
                let problem = format!("\"{word}\" is an old word of the page");
                breaches.push(Breach::new(file, index + 1, RULE, problem));
            }
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> usize {
        check(&Tree::of(&[(file, text)])).len()
    }

    #[test]
    fn each_old_word_is_found_in_the_page_and_in_its_tests_and_nowhere_else() {
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
    fn todays_words_pass() {
        assert_eq!(
            found("index.html", "<h1>Wallet</h1> Max slippage, Good till cancelled (GTC)"),
            0
        );
    }
}
