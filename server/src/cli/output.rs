//! Prints the results of commands.

use std::io::Write;

/// Prints a command's result: text for people, or JSON for programs with `--json`.
#[derive(Clone, Copy)]
pub struct Output {
    pub json: bool,
}

impl Output {
    pub fn print(self, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) {
        let text = if self.json { json().to_string() } else { text() };
        // A closed pipe is not an error: `zellbook ... | head` closes it on purpose.
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    }
}
