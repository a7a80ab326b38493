//! Makes modules, scripts and styles smaller with tools that npm has installed.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::site::{in_parallel, read, read_text, say, write};

/// The WebAssembly features that rustc uses by default; browsers have had them since 2021. With more, the
/// optimizer would use what some browsers do not have.
const WASM_FEATURES: [&str; 6] = [
    "bulk-memory",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// Makes modules smaller, in place, with binaryen's optimizer.
pub fn optimize(root: &Path, modules: &[&Path]) -> Result<(), String> {
    say("optimizing the wasm modules");
    let tool = root.join("xtask/npm/node_modules/binaryen/bin/wasm-opt");
    in_parallel(modules, |module| {
        let before = read(module)?.len();
        let output = module.with_extension("opt.wasm");
        run(Command::new("node")
            .arg(&tool)
            .arg("-Oz")
            .args(WASM_FEATURES.map(|feature| format!("--enable-{feature}")))
            .args([module.as_os_str(), OsStr::new("-o"), output.as_os_str()]))?;
        fs::rename(&output, module).map_err(|error| format!("{}: {error}", module.display()))?;
        let after = read(module)?.len();
        let name = module.file_stem().unwrap_or_default().display();
        say(&format!("{name}: {} kB, {} kB before", after / 1000, before / 1000));
        Ok(())
    })
}

/// A script or a style without comments and spaces, by esbuild, which works on `file`.
pub fn shorten(root: &Path, text: &str, file: &Path) -> Result<String, String> {
    write(file, text.as_bytes())?;
    run(Command::new("node")
        .arg(root.join("xtask/npm/node_modules/esbuild/bin/esbuild"))
        .arg(file)
        .args(["--minify", "--charset=utf8", "--log-level=warning", "--allow-overwrite"])
        .arg(format!("--outfile={}", file.display())))?;
    read_text(file)
}

fn run(command: &mut Command) -> Result<(), String> {
    let result = command.status();
    let problem = match result {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Err(format!("`{command:?}` failed: {problem}"))
}
