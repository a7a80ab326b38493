//! Running other programs.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::workspace::root;

/// The result of a step. The error is a message for the user.
pub type Run = Result<(), String>;

/// Reports what is being done.
pub fn say(text: &str) {
    eprintln!("xtask: {text}");
}

/// A cargo command at the root of the repository.
pub fn cargo() -> Command {
    // Cargo sets this variable, so the builds use the toolchain that runs this program.
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command and waits until it ends.
pub fn run(command: &mut Command) -> Run {
    let status = command.status().map_err(|error| describe(command, &error.to_string()))?;
    if status.success() { Ok(()) } else { Err(describe(command, &status.to_string())) }
}

/// Runs a command and calls `line` for each line of its standard error.
pub fn run_with_lines(command: &mut Command, mut line: impl FnMut(&str)) -> Run {
    // Cargo reports its progress there. Standard output still goes to the terminal.
    let started = command.stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| describe(command, &error.to_string()))?;
    for text in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
        line(&text.map_err(|error| describe(command, &error.to_string()))?);
    }
    let status = child.wait().map_err(|error| describe(command, &error.to_string()))?;
    if status.success() { Ok(()) } else { Err(describe(command, &status.to_string())) }
}

/// Runs a command without its output and returns whether it succeeded.
pub fn works(command: &mut Command) -> bool {
    // Without input, so that a program that asks something does not wait forever.
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Replaces this process by another program. Returns only if that fails.
pub fn replace(command: &mut Command) -> Run {
    use std::os::unix::process::CommandExt;
    // The server takes the place of this process, so that signals and its exit code are its own.
    let error = command.exec();
    Err(describe(command, &error.to_string()))
}

fn describe(command: &Command, error: &str) -> String {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let line = words.join(OsStr::new(" "));
    format!("`{}` failed: {error}", line.to_string_lossy())
}
