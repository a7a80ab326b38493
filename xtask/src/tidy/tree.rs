//! The files of the repository, and violations of rules in them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Folders without source code of this repository.
const SKIPPED: [&str; 5] = [".git", "data", "node_modules", "target", "corpus"];

/// Endings of text files that rules look at.
const READ: [&str; 10] = ["css", "html", "js", "md", "mjs", "py", "rs", "sql", "toml", "txt"];

/// All files, by path from the root of the repository.
///
/// Rules work on this type and not on the disk, so that a test can build a small tree with a violation in it.
#[derive(Default)]
pub struct Tree {
    texts: BTreeMap<String, String>,
    /// The paths of all files, including those that are not read, because documents refer to pictures too.
    names: Vec<String>,
}

impl Tree {
    /// Reads a repository.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<(), String> {
        let path = root.join(folder);
        let describe = |error: std::io::Error| format!("{}: {error}", path.display());
        for entry in fs::read_dir(&path).map_err(describe)? {
            let entry = entry.map_err(describe)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let inside = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.file_type().map_err(describe)?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.read_folder(root, &inside)?;
                }
                continue;
            }
            if name.rsplit_once('.').is_some_and(|(_, ending)| READ.contains(&ending)) {
                self.texts
                    .insert(inside.clone(), fs::read_to_string(entry.path()).map_err(describe)?);
            }
            self.names.push(inside);
        }
        Ok(())
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Paths and texts of the files in a folder, or of one file, ordered by path.
    pub fn below<'a>(&'a self, place: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let texts = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        texts.filter(move |(path, _)| is_below(path, place))
    }

    /// Whether a file or folder exists.
    pub fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.names.iter().any(|name| is_below(name, path))
    }
}

/// Whether `path` is `place` or inside it. An empty `place` is the whole repository.
pub fn is_below(path: &str, place: &str) -> bool {
    let place = place.trim_end_matches('/');
    place.is_empty()
        || path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    pub rule: &'static str,
    /// What is wrong and, where that is not obvious, what would be right.
    pub problem: String,
}

impl Violation {
    pub fn new(file: &str, line: usize, rule: &'static str, problem: impl Into<String>) -> Self {
        Self { file: file.into(), line, rule, problem: problem.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.problem)
    }
}

#[cfg(test)]
impl Tree {
    pub fn of(files: &[(&str, &str)]) -> Self {
        let texts: BTreeMap<String, String> =
            files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect();
        let names = texts.keys().cloned().collect();
        Self { texts, names }
    }
}
