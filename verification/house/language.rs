//! Language: the patterns that made readers read a sentence twice. CONTRIBUTING.md says what to write instead.

use crate::docs::is_generated;
use crate::tree::{Tree, has_word};

/// Words that stand for a person elsewhere, and stood for threads, goroutines and values here.
const FOR_PEOPLE: [&str; 3] = ["whom", "whoever", "whomever"];
/// People, who may be followed by "who".
const PEOPLE: &[&str] = &[
    "author",
    "authors",
    "contributors",
    "engineer",
    "engineers",
    "maintainer",
    "people",
    "person",
    "reader",
    "readers",
    "somebody",
    "user",
    "users",
];
/// A sentence does not begin with these.
const OPENINGS: [&str; 4] = ["who ", "whom ", "whose ", "whoever "];

/// Comments of the sources, and the prose of documents, use "who" and its kin for people alone.
pub fn who_is_a_person(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for source in tree.sources("src/") {
        let mut before = "";
        for (number, line) in source.lines.iter().enumerate() {
            let comment = line.comment.trim_start_matches(['/', '!', ' ']);
            let is_mark = comment.starts_with("mutant:");
            if let Some(word) = misused(before, comment).filter(|_| !is_mark) {
                violations.push(format!("{}: {word:?} in a comment", source.place(number)));
            }
            before = comment;
        }
    }
    for (document, text) in documents(tree) {
        let (mut fenced, mut before) = (false, "");
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            let is_table = line.starts_with('|');
            if let Some(word) = misused(before, line).filter(|_| !fenced && !is_table) {
                violations.push(format!("{document}:{}: {word:?}", number + 1));
            }
            before = line;
        }
    }
    violations
}

fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let all = tree.files("docs/", ".md").chain(tree.files("README", ".md"));
    all.filter(|(path, _)| !is_generated(path))
}

/// What stands in backticks may have any name.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("_")
}

/// A word of this line that stands for no person; `before` is the line above it.
fn misused(before: &str, text: &str) -> Option<String> {
    let text = without_code(text).to_lowercase();
    if let Some(word) = FOR_PEOPLE.iter().find(|word| has_word(&text, word)) {
        return Some((*word).to_owned());
    }
    let goes_on = !before.is_empty() && !before.trim_end().ends_with('.');
    let sentences = text.split(". ").map(str::trim_start).skip(usize::from(goes_on));
    let mut opening = sentences.filter_map(|s| OPENINGS.iter().find(|word| s.starts_with(**word)));
    if let Some(word) = opening.next() {
        return Some((*word).to_owned());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let alone = |pair: &&[&str]| pair[1] == "who" && !PEOPLE.contains(&pair[0].trim_matches(','));
    words.windows(2).find(alone).map(|pair| pair.join(" "))
}
