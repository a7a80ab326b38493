//! Reads a Rust file: its modules, items, imports, paths, names, string literals and lines of code.
//!
//! It works on tokens, not on a syntax tree. Half of the page's code is inside `view!`, whose content is only tokens even to a
//! parser; and the lexer builds in two seconds, a parser in ten. Paths are found everywhere: in signatures, bodies and macro
//! arguments. Code that is compiled only for tests is skipped.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, LexError, Span, TokenStream, TokenTree};

/// A file, or a module inside one.
#[derive(Default)]
pub struct Module {
    /// Names and lines of the items declared in the module.
    pub items: BTreeMap<String, usize>,
    /// Macros with `#[macro_export]`. Other modules name them by the root of the crate.
    pub exported_macros: BTreeSet<String>,
    pub children: Vec<Child>,
    pub imports: Vec<Import>,
    /// Paths of two or more segments outside `use` declarations.
    pub paths: Vec<(Vec<String>, usize)>,
    pub words: Vec<(String, usize)>,
    /// String literals, including their quotes.
    pub strings: Vec<(String, usize)>,
    /// Lines with code: not blank, not a comment, not compiled only for tests.
    pub code_lines: BTreeSet<usize>,
}

/// A `mod` declaration.
pub struct Child {
    pub name: String,
    /// The file in `#[path = "…"]`.
    pub path: Option<String>,
    /// The content of `mod name { … }`.
    pub inline: Option<Module>,
    /// Whether the module is compiled only for tests.
    pub test: bool,
}

/// One name that a `use` declaration brings into scope.
pub struct Import {
    pub path: Vec<String>,
    /// The name in this module, or `*` for a glob.
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

/// Enums of a file that derive a trait, each with its variants. Variants with `#[command(flatten)]` are left out, because
/// they stand for the variants of another enum.
pub fn enumerations(text: &str, derived: &str) -> Vec<(String, Vec<String>)> {
    // A file that is not Rust is reported when it is read as a module.
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
        // The attribute applies to the next item only. An item ends with its body, a visibility does not.
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
        // `r#type` and `type` are the same name in a path.
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

/// Whether the tokens at `at` are `::`.
fn is_path_separator(all: &[TokenTree], at: usize) -> bool {
    is_punct(all.get(at), ':') && is_punct(all.get(at + 1), ':')
}

/// An attribute, such as `#[cfg(test)]`.
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
        // `#![…]` is an attribute of the module around it, and read like any other.
        let at = at + 1 + usize::from(is_punct(all.get(at + 1), '!'));
        let group = group(all.get(at), Delimiter::Bracket)?;
        Some(Self { tokens: tokens(group), end: at + 1 })
    }

    fn is(&self, name: &str) -> bool {
        word(self.tokens.first()).as_deref() == Some(name)
    }

    /// Whether it limits the next item to tests: `cfg(test)` or `cfg(all(test, …))`.
    fn is_for_tests(&self) -> bool {
        let Some(condition) = self.is("cfg").then(|| self.tokens.get(1)).flatten() else {
            return false;
        };
        let Some(condition) = group(Some(condition), Delimiter::Parenthesis) else { return false };
        let condition = tokens(condition);
        // `any(test, …)` is not enough: such code is also compiled into the product.
        let conditions = match (word(condition.first()).as_deref(), condition.get(1)) {
            (Some("all"), inner) => group(inner, Delimiter::Parenthesis).map(tokens),
            _ => Some(condition),
        };
        let conditions = conditions.unwrap_or_default();
        let mut parts = conditions.split(|token| is_punct(Some(token), ','));
        parts.any(|part| part.len() == 1 && word(part.first()).as_deref() == Some("test"))
    }

    /// The value of `#[path = "…"]`.
    fn path(&self) -> Option<String> {
        let text = self.is("path").then(|| self.tokens.get(2)).flatten()?.to_string();
        Some(text.trim_matches('"').into())
    }
}

