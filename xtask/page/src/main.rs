//! Assembles the page from the wasm modules that cargo has built. `cargo xtask` runs it.
//!
//! The steps are: split the page's module into a main module, which a first visit loads, and parts that are loaded later;
//! bind the main module to JavaScript; optimize all modules; name each file by the hash of its content; write the digests of
//! the files into `index.html`, so that a browser runs exactly these files; compress.
//!
//! It is a crate of its own because its libraries take most of a minute to build. Commands such as `cargo xtask tidy` do not
//! need them.

mod shrink;
mod site;
mod split;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

use shrink::{compress, optimize, shorten};
use site::{Asset, Site, read, read_text, say, write};
use split::split;

/// The style sheets, in the order in which they are joined. Later rules override earlier ones of the same specificity.
const STYLES: [&str; 9] =
    ["base", "header", "trading", "chart", "sheets", "explorer", "wallet", "wide", "narrow"];

/// The other source files of the page.
const SOURCES: [&str; 5] =
    ["index.html", "web/start.js", "web/chart.js", "web/vault.js", "web/icon.svg"];

const CHART_LIBRARY: &str =
    "xtask/npm/node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.js";

const USAGE: &str = "usage: xtask-page ROOT BUILT STAGING SITE [--quick]
  ROOT     the root of the repository
  BUILT    the folder with the wasm modules that cargo has built
  STAGING  a folder for intermediate files; its content is deleted first
  SITE     the folder for the page; its content is deleted first
  --quick  neither optimize nor compress";

