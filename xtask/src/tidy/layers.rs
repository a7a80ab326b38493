//! Layering: a file imports only from its own layer and from lower layers.
//!
//! The lists below go from the bottom up. A new folder must be added to its crate's list, so nobody adds a module
//! without deciding what it may depend on.

use super::modules::Crate;
use super::tree::{Violation, is_below};

const RULE: &str = "layers";

/// The layers of a crate, lowest first. Folders on one line form one layer and may import each other.
pub type Layers = [&'static [&'static str]];

/// The layered crates, by root module. Each root is the top layer: it declares the modules, and no module imports it.
pub const LAYERS: &[(&str, &Layers)] = &[("core/src/lib.rs", CORE), ("web/src/main.rs", WEB)];

const CORE: &Layers = &[
    &["core/src/types", "core/src/cores.rs"],
    &["core/src/signatures"],
    &["core/src/rules"],
    &["core/src/protocol"],
    &["core/src/state"],
    &["core/src/engine"],
    &[
        "core/src/exchange.rs",
        "core/src/snapshot.rs",
        "core/src/simulation.rs",
        "core/src/certificate.rs",
        "core/src/admission.rs",
    ],
    &["core/src/wire"],
    &["core/src/bench.rs"],
    &["core/src/lib.rs"],
];

const WEB: &Layers = &[
    &["web/src/platform"],
    &["web/src/ui"],
    &["web/src/features/replica.rs"],
    &["web/src/features/market"],
    &["web/src/features/settings"],
    &["web/src/features/wallet"],
    &["web/src/features/evidence"],
    &["web/src/features/signing"],
    &["web/src/features/order"],
    &["web/src/features/book"],
    &["web/src/features/chart"],
    &["web/src/features/account"],
    &["web/src/features/explorer"],
    &["web/src/features/mod.rs"],
    &["web/src/app"],
    &["web/src/main.rs"],
];

/// Finds files that belong to no layer, and imports from a higher layer.
pub fn check(a_crate: &Crate, layers: &Layers) -> Vec<Violation> {
    let layer =
        |file: &str| layers.iter().position(|rooms| rooms.iter().any(|room| is_below(file, room)));
    let mut violations = Vec::new();
    for (file, _) in a_crate.files() {
        if layer(file).is_none() {
            let problem = "this file belongs to no layer; move it, or add its folder to `xtask/src/tidy/layers.rs`";
            violations.push(Violation::new(file, 1, RULE, problem));
        }
    }
    for edge in a_crate.edges() {
        // A file without a layer was reported above.
        let (Some(from), Some(to)) = (layer(&edge.from), layer(&edge.to)) else { continue };
        if to > from {
            let problem =
                format!("imports {} ({}), which is in a higher layer", edge.to, edge.path);
            violations.push(Violation::new(&edge.from, edge.line, RULE, problem));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut violations = Vec::new();
        let a_crate = Crate::read(&Tree::of(files), "core/src/lib.rs", &mut violations);
        violations.extend(check(&a_crate, CORE));
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_import_from_a_lower_layer_passes() {
        let clean = found(&[
            ("core/src/lib.rs", "pub mod types; pub mod wire; pub use types::Id;"),
            ("core/src/types/mod.rs", "mod id; pub use id::Id;"),
            ("core/src/types/id.rs", "pub struct Id;"),
            ("core/src/wire/mod.rs", "use crate::Id;"),
        ]);
        assert_eq!(clean, [""; 0]);
    }

    #[test]
    fn an_import_from_a_higher_layer_is_a_violation() {
        let violations = found(&[
            ("core/src/lib.rs", "mod types; mod engine; mod wire;"),
            ("core/src/types/mod.rs", "\nuse crate::engine::Plan;"),
            ("core/src/engine/mod.rs", "pub struct Plan; pub fn f() { crate::wire::Body; }"),
            ("core/src/wire/mod.rs", "pub struct Body;"),
        ]);
        assert_eq!(
            violations,
            [
                "core/src/engine/mod.rs:1: layers: imports core/src/wire/mod.rs (crate::wire::Body), which is in a higher layer",
                "core/src/types/mod.rs:2: layers: imports core/src/engine/mod.rs (crate::engine::Plan), which is in a higher layer",
            ]
        );
    }

    #[test]
    fn a_file_outside_all_layers_is_a_violation() {
        let violations = found(&[("core/src/lib.rs", "mod misc;"), ("core/src/misc.rs", "")]);
        assert_eq!(violations.len(), 1);
        assert!(violations[0].starts_with("core/src/misc.rs:1: layers:"), "{violations:?}");
    }
}
