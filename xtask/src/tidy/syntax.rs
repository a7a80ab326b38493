//! What the rules need to know about a Rust file, found in its tokens: modules, items, imports, paths.
//!
//! It reads tokens rather than a syntax tree because half of the page stands inside `view!`, which a parser
//! of Rust sees as tokens only, and because a lexer builds in two seconds and a parser in ten. A path counts
//! wherever it stands: in a signature, in a body, in a macro. What is compiled for tests only does not count.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, LexError, Span, TokenStream, TokenTree};

/// A file, or a module inside one.
#[derive(Default)]
pub struct Module {
    /// Names of the items that are declared here, and the line of each.
    pub items: BTreeMap<String, usize>,
    /// Macros declared here with `#[macro_export]`: their path is the root of the crate.
    pub exported_macros: BTreeSet<String>,
    pub children: Vec<Child>,
    pub imports: Vec<Import>,
    /// Paths of two and more segments that are no imports.
    pub paths: Vec<(Vec<String>, usize)>,
    pub words: Vec<(String, usize)>,
    /// String literals with their quotes.
    pub strings: Vec<(String, usize)>,
    /// The lines that hold code: neither blank, nor a comment, nor compiled for tests only.
    pub code_lines: BTreeSet<usize>,
}

/// A module declared in another.
pub struct Child {
    pub name: String,
    /// The file that `#[path = "…"]` names.
    pub path: Option<String>,
    /// Its content where it stands in the same file.
    pub inline: Option<Module>,
    /// Compiled for tests only.
    pub test: bool,
}

/// One name that a `use` brings in.
pub struct Import {
    pub path: Vec<String>,
    /// The name that it has here; `*` for all names of a module.
    pub name: String,
    pub public: bool,
    pub line: usize,
}

/// Reads a file.
pub fn read(text: &str) -> Result<Module, LexError> {
    let tokens: TokenStream = text.parse()?;
    let mut module = Module::default();
    module.scan(&tokens.into_iter().collect::<Vec<_>>(), true);
    Ok(module)
}

/// The enumerations of a file that derive a trait: the name of each, and the names of its variants without
/// those that clap flattens, which take in the variants of another enumeration.
pub fn enumerations(text: &str, derived: &str) -> Vec<(String, Vec<String>)> {
    let Ok(all) = text.parse::<TokenStream>() else { return Vec::new() };
    let all: Vec<TokenTree> = all.into_iter().collect();
    let mut found = Vec::new();
    let mut derives = false;
    let mut at = 0;
    while at < all.len() {
        if let Some(attribute) = Attribute::at(&all, at) {
            let list = group(attribute.tokens.get(1), Delimiter::Parenthesis).map(tokens);
            let mut names = list.unwrap_or_default().into_iter();
            derives |= attribute.is("derive")
                && names.any(|token| word(Some(&token)).as_deref() == Some(derived));
            at = attribute.end;
            continue;
        }
        if word(all.get(at)).as_deref() == Some("enum") {
            let name = word(all.get(at + 1)).unwrap_or_default();
            let body = group(all.get(at + 2), Delimiter::Brace).map(tokens).unwrap_or_default();
            if std::mem::take(&mut derives) {
                found.push((name, variants(&body)));
            }
        }
        // A `pub` may stand between the attribute and its enumeration, a body may not.
        derives &= group(all.get(at), Delimiter::Brace).is_none();
        at += 1;
    }
    found
}

fn variants(all: &[TokenTree]) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let mut is_flattened = false;
        while let Some(attribute) = Attribute::at(all, at) {
            let list = group(attribute.tokens.get(1), Delimiter::Parenthesis).map(tokens);
            is_flattened |=
                list.is_some_and(|list| word(list.first()).as_deref() == Some("flatten"));
            at = attribute.end;
        }
        names.extend(word(all.get(at)).filter(|_| !is_flattened));
        while at < all.len() && !is_punct(all.get(at), ',') {
            at += 1;
        }
        at += 1;
    }
    names
}

fn line(span: Span) -> usize {
    span.start().line
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn word(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string().trim_start_matches("r#").into()),
        _ => None,
    }
}

fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

