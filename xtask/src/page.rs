//! Building the page: cargo, splitting, wasm-bindgen, an optimizer, hashed names, integrity, compression.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64ct::{Base64, Encoding};
use brotli::BrotliCompress;
use brotli::enc::BrotliEncoderParams;
use sha2::{Digest, Sha256, Sha384};
use wasm_bindgen_cli_support::Bindgen;

use crate::split::split;
use crate::tools::{Run, cargo, ensure_npm, ensure_wasm_target, run, say};
use crate::{root, target};

/// What rustc emits by default, and browsers have had since 2021. With more, the optimizer would
/// use what they do not have.
const WASM_FEATURES: [&str; 6] = [
    "bulk-memory",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// The style, in this order: what stands later wins.
const STYLES: [&str; 9] =
    ["base", "header", "trading", "chart", "sheets", "explorer", "wallet", "wide", "narrow"];

/// The chart library, of npm.
const CHART_LIBRARY: &str =
    "node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.js";

/// Has leptos keep components behind pointers, without a copy of its code for each shape of a view.
const FLAGS: &str = "--cfg erase_components";

/// How a page is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// As small as it gets.
    Small,
    /// Soon, for who works on it: neither optimized nor compressed.
    Quick,
}

impl Build {
    const fn profile(self) -> &'static str {
        match self {
            Self::Small => "page",
            Self::Quick => "quick-page",
        }
    }
}

/// Builds the page and returns its folder.
pub fn build(how: Build) -> Result<PathBuf, String> {
    ensure_wasm_target()?;
    say("building the page and the vault (wasm)");
    run(cargo()
        .args([
            "build",
            "--locked",
            "--package",
            "zellbook-web",
            "--package",
            "zellbook-vault-module",
        ])
        .args(["--target", "wasm32-unknown-unknown", "--profile", how.profile()])
        .env("RUSTFLAGS", FLAGS))?;
    let built = target().join("wasm32-unknown-unknown").join(how.profile());
    let (wasm, vault) = (built.join("zellbook-web.wasm"), built.join("zellbook_vault_module.wasm"));
    // Not target/page: that is where cargo keeps what the profile `page` builds for the host.
    let folder = root().join("target/site");
    ensure_npm(&npm_folder())?;
    let sources = ["index.html", "web/start.js", "web/chart.js", "web/vault.js", "web/icon.svg"];
    let sources = sources.map(|name| root().join(name));
    let mut stamp = Sha256::new();
    for file in sources.into_iter().chain(STYLES.map(style_path)).chain([
        npm_folder().join("package-lock.json"),
        wasm.clone(),
        vault.clone(),
        std::env::current_exe().unwrap_or_default(),
    ]) {
        stamp.update(read(&file)?);
    }
    let stamp = hex::encode(stamp.finalize());
    let stamp_path = root().join("target/site.stamp");
    if folder.join("index.html").is_file()
        && fs::read_to_string(&stamp_path).is_ok_and(|old| old == stamp)
    {
        return Ok(folder);
    }
    assemble(&wasm, &vault, &folder, how)?;
    write(&stamp_path, stamp.as_bytes())?;
    Ok(folder)
}

fn npm_folder() -> PathBuf {
    root().join("xtask/npm")
}

fn style_path(name: &str) -> PathBuf {
    root().join("web/style").join(format!("{name}.css"))
}

fn assemble(wasm: &Path, vault: &Path, folder: &Path, how: Build) -> Run {
    let staging = target().join("page-staging");
    let _ = fs::remove_dir_all(&staging);
    fs::create_dir_all(&staging).map_err(|error| format!("{}: {error}", staging.display()))?;
    say("splitting the wasm module and binding it to JavaScript");
    let split = split(&read(wasm)?, &staging)?;
    Bindgen::new()
        .input_path(&split.main)
        .web(true)
        .and_then(|bindgen| {
            // The parts take memory and table of functions from what it exports.
            let bindgen = bindgen.keep_lld_exports(true).typescript(false);
            bindgen.omit_default_module_path(true).generate(&staging)
        })
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    let module = staging.join("zellbook-web_bg.wasm");
    let vault_module = staging.join("vault.wasm");
    // It imports nothing, so there is nothing to bind.
    write(&vault_module, &read(vault)?)?;
    if how == Build::Small {
        for module in [&module, &vault_module].into_iter().chain(&split.parts) {
            optimize(module)?;
        }
    }

    say(if how == Build::Small { "hashing names and compressing" } else { "hashing names" });
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let site = Site { folder, how };
    let text = |path: &Path| {
        String::from_utf8(read(path)?).map_err(|error| format!("{}: {error}", path.display()))
    };
    let module = site.add_hashed("zellbook", "wasm", &read(&module)?)?;
    let vault = site.add_hashed("vault", "wasm", &read(&vault_module)?)?;
    let worker = site.add_hashed("vault", "js", &read(&root().join("web/vault.js"))?)?;
    // A script of its own: it is loaded when a chart is first shown.
    let chart = text(&npm_folder().join(CHART_LIBRARY))? + &text(&root().join("web/chart.js"))?;
    let chart = site.add_hashed("chart", "js", chart.as_bytes())?;
    let mut parts = Vec::new();
    for part in &split.parts {
        let stem = part.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.strip_prefix("split_").unwrap_or(&stem).replace('_', "-");
        parts.push(site.add_hashed(&stem, "wasm", &read(part)?)?);
    }
    let start = split.script(&text(&staging.join("zellbook-web.js"))?, &parts)?
        + &fill(text(&root().join("web/start.js"))?, &[("wasm", &module)])?;
    let start = shorten(how, start, &staging.join("start.js"))?;
    let script = site.add_hashed("zellbook", "js", start.as_bytes())?;
    let styles: Result<Vec<String>, String> =
        STYLES.iter().map(|name| text(&style_path(name))).collect();
    let style = shorten(how, styles?.join("\n"), &staging.join("style.css"))?;
    let style = site.add_hashed("style", "css", style.as_bytes())?;
    let icon = site.add_hashed("icon", "svg", &read(&root().join("web/icon.svg"))?)?;
    let index = fill(
        text(&root().join("index.html"))?,
        &[
            ("wasm", &module),
            ("vault", &vault),
            ("chart", &chart),
            ("worker", &worker),
            ("script", &script),
            ("style", &style),
            ("icon", &icon),
        ],
    )?;
    site.add("index.html", index.as_bytes())
}

