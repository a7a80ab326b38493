//! A file of the core imports only files of its own room and of the rooms below.

use super::modules::Crate;
use super::tree::{Breach, is_below};

const RULE: &str = "layers";

/// The rooms of a crate: each line may import from the lines above it.
pub type Layers = [&'static [&'static str]];

/// `core`, from the ground up. The crate's root comes last: it shows what there is and nothing imports it.
pub const CORE: &Layers = &[
    &["core/src/types"],
    &["core/src/rules"],
    &["core/src/protocol"],
    &["core/src/state"],
    &["core/src/engine"],
    &[
        "core/src/exchange.rs",
        "core/src/snapshot.rs",
        "core/src/simulation.rs",
        "core/src/certificate.rs",
    ],
    &["core/src/wire"],
    &["core/src/lib.rs"],
];

/// Finds files outside all rooms, and imports from a room above.
pub fn check(a_crate: &Crate, layers: &Layers) -> Vec<Breach> {
    let layer =
        |file: &str| layers.iter().position(|rooms| rooms.iter().any(|room| is_below(file, room)));
    let mut breaches = Vec::new();
    for (file, _) in a_crate.files() {
        if layer(file).is_none() {
            let problem = "this file is in no room: move it into one, or name it in the layers of `xtask/src/tidy/layers.rs`";
            breaches.push(Breach::new(file, 1, RULE, problem));
        }
    }
    for edge in a_crate.edges() {
        let (Some(from), Some(to)) = (layer(&edge.from), layer(&edge.to)) else { continue };
        if to > from {
            let problem = format!("imports {} ({}), which is in a layer above", edge.to, edge.path);
            breaches.push(Breach::new(&edge.from, edge.line, RULE, problem));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut breaches = Vec::new();
        let a_crate = Crate::read(&Tree::of(files), "core/src/lib.rs", &mut breaches);
        breaches.extend(check(&a_crate, CORE));
        breaches.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_import_from_below_passes() {
        let clean = found(&[
            ("core/src/lib.rs", "pub mod types; pub mod wire; pub use types::Id;"),
            ("core/src/types/mod.rs", "mod id; pub use id::Id;"),
            ("core/src/types/id.rs", "pub struct Id;"),
            ("core/src/wire/mod.rs", "use crate::Id;"),
        ]);
        assert_eq!(clean, [""; 0]);
    }

    #[test]
    fn an_import_from_above_is_a_breach() {
        let breaches = found(&[
            ("core/src/lib.rs", "mod types; mod engine; mod wire;"),
            ("core/src/types/mod.rs", "\nuse crate::engine::Plan;"),
            ("core/src/engine/mod.rs", "pub struct Plan; pub fn f() { crate::wire::Body; }"),
            ("core/src/wire/mod.rs", "pub struct Body;"),
        ]);
        assert_eq!(
            breaches,
            [
                "core/src/engine/mod.rs:1: layers: imports core/src/wire/mod.rs (crate::wire::Body), which is in a layer above",
                "core/src/types/mod.rs:2: layers: imports core/src/engine/mod.rs (crate::engine::Plan), which is in a layer above",
            ]
        );
    }

    #[test]
    fn a_file_in_no_room_is_a_breach() {
        let breaches = found(&[("core/src/lib.rs", "mod misc;"), ("core/src/misc.rs", "")]);
        assert_eq!(breaches.len(), 1);
        assert!(breaches[0].starts_with("core/src/misc.rs:1: layers:"), "{breaches:?}");
    }
}
