//! Runs every workload on every peer, in turn, and prints a table: medians, with the least and the
//! most of the rounds. A round in which others used the machine is marked.
//!
//! `cargo run --release -p selvedge-compare --bin compare -- [--rounds N] [--only WORKLOAD]... [--write]`
//!
//! `--write` puts the table and its plot where docs/performance.md shows them. Go takes part where
//! `go` is on the PATH. Each peer checks its own answers, and one that fails stops the comparison.

use selvedge_compare::quiet::Watch;
use selvedge_compare::table::{Cell, Row, Table};
use selvedge_compare::{WORKLOADS, plot};
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const PEERS: [&str; 10] = [
    "selvedge",
    "selvedge-anchored",
    "selvedge-migrating",
    "go",
    "tokio",
    "tokio-mimalloc",
    "tokio-kanal",
    "tokio-kanal-mimalloc",
    "may",
    "threads",
];

struct Options {
    rounds: usize,
    only: Vec<String>,
    write: bool,
}

fn main() {
    let options = options().unwrap_or_else(|why| {
        eprintln!("compare: {why}\nusage: compare [--rounds N] [--only WORKLOAD]... [--write]");
        exit(2)
    });
    let programs = programs();
    let mut table = Table::new(programs.iter().map(|(name, _)| *name).collect(), options.rounds);
    let chosen = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    for workload in WORKLOADS.iter().filter(|workload| chosen(workload.name)) {
        for &processors in workload.processors {
            let mut cells = vec![Cell::default(); programs.len()];
            for _ in 0..options.rounds {
                for (cell, (_, program)) in cells.iter_mut().zip(&programs) {
                    measure(program, workload.name, processors, cell);
                }
            }
            table.push(Row { workload, processors, cells });
            eprint!("{}", table.last_line());
        }
    }
    print!("{}", table.markdown());
    if options.write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        table.put_into(&docs.join("performance.md")).expect("docs/performance.md has the markers");
        std::fs::write(docs.join("performance.svg"), plot::svg(&table)).expect("a writable file");
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { rounds: 5, only: Vec::new(), write: false };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value"));
        match arg.as_str() {
            "--rounds" => {
                let rounds = value()?;
                options.rounds = rounds.parse().map_err(|_| format!("no number: {rounds}"))?;
                if options.rounds == 0 {
                    return Err("no rounds, no figures: ask for 1 or more".to_owned());
                }
            }
            "--only" => {
                let name = value()?;
                if !WORKLOADS.iter().any(|workload| workload.name == name) {
                    let known: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
                    return Err(format!("no workload {name}: there are {}", known.join(", ")));
                }
                options.only.push(name);
            }
            "--write" => options.write = true,
            _ => return Err(format!("unknown option {arg}")),
        }
    }
    Ok(options)
}

/// The peers' programs: those beside this one, and Go's.
fn programs() -> Vec<(&'static str, PathBuf)> {
    let own = std::env::current_exe().expect("this program has a path");
    let folder = own.parent().expect("a file lies in a folder");
    let mut programs = Vec::new();
    for name in PEERS {
        let program = folder.join(format!("peer-{name}"));
        if name == "go" && !build_go(&program) {
            eprintln!("compare: without Go: no `go` on the PATH, or it did not build");
            continue;
        }
        if !program.exists() {
            eprintln!(
                "compare: {} is not built: `cargo build --release -p selvedge-compare`",
                program.display()
            );
            exit(2);
        }
        programs.push((name, program));
    }
    programs
}

fn build_go(program: &Path) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let build = Command::new("go").current_dir(source).arg("build").arg("-o").arg(program).status();
    build.is_ok_and(|status| status.success())
}

fn measure(program: &Path, workload: &str, processors: usize, cell: &mut Cell) {
    if cell.is_refused() {
        return;
    }
    let watch = Watch::start();
    let output = Command::new(program).arg(workload).arg(processors.to_string()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let disturbed = watch.others_were_at_work();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        eprintln!("compare: {} {workload} {processors}: {why}", program.display());
        exit(1);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim() {
        "-" => cell.refuse(),
        figure => cell.add(figure.parse().expect("a peer prints a figure"), disturbed),
    }
}
