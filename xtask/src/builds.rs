//! Building the page and the server.

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;

use crate::process::{Run, cargo, run, run_with_lines, say};
use crate::progress::{Count, Progress};
use crate::tools::{ensure_npm, ensure_wasm_target, find};
use crate::workspace::{root, target};

/// Has leptos keep components behind pointers, without a copy of its code for each shape of a view.
const PAGE_FLAGS: &str = "--cfg erase_components";

/// How a page is built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// As it is delivered: optimized and compressed.
    Small,
    /// For whoever works on it: neither optimized nor compressed.
    Quick,
}

impl Page {
    const fn profile(self) -> &'static str {
        match self {
            Self::Small => "page",
            Self::Quick => "quick-page",
        }
    }
}

/// Builds the page and returns its folder.
pub fn page(how: Page) -> Result<PathBuf, String> {
    ensure_wasm_target()?;
    ensure_npm(&npm_folder())?;
    say("building the page and the vault (wasm)");
    run(&mut page_modules(how))?;
    say("building the tool that assembles the page");
    run(&mut page_tool())?;
    assemble(how)
}

/// Builds the server for tests and returns its path.
pub fn server() -> Result<PathBuf, String> {
    say("building the server");
    run(cargo().args(["build", "--locked", "--package", "zellbook"]))?;
    Ok(target().join("debug/zellbook"))
}

/// Builds the page and a server for use, side by side, and returns the folder and the path.
///
/// The page takes longer, and towards its end linking and optimizing keep one core busy. So the server has
/// the lower priority: it is built with what the page leaves of the processor.
pub fn page_and_server(progress: &Progress) -> Result<(PathBuf, PathBuf), String> {
    progress.step("installing what the builds need");
    ensure_wasm_target()?;
    ensure_npm(&npm_folder())?;
    let (page, server) = (Count::new("page"), Count::new("server"));
    page.expect(&["--package", "zellbook-web", "--target", "wasm32-unknown-unknown"])?;
    server.expect(&["--package", "zellbook"])?;
    let (tool_is_built, tool) = channel::<()>();
    let build_in_background = || -> Run {
        progress.step("compiling the tool that assembles the page");
        run_with_lines(&mut background(page_tool()), |line| server.line(line))?;
        // Nobody waits any more if the page has failed; then the server is not needed either.
        if tool_is_built.send(()).is_err() {
            return Ok(());
        }
        progress.step("compiling the server");
        let mut command = cargo();
        command.args(["build", "--locked", "--package", "zellbook", "--profile", "local"]);
        run_with_lines(&mut background(command), |line| server.line(line))
    };
    let site = progress.watch(&[&page, &server], || {
        thread::scope(|scope| -> Result<PathBuf, String> {
            let background = scope.spawn(build_in_background);
            progress.step("compiling the page");
            let compiled = run_with_lines(&mut page_modules(Page::Small), |line| page.line(line));
            let site = compiled.and_then(|()| match tool.recv() {
                Ok(()) => {
                    progress.step("assembling the page");
                    assemble(Page::Small).map(Some)
                }
                Err(_) => Ok(None),
            });
            drop(tool);
            background.join().unwrap_or_else(|_| Err("a thread of the build panicked".into()))?;
            site?.ok_or_else(|| "the tool that assembles the page was not built".into())
        })
    })?;
    Ok((site, target().join("local/zellbook")))
}

/// The same command with a lower priority, where the system can do that.
fn background(command: Command) -> Command {
    let Some(nice) = find(&["nice"]) else { return command };
    let mut lowered = Command::new(nice);
    lowered.args(["-n", "10"]).arg(command.get_program()).args(command.get_args());
    lowered.current_dir(root());
    lowered
}

fn page_modules(how: Page) -> Command {
    let mut command = cargo();
    command
        .args([
            "build",
            "--locked",
            "--package",
            "zellbook-web",
            "--package",
            "zellbook-vault-module",
        ])
        .args(["--target", "wasm32-unknown-unknown", "--profile", how.profile()])
        .env("RUSTFLAGS", PAGE_FLAGS);
    command
}

fn page_tool() -> Command {
    let mut command = cargo();
    command.args(["build", "--locked", "--package", "xtask-page"]);
    command
}

fn assemble(how: Page) -> Result<PathBuf, String> {
    // Not target/page: that is where cargo keeps what the profile `page` builds for this machine.
    let site = root().join("target/site");
    let built = target().join("wasm32-unknown-unknown").join(how.profile());
    let mut command = Command::new(target().join("debug/xtask-page"));
    command.arg(root()).arg(built).arg(target().join("page-staging")).arg(&site);
    if how == Page::Quick {
        command.arg("--quick");
    }
    run(&mut command)?;
    Ok(site)
}

fn npm_folder() -> PathBuf {
    root().join("xtask/npm")
}
