//! Finds out which file of a crate imports which.
//!
//! Each path is resolved to the file that defines its name, through `crate`, `self` and `super`, imported names, globs and
//! re-exports. `use crate::a;` alone does not count as an import of `a`; the later use of `a::Name` does, and counts as an import
//! of the file that defines `Name`. `mod` declarations and code that is compiled only for tests do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::syntax::{self, Child, Module};
use super::tree::{Tree, Violation};

/// A limit on the re-exports between a name and its definition, so that globs which import each other end.
const MAX_STEPS: usize = 16;

/// The modules of a crate, beginning with the root.
pub struct Crate {
    /// The file of the root module.
    pub root: String,
    modules: Vec<Node>,
    /// Files that are compiled only for tests.
    pub tests: BTreeSet<String>,
}

struct Node {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    module: Module,
}

/// An import of one file by another: the first line with such an import, and its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: String,
    pub to: String,
    pub line: usize,
    pub path: String,
}

/// The definition that a path leads to: a module, or an item in a module.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    InModule(usize),
}

impl Crate {
    /// Reads a crate, beginning with the file of its root module. Files that cannot be read are violations.
    pub fn read(tree: &Tree, root: &str, violations: &mut Vec<Violation>) -> Self {
        let mut this = Self { root: root.into(), modules: Vec::new(), tests: BTreeSet::new() };
        if let Some(module) = parse(tree, root, violations) {
            let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
            this.add(tree, module, root, folder, None, violations);
        }
        this
    }

    /// Adds a module and its children. `folder` holds the files of the children.
    fn add(
        &mut self,
        tree: &Tree,
        mut module: Module,
        file: &str,
        folder: &str,
        parent: Option<usize>,
        violations: &mut Vec<Violation>,
    ) -> usize {
        let index = self.modules.len();
        // The index must exist before the children, which name their parent by it.
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
                    self.add_test_file(tree, &child_file, &inner_folder, violations);
                }
                continue;
            }
            let inner = child.inline.take().or_else(|| parse(tree, &child_file, violations));
            let Some(inner) = inner else { continue };
            let at = self.add(tree, inner, &child_file, &inner_folder, Some(index), violations);
            self.modules[index].children.insert(child.name, at);
        }
        index
    }

    fn child_file(&self, tree: &Tree, file: &str, folder: &str, child: &Child) -> Option<String> {
        if let Some(path) = &child.path {
            return Some(join(file.rsplit_once('/').map_or("", |(folder, _)| folder), path));
        }
        let name = &child.name;
        // The two places in which the compiler looks.
        let candidates = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
        candidates.into_iter().find(|candidate| tree.text(candidate).is_some())
    }

    /// Records a file that is compiled only for tests, and its children.
    fn add_test_file(
        &mut self,
        tree: &Tree,
        file: &str,
        folder: &str,
        violations: &mut Vec<Violation>,
    ) {
        self.tests.insert(file.into());
        for child in parse(tree, file, violations).unwrap_or_default().children {
            let child_file = self.child_file(tree, file, folder, &child);
            if let (None, Some(child_file)) = (&child.inline, child_file) {
                let folder = format!("{folder}/{}", child.name);
                self.add_test_file(tree, &child_file, &folder, violations);
            }
        }
    }

    /// The modules of the crate with their files. A file with inline modules appears several times.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Module)> {
        self.modules.iter().map(|node| (node.file.as_str(), &node.module))
    }

    /// All imports between different files, one for each pair.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(&str, &str), Edge> = BTreeMap::new();
        for (index, node) in self.modules.iter().enumerate() {
            let imports = node.module.imports.iter().map(|import| {
                let target = match self.resolve(index, &import.path, 0) {
                    // Importing a module alone uses nothing of it. A glob brings its names in, and so depends on it.
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
                // The first line, so that a report leads to the import and not to one of its uses.
                let first = edges.entry((from, to)).or_insert_with(|| edge.clone());
                if edge.line < first.line {
                    *first = edge;
                }
            }
        }
        edges.into_values().collect()
    }

    /// Resolves a path in a module. `None` if it leads to another crate.
    fn resolve(&self, module: usize, path: &[String], steps: usize) -> Option<Target> {
        // A name that is not found after so many steps counts as one of another crate, which breaks no rule.
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
            // The rest of the path names variants or associated items.
            let Target::Module(inside) = at else { break };
            at = match segment.as_str() {
                "self" => at,
                "super" => Target::Module(self.modules[inside].parent?),
                // An unknown name was probably generated by a macro in that module.
                name => match self.look_up(inside, name, steps) {
                    Some(found) => found,
                    None if self.is_external(inside, name) => return None,
                    None => return Some(Target::InModule(inside)),
                },
            };
        }
        Some(at)
    }

    /// Resolves a name in a module.
    fn look_up(&self, module: usize, name: &str, steps: usize) -> Option<Target> {
        let node = &self.modules[module];
        if let Some(&child) = node.children.get(name) {
            return Some(Target::Module(child));
        }
        if node.module.items.contains_key(name) {
            return Some(Target::InModule(module));
        }
        // The compiler puts exported macros into the root of the crate, whatever module declares them.
        if module == 0 {
            let exporting = |node: &Node| node.module.exported_macros.contains(name);
            if let Some(at) = self.modules.iter().position(exporting) {
                return Some(Target::InModule(at));
            }
        }
        let named = node.module.imports.iter().filter(|import| import.name == name);
        // `use name::…` does not define `name`.
        let mut named =
            named.filter(|import| import.path.first().is_none_or(|first| first != name));
        if let Some(import) = named.next() {
            return self.resolve(module, &import.path, steps + 1);
        }
        let all = node.module.imports.iter().filter(|import| import.name == "*");
        for import in all.filter(|_| steps < MAX_STEPS) {
            if let Some(Target::Module(inside)) = self.resolve(module, &import.path, steps + 1)
                // A glob of the module itself would only lead back here.
                && inside != module
                && let Some(found) = self.look_up(inside, name, steps + 1)
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether a module imports this name from another crate.
    fn is_external(&self, module: usize, name: &str) -> bool {
        self.modules[module].module.imports.iter().any(|import| import.name == name)
    }
}

fn parse(tree: &Tree, file: &str, violations: &mut Vec<Violation>) -> Option<Module> {
    let Some(text) = tree.text(file) else {
        violations.push(Violation::new(
            file,
            1,
            "module",
            "a `mod` declaration refers to this file, which does not exist",
        ));
        return None;
    };
    syntax::read(text)
        .map_err(|error| {
            let line = error.span().start().line;
            violations.push(Violation::new(file, line, "module", format!("not Rust: {error}")));
        })
        .ok()
}

/// Appends a relative path to a folder and removes `..`.
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
