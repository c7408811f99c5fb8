//! The rules about documents: whatever they cite exists, and each invariant is traced.
//!
//! A citation is a path in backticks that begins with a directory of the repository. It may name a
//! test (`path::test`), or be followed by items in parentheses: `path` (`item`, `Type::method`).

use crate::lexer::lex;
use crate::tree::{Tree, has_word};
use std::collections::BTreeSet;

const ROOTS: [&str; 6] = ["src/", "docs/", "verification/", "proptests/", "benches/", "examples/"];
const INVARIANTS: &str = "docs/invariants.md";
const CONTENTS: &str = "docs/README.md";
const LONGEST_CHAPTER: usize = 250;
/// Made by commands, of what they saw.
const GENERATED: [&str; 2] = ["docs/scenarios.md", "docs/kill-table.md"];

/// Whether a command made this document.
pub fn is_generated(path: &str) -> bool {
    GENERATED.contains(&path)
}

/// What a document says about a file.
struct Citation {
    path: String,
    test: Option<String>,
    items: Vec<String>,
}

/// Every path that a document cites exists, and holds the items cited with it.
pub fn citations_resolve(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (document, text) in tree.files("docs/", ".md") {
        for citation in citations(&prose(text)) {
            violations.extend(unresolved(tree, document, &citation));
        }
    }
    violations
}

fn unresolved(tree: &Tree, document: &str, citation: &Citation) -> Vec<String> {
    let Citation { path, test, items } = citation;
    if !tree.exists(path) {
        return vec![format!("{document}: there is no {path}")];
    }
    let texts = tree.texts(path);
    let mut violations = Vec::new();
    for item in items {
        let name = item.rsplit("::").next().unwrap_or(item);
        let name = name.trim_end_matches(['(', ')', '!']);
        if !texts.iter().any(|text| has_word(text, name)) {
            violations.push(format!("{document}: there is no `{item}` in {path}"));
        }
    }
    if let Some(test) = test
        && !texts.iter().any(|text| has_word(text, &format!("fn {test}")))
    {
        violations.push(format!("{document}: there is no test `{test}` in {path}"));
    }
    violations
}

/// The text without its fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

fn citations(text: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    let parts: Vec<&str> = text.split('`').collect();
    // Every second part stands between backticks.
    for at in (1..parts.len()).step_by(2) {
        let token = parts[at];
        let cites = ROOTS.iter().any(|root| token.starts_with(root));
        if !cites || token.contains(char::is_whitespace) {
            continue;
        }
        let (path, test) = match token.split_once("::") {
            Some((path, test)) => (path, Some(test.to_owned())),
            None => (token, None),
        };
        let mut items = Vec::new();
        let mut next = at + 1;
        let opens = |part: &str, first: bool| {
            if first { part.trim_start() == "(" } else { part.trim() == "," }
        };
        while next + 1 < parts.len() && opens(parts[next], items.is_empty()) {
            items.push(parts[next + 1].to_owned());
            next += 2;
        }
        found.push(Citation { path: path.to_owned(), test, items });
    }
    found
}

/// `Checked by:` at the head of a file names what exists.
pub fn heads_name_checks_that_exist(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in tree.sources("src/") {
        let head = source.lines.iter().map(|line| line.comment.as_str());
        let head: Vec<&str> = head.take_while(|comment| comment.starts_with('!')).collect();
        let Some(from) = head.iter().position(|line| line.contains("Checked by:")) else {
            continue;
        };
        let until = head[from..].iter().position(|line| line.trim_end().ends_with('.'));
        let sentence = &head[from..=until.map_or(head.len() - 1, |until| from + until)];
        for word in sentence.iter().flat_map(|line| line.split_whitespace()) {
            let path = word.trim_matches(['`', ',', ';', '.', '(', ')', '!']);
            if ROOTS.iter().any(|root| path.starts_with(root)) && !tree.exists(path) {
                violations.push(format!("{}: Checked by: there is no {path}", source.path));
            }
        }
    }
    violations
}

/// The invariants that comments of `src/` speak of, and those of the table, are the same; each of
/// the table cites code in `src/` and a test.
pub fn invariants_are_traced(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let used = used_ids(tree);
    let mut listed = BTreeSet::new();
    let table = tree.texts(INVARIANTS).concat();
    for row in table.lines().filter(|line| line.starts_with("| [")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, id, statement, code, checks, _] = cells[..] else {
            violations.push(format!("{INVARIANTS}: a row has five bars: {row}"));
            continue;
        };
        if statement.is_empty() || !listed.insert(id.to_owned()) {
            violations.push(format!("{INVARIANTS}: {id}: no statement, or listed twice"));
        }
        if !citations(code).iter().any(|code| code.path.starts_with("src/")) {
            violations.push(format!("{INVARIANTS}: {id} has no code"));
        }
        if !citations(checks).iter().any(|check| check.test.is_some()) {
            violations.push(format!("{INVARIANTS}: {id} has no check"));
        }
    }
    let missing = used.difference(&listed).map(|id| format!("{INVARIANTS}: {id} is missing"));
    violations.extend(missing);
    let unused = listed.difference(&used).map(|id| format!("{INVARIANTS}: no code names {id}"));
    violations.extend(unused);
    violations
}

fn used_ids(tree: &Tree) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (_, text) in tree.files("src/", ".rs") {
        for line in lex(text) {
            for part in line.comment.split('[').skip(1) {
                let Some((id, _)) = part.split_once(']') else { continue };
                let mut chars = id.chars();
                let letter = chars.next().is_some_and(|c| c.is_ascii_uppercase());
                let number = chars.as_str();
                if letter && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()) {
                    used.insert(format!("[{id}]"));
                }
            }
        }
    }
    used
}

/// Each chapter is linked in the table of contents, and short enough.
pub fn chapters_are_listed(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let contents = tree.texts(CONTENTS).concat();
    for (path, text) in tree.files("docs/", ".md") {
        let name = path.trim_start_matches("docs/");
        if path != CONTENTS && !contents.contains(&format!("]({name})")) {
            violations.push(format!("{CONTENTS}: {name} is not listed"));
        }
        let lines = text.lines().count();
        if lines > LONGEST_CHAPTER && !GENERATED.contains(&path) {
            violations.push(format!("{path}: {lines} lines"));
        }
    }
    violations
}
