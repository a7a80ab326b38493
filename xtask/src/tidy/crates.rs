//! Dependencies between the crates of this repository.

use std::collections::BTreeMap;

use super::tree::{Tree, Violation};

const RULE: &str = "crate dependency";

/// Each package of the repository, with the packages that it may depend on.
///
/// `zellular` is for any app, not only for an exchange. `zellbook-core` must be the same in every replica and client. So
/// neither may depend on the packages around it.
pub const ALLOWED: &[(&str, &[&str])] = &[
    ("zellbook-prefetch", &[]),
    ("zellbook-core", &["zellbook-prefetch"]),
    ("zellular", &[]),
    ("zellbook-server", &["zellbook-core", "zellular"]),
    ("zellbook-testnet", &["zellbook-core", "zellbook-server", "zellular"]),
    ("zellbook", &["zellbook-core", "zellbook-server", "zellbook-testnet", "zellular"]),
    ("zellbook-vault", &["zellbook-core"]),
    ("zellbook-vault-module", &["zellbook-vault"]),
    ("zellbook-web", &["zellbook-core", "zellbook-vault", "zellular"]),
    ("zellbook-bench", &["zellbook-core"]),
    ("zellbook-bench-wasm", &["zellbook-bench", "zellbook-core"]),
    ("zellbook-fuzz", &["zellbook-core", "zellular"]),
    ("xtask", &[]),
    ("xtask-page", &[]),
];

/// An entry in a manifest.
struct Dependency {
    package: String,
    line: usize,
}

/// Finds dependencies that the table does not allow, and packages that are missing from the table.
pub fn check(tree: &Tree, allowed: &[(&str, &[&str])]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let manifests: BTreeMap<&str, &str> =
        tree.below("").filter(|(path, _)| is_manifest(path)).collect();
    for (file, text) in manifests {
        // The manifest of a workspace has no package.
        let Some(package) = package(text) else { continue };
        let Some((_, may)) = allowed.iter().find(|(name, _)| *name == package) else {
            let problem =
                format!("{package} is missing from the table in `xtask/src/tidy/crates.rs`");
            violations.push(Violation::new(file, 1, RULE, problem));
            continue;
        };
        for dependency in dependencies(text) {
            // Libraries from elsewhere are free: the rule is about the packages of this repository.
            let ours = allowed.iter().any(|(name, _)| *name == dependency.package);
            if ours && !may.contains(&dependency.package.as_str()) {
                let problem = format!("{package} must not depend on {}", dependency.package);
                violations.push(Violation::new(file, dependency.line, RULE, problem));
            }
        }
    }
    violations
}

pub fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml" || path.ends_with("/Cargo.toml")
}

fn package(manifest: &str) -> Option<&str> {
    // Read as text, as in `tools.rs`: a TOML parser would slow down the build of this crate.
    let after = manifest.split_once("[package]")?.1;
    let line = after.lines().find(|line| line.starts_with("name"))?;
    line.split('"').nth(1)
}

/// The dependencies of a manifest, including build dependencies and those of one target. Dependencies of tests are left out.
fn dependencies(manifest: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut inside = false;
    for (index, text) in manifest.lines().enumerate() {
        if let Some(section) = text.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let kind = section.rsplit('.').next().unwrap_or_default();
            // The last part of the name, so that `[target.'cfg(unix)'.dependencies]` counts too.
            inside = ["dependencies", "build-dependencies"].contains(&kind)
                && section != "workspace.dependencies";
            // The form `[dependencies.name]`.
            if let Some((before, name)) = section.rsplit_once('.')
                && before.ends_with("dependencies")
                && !before.ends_with("dev-dependencies")
                && before != "workspace.dependencies"
            {
                found.push(Dependency { package: name.into(), line: index + 1 });
            }
            continue;
        }
        if !inside {
            continue;
        }
        // A dependency under another name must not escape the rule.
        let renamed = text.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
        let name = text.split(['=', '.', ' ']).next().filter(|name| !name.is_empty());
        if let Some(package) = renamed.or(name) {
            found.push(Dependency { package: package.into(), line: index + 1 });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"])];

    fn found(a: &str, b: &str) -> Vec<String> {
        let (a, b) =
            (format!("[package]\nname = \"a\"\n{a}"), format!("[package]\nname = \"b\"\n{b}"));
        let tree = Tree::of(&[("a/Cargo.toml", &a), ("b/Cargo.toml", &b)]);
        check(&tree, ALLOWED).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_in_the_table_and_those_of_tests_pass() {
        let clean = found(
            "[dev-dependencies]\nb.workspace = true",
            "[dependencies]\na = { path = \"../a\" }\nserde = \"1\"",
        );
        assert_eq!(clean, [""; 0]);
    }

    #[test]
    fn a_dependency_missing_from_the_table_is_a_violation_in_every_form() {
        for form in [
            "[dependencies]\nb.workspace = true",
            "[target.'cfg(unix)'.dependencies]\nb = { path = \"../b\" }",
            "[build-dependencies]\nc = { path = \"../b\", package = \"b\" }",
            "[dependencies.b]\npath = \"../b\"",
        ] {
            let violations = found(form, "");
            assert_eq!(violations.len(), 1, "{form}");
            assert!(violations[0].ends_with("a must not depend on b"), "{violations:?}");
        }
    }

    #[test]
    fn a_package_missing_from_the_table_is_a_violation() {
        let tree = Tree::of(&[("c/Cargo.toml", "[package]\nname = \"c\"\n")]);
        assert_eq!(check(&tree, ALLOWED).len(), 1);
    }
}