/// Puts paths and digests where a text of the page has `{{name}}` and `{{name integrity}}`.
fn fill(mut text: String, assets: &[(&str, &Asset)]) -> Result<String, String> {
    for (name, asset) in assets {
        text = text
            .replace(&format!("{{{{{name}}}}}"), &asset.path)
            .replace(&format!("{{{{{name} integrity}}}}"), &asset.integrity);
    }
    if let Some(at) = text.find("{{") {
        let rest: String = text[at..].chars().take(40).collect();
        return Err(format!("the page has a placeholder that nothing fills: {rest}"));
    }
    Ok(text)
}

/// Makes the module smaller with binaryen's optimizer, which npm has.
fn optimize(module: &Path) -> Run {
    let tools = npm_folder();
    say("optimizing the wasm module");
    let before = read(module)?.len();
    let output = module.with_extension("opt.wasm");
    run(Command::new("node")
        .arg(tools.join("node_modules/binaryen/bin/wasm-opt"))
        .arg("-Oz")
        .args(WASM_FEATURES.map(|feature| format!("--enable-{feature}")))
        .args([module.as_os_str(), OsStr::new("-o"), output.as_os_str()]))?;
    fs::rename(&output, module).map_err(|error| format!("{}: {error}", module.display()))?;
    let after = read(module)?.len();
    let name = module.file_stem().unwrap_or_default().display();
    say(&format!("{name}: {} kB, {} kB before", after / 1000, before / 1000));
    Ok(())
}

/// A script or a style without what only people need, by esbuild, which npm has. It works on `file`.
fn shorten(how: Build, text: String, file: &Path) -> Result<String, String> {
    if how == Build::Quick {
        return Ok(text);
    }
    write(file, text.as_bytes())?;
    run(Command::new("node")
        .arg(npm_folder().join("node_modules/esbuild/bin/esbuild"))
        .arg(file)
        .args(["--minify", "--charset=utf8", "--log-level=warning", "--allow-overwrite"])
        .arg(format!("--outfile={}", file.display())))?;
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Run {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// A file of the page whose name has the hash of its content.
pub struct Asset {
    /// Where it is served.
    pub path: String,
    /// The digest that browsers hold it to (W3C Subresource Integrity).
    pub integrity: String,
}

/// The folder that a page is put into.
struct Site<'a> {
    folder: &'a Path,
    how: Build,
}

impl Site<'_> {
    /// Adds a file under a name that has the hash of its content.
    fn add_hashed(&self, stem: &str, extension: &str, bytes: &[u8]) -> Result<Asset, String> {
        let hash = hex::encode(&Sha256::digest(bytes)[..8]);
        let name = format!("{stem}-{hash}.{extension}");
        self.add(&name, bytes)?;
        let integrity = format!("sha384-{}", Base64::encode_string(&Sha384::digest(bytes)));
        Ok(Asset { path: format!("/{name}"), integrity })
    }

    /// Adds a file, and its compressed twin if the page is to be small.
    fn add(&self, name: &str, bytes: &[u8]) -> Run {
        write(&self.folder.join(name), bytes)?;
        if self.how == Build::Quick {
            return Ok(());
        }
        let mut compressed = Vec::new();
        let parameters =
            BrotliEncoderParams { quality: 11, size_hint: bytes.len(), ..Default::default() };
        BrotliCompress(&mut &*bytes, &mut compressed, &parameters)
            .map_err(|error| format!("compressing {name}: {error}"))?;
        say(&format!("{name}: {} bytes, {} compressed", bytes.len(), compressed.len()));
        write(&self.folder.join(format!("{name}.br")), &compressed)
    }
}
