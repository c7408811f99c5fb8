//! The rules about checks: none is left out, none is skipped, each says what it is.

use crate::rules::ORDERINGS;
use crate::tree::{Tree, has_word};

/// Where models live; nothing there takes real time.
const MODELS: [&str; 3] = ["verification/loom/", "verification/shuttle/", "verification/litmus/"];
/// What rustc is given; all else below it is a module.
const SUITES: [&str; 6] = [
    "verification/loom/",
    "verification/shuttle/",
    "verification/litmus/",
    "verification/house/",
    "proptests/",
    "src/",
];

/// No test is ignored, but those that print figures and check nothing.
pub fn none_is_ignored(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for directory in ["src/", "verification/", "proptests/", "benches/", "examples/"] {
        for source in tree.sources(directory) {
            for (number, line) in source.lines.iter().enumerate() {
                let ignored = line.code.contains("#[ignore") || line.code.contains(", ignore");
                if ignored && !line.text.contains("\"prints figures") {
                    violations.push(format!("{}: an ignored test", source.place(number)));
                }
            }
        }
    }
    violations
}

/// A model neither sleeps nor reads the clock: what it waits for must be said. The harness measures.
pub fn models_take_no_time(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in MODELS.into_iter().flat_map(|directory| tree.sources(directory)) {
        if source.path.ends_with("/harness.rs") {
            continue;
        }
        for (number, line) in source.lines.iter().enumerate() {
            for name in ["thread::sleep", "Instant", "SystemTime"] {
                let own = name == "Instant" && line.code.contains("selvedge::");
                if has_word(&line.code, name) && !own {
                    violations.push(format!("{}: a model names {name}", source.place(number)));
                }
            }
        }
    }
    violations
}

/// A file that no `mod` names is compiled by nobody, and its tests run nowhere.
pub fn every_file_is_a_module(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for directory in SUITES {
        for (path, _) in tree.files(directory, ".rs") {
            let (parent, file) = path.rsplit_once('/').unwrap_or(("", path));
            let root = ["main.rs", "lib.rs"].contains(&file);
            if !root && !is_named(tree, parent, file) {
                violations.push(format!("{path}: no module names it"));
            }
        }
    }
    violations
}

/// Whether a file of the directory, or of the one above for a `mod.rs`, or one that is named as the
/// directory is, declares the module.
fn is_named(tree: &Tree, parent: &str, file: &str) -> bool {
    let (home, module) = match file {
        "mod.rs" => parent.rsplit_once('/').unwrap_or(("", parent)),
        _ => (parent, file.trim_end_matches(".rs")),
    };
    let own = format!("{home}.rs");
    let near = |path: &str| path == own || path.rsplit_once('/').is_some_and(|(at, _)| at == home);
    let declares = |text: &str| {
        text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
            let code = line.split("//").next().unwrap_or(line);
            let declared = has_word(code, &format!("mod {module}")) && code.contains(';');
            declared || code.contains(&format!("\"{file}\""))
        })
    };
    tree.files(home, ".rs").any(|(path, text)| near(path) && declares(text))
}

/// A test that runs a scenario says, above it, what runs: threads, operations, how far.
pub fn models_say_what_they_are(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in MODELS[..2].iter().flat_map(|directory| tree.sources(directory)) {
        for function in source.functions() {
            let body = &source.lines[function.first..=function.last];
            // The attribute, and above it the words; below `///` a comment begins with `/`.
            let Some(above) = function.first.checked_sub(2) else { continue };
            let is_test = source.lines[above + 1].code.trim() == "#[test]";
            let said = source.lines[above].comment.starts_with('/');
            if is_test && !said && body.iter().any(|line| has_word(&line.code, "Scenario")) {
                let place = source.place(function.first);
                violations.push(format!("{place}: a model that doesn't say what runs"));
            }
        }
    }
    violations
}

/// A file with a memory ordering names its check at its head, or the head of its directory does: it
/// is where whoever weakens one looks.
pub fn orderings_have_a_check(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let tests = tree.test_files();
    for source in tree.sources("src/") {
        if tests.iter().any(|test| test == source.path) {
            continue;
        }
        let named = source.lines.iter().take(source.shipped()).position(|line| {
            let used = |word: &&str| line.code.contains(&format!("Ordering::{word}"));
            ORDERINGS.iter().any(used)
        });
        let Some(number) = named else { continue };
        let directory = source.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let above = format!("{directory}/mod.rs");
        let checked = |text: &&str| text.contains("//! Checked by:");
        let heads = [tree.texts(source.path), tree.texts(&above)];
        if !heads.iter().flatten().any(checked) {
            let place = source.place(number);
            violations.push(format!("{place}: an ordering, and no `Checked by:` at the head"));
        }
    }
    violations
}
