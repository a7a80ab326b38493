//! `cargo xtask tidy` checks the rules about structure that ARCHITECTURE.md states.
//!
//! Each rule is a function that takes the files and returns violations. Lists of allowed files and of exceptions are in the
//! file of the rule, and each exception gives its reason. [`tree`] reads the files, [`syntax`] reads one Rust file, and
//! [`modules`] finds out which file imports which.

mod crates;
mod cycles;
mod documents;
mod layers;
mod length;
mod modules;
mod restrictions;
mod syntax;
mod tree;
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use modules::Crate;
use tree::{Tree, Violation};

/// Checks a repository and prints all violations. `tasks` are the commands of `cargo xtask`.
pub fn tidy(root: &Path, tasks: &[&str]) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let (violations, files) = check(&tree, tasks);
    for violation in &violations {
        eprintln!("{violation}");
    }
    match violations.len() {
        0 => {
            eprintln!("tidy: no violations in {files} Rust files");
            Ok(())
        }
        count => Err(format!("violations found by tidy: {count}")),
    }
}

/// Returns all violations and the number of Rust files that were checked.
fn check(tree: &Tree, tasks: &[&str]) -> (Vec<Violation>, usize) {
    let mut violations = Vec::new();
    let crates: Vec<Crate> =
        roots(tree).into_iter().map(|root| Crate::read(tree, root, &mut violations)).collect();
    // All other rules see only files that some crate declares.
    violations.extend(unreached(tree, &crates));
    for a_crate in &crates {
        violations.extend(cycles::check(a_crate));
        let layers = layers::LAYERS.iter().find(|(root, _)| *root == a_crate.root);
        if let Some((_, layers)) = layers {
            violations.extend(layers::check(a_crate, layers));
        }
    }
    let files: Vec<_> = crates.iter().flat_map(Crate::files).collect();
    for (file, module) in &files {
        violations.extend(restrictions::check(file, module, restrictions::RESTRICTIONS));
    }
    violations.extend(restrictions::stale(tree, restrictions::RESTRICTIONS));
    violations.extend(length::check(&crates, length::EXCEPTIONS));
    violations.extend(crates::check(tree, crates::ALLOWED));
    let words = files.iter().flat_map(|(_, module)| &module.words);
    let names: BTreeSet<&str> = words.map(|(word, _)| word.as_str()).collect();
    for document in documents::DOCUMENTS {
        violations.extend(documents::check(tree, document, tasks, &names));
    }
    violations.extend(words::check(tree));
    violations.sort();
    violations.dedup();
    let count = files.iter().map(|(file, _)| file).collect::<BTreeSet<_>>().len();
    (violations, count)
}

/// The root modules of all crates: libraries, programs, examples and fuzz targets.
fn roots(tree: &Tree) -> Vec<&str> {
    let manifests = tree.below("").filter(|(path, _)| crates::is_manifest(path));
    let folders: Vec<&str> =
        manifests.map(|(path, _)| path.trim_end_matches("Cargo.toml")).collect();
    let is_root = |file: &str| {
        folders.iter().filter_map(|folder| file.strip_prefix(folder)).any(|rest| {
            let in_folder = ["src/bin/", "examples/", "fuzz_targets/"].into_iter();
            let mut names = in_folder.filter_map(|folder| rest.strip_prefix(folder));
            ["src/lib.rs", "src/main.rs", "build.rs"].contains(&rest)
                || names.any(|name| !name.contains('/') && name.ends_with(".rs"))
        })
    };
    tree.below("").map(|(file, _)| file).filter(|file| is_root(file)).collect()
}

/// Finds Rust files in source folders that belong to no crate. No rule would check them.
fn unreached(tree: &Tree, crates: &[Crate]) -> Vec<Violation> {
    let reached: BTreeSet<&str> = crates
        .iter()
        .flat_map(|a_crate| {
            a_crate.files().map(|(file, _)| file).chain(a_crate.tests.iter().map(String::as_str))
        })
        .collect();
    let sources = tree.below("").map(|(file, _)| file).filter(|file| {
        file.ends_with(".rs") && (file.starts_with("src/") || file.contains("/src/"))
    });
    sources
        .filter(|file| !reached.contains(file))
        .map(|file| {
            Violation::new(
                file,
                1,
                "modules",
                "this file is not a module of any crate; declare it with `mod`, or delete it",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_belongs_to_no_crate_is_a_violation() {
        let tree = Tree::of(&[
            ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("a/src/lib.rs", "mod b; #[cfg(test)] mod tests;"),
            ("a/src/b.rs", ""),
            ("a/src/tests.rs", "mod inner;"),
            ("a/src/tests/inner.rs", ""),
            ("a/src/lost.rs", ""),
        ]);
        let mut violations = Vec::new();
        let crates: Vec<Crate> = roots(&tree)
            .into_iter()
            .map(|root| Crate::read(&tree, root, &mut violations))
            .collect();
        violations.extend(unreached(&tree, &crates));
        let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(
            violations,
            [
                "a/src/lost.rs:1: modules: this file is not a module of any crate; declare it with `mod`, or delete it"
            ]
        );
    }

    #[test]
    fn a_clean_tree_passes_and_a_violation_fails_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("README.md", "`cargo xtask run`");
        write("ARCHITECTURE.md", "`core/src/lib.rs`");
        write("core/Cargo.toml", "[package]\nname = \"zellbook-core\"\n");
        write("core/src/lib.rs", "pub mod types;");
        write("core/src/types/mod.rs", "pub struct Hash([u8; 32]);");
        assert_eq!(tidy(root, &["run"]), Ok(()));
        write("core/src/types/mod.rs", "pub struct Hash(crate::Root);");
        write("core/src/lib.rs", "pub mod types; pub struct Root(types::Hash);");
        assert_eq!(tidy(root, &["run"]), Err("violations found by tidy: 2".into()));
    }
}
