//! Every path, command and name of code in README.md and ARCHITECTURE.md exists.
//!
//! The rule looks at inline code, blocks of shell commands, and links. Names are those written as `Type::function` or
//! `function()`. A path is relative to the root of the repository, to
//! the folder that the heading of its section names (`### core`), or to a folder that comes before it in the same line.

use std::collections::BTreeSet;

use super::syntax;
use super::tree::{Tree, Violation};

const RULE: &str = "document";

pub const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "README.md"];

/// Inline code with these endings is taken for a path.
const ENDINGS: [&str; 11] =
    [".css", ".html", ".js", ".json", ".md", ".mjs", ".py", ".rs", ".sql", ".toml", ".webp"];

/// The folder with the clap enums of the `zellbook` program.
const PROGRAM: &str = "server";

/// Finds paths and commands in a document that do not exist.
///
/// `tasks` are the commands of `cargo xtask`, and `names` all names in Rust code.
pub fn check(
    tree: &Tree,
    document: &str,
    tasks: &[&str],
    names: &BTreeSet<&str>,
) -> Vec<Violation> {
    let Some(text) = tree.text(document) else {
        return vec![Violation::new(document, 1, RULE, "this document does not exist")];
    };
    let commands = program_commands(tree);
    let mut violations = Vec::new();
    let mut section = String::new();
    let mut block: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let mut report = |problem: String| {
            violations.push(Violation::new(document, index + 1, RULE, problem));
        };
        if let Some(language) = line.trim_start().strip_prefix("```") {
            block = if block.is_none() { Some(language.to_string()) } else { None };
            continue;
        }
        if let Some(heading) = line.strip_prefix("#").filter(|_| block.is_none()) {
            // Any other heading ends the section, so that its paths are not found in the folder before it.
            let folder = heading.trim_start_matches('#').trim().trim_matches('`');
            section = if tree.exists(folder) { folder.into() } else { String::new() };
        }
        let code: Vec<&str> = match block.as_deref() {
            // Every second piece between backquotes is code.
            None => line.split('`').skip(1).step_by(2).collect(),
            // Comments in a shell block are prose. Other blocks are data or output.
            Some("sh") => vec![line.split(" #").next().unwrap_or_default()],
            Some(_) => Vec::new(),
        };
        for command in code.iter().flat_map(|code| commands_in(code)) {
            if let Some(problem) = unknown_command(&command, tasks, &commands) {
                report(problem);
            }
        }
        if block.is_none() {
            let mut folder = String::new();
            for path in code.iter().filter(|code| is_path(code)) {
                match find(tree, &section, &folder, path) {
                    // A folder gives the paths after it in the line their place, as in "`api/` (`page.rs`)".
                    Some(found) if path.ends_with('/') => folder = found,
                    Some(_) => {}
                    None => report(format!("`{path}` does not exist")),
                }
            }
            for name in code.iter().filter_map(|code| qualified_name(code)) {
                // All names of the repository, not those of the type: finding the type's own would need a compiler.
                if let Some(unknown) = name.iter().find(|part| !names.contains(*part)) {
                    report(format!("`{unknown}` of `{}` does not exist", name.join("::")));
                }
            }
            for link in links(line) {
                let path = link.split('#').next().unwrap_or_default();
                if !path.is_empty() && !tree.exists(path) {
                    report(format!("the target of a link does not exist: {path}"));
                }
            }
        }
    }
    violations
}

fn is_path(code: &str) -> bool {
    let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    // Files of a build or of a user, and paths of URLs.
    let made = ["target/", "./", "/", "data/", "~"].iter().any(|start| code.starts_with(start));
    let file = ENDINGS.iter().any(|ending| code.ends_with(ending));
    plain && !made && (code.ends_with('/') || file && (code.contains('/') || is_source(code)))
}

/// Whether a bare file name must be a file of the repository. `genesis.json`, for example, is a file of a user.
fn is_source(code: &str) -> bool {
    [".css", ".js", ".rs", ".sql"].iter().any(|ending| code.ends_with(ending))
}

/// The parts of inline code such as `Type::function` or `function()`. The arguments of a call are left out.
fn qualified_name(code: &str) -> Option<Vec<&str>> {
    let name = code.split('(').next()?;
    let parts: Vec<&str> = name.split("::").collect();
    let is_call = code.len() > name.len() && code.ends_with(')');
    let is_name = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    ((parts.len() > 1 || is_call) && parts.iter().all(is_name)).then_some(parts)
}

/// Resolves a path in a document to a path from the root.
fn find(tree: &Tree, section: &str, folder: &str, path: &str) -> Option<String> {
    // From the nearest place to the farthest, as a reader would look.
    let source = format!("{section}/src");
    [folder, &source, section, ""]
        .into_iter()
        .map(|base| {
            if base.is_empty() {
                path.into()
            } else {
                format!("{}/{path}", base.trim_end_matches('/'))
            }
        })
        .find(|candidate: &String| tree.exists(candidate))
}

/// Targets of links to files of the repository.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

/// The commands `cargo xtask …` and `zellbook …` in a line of code, each as its words.
fn commands_in(code: &str) -> Vec<Vec<&str>> {
    let parts = code.split(['|', ';', '&', '(']).map(|part| part.split_whitespace().collect());
    parts
        .map(|words: Vec<&str>| {
            let words: Vec<&str> =
                // Variables before the command, as in `ZELLBOOK_LOG=debug zellbook serve`.
                words.into_iter().skip_while(|word| word.contains('=')).collect();
            // `cargo run -p zellbook -- serve` runs `zellbook serve`.
            match words.iter().position(|word| *word == "--") {
                Some(at) if words.contains(&"zellbook") => {
                    [&["zellbook"], &words[at + 1..]].concat()
                }
                _ => words,
            }
        })
        .filter(|words| words.starts_with(&["cargo", "xtask"]) || words.starts_with(&["zellbook"]))
        .collect()
}

