//! No import cycles: no two files of a crate import each other, directly or through other files.
//!
//! Files in a cycle can be understood, tested and moved only together, as if they were one large file. For each group of
//! files that import each other, the shortest cycle is reported. Once it is broken, the next run reports the next one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::modules::{Crate, Edge};
use super::tree::Violation;

const RULE: &str = "import cycle";

/// Finds import cycles between the files of a crate.
pub fn check(a_crate: &Crate) -> Vec<Violation> {
    let edges = a_crate.edges();
    let mut next: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in &edges {
        next.entry(&edge.from).or_default().push(edge);
    }
    let mut violations = Vec::new();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for &start in next.keys() {
        if reported.contains(start) {
            continue;
        }
        let Some(cycle) = shortest_cycle(start, &next) else { continue };
        // Mark the whole group, so that only one cycle of it is reported.
        // Two files are in the same group if each reaches the other. Crates are small enough to search anew for each file.
        let group: Vec<&str> = reachable(start, &next)
            .into_iter()
            .filter(|file| reachable(file, &next).contains(start))
            .collect();
        let others = group.len() - cycle.len();
        reported.extend(group);
        let mut steps: Vec<String> = cycle
            .iter()
            .map(|edge| format!("{}:{} imports {} ({})", edge.from, edge.line, edge.to, edge.path))
            .collect();
        if others > 0 {
            steps.push(format!("{others} more files are in the same group"));
        }
        violations.push(Violation::new(start, cycle[0].line, RULE, steps.join("; ")));
    }
    violations
}

/// The shortest import path from a file back to itself, found by breadth-first search.
fn shortest_cycle<'a>(
    start: &'a str,
    next: &BTreeMap<&'a str, Vec<&'a Edge>>,
) -> Option<Vec<&'a Edge>> {
    let mut reached_by: BTreeMap<&str, &Edge> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for &edge in next.get(file).into_iter().flatten() {
            // The start is not in the map, so the search finds the way back to it.
            if reached_by.contains_key(edge.to.as_str()) {
                continue;
            }
            reached_by.insert(&edge.to, edge);
            if edge.to == start {
                let mut cycle = vec![edge];
                while cycle[cycle.len() - 1].from != start {
                    cycle.push(reached_by[cycle[cycle.len() - 1].from.as_str()]);
                }
                cycle.reverse();
                return Some(cycle);
            }
            queue.push_back(&edge.to);
        }
    }
    None
}

fn reachable<'a>(start: &str, next: &BTreeMap<&'a str, Vec<&'a Edge>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut queue: Vec<&Edge> = next.get(start).cloned().unwrap_or_default();
    while let Some(edge) = queue.pop() {
        if reached.insert(edge.to.as_str()) {
            queue.extend(next.get(edge.to.as_str()).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut violations = Vec::new();
        let tree = Tree::of(files);
        let a_crate = Crate::read(&tree, files[0].0, &mut violations);
        violations.extend(check(&a_crate));
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_in_one_direction_pass() {
        let clean = found(&[
            ("src/lib.rs", "mod a; mod b; pub use a::A;"),
            (
                "src/a.rs",
                "use crate::b::B; pub struct A(B); impl A { fn new() -> Self { Self::from(B) } }",
            ),
            ("src/b.rs", "pub struct B;"),
        ]);
        assert_eq!(clean, [""; 0]);
    }

    #[test]
    fn two_files_that_import_each_other_are_a_cycle() {
        let violations = found(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B;\npub struct A(B);"),
            (
                "src/b.rs",
                "pub struct B;\nimpl B {\n    fn a(&self) -> Option<super::a::A> { None }\n}",
            ),
        ]);
        assert_eq!(
            violations,
            ["src/a.rs:1: import cycle: src/a.rs:1 imports src/b.rs (crate::b::B); \
              src/b.rs:3 imports src/a.rs (super::a::A)"]
        );
    }

    #[test]
    fn a_cycle_through_other_files_is_reported_once() {
        let violations = found(&[
            ("src/main.rs", "mod a; mod b; mod c; fn main() { a::run() }"),
            (
                "src/a.rs",
                "use crate::{b::{self}, c as other}; pub fn run() { b::run(); other::run() }",
            ),
            ("src/b.rs", "pub fn run() { crate::c::run() }"),
            ("src/c.rs", "pub fn run() { vec![crate::a::run()]; }"),
        ]);
        assert_eq!(violations.len(), 1);
        assert!(violations[0].contains("1 more files are in the same group"), "{violations:?}");
    }

    #[test]
    fn a_module_and_its_child_can_form_a_cycle() {
        let parent = "mod child; pub struct Shared; pub use child::Child;";
        let child = "use super::Shared; pub struct Child(Shared);";
        let violations =
            found(&[("src/lib.rs", "mod p;"), ("src/p/mod.rs", parent), ("src/p/child.rs", child)]);
        assert_eq!(violations.len(), 1);
    }

    #[test]
    fn a_re_exported_name_counts_as_an_import_of_its_definition() {
        // `b` imports `A` through the parent, and the parent imports `b`. Since `A` is defined in `a`, this is no cycle.
        let clean = found(&[
            ("src/lib.rs", "mod p;"),
            ("src/p/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("src/p/a.rs", "pub struct A;"),
            ("src/p/b.rs", "use super::A; pub struct B(A);"),
        ]);
        assert_eq!(clean, [""; 0]);
        // `D` is resolved through a glob, a re-export and a rename.
        let violations = found(&[
            ("src/lib.rs", "mod p; mod c; pub use p::*;"),
            ("src/p.rs", "pub use crate::c::{C as D};"),
            ("src/c.rs", "mod e; pub struct C; fn f() { e::f() }"),
            ("src/c/e.rs", "pub fn f() -> crate::D { todo!() }"),
        ]);
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(
            violations[0].contains("src/c/e.rs:1 imports src/c.rs (crate::D)"),
            "{violations:?}"
        );
    }

    #[test]
    fn imports_of_test_code_do_not_count() {
        let clean = found(&[
            ("src/lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
            ("src/a.rs", "use crate::b::B; pub struct A(B);"),
            (
                "src/b.rs",
                "#[cfg(test)] use crate::a::A; pub struct B { #[cfg(test)] a: Option<crate::a::A>, n: u8 }
                 #[cfg(test)] impl B { fn a() { crate::a::A } } #[cfg(all(test, unix))] mod tests { use super::super::a::A; }",
            ),
            ("src/tests.rs", "use crate::a::A;"),
        ]);
        assert_eq!(clean, [""; 0]);
    }
}
