//! The table of scenarios: a row each, collected while the scenarios run and printed, sorted, when the
//! process ends. A scenario that fails says so at once, since its process may not get so far, and so
//! does a replay; with `--nocapture`, and in the long run, each row is printed at once as well.
//!
//! `SELVEDGE_TABLE=path` appends each row, cells apart by tabs, to that file as its scenario ends:
//! `.ci/scenarios` makes docs/scenarios.md of it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

/// The head, its first cell the checker's name; then the rows.
static TABLE: Mutex<Vec<Vec<String>>> = Mutex::new(Vec::new());

/// Whether `SELVEDGE_CHECK=long` asks for all that the harness can do.
pub fn long() -> bool {
    std::env::var("SELVEDGE_CHECK").is_ok_and(|mode| mode == "long")
}

/// Adds a row; its last cell is the verdict.
pub fn add(head: &[&str], row: &[String]) {
    // A bar separates cells, and an operation of one thread from those of another.
    let row: Vec<String> = row.iter().map(|cell| cell.replace(" | ", " ∥ ")).collect();
    let usual = |end: &String| ["COMPLETE", "CUT", "SAMPLED"].contains(&end.as_str());
    let at_once = long() || std::env::args().any(|argument| argument == "--nocapture");
    if at_once || !row.last().is_some_and(usual) {
        say(&format!("{}\n", row.join(" | ")));
    }
    if let Some(path) = std::env::var_os("SELVEDGE_TABLE") {
        let line = format!("{}\t{}\n", head[0], row.join("\t"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("SELVEDGE_TABLE={}: {error}", path.display()));
    }
    static AT_EXIT: Once = Once::new();
    // SAFETY: the handler touches a static and standard error alone.
    AT_EXIT.call_once(|| _ = unsafe { libc::atexit(print) });
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if table.is_empty() {
        table.push(head.iter().map(|&cell| cell.to_owned()).collect());
    }
    table.push(row);
}

/// Written directly: what goes through `print!` is swallowed where a test passes.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

extern "C" fn print() {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    table[1..].sort();
    say(&render(&table));
}

/// Columns aligned, numbers to the right, and a line of totals.
fn render(table: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = table.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    let mut text = String::from("\n");
    for (number, row) in table.iter().enumerate() {
        for (cell, &width) in row.iter().zip(&widths) {
            let right = cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.contains(' ');
            let _ = if right && number > 0 {
                write!(text, "| {cell:>width$} ")
            } else {
                write!(text, "| {cell:<width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "|{:-<1$}", "", width + 2);
            }
            text.push_str("|\n");
        }
    }
    text.push_str(&totals(&table[0][0], &table[1..]));
    text
}

/// How many rows there are of each verdict, and what the weaker ones are worth.
fn totals(checker: &str, rows: &[Vec<String>]) -> String {
    let mut text = format!("{checker}: {} rows", rows.len());
    for (verdict, worth) in [
        ("COMPLETE", "every execution within the bound"),
        ("SAMPLED", "no word on other schedules"),
        ("CUT", "ended by a cap: counts as not checked"),
        ("RED", "failed"),
        ("PASSED", "replayed"),
    ] {
        let ends = |row: &&Vec<String>| row.last().is_some_and(|end| end == verdict);
        let count = rows.iter().filter(ends).count();
        if count > 0 {
            let _ = write!(text, "; {count} {verdict} ({worth})");
        }
    }
    text.push('\n');
    text
}
