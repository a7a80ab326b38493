//! Makes modules, scripts and styles smaller, and compresses them, with Node.js and what npm has installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::site::{read_text, write};

/// Makes wasm modules smaller, in place.
pub fn optimize(root: &Path, modules: &[PathBuf]) -> Result<(), String> {
    on_all_cores(&root.join("xtask/npm/optimize.mjs"), modules)
}

/// Writes a compressed twin of each file, which the server sends to browsers that take it.
pub fn compress(root: &Path, files: &[PathBuf]) -> Result<(), String> {
    on_all_cores(&root.join("xtask/npm/compress.mjs"), files)
}

/// A script or a style without comments and spaces. esbuild works on `file`.
pub fn shorten(root: &Path, text: &str, file: &Path) -> Result<String, String> {
    write(file, text.as_bytes())?;
    run(Command::new("node")
        .arg(root.join("xtask/npm/node_modules/esbuild/bin/esbuild"))
        .arg(file)
        .args(["--minify", "--charset=utf8", "--log-level=warning", "--allow-overwrite"])
        // wasm-bindgen names one and the same import once for each part of the page.
        .arg("--log-override:duplicate-object-key=silent")
        .arg(format!("--outfile={}", file.display())))?;
    read_text(file)
}

/// Runs a script with the files, divided among one process a core.
fn on_all_cores(script: &Path, files: &[PathBuf]) -> Result<(), String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let lots = lots(files, cores);
    thread::scope(|scope| {
        let threads: Vec<_> = lots
            .iter()
            .map(|lot| scope.spawn(move || run(Command::new("node").arg(script).args(lot))))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err("a thread of the build panicked".into()))
        })
    })
}

/// Divides files into lots of about the same number of bytes: the largest file first, each to the lightest lot.
fn lots(files: &[PathBuf], count: usize) -> Vec<Vec<&Path>> {
    let size = |file: &Path| fs::metadata(file).map_or(0, |metadata| metadata.len());
    let mut files: Vec<(u64, &Path)> =
        files.iter().map(|file| (size(file), file.as_path())).collect();
    files.sort_by(|one, other| other.cmp(one));
    let mut lots: Vec<(u64, Vec<&Path>)> = vec![(0, Vec::new()); count.max(1)];
    for (size, file) in files {
        if let Some(lightest) = lots.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            lightest.0 += size;
            lightest.1.push(file);
        }
    }
    lots.into_iter().map(|(_, files)| files).filter(|files| !files.is_empty()).collect()
}

/// Runs a program. What it writes is shown only if it fails: binaryen warns of every module that it reads.
fn run(command: &mut Command) -> Result<(), String> {
    let problem = match command.output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)),
        Err(error) => error.to_string(),
    };
    Err(format!("`{command:?}` failed: {problem}"))
}
