//! Layers: which folder may import from which. `LAYERS` is the one list; docs/architecture.md shows the same table.

use crate::tree::{Source, Tree, is_word};

/// From the bottom. A file imports from its own folder and from rows above its own in this list, nothing else. Folders
/// that share a row do not import each other.
pub const LAYERS: &[&[&str]] = &[
    &["platform"],
    &["observe"],
    &["structures", "fiber"],
    &["explore"],
    &["sched/goroutine", "sched/idle", "sched/timers"],
    &["sched/poller"],
    &["sched/core"],
    &["sched/interpose", "sched/suspend"],
    &["sched/worker"],
    &["sched/monitor"],
    &["sched/blocking"],
    &["sched/lifecycle"],
    &["wait"],
    &["local", "cancel"],
    &["chan"],
    &["time", "sync", "future"],
    &["io"],
    &["net", "fs"],
    &["process", "signal"],
    &["in_model"],
    &["api", "alloc"],
    &["model"],
    &["internals"],
];

/// Imports that the list forbids and that are not cut yet: (from, to).
const EXCEPTIONS: &[(&str, &str)] = &[];

/// The table of docs/architecture.md has these rows, in this order, and the chapter names files that exist.
pub fn architecture_shows_them(tree: &Tree) -> Vec<String> {
    const CHAPTER: &str = "docs/architecture.md";
    let Some((_, text)) = tree.files(CHAPTER, ".md").next() else {
        return vec![format!("{CHAPTER}: is missing")];
    };
    let mut violations = Vec::new();
    let table = text.split("<!-- layers: begin -->").nth(1).unwrap_or_default();
    let table = table.split("<!-- layers: end -->").next().unwrap_or_default();
    let shown = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #"));
    let shown: Vec<Vec<&str>> =
        shown.map(|line| line.split('`').skip(1).step_by(2).collect()).collect();
    for (number, row) in LAYERS.iter().enumerate() {
        let there = shown.get(number).is_some_and(|names| names.starts_with(row));
        if !there {
            violations.push(format!("{CHAPTER}: row {} is not {row:?}", number + 1));
        }
    }
    if shown.len() != LAYERS.len() {
        violations.push(format!("{CHAPTER}: {} rows of layers", shown.len()));
    }
    let is_of_path = |c: char| is_word(&c) || c == '/' || c == '.';
    let words = text.split(|c| !is_of_path(c)).filter(|word| word.ends_with(".rs"));
    for path in words {
        let places = ["src/", "src/sched/"].map(|folder| format!("{folder}{path}"));
        if !places.iter().any(|place| tree.files(place, ".rs").next().is_some()) {
            violations.push(format!("{CHAPTER}: there is no {path}"));
        }
    }
    violations
}

/// The row of a folder.
fn row(folder: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&folder))
}

/// The folder of the list in which the module of this path lies.
fn folder(path: &[String]) -> Option<String> {
    let two = path.get(..2).map(|two| two.join("/")).filter(|two| row(two).is_some());
    two.or_else(|| path.first().filter(|one| row(one).is_some()).cloned())
}

/// The path of a file's module below the crate.
fn module_of(file: &str) -> Vec<String> {
    let rest = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path: Vec<String> = rest.split('/').map(str::to_owned).collect();
    path.pop_if(|last| last == "mod" || last == "lib");
    path
}