fn tokens(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// Whether `::` begins at `at`.
fn is_path_separator(all: &[TokenTree], at: usize) -> bool {
    is_punct(all.get(at), ':') && is_punct(all.get(at + 1), ':')
}

/// An attribute that begins at some `#`.
struct Attribute {
    tokens: Vec<TokenTree>,
    /// The index of the first token after it.
    end: usize,
}

impl Attribute {
    fn at(all: &[TokenTree], at: usize) -> Option<Self> {
        if !is_punct(all.get(at), '#') {
            return None;
        }
        let at = at + 1 + usize::from(is_punct(all.get(at + 1), '!'));
        let group = group(all.get(at), Delimiter::Bracket)?;
        Some(Self { tokens: tokens(group), end: at + 1 })
    }

    fn is(&self, name: &str) -> bool {
        word(self.tokens.first()).as_deref() == Some(name)
    }

    /// Whether what it stands on exists in tests only: `cfg(test)` or `cfg(all(test, …))`.
    fn is_for_tests(&self) -> bool {
        let Some(condition) = self.is("cfg").then(|| self.tokens.get(1)).flatten() else {
            return false;
        };
        let Some(condition) = group(Some(condition), Delimiter::Parenthesis) else { return false };
        let condition = tokens(condition);
        let conditions = match (word(condition.first()).as_deref(), condition.get(1)) {
            (Some("all"), inner) => group(inner, Delimiter::Parenthesis).map(tokens),
            _ => Some(condition),
        };
        let conditions = conditions.unwrap_or_default();
        let mut parts = conditions.split(|token| is_punct(Some(token), ','));
        parts.any(|part| part.len() == 1 && word(part.first()).as_deref() == Some("test"))
    }

    /// The text of `#[path = "…"]`.
    fn path(&self) -> Option<String> {
        let text = self.is("path").then(|| self.tokens.get(2)).flatten()?.to_string();
        Some(text.trim_matches('"').into())
    }
}

/// The index after the item, field, arm or statement that begins at `at`, attributes included.
fn skip_item(all: &[TokenTree], mut at: usize) -> usize {
    while let Some(attribute) = Attribute::at(all, at) {
        at = attribute.end;
    }
    let mut until_semicolon = false;
    let mut is_item = false;
    while let Some(token) = all.get(at) {
        match token {
            TokenTree::Ident(ident) => match ident.to_string().as_str() {
                "use" | "let" | "static" | "type" => until_semicolon = true,
                // `const fn` ends with its body, `const NAME: Type = { … };` does not.
                "const" => until_semicolon = true,
                "fn" | "impl" | "mod" | "struct" | "enum" | "trait" | "union" | "macro_rules" => {
                    is_item = true;
                    until_semicolon = false;
                }
                _ => {}
            },
            TokenTree::Punct(punct) => match punct.as_char() {
                ';' => return at + 1,
                ',' if !is_item && !until_semicolon => return at + 1,
                _ => {}
            },
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Brace && !until_semicolon =>
            {
                return at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    at
}

/// What attributes and a `pub` say of the item after them.
#[derive(Default)]
struct Prefix {
    public: bool,
    for_tests: bool,
    exported: bool,
    path: Option<String>,
}

impl Module {
    /// Reads tokens; `top` where they are items of the module rather than the inside of one.
    fn scan(&mut self, all: &[TokenTree], top: bool) {
        let mut at = 0;
        let mut prefix = Prefix::default();
        while let Some(token) = all.get(at) {
            if let Some(attribute) = Attribute::at(all, at) {
                prefix.for_tests |= attribute.is_for_tests();
                prefix.exported |= attribute.is("macro_export");
                prefix.path = attribute.path().or(prefix.path);
                // A comment of documentation is an attribute to the lexer, and no line of code.
                if !attribute.is("doc") && !prefix.for_tests {
                    self.count(&all[at..attribute.end]);
                    self.scan(&attribute.tokens, false);
                }
                at = attribute.end;
                continue;
            }
            if word(Some(token)).as_deref() == Some("pub") {
                prefix.public = true;
                // What stands in `pub(in crate::a)` is no import.
                at += 1 + usize::from(group(all.get(at + 1), Delimiter::Parenthesis).is_some());
                continue;
            }
            if let Some(end) = self.declaration(all, at, top, &prefix) {
                at = end;
            } else if prefix.for_tests {
                at = skip_item(all, at);
            } else {
                at = self.token(all, at, top);
            }
            prefix = Prefix::default();
        }
    }

    /// Reads a token that declares nothing, or the path that begins with it, and returns the index after it.
    fn token(&mut self, all: &[TokenTree], at: usize, top: bool) -> usize {
        let mut end = at + 1;
        match &all[at] {
            TokenTree::Ident(_) => end = self.path(all, at),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.contains('"') {
                    self.strings.push((text, line(literal.span())));
                }
            }
            TokenTree::Group(group) => {
                // A macro that stands where items do may declare some.
                if top && is_macro_call(all, at) {
                    self.declared_by_macro(group);
                }
                self.scan(&tokens(group), false);
            }
            TokenTree::Punct(_) => {}
        }
        self.count(&all[at..end]);
        end
    }

    /// Reads an import or the beginning of an item, and returns the index after what it has read.
    fn declaration(
        &mut self,
        all: &[TokenTree],
        at: usize,
        top: bool,
        prefix: &Prefix,
    ) -> Option<usize> {
        let keyword = word(all.get(at))?;
        let end = match keyword.as_str() {
            // `use<'a>` says what a type captures.
            "use" if !is_punct(all.get(at + 1), '<') => {
                let end = (at..all.len()).find(|&index| is_punct(all.get(index), ';'))?;
                if !prefix.for_tests {
                    let from = at + 1 + 2 * usize::from(is_path_separator(all, at + 1));
                    self.import(&all[from..end], &[], prefix.public);
                }
                end + 1
            }
            "mod" => {
                let name = word(all.get(at + 1))?;
                let inline = group(all.get(at + 2), Delimiter::Brace).map(|group| {
                    let mut inner = Self::default();
                    inner.scan(&tokens(group), true);
                    inner
                });
                if let Some(inner) = inline.as_ref().filter(|_| !prefix.for_tests) {
                    self.code_lines.extend(&inner.code_lines);
                }
                let (path, test) = (prefix.path.clone(), prefix.for_tests);
                self.children.push(Child { name, path, inline, test });
                at + 3
            }
            "macro_rules" if !prefix.for_tests && is_punct(all.get(at + 1), '!') => {
                let name = word(all.get(at + 2))?;
                if prefix.exported {
                    self.exported_macros.insert(name.clone());
                }
                self.items.insert(name, line(all[at].span()));
                // Its body is read as everything else is: it may hold paths.
                at + 3
            }
            _ if top && !prefix.for_tests => {
                let name = declared_name(all, at)?;
                self.items.insert(name, line(all[at].span()));
                at + 1
            }
            _ => return None,
        };
        if !prefix.for_tests {
            self.count(&all[at..end]);
        }
        Some(end)
    }

    /// Reads one tree of a `use`, whose first segments are `prefix`.
    fn import(&mut self, all: &[TokenTree], prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        let mut at = 0;
        while let Some(token) = all.get(at) {
            let line = line(token.span());
            match token {
                TokenTree::Ident(_) => {
                    let segment = word(Some(token)).unwrap_or_default();
                    self.words.push((segment.clone(), line));
                    // `use a::{self}` names `a`.
                    if segment != "self" || path.is_empty() {
                        path.push(segment);
                    }
                    if is_path_separator(all, at + 1) {
                        at += 3;
                        continue;
                    }
                    let alias = (word(all.get(at + 1)).as_deref() == Some("as"))
                        .then(|| word(all.get(at + 2)))
                        .flatten();
                    let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
                    return self.imports.push(Import { path, name, public, line });
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    return self.imports.push(Import { path, name: "*".into(), public, line });
                }
                TokenTree::Group(group) => {
                    for part in tokens(group).split(|token| is_punct(Some(token), ',')) {
                        self.import(part, &path, public);
                    }
                    return;
                }
                _ => at += 1,
            }
        }
    }

    /// Reads a name, or a path of an expression, type or pattern, and returns the index after it.
    fn path(&mut self, all: &[TokenTree], at: usize) -> usize {
        let before = |distance: usize| at.checked_sub(distance).and_then(|index| all.get(index));
        let line = line(all[at].span());
        let first = word(all.get(at)).unwrap_or_default();
        self.words.push((first.clone(), line));
        let continues = is_punct(before(1), ':') && is_punct(before(2), ':');
        let is_field = is_punct(before(1), '.') && !is_punct(before(2), '.');
        if continues || is_field {
            return at + 1;
        }
        let mut segments = vec![first];
        let mut end = at + 1;
        while is_path_separator(all, end) {
            let Some(segment) = word(all.get(end + 2)) else { break };
            self.words.push((segment.clone(), line));
            segments.push(segment);
            end += 3;
        }
        if segments.len() > 1 {
            self.paths.push((segments, line));
        }
        end
    }

    /// The items in the arguments of a macro such as `units! { pub struct Ticks; }`.
    fn declared_by_macro(&mut self, group: &Group) {
        let all = tokens(group);
        for at in 0..all.len() {
            if let Some(name) = declared_name(&all, at) {
                self.items.entry(name).or_insert_with(|| line(all[at].span()));
            }
        }
    }

    /// Counts the lines of tokens. What stands inside a group is counted when it is read.
    fn count(&mut self, all: &[TokenTree]) {
        for token in all {
            if let TokenTree::Group(group) = token {
                self.code_lines.extend([line(group.span_open()), line(group.span_close())]);
                continue;
            }
            self.code_lines.extend(token.span().start().line..=token.span().end().line);
        }
    }
}

/// The name after a keyword that declares an item.
fn declared_name(all: &[TokenTree], at: usize) -> Option<String> {
    let next = word(all.get(at + 1));
    match word(all.get(at))?.as_str() {
        "struct" | "enum" | "union" | "trait" | "type" | "fn" => next,
        "const" => next.filter(|next| !["fn", "unsafe", "async", "extern"].contains(&&**next)),
        "static" if next.as_deref() == Some("mut") => word(all.get(at + 2)),
        "static" => next,
        _ => None,
    }
}

/// Whether the group at `at` is what a macro is called with.
fn is_macro_call(all: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_punct(all.get(at - 1), '!') && word(all.get(at - 2)).is_some()
}
