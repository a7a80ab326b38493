//! Tables as files of comma-separated values (RFC 4180), for spreadsheets.

use crate::platform::files::{self, NotSaved};

/// Characters with which a spreadsheet lets a formula begin.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A value in quotes. A value that a spreadsheet would compute is marked as text: somebody else may have chosen it, for
/// example as a reference of a deposit.
fn quoted(value: &str) -> String {
    // Numbers never get the mark, so they can be computed with: the replica writes them without a sign.
    let mark = if value.starts_with(FORMULA) { "'" } else { "" };
    // Every value is quoted, so that no comma or line break in one can begin another value.
    format!("\"{mark}{}\"", value.replace('"', "\"\""))
}

fn text(rows: &[Vec<String>]) -> String {
    let line = |row: &Vec<String>| {
        row.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(",") + "\r\n"
    };
    rows.iter().map(line).collect()
}

/// Offers rows as a file to save.
pub fn save(name: &str, rows: &[Vec<String>]) -> Result<(), NotSaved> {
    files::save(name, &text(rows))
}
