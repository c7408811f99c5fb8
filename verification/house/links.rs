//! The rules about what a document links to: each relative link leads to a file, each anchor to a heading, the book
//! (docs/SUMMARY.md, built by mdbook) has each chapter, and documents outside of `docs/` cite what exists.
//!
//! Anchors are those that GitHub makes of headings, which mdbook makes alike, and those set by `id="..."`. Text in
//! code blocks, in code spans and in HTML comments is no link. Links with a scheme (`https:`) are not followed.

use crate::docs;
use crate::tree::{Tree, is_word};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const SUMMARY: &str = "docs/SUMMARY.md";
const TASKS: &str = "verification/xtask/src/tasks.rs";

/// All files of the repository, with those at its root and in hidden directories; what is not text is empty.
pub fn whole_tree() -> Tree {
    let root = Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."));
    let mut files = Vec::new();
    read(root, root, &mut files);
    assert!(files.len() > 50, "the repository has more files than {}", files.len());
    Tree::of(&files.iter().map(|(path, text)| (&**path, &**text)).collect::<Vec<_>>())
}

fn read(root: &Path, directory: &Path, files: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("a readable directory").path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if [Some("target"), Some(".git")].contains(&name.as_deref()) {
            continue;
        }
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            files
                .push((relative.replace('\\', "/"), fs::read_to_string(&path).unwrap_or_default()));
        }
    }
}

/// What a document leads to, and from which of its lines, counted from 1.
struct Link {
    line: usize,
    target: String,
}

/// Each relative link of each document leads to a file or a directory, and its anchor to a heading.
pub fn links_resolve(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (document, text) in tree.files("", ".md") {
        let text = without_code(&unfenced(text));
        for Link { line, target } in links(&text) {
            if let Some(why) = broken(tree, document, &target) {
                violations.push(format!("{document}:{line}: {why}"));
            }
        }
        for (line, label) in undefined(&text) {
            violations.push(format!("{document}:{line}: nothing defines [{label}]"));
        }
    }
    violations
}

fn broken(tree: &Tree, document: &str, target: &str) -> Option<String> {
    if has_scheme(target) {
        return None;
    }
    let (path, anchor) = match target.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (target, None),
    };
    let Some(path) = resolved(document, path) else {
        return Some(format!("{target} leads out of the repository"));
    };
    if target.is_empty() || !tree.exists(&path) {
        return Some(format!("there is no {target}"));
    }
    let anchor = anchor?;
    let texts = tree.texts(&path);
    if !path.ends_with(".md") {
        return Some(format!("{target}: an anchor into what is no document; cite an item instead"));
    }
    let found = texts.iter().any(|text| anchors(text).contains(anchor));
    (!found).then(|| format!("{path} has no heading #{anchor}"))
}

/// As in `https://a.b`.
fn has_scheme(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic()))
}

/// The path of a link, from the root of the repository; of an empty path, the document itself.
fn resolved(document: &str, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some(document.to_owned());
    }
    let directory = document.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    if path.starts_with('/') {
        return None;
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Inline links, definitions and HTML attributes of a text without code.
fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (at, opens) in text.match_indices("](") {
        let target = inline_target(text[at + opens.len()..].trim_start());
        found.push(Link { line: line_of(text, at), target });
    }
    for attribute in ["href=\"", "src=\""] {
        for (at, opens) in text.match_indices(attribute) {
            let rest = &text[at + opens.len()..];
            let target = rest.split('"').next().unwrap_or(rest).to_owned();
            found.push(Link { line: line_of(text, at), target });
        }
    }
    for (line, _, target) in definitions(text) {
        found.push(Link { line, target: target.to_owned() });
    }
    found
}

/// Until the parenthesis that closes, or until white space, after which a title may follow.
fn inline_target(rest: &str) -> String {
    if let Some(rest) = rest.strip_prefix('<') {
        return rest.split('>').next().unwrap_or(rest).to_owned();
    }
    let mut depth = 0;
    let ends = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0 || c.is_whitespace()
    };
    rest.split(ends).next().unwrap_or(rest).to_owned()
}

/// Lines such as `[label]: target`, with the line's number. Footnotes are none.
fn definitions(text: &str) -> impl Iterator<Item = (usize, String, &str)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let (label, rest) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
        let target = rest.split_whitespace().next()?;
        let defines = !label.contains(['[', ']']) && !label.starts_with('^');
        defines.then(|| (number, normal(label), target))
    })
}

/// Labels that are used, as in `[text][label]` and `[label][]`, and defined nowhere in the text.
fn undefined(text: &str) -> Vec<(usize, String)> {
    let defined: BTreeSet<String> = definitions(text).map(|(_, label, _)| label).collect();
    let mut found = Vec::new();
    for (at, opens) in text.match_indices("][") {
        let label = text[at + opens.len()..].split(']').next().unwrap_or_default();
        let before = text[..at].rsplit('[').next().unwrap_or_default();
        let label = if label.is_empty() { before } else { label };
        if !defined.contains(&normal(label)) && !is_invariant(label) {
            found.push((line_of(text, at), label.to_owned()));
        }
    }
    found
}

fn normal(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// As in `[D1][D2]`, which is two invariants beside each other.
fn is_invariant(label: &str) -> bool {
    let number = label.strip_prefix(|c: char| c.is_ascii_uppercase());
    number.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The text with each line of a fenced block empty.
fn unfenced(text: &str) -> String {
    let mut fence = None;
    let mut kept = String::new();
    for line in text.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, None) => kept.push_str(line),
            (None, Some(_)) => fence = mark,
            (Some(_), _) if fence == mark => fence = None,
            (Some(_), _) => {}
        }
        kept.push('\n');
    }
    kept
}