fn unknown_command(words: &[&str], tasks: &[&str], commands: &[Vec<String>]) -> Option<String> {
    if let ["cargo", "xtask", rest @ ..] = words {
        let task = rest.first()?;
        // A placeholder or an option in the command's place is not a name.
        let known = tasks.contains(task) || !is_name(task);
        return (!known).then(|| format!("the command `cargo xtask {task}` does not exist"));
    }
    let [_, rest @ ..] = words else { return None };
    let command = *rest.first().filter(|word| is_name(word))?;
    let same: Vec<_> = commands.iter().filter(|known| known[0] == command).collect();
    if same.is_empty() {
        return Some(format!("the command `zellbook {command}` does not exist"));
    }
    // Some commands, such as `key`, only group others.
    let inner = *rest.get(1).filter(|word| is_name(word))?;
    let groups = same.iter().any(|known| known.len() > 1);
    let known = !groups || same.iter().any(|known| known.get(1).is_some_and(|name| name == inner));
    (!known).then(|| format!("the command `zellbook {command} {inner}` does not exist"))
}

fn is_name(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
}

/// The commands of the program and their subcommands, from its clap enums.
fn program_commands(tree: &Tree) -> Vec<Vec<String>> {
    let enumerations: Vec<(String, Vec<String>)> = tree
        .below(PROGRAM)
        .flat_map(|(_, text)| syntax::enumerations(text, "Subcommand"))
        .collect();
    // The program's own enum flattens those of its libraries. All have the same name.
    let top = enumerations.iter().filter(|(name, _)| name == "Command");
    let mut commands = Vec::new();
    for variant in top.flat_map(|(_, variants)| variants) {
        let command = kebab(variant);
        commands.push(vec![command.clone()]);
        // The subcommands of `Key(key::KeyArguments)` are in the enum `KeyCommand`.
        let inner = format!("{variant}Command");
        for (_, variants) in enumerations.iter().filter(|(name, _)| *name == inner) {
            commands.extend(variants.iter().map(|inner| vec![command.clone(), kebab(inner)]));
        }
    }
    commands
}

/// The name of a command on the command line: `cancel-after` for `CancelAfter`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str) -> Vec<String> {
        let cli = "#[derive(Subcommand)] enum Command { /// Run.\n Serve(A), CancelAfter(B), #[command(hide = true)] Key(key::KeyArguments) }";
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", document),
            (
                "server/bin/src/main.rs",
                "#[derive(Subcommand)] enum Command { #[command(flatten)] Server(cli::Command) }",
            ),
            ("server/src/cli/mod.rs", cli),
            (
                "server/src/cli/key.rs",
                "#[derive(Clone, Subcommand)] enum KeyCommand { New { out: PathBuf }, Show }",
            ),
            ("server/src/api/page.rs", ""),
            ("docs/api.md", ""),
        ]);
        let names = BTreeSet::from(["Exchange", "apply"]);
        check(&tree, "ARCHITECTURE.md", &["run", "test"], &names)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn paths_and_commands_that_exist_pass() {
        let clean = found(
            "`cargo xtask run --listen 1`, `docs/api.md`, [api](docs/api.md#top), [other](https://x.y/z.md)\n\
             ### server\n`api/` (`page.rs`), `cli/key.rs`, `GET /v1/x.json`, `data/nodes.json`, `./x.md`\n\
             ```sh\nzellbook key new --out a.key   # zellbook nothing\ncargo xtask test | X=1 zellbook cancel-after 60s\n```\n\
             ```json\n`zellbook nothing` and `nothing.rs`\n```\n`zellbook serve` `zellbook-core` `zellbook`",
        );
        assert_eq!(clean, [""; 0]);
    }

    #[test]
    fn a_path_that_does_not_exist_is_a_violation() {
        assert_eq!(
            found("\n`docs/apis.md`"),
            ["ARCHITECTURE.md:2: document: `docs/apis.md` does not exist"]
        );
        assert_eq!(found("`api/`").len(), 1);
        assert_eq!(found("### server\n`api/` (`pages.rs`)").len(), 1);
        assert_eq!(found("see [it](docs/none.md)").len(), 1);
    }

    #[test]
    fn a_command_that_does_not_exist_is_a_violation() {
        assert_eq!(
            found("`cargo xtask fly`"),
            ["ARCHITECTURE.md:1: document: the command `cargo xtask fly` does not exist"]
        );
        assert_eq!(found("```sh\nzellbook simulate --seeds 1\n```").len(), 1);
        assert_eq!(found("`zellbook key forget`").len(), 1);
        assert_eq!(found("`zellbook server`").len(), 1);
        assert_eq!(found("```sh\ncargo run -p zellbook -- simulate\n```").len(), 1);
    }

    #[test]
    fn a_name_that_does_not_exist_is_a_violation() {
        assert_eq!(
            found("`Exchange::apply`, `apply()`, `Exchange::apply(&batch)`, `(a, b)`"),
            [""; 0]
        );
        let expected =
            ["ARCHITECTURE.md:1: document: `revert` of `Exchange::revert` does not exist"];
        assert_eq!(found("`Exchange::revert`"), expected);
        assert_eq!(found("`revert()`").len(), 1);
    }

    #[test]
    fn a_missing_document_is_a_violation() {
        assert_eq!(check(&Tree::of(&[]), "README.md", &[], &BTreeSet::new()).len(), 1);
    }
}
