//! Tree: the files that the rules speak of, read from the repository or made up by a test.

use crate::lexer::{Line, lex};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories whose files the rules see.
const ROOTS: [&str; 6] = ["src", "docs", "verification", "proptests", "benches", "examples"];

/// Paths, with `/`, relative to the repository; and what the files hold.
pub struct Tree(BTreeMap<String, String>);

/// A Rust file, its comments taken apart from its code.
pub struct Source<'a> {
    pub path: &'a str,
    pub lines: Vec<Line>,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    /// Counted from 0; the line of `fn` and that of the closing brace.
    pub first: usize,
    pub last: usize,
}

impl Tree {
    pub fn of_this_repository() -> Tree {
        let root = Path::new(option_env!("CARGO_MANIFEST_DIR").unwrap_or("."));
        let mut files = BTreeMap::new();
        for directory in ROOTS {
            read(root, &root.join(directory), &mut files);
        }
        assert!(files.len() > 50, "the repository has more files than {}", files.len());
        Tree(files)
    }

    pub fn of(files: &[(&str, &str)]) -> Tree {
        let own = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
        Tree(files.iter().map(own).collect())
    }

    /// A file, or a directory (with or without `/` at its end) that has files.
    pub fn exists(&self, path: &str) -> bool {
        !self.texts(path).is_empty()
    }

    /// What the file holds, or each file of the directory.
    pub fn texts(&self, path: &str) -> Vec<&str> {
        if let Some(text) = self.0.get(path) {
            return vec![text];
        }
        let directory = format!("{}/", path.trim_end_matches('/'));
        let within = self.0.iter().filter(|(name, _)| name.starts_with(&directory));
        within.map(|(_, text)| text.as_str()).collect()
    }

    /// The files below `directory` that end in `extension`.
    pub fn files<'a>(
        &'a self,
        directory: &'a str,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(directory) && path.ends_with(extension))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files below `directory`.
    pub fn sources<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = Source<'a>> {
        self.files(directory, ".rs").map(|(path, text)| Source { path, lines: lex(text) })
    }

    /// Modules that exist in tests only, as the paths of their files.
    pub fn test_files(&self) -> Vec<String> {
        let mut found = Vec::new();
        for source in self.sources("src/") {
            let directory = source.path.rsplit_once('/').map_or("", |(directory, _)| directory);
            for pair in source.lines.windows(2) {
                let module = pair[1].code.trim().strip_prefix("mod ");
                let module = module.and_then(|rest| rest.strip_suffix(';'));
                if let Some(module) = module
                    && pair[0].code.contains("#[cfg(test)]")
                {
                    found.push(format!("{directory}/{module}.rs"));
                }
            }
        }
        found
    }
}

impl Source<'_> {
    /// Where an inline `#[cfg(test)]` module begins: from there on nothing ships.
    pub fn shipped(&self) -> usize {
        let begins = |line: &Line| line.code.contains("#[cfg(test)]");
        let inline = |at: &usize| {
            self.lines
                .get(at + 1)
                .is_some_and(|next| next.code.trim().starts_with("mod ") && next.code.contains('{'))
        };
        let at = (0..self.lines.len()).filter(|&at| begins(&self.lines[at])).find(inline);
        at.unwrap_or(self.lines.len())
    }

    /// Functions with a body, by the braces after their name.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (first, line) in self.lines.iter().enumerate() {
            for (at, _) in line.code.match_indices("fn ") {
                let before = line.code[..at].chars().next_back();
                let name: String = line.code[at + 3..].chars().take_while(is_word).collect();
                if before.is_some_and(|c| is_word(&c)) || name.is_empty() {
                    continue;
                }
                if let Some(last) = self.end_of_body(first, at) {
                    found.push(Function { name, first, last });
                }
            }
        }
        found
    }

    /// `None` for a declaration: a semicolon, outside of all brackets, before the first brace.
    fn end_of_body(&self, first: usize, column: usize) -> Option<usize> {
        let (mut braces, mut brackets) = (0usize, 0usize);
        for (number, line) in self.lines.iter().enumerate().skip(first) {
            let from = if number == first { column } else { 0 };
            for c in line.code[from..].chars() {
                match c {
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets = brackets.saturating_sub(1),
                    ';' if braces == 0 && brackets == 0 => return None,
                    '{' => braces += 1,
                    '}' if braces == 1 => return Some(number),
                    '}' => braces = braces.checked_sub(1)?,
                    _ => {}
                }
            }
        }
        None
    }

    /// `path`, line and the innermost function around it: where a violation is.
    pub fn place(&self, line: usize) -> String {
        let around = self.functions();
        let inner = around.iter().rfind(|f| (f.first..=f.last).contains(&line));
        let item = inner.map_or(String::new(), |f| format!(" in `{}`", f.name));
        format!("{}:{}{item}", self.path, line + 1)
    }
}

pub fn is_word(c: &char) -> bool {
    c.is_alphanumeric() || *c == '_'
}

/// Whether `word` occurs in `text`, not as a part of a longer word.
pub fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(|c| is_word(&c)) && !after.is_some_and(|c| is_word(&c))
    })
}

fn read(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.map(|entry| entry.expect("a readable directory").path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if path.is_dir() {
            // A package of its own may have been built in place.
            if name.as_deref() != Some("target") {
                read(root, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            files.insert(relative(root, path), text);
        }
    }
}

fn relative(root: &Path, path: PathBuf) -> String {
    let path = path.strip_prefix(root).unwrap_or(&path);
    path.to_string_lossy().replace('\\', "/")
}