/// The text with code spans and HTML comments blank, line by line as long as before.
fn without_code(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '<']) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let (blank, plain) = match rest.starts_with('`') {
            true => code_span(rest),
            false if rest.starts_with("<!--") => (rest.find("-->").unwrap_or(rest.len()), 0),
            false => (0, 1),
        };
        kept.push_str(&rest[..plain]);
        kept.extend(rest[plain..plain + blank].chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &rest[plain + blank..];
    }
    kept + rest
}

/// How many bytes a code span has that begins here, and how many backticks begin none.
fn code_span(rest: &str) -> (usize, usize) {
    let marks = |text: &str| text.len() - text.trim_start_matches('`').len();
    let opens = marks(rest);
    let paragraph = &rest[..rest.find("\n\n").unwrap_or(rest.len())];
    let mut at = opens;
    while let Some(next) = paragraph[at..].find('`') {
        let closes = marks(&paragraph[at + next..]);
        at += next + closes;
        if closes == opens {
            return (at, 0);
        }
    }
    (0, opens)
}

/// What `#...` can name in a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeMap::new();
    let text = unfenced(text);
    for line in text.lines() {
        let heading = line.trim_start_matches('#');
        if (1..=6).contains(&(line.len() - heading.len())) && heading.starts_with(' ') {
            let slug = slug(heading.trim().trim_end_matches('#'));
            let earlier: &mut usize = seen.entry(slug.clone()).or_default();
            found.insert(if *earlier == 0 { slug } else { format!("{slug}-{earlier}") });
            *earlier += 1;
        }
        for attribute in ["id=\"", "name=\""] {
            let ids = line.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(ids.map(str::to_owned));
        }
    }
    found
}

/// Lower case; white space becomes `-`; what is neither a letter, a digit, `_` nor `-` goes; of a link, its text.
fn slug(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading.trim();
    while let Some((before, after)) = rest.split_once("](") {
        text.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let letter = |c: char| match c {
        '-' => Some(c),
        c if c.is_whitespace() => Some('-'),
        c => is_word(&c).then_some(c),
    };
    text.to_lowercase().chars().filter_map(letter).collect()
}

/// The book has each chapter, once.
pub fn the_book_has_each_chapter(tree: &Tree) -> Vec<String> {
    let summary = without_code(&unfenced(&tree.texts(SUMMARY).concat()));
    let listed: Vec<String> =
        links(&summary).iter().filter_map(|link| resolved(SUMMARY, &link.target)).collect();
    let mut violations = Vec::new();
    for (chapter, _) in tree.files("docs/", ".md").filter(|(path, _)| *path != SUMMARY) {
        match listed.iter().filter(|path| *path == chapter).count() {
            1 => {}
            0 => violations.push(format!("{SUMMARY}: {chapter} is missing")),
            times => violations.push(format!("{SUMMARY}: {chapter} is listed {times} times")),
        }
    }
    violations
}

/// A chapter leads to other chapters alone: the book has no other files.
pub fn chapters_stay_in_the_book(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    for (chapter, text) in tree.files("docs/", ".md") {
        for Link { line, target } in links(&without_code(&unfenced(text))) {
            let path = target.split('#').next().unwrap_or_default();
            let stays = resolved(chapter, path).is_some_and(|path| path.starts_with("docs/"));
            if has_scheme(&target) || stays {
                continue;
            }
            let cite = "the book does not have it; cite it in backticks";
            violations.push(format!("{chapter}:{line}: {target}: {cite}"));
        }
    }
    violations
}

/// As the rule of the same name in `docs`; the list of the book's chapters is itself no chapter.
pub fn chapters_are_listed(tree: &Tree) -> Vec<String> {
    let mut violations = docs::chapters_are_listed(tree);
    violations.retain(|violation| !violation.ends_with(": SUMMARY.md is not listed"));
    violations
}

/// What documents outside of `docs/` cite exists, by the rule for those inside. A change log cites what was.
pub fn citations_outside_of_docs_resolve(tree: &Tree) -> Vec<String> {
    const INSIDE: &str = "docs/ outside: ";
    let mut moved: Vec<(String, &str)> = Vec::new();
    for (path, text) in tree.files("", "") {
        let is_outside = path.ends_with(".md") && !path.starts_with("docs/");
        if is_outside && path != "CHANGELOG.md" {
            moved.push((format!("{INSIDE}{path}"), text));
        }
        moved.push((path.to_owned(), text));
    }
    let files: Vec<(&str, &str)> = moved.iter().map(|(path, text)| (&**path, *text)).collect();
    let violations = docs::citations_resolve(&Tree::of(&files));
    let outside = violations.iter().filter_map(|violation| violation.strip_prefix(INSIDE));
    // A pattern, such as `src/*.rs`, is no citation.
    outside.filter(|violation| !violation.contains('*')).map(str::to_owned).collect()
}

/// Each `cargo xtask NAME` of a document is a task.
pub fn tasks_exist(tree: &Tree) -> Vec<String> {
    let mut violations = Vec::new();
    let tasks = tree.texts(TASKS).concat();
    for (document, text) in tree.files("", ".md") {
        for (at, before) in text.match_indices("cargo xtask ") {
            let rest = text[at + before.len()..].trim_start_matches("--print ");
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !name.is_empty() && !tasks.contains(&format!("name: \"{name}\"")) {
                let line = line_of(text, at);
                violations.push(format!("{document}:{line}: there is no `cargo xtask {name}`"));
            }
        }
    }
    violations
}