/// The inputs and outputs of a build.
struct Job {
    root: PathBuf,
    page_module: PathBuf,
    vault_module: PathBuf,
    staging: PathBuf,
    site: PathBuf,
    quick: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (folders, quick) = match arguments.split_last() {
        Some((flag, folders)) if flag == "--quick" => (folders, true),
        _ => (arguments.as_slice(), false),
    };
    let [root, built, staging, site] = folders else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let built = Path::new(built);
    let job = Job {
        root: root.into(),
        page_module: built.join("zellbook-web.wasm"),
        vault_module: built.join("zellbook_vault_module.wasm"),
        staging: staging.into(),
        site: site.into(),
        quick,
    };
    match build(&job) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: the page: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the page, unless the last build had the same inputs.
fn build(job: &Job) -> Result<(), String> {
    let stamp = stamp(job)?;
    let stamp_path = job.site.with_extension("stamp");
    let unchanged = fs::read_to_string(&stamp_path).is_ok_and(|old| old == stamp);
    // The stamp is beside the folder, so it can be there when the page is not.
    if unchanged && job.site.join("index.html").is_file() {
        return Ok(());
    }
    // If this build is interrupted, the next one must not take the page for complete.
    let _ = fs::remove_file(&stamp_path);
    assemble(job)?;
    write(&stamp_path, stamp.as_bytes())
}

/// The hash of all inputs, including this program.
fn stamp(job: &Job) -> Result<String, String> {
    // Another version of this tool, or of a library in it, may make another page.
    let program = env::current_exe().map_err(|error| format!("finding this program: {error}"))?;
    let sources = SOURCES.map(|name| job.root.join(name)).into_iter();
    let styles = STYLES.map(|name| style_path(&job.root, name));
    let others = [
        job.root.join("xtask/npm/package-lock.json"),
        job.root.join("xtask/npm/optimize.mjs"),
        job.root.join("xtask/npm/compress.mjs"),
        job.page_module.clone(),
        job.vault_module.clone(),
        program,
    ];
    let mut stamp = Sha256::new();
    // The two kinds of page share one folder.
    stamp.update([u8::from(job.quick)]);
    for file in sources.chain(styles).chain(others) {
        stamp.update(read(&file)?);
    }
    Ok(hex::encode(stamp.finalize()))
}

fn style_path(root: &Path, name: &str) -> PathBuf {
    root.join("web/style").join(format!("{name}.css"))
}

fn assemble(job: &Job) -> Result<(), String> {
    let (root, staging) = (&job.root, &job.staging);
    empty(staging)?;
    say("splitting the wasm module and binding it to JavaScript");
    let split = split(&read(&job.page_module)?, staging)?;
    Bindgen::new()
        .input_path(&split.main)
        .web(true)
        .and_then(|bindgen| {
            // The parts import memory and function table from the main module.
            let bindgen = bindgen.keep_lld_exports(true).typescript(false);
            bindgen.omit_default_module_path(true).generate(staging)
        })
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    let page_module = staging.join("zellbook-web_bg.wasm");
    // The vault's module has no imports, so it needs no binding.
    let vault_module = staging.join("vault.wasm");
    write(&vault_module, &read(&job.vault_module)?)?;
    // Before the files are named: the hash in a name must be that of the bytes that are served.
    if !job.quick {
        say("optimizing the wasm modules");
        let mut modules = vec![page_module.clone(), vault_module.clone()];
        modules.extend_from_slice(&split.parts);
        optimize(root, &modules)?;
    }

    // Only now, so that a build that fails before this leaves the previous page.
    empty(&job.site)?;
    let mut site = Site::new(&job.site);
    let page_module = site.add_hashed("zellbook", "wasm", &read(&page_module)?)?;
    let vault = site.add_hashed("vault", "wasm", &read(&vault_module)?)?;
    let worker = site.add_hashed("vault", "js", &read(&root.join("web/vault.js"))?)?;
    // A separate script, because it is loaded only when a chart is shown.
    let chart = read_text(&root.join(CHART_LIBRARY))? + &read_text(&root.join("web/chart.js"))?;
    let chart = site.add_hashed("chart", "js", chart.as_bytes())?;
    let mut parts = Vec::new();
    for part in &split.parts {
        let stem = part.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.strip_prefix("split_").unwrap_or(&stem).replace('_', "-");
        parts.push(site.add_hashed(&stem, "wasm", &read(part)?)?);
    }
    // The script names the module, so the module's hash must be known before that of the script.
    let start = fill(read_text(&root.join("web/start.js"))?, &[("wasm", &page_module)])?;
    let mut script = split.script(&read_text(&staging.join("zellbook-web.js"))?, &parts)? + &start;
    let styles: Result<Vec<String>, String> =
        STYLES.iter().map(|name| read_text(&style_path(root, name))).collect();
    let mut style = styles?.join("\n");
    if !job.quick {
        script = shorten(root, &script, &staging.join("start.js"))?;
        style = shorten(root, &style, &staging.join("style.css"))?;
    }
    let script = site.add_hashed("zellbook", "js", script.as_bytes())?;
    let style = site.add_hashed("style", "css", style.as_bytes())?;
    let icon = site.add_hashed("icon", "svg", &read(&root.join("web/icon.svg"))?)?;
    let index = fill(
        read_text(&root.join("index.html"))?,
        &[
            ("wasm", &page_module),
            ("vault", &vault),
            ("chart", &chart),
            ("worker", &worker),
            ("script", &script),
            ("style", &style),
            ("icon", &icon),
        ],
    )?;
    // Last, because it names all others. It alone has no hash in its name, since it is where a visit begins.
    site.add("index.html", index.as_bytes())?;
    if !job.quick {
        say("compressing");
        compress(root, &site.files)?;
        site.report();
    }
    Ok(())
}

/// Creates an empty folder, and deletes what was in it.
fn empty(folder: &Path) -> Result<(), String> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Replaces `{{name}}` by the path of an asset and `{{name integrity}}` by its digest.
fn fill(mut text: String, assets: &[(&str, &Asset)]) -> Result<String, String> {
    for (name, asset) in assets {
        text = text
            .replace(&format!("{{{{{name}}}}}"), &asset.path)
            .replace(&format!("{{{{{name} integrity}}}}"), &asset.integrity);
    }
    // A misspelled placeholder would otherwise be noticed only in a browser.
    if let Some(at) = text.find("{{") {
        let rest: String = text[at..].chars().take(40).collect();
        return Err(format!("unknown placeholder in a source file of the page: {rest}"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_paths_and_digests_and_an_unknown_one_is_an_error() {
        let asset = Asset { path: "/a-1.js".into(), integrity: "sha384-x".into() };
        let assets = [("script", &asset)];
        let text = "src={{script}} integrity={{script integrity}}".to_string();
        assert_eq!(fill(text, &assets).as_deref(), Ok("src=/a-1.js integrity=sha384-x"));
        assert!(fill("{{other}}".to_string(), &assets).is_err());
    }
}