/// A file names, by `crate::` and `super::`, its own folder and those below, and each thing by the folder that has it.
pub fn imports_go_down(tree: &Tree) -> Vec<String> {
    let tests = tree.test_files();
    let mut violations = Vec::new();
    let mut needed = Vec::new();
    for source in tree.sources("src/").filter(|source| !tests.iter().any(|t| t == source.path)) {
        let module = module_of(source.path);
        let Some(own) = folder(&module) else { continue };
        for (number, target) in imports(&source, &module) {
            let to = folder(&target);
            let allowed = to.as_ref().is_some_and(|to| *to == own || row(to) < row(&own));
            let name = to.as_deref().unwrap_or("the crate's root");
            let exception = EXCEPTIONS.iter().find(|one| **one == (own.as_str(), name));
            needed.extend(exception.filter(|_| !allowed));
            if !allowed && exception.is_none() {
                let target = target.join("::");
                let place = source.place(number);
                violations.push(format!("{place}: {own} imports crate::{target}, of {name}"));
            }
        }
    }
    let idle = EXCEPTIONS.iter().filter(|one| !needed.contains(one));
    violations.extend(idle.map(|one| format!("layers: nothing needs the exception {one:?}")));
    violations
}

/// What a file imports, by line, as paths below the crate. What its inline tests import does not ship.
fn imports(source: &Source<'_>, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut inside: Vec<Option<String>> = Vec::new();
    let lines = &source.lines[..source.shipped()];
    let text: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
    for number in 0..text.len() {
        let code = text[number];
        for (at, c) in code.char_indices() {
            match c {
                '{' => inside.push(module_named(&code[..at])),
                '}' => drop(inside.pop()),
                'c' | 's' if begins_path(code, at) => {
                    let rest = format!("{} {}", &code[at..], text[number + 1..].join(" "));
                    let own: Vec<_> = module.iter().chain(inside.iter().flatten()).collect();
                    let paths = tree_of(&rest);
                    found.extend(
                        paths.iter().filter_map(|path| Some((number, absolute(path, &own)?))),
                    );
                }
                _ => {}
            }
        }
    }
    found
}

/// The name of the inline module that a brace after `before` opens.
fn module_named(before: &str) -> Option<String> {
    let (head, name) = before.trim_end().rsplit_once(' ')?;
    head.ends_with("mod").then(|| name.to_owned())
}

fn begins_path(code: &str, at: usize) -> bool {
    let before = code[..at].chars().next_back();
    let fresh = !before.is_some_and(|c| is_word(&c) || c == ':' || c == '$' || c == '(');
    fresh && (code[at..].starts_with("crate::") || code[at..].starts_with("super::"))
}

/// The paths that begin at the start of `text`, those of a group each.
fn tree_of(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // The prefixes of the groups that are open, and what has been read of the current path.
    let (mut prefixes, mut path): (Vec<usize>, Vec<String>) = (Vec::new(), Vec::new());
    let mut rest = text;
    loop {
        let word: String = rest.chars().take_while(is_word).collect();
        rest = &rest[word.len()..];
        if !word.is_empty() {
            path.push(word);
        }
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("::") {
            rest = after.trim_start();
            if let Some(after) = rest.strip_prefix('{') {
                prefixes.push(path.len());
                rest = after.trim_start();
            }
            continue;
        }
        let prefix = prefixes.last().copied();
        if path.len() > prefix.unwrap_or(0) {
            found.push(path.clone());
        }
        let Some(prefix) = prefix else { return found };
        path.truncate(prefix);
        let next = rest.find([',', '}']).unwrap_or(rest.len());
        match rest[next..].chars().next() {
            Some(',') => {}
            Some(_) => {
                prefixes.pop();
                path.truncate(prefixes.last().copied().unwrap_or(0));
                if prefixes.is_empty() {
                    return found;
                }
            }
            None => return found,
        }
        rest = rest[next + 1..].trim_start();
    }
}

/// A path of a use, below the crate; `None` if it stays within the file.
fn absolute(path: &[String], own: &[&String]) -> Option<Vec<String>> {
    if path[0] == "crate" {
        return Some(path[1..].to_vec());
    }
    let up = path.iter().take_while(|part| *part == "super").count();
    let base = own.len().checked_sub(up)?;
    let target: Vec<String> =
        own[..base].iter().map(|part| (*part).clone()).chain(path[up..].iter().cloned()).collect();
    (!target.is_empty()).then_some(target)
}
