//! The table of figures: medians with their spread, and how we stand to the best peer.

use crate::{Workload, aims};
use std::fmt::Write;
use std::path::Path;
use std::{fs, io};

/// The figures of one peer at one workload.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    figures: Vec<f64>,
    disturbed: bool,
    refused: bool,
}

/// One workload on so many processors.
#[derive(Clone, Debug)]
pub struct Row {
    pub workload: &'static Workload,
    pub processors: usize,
    pub cells: Vec<Cell>,
}

/// All of it.
#[derive(Debug)]
pub struct Table {
    pub peers: Vec<&'static str>,
    pub rows: Vec<Row>,
    rounds: usize,
}

impl Cell {
    pub fn add(&mut self, figure: f64, disturbed: bool) {
        self.figures.push(figure);
        self.disturbed |= disturbed;
    }

    /// The peer can't do this workload.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    pub fn is_refused(&self) -> bool {
        self.refused
    }

    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.figures.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    fn text(&self) -> String {
        let Some(median) = self.median() else { return "–".to_owned() };
        let least = self.figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mark = if self.disturbed { " ✗" } else { "" };
        format!("{} ({}–{}){mark}", short(median), short(least), short(most))
    }
}

impl Row {
    /// The safe default's.
    pub fn ours(&self, peers: &[&'static str]) -> Option<f64> {
        self.best_of(peers, &["selvedge"]).map(|(ours, _)| ours)
    }

    /// The best of those peers that are among `of`.
    pub fn best_of(&self, peers: &[&'static str], of: &[&str]) -> Option<(f64, &'static str)> {
        let chosen = self.cells.iter().zip(peers).filter(|(_, peer)| of.contains(peer));
        let medians = chosen.filter_map(|(cell, peer)| Some((cell.median()?, *peer)));
        medians.min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// Ours, and the best of the others.
    pub fn ours_and_best(&self, peers: &[&'static str]) -> Option<(f64, f64, &'static str)> {
        let others: Vec<_> = peers.iter().copied().filter(|p| !p.starts_with("selvedge")).collect();
        let (best, peer) = self.best_of(peers, &others)?;
        Some((self.ours(peers)?, best, peer))
    }
}

impl Table {
    pub fn new(peers: Vec<&'static str>, rounds: usize) -> Self {
        Table { peers, rows: Vec::new(), rounds }
    }

    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub fn last_line(&self) -> String {
        self.rows.last().map_or_else(String::new, |row| self.line(row))
    }

    fn line(&self, row: &Row) -> String {
        let Row { workload, processors, cells } = row;
        let mut line = format!("| {} | {processors} | {} |", workload.what, workload.unit);
        for cell in cells {
            let _ = write!(line, " {} |", cell.text());
        }
        match row.ours_and_best(&self.peers) {
            Some((ours, best, peer)) if ours > 0.0 && best > 0.0 => {
                let _ = write!(line, " {:.2} ({peer}) |", best / ours);
            }
            _ => line.push_str(" – |"),
        }
        line + "\n"
    }

    pub fn markdown(&self) -> String {
        let mut text = String::from("| workload | processors | unit |");
        self.peers.iter().for_each(|peer| {
            let _ = write!(text, " {peer} |");
        });
        text.push_str(" best peer / selvedge |\n|---|---:|---|");
        text.push_str(&"---:|".repeat(self.peers.len() + 1));
        text.push('\n');
        self.rows.iter().for_each(|row| text.push_str(&self.line(row)));
        let _ = writeln!(
            text,
            "\nMedians of {} rounds in turn, with the least and the most; ✗: others used the machine in \
             one of them. {}",
            self.rounds,
            machine()
        );
        text
    }

    /// Puts it, and the aims, between their markers in a document.
    pub fn put_into(&self, document: &Path) -> io::Result<()> {
        put_between(document, "compare", &self.markdown())?;
        put_between(document, "aims", &aims::markdown(self))
    }
}

/// Puts a text between the markers of this name in a document.
pub fn put_between(document: &Path, name: &str, own: &str) -> io::Result<()> {
    let mut text = fs::read_to_string(document)?;
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "the markers are missing");
    let from = text.find(&begin).ok_or_else(missing)? + begin.len();
    let to = text.find(&end).ok_or_else(missing)?;
    text.replace_range(from..to, own);
    fs::write(document, text)
}

/// By its properties.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, m)| m);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let kernel: String = kernel.trim().split('.').take(2).collect::<Vec<_>>().join(".");
    format!("Machine: {processors} processors, {}, Linux {kernel}.", model.unwrap_or("unknown"))
}

/// Three digits or so.
pub fn short(figure: f64) -> String {
    match figure.abs() {
        x if x >= 100.0 => format!("{figure:.0}"),
        x if x >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
