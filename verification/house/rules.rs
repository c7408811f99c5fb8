//! The rules about code. Each answers with its violations, each with path, line and function.

use crate::tree::{Source, Tree, has_word, is_word};

/// Where the checkers may be named, and `std`'s own synchronization used: what stands for the machine, and what
/// watches and drives the models from outside of them.
const PLATFORM: [&str; 3] = ["src/platform/", "src/explore/", "src/observe/run_log/"];
const MOST_LINES: usize = 400;
const LONGEST_FUNCTION: usize = 60;
/// How far above an `unsafe`, or an ordering, its comment may begin.
const NEAR: usize = 8;

/// `std::sync`, `std::thread`, `core::sync` and the checkers' features are the platform's alone.
pub fn platform_alone(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let tests = tree.test_files();
    for source in tree.sources("src/") {
        if PLATFORM.iter().any(|folder| source.path.starts_with(folder))
            || tests.iter().any(|test| test == source.path)
        {
            continue;
        }
        for (number, line) in source.lines.iter().enumerate().take(source.shipped()) {
            let features = ["\"loom\"", "\"shuttle\""];
            let named =
                line.text.contains("feature") && features.iter().any(|f| line.text.contains(f));
            // Doctests can't run in a model, so where they are collected the features may be named.
            if named && !has_word(&line.code, "doctest") {
                violations.push(format!("{}: a feature of a checker", source.place(number)));
            }
            if let Some(name) = names_std(&line.code) {
                violations.push(format!("{}: names {name}", source.place(number)));
            }
        }
    }
    violations
}

fn names_std(code: &str) -> Option<String> {
    for root in ["std", "core", "alloc"] {
        for module in ["sync", "thread"] {
            let path = format!("{root}::{module}");
            let grouped = children(code, root).iter().any(|child| child == module);
            if has_word(code, &path) || grouped {
                return Some(path);
            }
        }
    }
    None
}

/// The names that follow `root::` in a line, those of a group included.
fn children(code: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    let path = format!("{root}::");
    for (at, _) in code.match_indices(&path) {
        if code[..at].chars().next_back().is_some_and(|c| is_word(&c) || c == ':' || c == '$') {
            continue;
        }
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push(rest.chars().take_while(is_word).collect());
            continue;
        };
        let mut depth = 0;
        let mut name = String::new();
        for c in group.chars().chain([',']) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth <= 0 => {
                    let first = std::mem::take(&mut name);
                    found.push(first.trim().chars().take_while(is_word).collect());
                }
                _ if depth == 0 => name.push(c),
                _ => {}
            }
            if depth < 0 {
                let first = std::mem::take(&mut name);
                found.push(first.trim().chars().take_while(is_word).collect());
                break;
            }
        }
    }
    found
}

/// Each `unsafe` block and impl has a comment with SAFETY near above it.
pub fn unsafe_says_why(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in tree.sources("src/") {
        for (number, line) in source.lines.iter().enumerate() {
            let mut opens = line.code.match_indices("unsafe").map(|(at, word)| {
                let after = line.code[at + word.len()..].trim_start();
                let next = source.lines.get(number + 1).map_or("", |next| next.code.trim_start());
                let after = if after.is_empty() { next } else { after };
                after.starts_with('{') || after.starts_with("impl")
            });
            if opens.any(|opens| opens) && !says(&source, number, &["SAFETY"]) {
                violations.push(format!("{}: `unsafe` without SAFETY", source.place(number)));
            }
        }
    }
    violations
}

pub const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// Each memory ordering, outside of tests, is named by a comment near above it.
pub fn ordering_says_what_for(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let tests = tree.test_files();
    for source in tree.sources("src/") {
        if tests.iter().any(|test| test == source.path) {
            continue;
        }
        for (number, line) in source.lines.iter().enumerate().take(source.shipped()) {
            let names = |word: &&str| {
                let path = format!("::{word}");
                line.code.match_indices(&path).any(|(at, _)| {
                    let before = &line.code[..at];
                    before.ends_with("Ordering") || before.ends_with("Plain")
                })
            };
            if ORDERINGS.iter().any(names) && !says(&source, number, &ORDERINGS) {
                violations.push(format!("{}: an ordering without a reason", source.place(number)));
            }
        }
    }
    violations
}

fn says(source: &Source<'_>, number: usize, words: &[&str]) -> bool {
    let near = &source.lines[number.saturating_sub(NEAR)..=number];
    near.iter().any(|line| words.iter().any(|word| line.comment.contains(word)))
}

/// Files and functions are short enough to be read at once.
pub fn sizes(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for directory in ["src/", "verification/", "proptests/", "benches/", "examples/"] {
        for source in tree.sources(directory) {
            let lines = source.lines.len();
            if lines > MOST_LINES {
                violations.push(format!("{}: {lines} lines", source.path));
            }
            // An example may tell its story in one go.
            let stories = directory == "examples/" || directory == "benches/";
            for function in source.functions().into_iter().filter(|_| !stories) {
                let length = function.last - function.first + 1;
                if length > LONGEST_FUNCTION {
                    let place = source.place(function.first);
                    violations.push(format!("{place}: a function of {length} lines"));
                }
            }
        }
    }
    violations
}
