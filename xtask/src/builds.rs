//! Builds of the page and of the server.

use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::process::{Run, cargo, run, run_with_lines, say};
use crate::progress::{Count, Progress};
use crate::tools::{ensure_npm, ensure_wasm_target, find};
use crate::workspace::{root, target};

/// Makes leptos store components behind pointers. Without it, each shape of a view gets its own copy of leptos' code.
const PAGE_FLAGS: &str = "--cfg erase_components";

/// The kind of page to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// Optimized and compressed.
    Small,
    /// Neither optimized nor compressed, for work on the page.
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

/// Builds the server in the profile of the tests and returns its path.
pub fn server() -> Result<PathBuf, String> {
    say("building the server");
    // The profile in which `cargo test` has built everything else, so that little is left to compile.
    run(cargo().args(["build", "--locked", "--package", "zellbook"]))?;
    Ok(target().join("debug/zellbook"))
}

/// Builds the page and the server in parallel, and returns the page's folder and the server's path.
///
/// The page takes longer, and its last steps (linking, optimizing) use little more than one core. So the server is built at a
/// lower priority and uses the cores when the page does not. The two builds use different profiles, hence different folders,
/// so neither waits for cargo's lock on the other's.
pub fn page_and_server(progress: &Progress) -> Result<(PathBuf, PathBuf), String> {
    let server_path = target().join("local/zellbook");
    if !server_path.exists() {
        say("the first build takes about five minutes on two cores");
    }
    progress.step("installing what the builds need");
    ensure_wasm_target()?;
    ensure_npm(&npm_folder())?;
    // Before the builds, so that the first report has the totals.
    let (page, tool, server) = (Count::new("page"), Count::new("tool"), Count::new("server"));
    page.expect(&["--package", "zellbook-web", "--target", "wasm32-unknown-unknown"])?;
    tool.expect(&["--package", "xtask-page"])?;
    server.expect(&["--package", "zellbook"])?;
    let (sender, receiver) = channel::<()>();
    // It owns the sender, so that the receiver does not wait for a tool that failed to build.
    let build_in_background = |sender: Sender<()>| -> Run {
        // The tool before the server: the page waits for it, and nothing but the user waits for the server.
        progress.step("compiling the tool that assembles the page");
        run_with_lines(&mut background(page_tool()), |line| tool.line(line))?;
        // The receiver is gone if the page has failed. Then the server is not needed.
        if sender.send(()).is_err() {
            return Ok(());
        }
        progress.step("compiling the server");
        let mut command = cargo();
        command.args(["build", "--locked", "--package", "zellbook", "--profile", "local"]);
        run_with_lines(&mut background(command), |line| server.line(line))
    };
    let site = progress.watch(&[&page, &tool, &server], || {
        thread::scope(|scope| -> Result<PathBuf, String> {
            let build_in_background = &build_in_background;
            let background = scope.spawn(move || build_in_background(sender));
            progress.step("compiling the page");
            let compiled = run_with_lines(&mut page_modules(Page::Small), |line| page.line(line));
            let site = compiled.and_then(|()| match receiver.recv() {
                Ok(()) => {
                    progress.step("assembling the page");
                    assemble(Page::Small).map(Some)
                }
                Err(_) => Ok(None),
            });
            drop(receiver);
            // Its error first: if the tool failed, the missing page is only a consequence.
            background.join().unwrap_or_else(|_| Err("a thread of the build panicked".into()))?;
            site?.ok_or_else(|| "the tool that assembles the page was not built".into())
        })
    })?;
    Ok((site, server_path))
}

/// Lowers the priority of a command, if the system has `nice`.
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
        // With `--target`, cargo passes them to the wasm crates only, so crates that run on the host are not built again.
        .env("RUSTFLAGS", PAGE_FLAGS);
    command
}

fn page_tool() -> Command {
    let mut command = cargo();
    command.args(["build", "--locked", "--package", "xtask-page"]);
    command
}

fn assemble(how: Page) -> Result<PathBuf, String> {
    // Not target/page, where cargo puts host builds of the profile `page`.
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
