//! Splitting the page's program: what only a part uses is moved into a wasm module of its own, which is
//! loaded when the part is first shown (`web/src/later.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use wasm_split_cli_support::{Options, transform};

use crate::site::Asset;

/// How the splitter names its loader, which wasm-bindgen's script imports.
const LINK: &str = "./link.js";

/// A program in parts.
pub struct Split {
    /// What is there from the start, for wasm-bindgen to bind.
    pub main: PathBuf,
    /// What is loaded later.
    pub parts: Vec<PathBuf>,
    /// The script that loads it.
    link: String,
}

/// Splits a program that was linked with `--emit-relocs`.
pub fn split(wasm: &[u8], folder: &Path) -> Result<Split, String> {
    let main = folder.join("zellbook-web.wasm");
    let mut options = Options::new(wasm);
    options.output_dir = folder;
    options.main_out_path = &main;
    options.link_name = LINK;
    let parts = transform(options)
        .map_err(|error| format!("splitting the wasm module: {error:#}"))?
        .split_modules;
    let link = folder.join(LINK);
    let link = fs::read_to_string(&link).map_err(|error| format!("{}: {error}", link.display()))?;
    Ok(Split { main, parts, link })
}

impl Split {
    /// wasm-bindgen's script and the loader as one, which holds the parts to their digests. As separate
    /// files, one would import the other, and what a script imports, no browser checks in an equal way.
    pub fn script(&self, bound: &str, parts: &[Asset]) -> Result<String, String> {
        let mut link = take(&self.link, "import { initSync } from \"./main.js\";", "")?;
        for (file, part) in self.parts.iter().zip(parts) {
            let name = file.file_name().unwrap_or_default().display();
            let fetch = format!("fetch(new URL(\"./{name}\", import.meta.url))");
            let checked =
                format!("fetch(\"{}\", {{ integrity: \"{}\" }})", part.path, part.integrity);
            link = take(&link, &fetch, &checked)?;
        }
        let loaders: Vec<&str> = link
            .split("export const ")
            .skip(1)
            .filter_map(|rest| rest.split_once(" =").map(|(name, _)| name))
            .collect();
        let loaders = loaders.join(", ");
        let link = link.replace("export const ", "const ");
        // Each part that it knows of may bring an import of the one loader.
        let ending = format!(" from \"{LINK}\"");
        let name =
            |line: &str| Some(line.strip_prefix("import * as ")?.strip_suffix(&ending)?.into());
        let names: Vec<String> = bound.lines().filter_map(name).collect();
        let mut script = take(bound, &ending, &ending)?;
        for name in &names {
            script = take(&script, &format!("import * as {name}{ending}"), "")?;
        }
        let bound = script;
        if let Some(line) = bound.lines().chain(link.lines()).find(|line| is_import(line)) {
            return Err(format!("the page's script would import another: {line}"));
        }
        let imports: String =
            names.iter().map(|name| format!("const {name} = loader;\n")).collect();
        Ok(format!(
            "const loader = (() => {{\n{link}\nreturn {{ {loaders} }};\n}})();\n{imports}{bound}"
        ))
    }
}

fn is_import(line: &str) -> bool {
    line.starts_with("import ") || line.contains("import.meta") || line.contains("import(")
}

/// Replaces what stands in a generated script.
fn take(script: &str, from: &str, to: &str) -> Result<String, String> {
    if script.contains(from) {
        return Ok(script.replace(from, to));
    }
    Err(format!(
        "a tool that the page is built with writes scripts in another way by now: there is no {from}"
    ))
}
