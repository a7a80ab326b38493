//! Which file imports which, in one crate.
//!
//! A path is followed to the file that defines its name: through `crate`, `self` and `super`, through the
//! names that a module imports, and through re-exports. `use crate::a;` alone is no import of `a`: what is
//! then used as `a::Name` is. A `mod` declaration is no import, and neither is what is compiled for tests.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::{self, Child, Module};
use super::tree::{Breach, Tree};

/// Imports lead through others to their definition, hardly ever in more steps than this.
const MAX_STEPS: usize = 16;

/// A crate's modules, the root first.
pub struct Crate {
    /// The file of the root module.
    pub root: String,
    modules: Vec<Node>,
    /// Files that exist in tests only.
    pub tests: BTreeSet<String>,
}

struct Node {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    module: Module,
}

/// That a file imports another, where it does so first, and by which path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub line: usize,
    pub path: String,
}

/// What a path leads to: a module, or something that a module defines.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    InModule(usize),
}

impl Crate {
    /// Reads a crate from the file of its root module. What cannot be read is a breach.
    pub fn read(tree: &Tree, root: &str, breaches: &mut Vec<Breach>) -> Self {
        let mut this = Self { root: root.into(), modules: Vec::new(), tests: BTreeSet::new() };
        if let Some(module) = parse(tree, root, breaches) {
            let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
            this.add(tree, module, root, folder, None, breaches);
        }
        this
    }

    /// Adds a module; `folder` is where the files of its children are.
    fn add(
        &mut self,
        tree: &Tree,
        mut module: Module,
        file: &str,
        folder: &str,
        parent: Option<usize>,
        breaches: &mut Vec<Breach>,
    ) -> usize {
        let index = self.modules.len();
        let children = std::mem::take(&mut module.children);
        let node = Node { file: file.into(), parent, children: BTreeMap::new(), module };
        self.modules.push(node);
        for mut child in children {
            let inner_folder = format!("{folder}/{}", child.name);
            let child_file = match child.inline {
                Some(_) => Some(file.to_string()),
                None => self.child_file(tree, file, folder, &child),
            };
            let Some(child_file) = child_file else { continue };
            if child.test {
                if child.inline.is_none() {
                    self.add_test_file(tree, &child_file, &inner_folder, breaches);
                }
                continue;
            }
            let inner = child.inline.take().or_else(|| parse(tree, &child_file, breaches));
            let Some(inner) = inner else { continue };
            let at = self.add(tree, inner, &child_file, &inner_folder, Some(index), breaches);
            self.modules[index].children.insert(child.name, at);
        }
        index
    }

    fn child_file(&self, tree: &Tree, file: &str, folder: &str, child: &Child) -> Option<String> {
        if let Some(path) = &child.path {
            return Some(join(file.rsplit_once('/').map_or("", |(folder, _)| folder), path));
        }
        let name = &child.name;
        let candidates = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
        candidates.into_iter().find(|candidate| tree.text(candidate).is_some())
    }

    /// Notes a file of tests, and the files below it.
    fn add_test_file(&mut self, tree: &Tree, file: &str, folder: &str, breaches: &mut Vec<Breach>) {
        self.tests.insert(file.into());
        for child in parse(tree, file, breaches).unwrap_or_default().children {
            let child_file = self.child_file(tree, file, folder, &child);
            if let (None, Some(child_file)) = (&child.inline, child_file) {
                let folder = format!("{folder}/{}", child.name);
                self.add_test_file(tree, &child_file, &folder, breaches);
            }
        }
    }

    /// The files of the crate that are not for tests, with their modules: a file may hold several.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Module)> {
        self.modules.iter().map(|node| (node.file.as_str(), &node.module))
    }

    /// Each pair of files of which the first imports the second.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(&str, &str), Edge> = BTreeMap::new();
        for (index, node) in self.modules.iter().enumerate() {
            let imports = node.module.imports.iter().map(|import| {
                let target = match self.resolve(index, &import.path, 0) {
                    Some(Target::Module(_)) if import.name != "*" => None,
                    target => target,
                };
                (target, import.path.join("::"), import.line)
            });
            let paths = node.module.paths.iter().map(|(path, line)| {
                let target = self.resolve(index, path, 0);
                (
                    target.filter(|target| matches!(target, Target::InModule(_))),
                    path.join("::"),
                    *line,
                )
            });
            for (target, path, line) in imports.chain(paths) {
                let Some(Target::Module(to) | Target::InModule(to)) = target else { continue };
                let (from, to) = (node.file.as_str(), self.modules[to].file.as_str());
                if from == to {
                    continue;
                }
                let edge = Edge { from: from.into(), to: to.into(), line, path };
                let first = edges.entry((from, to)).or_insert_with(|| edge.clone());
                if edge.line < first.line {
                    *first = edge;
                }
            }
        }
        edges.into_values().collect()
    }

    /// Follows a path from a module. `None`: it leads out of the crate.
    fn resolve(&self, module: usize, path: &[String], steps: usize) -> Option<Target> {
        if steps > MAX_STEPS {
            return None;
        }
        let mut segments = path.iter();
        let first = segments.next()?;
        let mut at = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => Target::Module(self.modules[module].parent?),
            name => self.look_up(module, name, steps)?,
        };
        for segment in segments {
            // Behind an item stand its variants and associated items, which are in the same file.
            let Target::Module(inside) = at else { break };
            at = match segment.as_str() {
                "self" => at,
                "super" => Target::Module(self.modules[inside].parent?),
                // A name that no item has is of a macro's making, such as a component's properties.
                name => match self.look_up(inside, name, steps) {
                    Some(found) => found,
                    None if self.is_external(inside, name) => return None,
                    None => return Some(Target::InModule(inside)),
                },
            };
        }
        Some(at)
    }

    /// What a name means in a module.
    fn look_up(&self, module: usize, name: &str, steps: usize) -> Option<Target> {
        let node = &self.modules[module];
        if let Some(&child) = node.children.get(name) {
            return Some(Target::Module(child));
        }
        if node.module.items.contains_key(name) {
            return Some(Target::InModule(module));
        }
        if module == 0 {
            let exporting = |node: &Node| node.module.exported_macros.contains(name);
            if let Some(at) = self.modules.iter().position(exporting) {
                return Some(Target::InModule(at));
            }
        }
        let named = node.module.imports.iter().filter(|import| import.name == name);
        // `use name::…` does not define `name` itself.
        let mut named =
            named.filter(|import| import.path.first().is_none_or(|first| first != name));
        if let Some(import) = named.next() {
            return self.resolve(module, &import.path, steps + 1);
        }
        let all = node.module.imports.iter().filter(|import| import.name == "*");
        for import in all.filter(|_| steps < MAX_STEPS) {
            if let Some(Target::Module(inside)) = self.resolve(module, &import.path, steps + 1)
                && inside != module
                && let Some(found) = self.look_up(inside, name, steps + 1)
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether a module has a name from another crate.
    fn is_external(&self, module: usize, name: &str) -> bool {
        self.modules[module].module.imports.iter().any(|import| import.name == name)
    }
}

fn parse(tree: &Tree, file: &str, breaches: &mut Vec<Breach>) -> Option<Module> {
    let Some(text) = tree.text(file) else {
        breaches.push(Breach::new(file, 1, "modules", "this file is declared and does not exist"));
        return None;
    };
    syntax::read(text)
        .map_err(|error| {
            let line = error.span().start().line;
            breaches.push(Breach::new(file, line, "modules", format!("not Rust: {error}")));
        })
        .ok()
}

/// A relative path from a folder, without `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}
