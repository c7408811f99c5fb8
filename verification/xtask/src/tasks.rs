//! Tasks: what each name stands for.

use crate::{Shell, source};

/// A name, and the commands behind it.
pub struct Task {
    pub name: &'static str,
    /// Which arguments the task takes, in the words of the list. Empty: none.
    pub arguments: &'static str,
    pub about: &'static str,
    pub run: fn(&Shell, &[&str]) -> Result<(), String>,
}

/// Every task, in the order in which a contributor needs them.
pub const TASKS: [Task; 11] = [
    Task {
        name: "check",
        arguments: "",
        about: "the fast checks: format, clippy with each feature, the house rules",
        run: check,
    },
    Task { name: "test", arguments: "", about: "all tests, as README.md gives them", run: test },
    Task {
        name: "models",
        arguments: "[NAME]",
        about: "the loom and shuttle models, or those with NAME in their path",
        run: models,
    },
    Task {
        name: "mutants",
        arguments: "[--quick] ...",
        about: "breaks src/ on purpose; without an argument it writes docs/kill-table.md",
        run: mutants,
    },
    Task {
        name: "tables",
        arguments: "[SECTION]...",
        about: "runs the models and writes docs/scenarios.md; sections: loom, shuttle, long",
        run: |shell, arguments| shell.run(&with(&[".ci/scenarios"], arguments)),
    },
    Task {
        name: "compare",
        arguments: "[--write] ...",
        about: "the same work on tokio, Go and others; --write puts the rows into the docs",
        run: compare,
    },
    Task {
        name: "count",
        arguments: "[--write]",
        about: "instructions of hot paths against the record; --write records them anew",
        run: count,
    },
    Task {
        name: "book",
        arguments: "",
        about: "docs/ as a book, in target/book; needs mdbook",
        run: |shell, _| shell.run(&[".ci/book"]),
    },
    Task {
        name: "gate",
        arguments: "",
        about: "what every change must pass",
        run: |shell, _| shell.run(&[".ci/run"]),
    },
    Task {
        name: "long",
        arguments: "[PART]...",
        about: "what takes too long for the gate; parts: layout, asan, isolated, machines",
        run: |shell, arguments| shell.run(&with(&[".ci/long"], arguments)),
    },
    Task {
        name: "release-check",
        arguments: "",
        about: "whether the package is complete, builds by itself, and is in CHANGELOG.md",
        run: release_check,
    },
];

fn with<'a>(words: &[&'a str], arguments: &[&'a str]) -> Vec<&'a str> {
    words.iter().chain(arguments).copied().collect()
}

fn check(shell: &Shell, _: &[&str]) -> Result<(), String> {
    for line in source::fast_checks()? {
        shell.run_line(&line)?;
    }
    shell.run(&["cargo", "test", "--locked", "--test", "house"])
}

fn test(shell: &Shell, _: &[&str]) -> Result<(), String> {
    shell.run_line(&source::tests_of_the_readme()?)
}

const LOOM: [&str; 8] =
    ["cargo", "test", "--features", "loom", "--test", "loom", "--test", "litmus"];
const SHUTTLE: [&str; 6] = ["cargo", "test", "--features", "shuttle", "--test", "shuttle"];

fn models(shell: &Shell, arguments: &[&str]) -> Result<(), String> {
    match arguments {
        [] => {
            shell.run(&LOOM)?;
            shell.run(&SHUTTLE)
        }
        [name] => models_named(shell, name),
        _ => Err("one NAME at most".to_owned()),
    }
}

/// A name that fits no model would be a run that checks nothing and succeeds. So the models are listed first.
fn models_named(shell: &Shell, name: &str) -> Result<(), String> {
    let mut found = false;
    for checker in [&LOOM[..], &SHUTTLE[..]] {
        let is_there = shell.print_only || {
            let listed = shell.output(&with(checker, &["--", "--list", name]))?;
            listed.lines().any(|line| line.ends_with(": test"))
        };
        if is_there {
            found = true;
            shell.run(&with(checker, &["--", name]))?;
        }
    }
    if found { Ok(()) } else { Err(format!("no model has {name} in its path")) }
}

fn mutants(shell: &Shell, arguments: &[&str]) -> Result<(), String> {
    let words = ["cargo", "run", "--locked", "--release", "-p", "selvedge-mutants", "--"];
    shell.run(&with(&words, arguments))
}

fn compare(shell: &Shell, arguments: &[&str]) -> Result<(), String> {
    shell.run(&["cargo", "build", "--locked", "--release", "-p", "selvedge-compare"])?;
    let run = ["cargo", "run", "--locked", "--release", "-p", "selvedge-compare"];
    let words = with(&run, &["--bin", "compare", "--"]);
    let rounds = arguments.contains(&"--rounds");
    let usual: &[&str] = if rounds { &[] } else { &["--rounds", "5"] };
    shell.run(&with(&with(&words, usual), arguments))
}

fn count(shell: &Shell, arguments: &[&str]) -> Result<(), String> {
    let run = ["cargo", "run", "--locked", "--release", "-p", "selvedge-stress"];
    shell.run(&with(&with(&run, &["--bin", "count", "--"]), arguments))
}

fn release_check(shell: &Shell, _: &[&str]) -> Result<(), String> {
    shell.run(&["cargo", "package", "--locked", "--list"])?;
    shell.run(&["cargo", "package", "--locked"])?;
    shell.run_line("RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps")?;
    let version = source::version()?;
    println!("$ grep '^## \\[{version}\\]' CHANGELOG.md");
    if shell.print_only || source::read("CHANGELOG.md")?.contains(&format!("\n## [{version}]")) {
        Ok(())
    } else {
        Err(format!("CHANGELOG.md has no section [{version}]: turn `Unreleased` into that section"))
    }
}
