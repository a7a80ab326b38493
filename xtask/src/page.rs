//! Building the page: cargo, wasm-bindgen, an optimizer, hashed names, compression.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brotli::BrotliCompress;
use brotli::enc::BrotliEncoderParams;
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

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

/// Builds the page and returns its folder.
pub fn build() -> Result<PathBuf, String> {
    ensure_wasm_target()?;
    say("building the page (wasm)");
    run(cargo().args(["build", "--locked", "--package", "zellbook-web"]).args([
        "--target",
        "wasm32-unknown-unknown",
        "--profile",
        "page",
    ]))?;
    let wasm = target().join("wasm32-unknown-unknown/page/zellbook-web.wasm");
    // Not target/page: that is where cargo keeps what the profile `page` builds for the host.
    let folder = root().join("target/site");
    let sources = ["index.html", "web/style.css", "web/start.js", "web/icon.svg"];
    let mut stamp = Sha256::new();
    for file in sources
        .iter()
        .map(|name| root().join(name))
        .chain([wasm.clone(), std::env::current_exe().unwrap_or_default()])
    {
        stamp.update(read(&file)?);
    }
    let stamp = hex::encode(stamp.finalize());
    let stamp_path = root().join("target/site.stamp");
    if folder.join("index.html").is_file()
        && fs::read_to_string(&stamp_path).is_ok_and(|old| old == stamp)
    {
        return Ok(folder);
    }
    assemble(&wasm, &folder)?;
    write(&stamp_path, stamp.as_bytes())?;
    Ok(folder)
}

fn assemble(wasm: &Path, folder: &Path) -> Run {
    let staging = target().join("page-staging");
    let _ = fs::remove_dir_all(&staging);
    say("binding the wasm module to JavaScript");
    Bindgen::new()
        .input_path(wasm)
        .web(true)
        .and_then(|bindgen| {
            bindgen.typescript(false).omit_default_module_path(true).generate(&staging)
        })
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    let module = staging.join("zellbook-web_bg.wasm");
    optimize(&module)?;

    say("hashing names and compressing");
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let text = |path: &Path| {
        String::from_utf8(read(path)?).map_err(|error| format!("{}: {error}", path.display()))
    };
    let wasm_name = add(folder, "zellbook", "wasm", &read(&module)?)?;
    let script_name =
        add(folder, "zellbook", "js", text(&staging.join("zellbook-web.js"))?.as_bytes())?;
    let fill = |template: String| {
        template
            .replace("{{wasm}}", &format!("/{wasm_name}"))
            .replace("{{script}}", &format!("/{script_name}"))
    };
    let start = fill(text(&root().join("web/start.js"))?);
    let start_name = add(folder, "start", "js", start.as_bytes())?;
    let style_name = add(folder, "style", "css", &read(&root().join("web/style.css"))?)?;
    let icon_name = add(folder, "icon", "svg", &read(&root().join("web/icon.svg"))?)?;
    let index = fill(text(&root().join("index.html"))?)
        .replace("{{start}}", &format!("/{start_name}"))
        .replace("{{style}}", &format!("/{style_name}"))
        .replace("{{icon}}", &format!("/{icon_name}"));
    if let Some(at) = index.find("{{") {
        let rest: String = index[at..].chars().take(40).collect();
        return Err(format!("index.html has a placeholder that nothing fills: {rest}"));
    }
    add_as(folder, "index.html", index.as_bytes())
}

/// Makes the module smaller with binaryen's optimizer, which npm has.
fn optimize(module: &Path) -> Run {
    let tools = root().join("xtask/npm");
    if let Err(error) = ensure_npm(&tools) {
        say(&format!("the page stays larger than it needs to be, without wasm-opt: {error}"));
        return Ok(());
    }
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
    say(&format!("wasm module: {} kB, {} kB before", after / 1000, before / 1000));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Run {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Adds a file under a name with the hash of its content.
fn add(folder: &Path, stem: &str, extension: &str, bytes: &[u8]) -> Result<String, String> {
    let hash = hex::encode(&Sha256::digest(bytes)[..8]);
    let name = format!("{stem}-{hash}.{extension}");
    add_as(folder, &name, bytes)?;
    Ok(name)
}

/// Adds a file and its compressed twin.
fn add_as(folder: &Path, name: &str, bytes: &[u8]) -> Run {
    write(&folder.join(name), bytes)?;
    let mut compressed = Vec::new();
    let parameters =
        BrotliEncoderParams { quality: 9, size_hint: bytes.len(), ..Default::default() };
    BrotliCompress(&mut &*bytes, &mut compressed, &parameters)
        .map_err(|error| format!("compressing {name}: {error}"))?;
    write(&folder.join(format!("{name}.br")), &compressed)
}
