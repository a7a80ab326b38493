//! `cargo xtask tidy`: the rules about structure that ARCHITECTURE.md states, checked by machine.
//!
//! Each rule is a function from the files to the places where it is broken. It has no exceptions other than
//! those in its own file, which give a reason each. What a rule needs to know of Rust comes from
//! [`syntax`] (one file) and [`modules`] (who imports whom).

mod circles;
mod crates;
mod documents;
mod layers;
mod length;
mod modules;
mod places;
mod syntax;
mod tree;
mod words;

use std::collections::BTreeSet;
use std::path::Path;

use modules::Crate;
use tree::{Breach, Tree};

/// Checks a repository, and prints each place where a rule is broken.
pub fn tidy(root: &Path, tasks: &[&str]) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let (breaches, files) = check(&tree, tasks);
    for breach in &breaches {
        eprintln!("{breach}");
    }
    match breaches.len() {
        0 => {
            eprintln!("tidy: {files} Rust files keep all rules");
            Ok(())
        }
        count => Err(format!("tidy: {count} places break a rule")),
    }
}

/// All breaches, and the number of files whose imports were looked at.
fn check(tree: &Tree, tasks: &[&str]) -> (Vec<Breach>, usize) {
    let mut breaches = Vec::new();
    let crates: Vec<Crate> =
        roots(tree).into_iter().map(|root| Crate::read(tree, root, &mut breaches)).collect();
    breaches.extend(unreached(tree, &crates));
    for a_crate in &crates {
        breaches.extend(circles::check(a_crate));
        let layers = layers::LAYERS.iter().find(|(root, _)| *root == a_crate.root);
        if let Some((_, layers)) = layers {
            breaches.extend(layers::check(a_crate, layers));
        }
    }
    let files: Vec<_> = crates.iter().flat_map(Crate::files).collect();
    for (file, module) in &files {
        breaches.extend(places::check(file, module, places::FENCES));
    }
    breaches.extend(places::stale(tree, places::FENCES));
    breaches.extend(length::check(&crates, length::EXCEPTIONS));
    breaches.extend(crates::check(tree, crates::ALLOWED));
    for document in documents::DOCUMENTS {
        breaches.extend(documents::check(tree, document, tasks));
    }
    breaches.extend(words::check(tree));
    breaches.sort();
    breaches.dedup();
    let count = files.iter().map(|(file, _)| file).collect::<BTreeSet<_>>().len();
    (breaches, count)
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

/// Files in a source folder that no crate reaches: the rules would pass over them.
fn unreached(tree: &Tree, crates: &[Crate]) -> Vec<Breach> {
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
        .map(|file| Breach::new(file, 1, "modules", "no crate has this file as a module"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_crate_reaches_is_a_breach() {
        let tree = Tree::of(&[
            ("a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("a/src/lib.rs", "mod b; #[cfg(test)] mod tests;"),
            ("a/src/b.rs", ""),
            ("a/src/tests.rs", "mod inner;"),
            ("a/src/tests/inner.rs", ""),
            ("a/src/lost.rs", ""),
        ]);
        let mut breaches = Vec::new();
        let crates: Vec<Crate> =
            roots(&tree).into_iter().map(|root| Crate::read(&tree, root, &mut breaches)).collect();
        breaches.extend(unreached(&tree, &crates));
        let breaches: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        assert_eq!(breaches, ["a/src/lost.rs:1: modules: no crate has this file as a module"]);
    }

    #[test]
    fn a_breach_on_disk_fails_the_command_and_a_clean_tree_passes() {
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
        assert_eq!(tidy(root, &["run"]), Err("tidy: 2 places break a rule".into()));
    }
}
