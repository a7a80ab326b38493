//! Optimizes, minifies and compresses files, with Node.js and the npm packages of `xtask/npm`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::site::{read_text, write};

/// Optimizes wasm modules for size, in place.
pub fn optimize(root: &Path, modules: &[PathBuf]) -> Result<(), String> {
    on_all_cores(&root.join("xtask/npm/optimize.mjs"), modules)
}

/// Writes a brotli-compressed copy beside each file. The server sends it to browsers that accept brotli.
pub fn compress(root: &Path, files: &[PathBuf]) -> Result<(), String> {
    on_all_cores(&root.join("xtask/npm/compress.mjs"), files)
}

/// Minifies a script or a style sheet. `file` is an intermediate file for esbuild.
pub fn shorten(root: &Path, text: &str, file: &Path) -> Result<String, String> {
    write(file, text.as_bytes())?;
    run(Command::new("node")
        .arg(root.join("xtask/npm/node_modules/esbuild/bin/esbuild"))
        .arg(file)
        // By default esbuild writes each character beyond ASCII as an escape, which is longer.
        .args(["--minify", "--charset=utf8", "--log-level=warning", "--allow-overwrite"])
        // wasm-bindgen lists the same import once for each part of the page.
        .arg("--log-override:duplicate-object-key=silent")
        .arg(format!("--outfile={}", file.display())))?;
    read_text(file)
}

/// Runs a script on all files, with one process per core.
fn on_all_cores(script: &Path, files: &[PathBuf]) -> Result<(), String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let size = |file: &Path| fs::metadata(file).map_or(0, |metadata| metadata.len());
    let groups = groups(files.iter().map(|file| (size(file), file.as_path())).collect(), cores);
    thread::scope(|scope| {
        let threads: Vec<_> = groups
            .iter()
            // One process handles many files, because loading the optimizer takes longer than a small module.
            .map(|group| scope.spawn(move || run(Command::new("node").arg(script).args(group))))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err("a thread of the build panicked".into()))
        })
    })
}

/// Divides files into groups of similar total size: the largest file first, each into the group that is smallest so far.
fn groups(mut files: Vec<(u64, &Path)>, count: usize) -> Vec<Vec<&Path>> {
    files.sort_by(|one, other| other.cmp(one));
    let mut groups: Vec<(u64, Vec<&Path>)> = vec![(0, Vec::new()); count.max(1)];
    for (size, file) in files {
        if let Some(smallest) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            smallest.0 += size;
            smallest.1.push(file);
        }
    }
    groups.into_iter().map(|(_, files)| files).filter(|files| !files.is_empty()).collect()
}

/// Runs a program. Its output is shown only if it fails, because binaryen writes a warning about every module.
fn run(command: &mut Command) -> Result<(), String> {
    let problem = match command.output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)),
        Err(error) => error.to_string(),
    };
    Err(format!("`{command:?}` failed: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_similar_sizes_and_all_files() {
        let files =
            [(5, "a"), (9, "b"), (3, "c"), (2, "d")].map(|(size, name)| (size, Path::new(name)));
        let expected = [vec![Path::new("b")], vec![Path::new("a"), Path::new("c"), Path::new("d")]];
        assert_eq!(groups(files.to_vec(), 2), expected);
        assert_eq!(groups(files[..1].to_vec(), 2), [vec![Path::new("a")]]);
        assert!(groups(Vec::new(), 2).is_empty());
    }
}