/// Returns the index after the item, field, match arm or statement that begins at `at`.
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
                // `const fn` ends with its body; `const NAME: Type = { … };` ends with the semicolon.
                "const" => until_semicolon = true,
                "fn" | "impl" | "mod" | "struct" | "enum" | "trait" | "union" | "macro_rules" => {
                    is_item = true;
                    until_semicolon = false;
                }
                _ => {}
            },
            TokenTree::Punct(punct) => match punct.as_char() {
                ';' => return at + 1,
                // A field or a match arm ends with a comma. In an item, commas are between parameters.
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

/// Attributes and visibility of the next item.
#[derive(Default)]
struct Prefix {
    public: bool,
    for_tests: bool,
    exported: bool,
    path: Option<String>,
}

impl Module {
    /// Reads tokens. `top` is true at the level of the module's items, and false inside an item.
    fn scan(&mut self, all: &[TokenTree], top: bool) {
        let mut at = 0;
        let mut prefix = Prefix::default();
        while let Some(token) = all.get(at) {
            if let Some(attribute) = Attribute::at(all, at) {
                prefix.for_tests |= attribute.is_for_tests();
                prefix.exported |= attribute.is("macro_export");
                prefix.path = attribute.path().or(prefix.path);
                // The lexer turns documentation comments into attributes. They are not code.
                if !attribute.is("doc") && !prefix.for_tests {
                    self.count(&all[at..attribute.end]);
                    self.scan(&attribute.tokens, false);
                }
                at = attribute.end;
                continue;
            }
            if word(Some(token)).as_deref() == Some("pub") {
                prefix.public = true;
                // The path in `pub(in crate::a)` is not an import.
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

    /// Reads one token, or the path that begins with it, and returns the index after it.
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
                // A macro call at this level may declare items.
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

    /// Reads a `use` declaration, or the beginning of an item up to its name, and returns the index after it.
    fn declaration(
        &mut self,
        all: &[TokenTree],
        at: usize,
        top: bool,
        prefix: &Prefix,
    ) -> Option<usize> {
        let keyword = word(all.get(at))?;
        let end = match keyword.as_str() {
            // `impl Trait + use<'a>` is not an import.
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
                // The body follows as a normal group, so paths in it are found.
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

    /// Reads one part of a `use` declaration. `prefix` is the path before the braces around it.
    fn import(&mut self, all: &[TokenTree], prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        let mut at = 0;
        while let Some(token) = all.get(at) {
            let line = line(token.span());
            match token {
                TokenTree::Ident(_) => {
                    let segment = word(Some(token)).unwrap_or_default();
                    self.words.push((segment.clone(), line));
                    // `use a::{self}` imports `a`.
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

    /// Reads a name or a path, and returns the index after it.
    fn path(&mut self, all: &[TokenTree], at: usize) -> usize {
        let before = |distance: usize| at.checked_sub(distance).and_then(|index| all.get(index));
        let line = line(all[at].span());
        let first = word(all.get(at)).unwrap_or_default();
        self.words.push((first.clone(), line));
        let continues = is_punct(before(1), ':') && is_punct(before(2), ':');
        let is_field = is_punct(before(1), '.') && !is_punct(before(2), '.');
        // The rest of a path after type arguments, or a field: neither begins with a name in scope.
        if continues || is_field {
            return at + 1;
        }
        let mut segments = vec![first];
        let mut end = at + 1;
        while is_path_separator(all, end) {
            // `Vec::<u8>::new`: the path ends before its type arguments, which are read as tokens of their own.
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

    /// Finds items in the arguments of a macro, as in `units! { pub struct Ticks; }`.
    fn declared_by_macro(&mut self, group: &Group) {
        // What a macro makes of its arguments is unknown, so what looks like an item there is taken for one.
        let all = tokens(group);
        for at in 0..all.len() {
            if let Some(name) = declared_name(&all, at) {
                self.items.entry(name).or_insert_with(|| line(all[at].span()));
            }
        }
    }

    /// Counts the lines of tokens. The content of a group is counted when the group is read.
    fn count(&mut self, all: &[TokenTree]) {
        for token in all {
            if let TokenTree::Group(group) = token {
                self.code_lines.extend([line(group.span_open()), line(group.span_close())]);
                continue;
            }
            // A string can cover several lines, and all of them count.
            self.code_lines.extend(token.span().start().line..=token.span().end().line);
        }
    }
}

/// The name of the item whose keyword is at `at`.
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

/// Whether the group at `at` holds the arguments of a macro call.
fn is_macro_call(all: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_punct(all.get(at - 1), '!') && word(all.get(at - 2)).is_some()
}
