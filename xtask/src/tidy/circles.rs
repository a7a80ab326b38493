//! No two files of a crate import each other, directly or through others.
//!
//! Files that do can only be read, tested and moved together, so a circle makes one big file of them. Reported
//! is one shortest circle of each knot: when that is cut, the next run shows what else holds the knot together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::modules::{Crate, Edge};
use super::tree::Breach;

const RULE: &str = "circle";

/// Finds circles between the files of a crate.
pub fn check(a_crate: &Crate) -> Vec<Breach> {
    let edges = a_crate.edges();
    let mut next: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in &edges {
        next.entry(&edge.from).or_default().push(edge);
    }
    let mut breaches = Vec::new();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for &start in next.keys() {
        if reported.contains(start) {
            continue;
        }
        let Some(circle) = shortest_circle(start, &next) else { continue };
        // All of the knot is marked, so that it is reported once.
        let knot: Vec<&str> = reachable(start, &next)
            .into_iter()
            .filter(|file| reachable(file, &next).contains(start))
            .collect();
        let others = knot.len() - circle.len();
        reported.extend(knot);
        let mut steps: Vec<String> = circle
            .iter()
            .map(|edge| format!("{}:{} imports {} ({})", edge.from, edge.line, edge.to, edge.path))
            .collect();
        if others > 0 {
            steps.push(format!("{others} more files hang in the same knot"));
        }
        breaches.push(Breach::new(start, circle[0].line, RULE, steps.join("; ")));
    }
    breaches
}

/// The shortest way from a file back to itself, by breadth-first search.
fn shortest_circle<'a>(
    start: &'a str,
    next: &BTreeMap<&'a str, Vec<&'a Edge>>,
) -> Option<Vec<&'a Edge>> {
    let mut reached_by: BTreeMap<&str, &Edge> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for &edge in next.get(file).into_iter().flatten() {
            if reached_by.contains_key(edge.to.as_str()) {
                continue;
            }
            reached_by.insert(&edge.to, edge);
            if edge.to == start {
                let mut circle = vec![edge];
                while circle[circle.len() - 1].from != start {
                    circle.push(reached_by[circle[circle.len() - 1].from.as_str()]);
                }
                circle.reverse();
                return Some(circle);
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
        let mut breaches = Vec::new();
        let tree = Tree::of(files);
        let a_crate = Crate::read(&tree, files[0].0, &mut breaches);
        breaches.extend(check(&a_crate));
        breaches.iter().map(ToString::to_string).collect()
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
    fn two_files_that_import_each_other_are_a_circle() {
        let breaches = found(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B;\npub struct A(B);"),
            (
                "src/b.rs",
                "pub struct B;\nimpl B {\n    fn a(&self) -> Option<super::a::A> { None }\n}",
            ),
        ]);
        assert_eq!(
            breaches,
            ["src/a.rs:1: circle: src/a.rs:1 imports src/b.rs (crate::b::B); \
              src/b.rs:3 imports src/a.rs (super::a::A)"]
        );
    }

    #[test]
    fn a_circle_through_others_is_found_once() {
        let breaches = found(&[
            ("src/main.rs", "mod a; mod b; mod c; fn main() { a::run() }"),
            (
                "src/a.rs",
                "use crate::{b::{self}, c as other}; pub fn run() { b::run(); other::run() }",
            ),
            ("src/b.rs", "pub fn run() { crate::c::run() }"),
            ("src/c.rs", "pub fn run() { vec![crate::a::run()]; }"),
        ]);
        assert_eq!(breaches.len(), 1);
        assert!(breaches[0].contains("1 more files hang in the same knot"), "{breaches:?}");
    }

    #[test]
    fn a_child_that_imports_what_its_parent_defines_and_uses_it_for_is_a_circle() {
        let parent = "mod child; pub struct Shared; pub use child::Child;";
        let child = "use super::Shared; pub struct Child(Shared);";
        let breaches =
            found(&[("src/lib.rs", "mod p;"), ("src/p/mod.rs", parent), ("src/p/child.rs", child)]);
        assert_eq!(breaches.len(), 1);
    }

    #[test]
    fn a_re_export_counts_as_the_file_that_defines_the_name() {
        // `b` imports `A` by way of the parent, which imports `b`: that is no circle.
        let clean = found(&[
            ("src/lib.rs", "mod p;"),
            ("src/p/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("src/p/a.rs", "pub struct A;"),
            ("src/p/b.rs", "use super::A; pub struct B(A);"),
        ]);
        assert_eq!(clean, [""; 0]);
        // Through a name for all of `c`, two re-exports deep.
        let breaches = found(&[
            ("src/lib.rs", "mod p; mod c; pub use p::*;"),
            ("src/p.rs", "pub use crate::c::{C as D};"),
            ("src/c.rs", "mod e; pub struct C; fn f() { e::f() }"),
            ("src/c/e.rs", "pub fn f() -> crate::D { todo!() }"),
        ]);
        assert_eq!(breaches.len(), 1, "{breaches:?}");
        assert!(breaches[0].contains("src/c/e.rs:1 imports src/c.rs (crate::D)"), "{breaches:?}");
    }

    #[test]
    fn what_is_for_tests_only_does_not_count() {
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
