//! Splits the page's wasm module. Code that only one lazily loaded part uses goes into a module of its own, which the page
//! loads when it first shows that part (decision 0010).

use std::fs;
use std::path::{Path, PathBuf};

use wasm_split_cli_support::{Options, transform};

use crate::site::Asset;

/// The name of the loader script that the splitter generates. wasm-bindgen's script imports it.
const LINK: &str = "./link.js";

/// A module that has been split.
pub struct Split {
    /// The main module, not yet bound to JavaScript.
    pub main: PathBuf,
    /// The modules that are loaded later.
    pub parts: Vec<PathBuf>,
    /// The script that loads them.
    link: String,
}

/// Splits a module, which must have been linked with `--emit-relocs`.
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
    /// Joins wasm-bindgen's script and the loader into one script, and adds the digests of the parts. As separate files, one
    /// would import the other, and not all browsers check the integrity of imported scripts.
    pub fn script(&self, bound: &str, parts: &[Asset]) -> Result<String, String> {
        // In one script, `initSync` needs no import.
        let mut link = take(&self.link, "import { initSync } from \"./main.js\";", "")?;
        for (file, part) in self.parts.iter().zip(parts) {
            let name = file.file_name().unwrap_or_default().display();
            // The loader fetches a part without a digest. With one, the browser refuses a part that was changed.
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
        // The function around the loader returns these names instead.
        let link = link.replace("export const ", "const ");
        // wasm-bindgen imports the loader once for each part.
        let ending = format!(" from \"{LINK}\"");
        let name =
            |line: &str| Some(line.strip_prefix("import * as ")?.strip_suffix(&ending)?.into());
        let names: Vec<String> = bound.lines().filter_map(name).collect();
        // This changes nothing. It fails if the script imports no loader, so that the page cannot lose its parts unnoticed.
        let mut script = take(bound, &ending, &ending)?;
        for name in &names {
            script = take(&script, &format!("import * as {name}{ending}"), "")?;
        }
        let bound = script;
        // A later version of the tools might import more, and the browser would run that without a digest.
        if let Some(line) = bound.lines().chain(link.lines()).find(|line| is_import(line)) {
            return Err(format!("the page's script must not import another one: {line}"));
        }
        let imports: String =
            names.iter().map(|name| format!("const {name} = loader;\n")).collect();
        // The loader is in a function, so that its names cannot collide with those of wasm-bindgen's script.
        Ok(format!(
            "const loader = (() => {{\n{link}\nreturn {{ {loaders} }};\n}})();\n{imports}{bound}"
        ))
    }
}

fn is_import(line: &str) -> bool {
    line.starts_with("import ") || line.contains("import.meta") || line.contains("import(")
}

/// Replaces text in a generated script. Fails if it is not there.
fn take(script: &str, from: &str, to: &str) -> Result<String, String> {
    if script.contains(from) {
        return Ok(script.replace(from, to));
    }
    Err(format!(
        "a generated script does not contain {from:?}; the version of wasm-bindgen or wasm_split may have changed its format"
    ))
}
