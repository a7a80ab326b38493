//! File length: at most 400 lines of code, so that each file covers one thing.
//!
//! Comments, blank lines and unit tests do not count; otherwise the rule would discourage comments.

use std::collections::BTreeMap;

use super::modules::Crate;
use super::tree::Violation;

const RULE: &str = "length";

const MAX_LINES: usize = 400;

/// Files that may be longer, each with the reason.
pub const EXCEPTIONS: &[(&str, &str)] = &[];

/// Finds files that are too long, and exceptions that are no longer needed.
pub fn check(crates: &[Crate], exceptions: &[(&str, &str)]) -> Vec<Violation> {
    let mut lengths: BTreeMap<&str, usize> = BTreeMap::new();
    let sources =
        // Tests do not count, in files of their own either.
        crates.iter().flat_map(Crate::files).filter(|(file, _)| !file.contains("/tests/"));
    for (file, module) in sources {
        // The first module of a file includes the lines of its inline modules.
        lengths.entry(file).or_insert(module.code_lines.len());
    }
    let mut violations = Vec::new();
    for (&file, &length) in &lengths {
        if length > MAX_LINES && !exceptions.iter().any(|(exception, _)| *exception == file) {
            let problem = format!(
                "{length} lines of code, at most {MAX_LINES} are allowed; move a type and its methods into a file of their own"
            );
            violations.push(Violation::new(file, 1, RULE, problem));
        }
    }
    for (file, _) in exceptions {
        // An exception that is not needed would let the file grow again unnoticed.
        if lengths.get(file).is_none_or(|length| *length <= MAX_LINES) {
            let problem = format!(
                "has at most {MAX_LINES} lines of code or does not exist; remove its exception from `xtask/src/tidy/length.rs`"
            );
            violations.push(Violation::new(file, 1, RULE, problem));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;

    fn found(text: &str, exceptions: &[(&str, &str)]) -> Vec<String> {
        let mut violations = Vec::new();
        let a_crate =
            Crate::read(&Tree::of(&[("src/lib.rs", text)]), "src/lib.rs", &mut violations);
        violations.extend(check(&[a_crate], exceptions));
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_of_400_lines_passes_and_of_401_does_not() {
        assert_eq!(found(&"fn f() {}\n".repeat(400), &[]), [""; 0]);
        let violations = found(&"fn f() {}\n".repeat(401), &[]);
        assert!(
            violations[0].starts_with("src/lib.rs:1: length: 401 lines of code"),
            "{violations:?}"
        );
    }

    #[test]
    fn comments_blank_lines_and_tests_do_not_count() {
        let text = "//! Why.\n\n/// More.\nfn f() {\n    // Why.\n}\n".repeat(200)
            + "#[cfg(test)]\nmod tests {\n"
            + &"    fn t() {}\n".repeat(500)
            + "}\n";
        assert_eq!(found(&text, &[]), [""; 0]);
    }

    #[test]
    fn an_exception_holds_only_while_it_is_needed() {
        let exception = [("src/lib.rs", "a table")];
        assert_eq!(found(&"fn f() {}\n".repeat(401), &exception), [""; 0]);
        assert_eq!(found("fn f() {}\n", &exception).len(), 1);
    }
}
