//! Tree: the repository, and its copy in which every mutant is a choice at run time.

use crate::checks::Checker;
use crate::sites::{File, Mutant};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's sources, with all their mutants.
pub struct Tree {
    root: PathBuf,
    /// Relative to the root, in order.
    files: Vec<(String, File)>,
    heads: Vec<(String, String)>,
}

/// A mutant, and its number.
#[derive(Clone, Debug)]
pub struct Numbered {
    pub id: u32,
    pub mutant: Mutant,
}

impl Tree {
    pub fn of_this_repository() -> Result<Tree, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        let mut paths = Vec::new();
        list(&root, &root.join("src"), &mut paths).map_err(|error| format!("src: {error}"))?;
        paths.sort();
        let text = |path: &String| fs::read_to_string(root.join(path)).unwrap_or_default();
        let texts: Vec<_> = paths.iter().map(|path| (path.clone(), text(path))).collect();
        let tests = test_files(&texts);
        let mut files = Vec::new();
        let mut heads = Vec::new();
        for (path, raw) in texts {
            if !path.ends_with(".rs") || path.ends_with("_backend.rs") || tests.contains(&path) {
                continue;
            }
            let head = raw.lines().take_while(|line| line.starts_with("//!"));
            heads.push((path.clone(), head.collect::<Vec<_>>().join("\n")));
            let file = File::new(&path, &raw)?;
            files.push((path, file));
        }
        Ok(Tree { root, files, heads })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All mutants, numbered from 1.
    pub fn mutants(&self) -> Vec<Numbered> {
        let all = self.files.iter().flat_map(|(_, file)| file.mutants());
        (1..).zip(all.cloned()).map(|(id, mutant)| Numbered { id, mutant }).collect()
    }

    /// The directories and files that the head of `path` says it is checked by.
    pub fn checked_by(&self, path: &str) -> Vec<String> {
        let head = self.heads.iter().find(|(file, _)| file == path);
        let Some((_, sentence)) = head.and_then(|(_, head)| head.split_once("Checked by:")) else {
            return Vec::new();
        };
        let words = sentence.split_whitespace().map(|word| word.trim_matches([',', ';', '.', '`']));
        words.filter(|word| word.contains('/') && *word != "//!").map(str::to_owned).collect()
    }

    /// Writes the copy, where it differs, so that cargo builds what has changed alone.
    pub fn write_copy(&self) -> io::Result<PathBuf> {
        let copy = target(&self.root).join("mutants").join("tree");
        let mut texts = BTreeMap::new();
        let mut paths = Vec::new();
        list(&self.root, &self.root, &mut paths)?;
        for path in paths {
            let text = fs::read(self.root.join(&path))?;
            texts.insert(path, text);
        }
        let mut first = 1;
        for (path, file) in &self.files {
            texts.insert(path.clone(), file.rewritten(first).into_bytes());
            first += file.mutants().count() as u32;
        }
        let manifest = texts.entry("Cargo.toml".to_owned()).or_default();
        *manifest = slim(&String::from_utf8_lossy(manifest)).into_bytes();
        texts.insert(MODULE.to_owned(), include_bytes!("mutant_module.rs").to_vec());
        let parent = texts.entry(MODULE_OF.to_owned()).or_default();
        parent.extend(b"\npub mod mutant;\n");
        let mut present = Vec::new();
        fs::create_dir_all(&copy)?;
        list(&copy, &copy, &mut present)?;
        for stale in present.iter().filter(|path| !texts.contains_key(*path)) {
            fs::remove_file(copy.join(stale))?;
        }
        for (path, text) in texts {
            write_if_new(&copy.join(path), &text)?;
        }
        Ok(copy)
    }
}

/// What chooses, and the module that it becomes a part of.
const MODULE: &str = "src/platform/mutant.rs";
const MODULE_OF: &str = "src/platform/mod.rs";

/// The manifest without what the models don't need: it takes longer to build than they do.
fn slim(manifest: &str) -> String {
    let mut out = String::new();
    let mut kept = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            kept = line != "[dev-dependencies]";
        }
        if kept && !line.starts_with("members") {
            out += &format!("{line}\n");
        }
    }
    out
}

/// Builds the tests of `checker` in the copy; the path of the program.
pub fn build(root: &Path, copy: &Path, checker: Checker) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--no-run", "--offline", "--message-format=json", "--features"]);
    // The copy has no dev-dependencies, by which this package's tests have `internals` otherwise.
    let features = format!("{},internals", checker.name());
    cargo.args([&features, "--test", checker.name(), "--manifest-path"]);
    // A directory of its own: cargo tells packages of one name in one place apart by nothing else.
    let built = target(root).join("mutants").join("target");
    cargo.arg(copy.join("Cargo.toml")).env("CARGO_TARGET_DIR", built).current_dir(copy);
    // What was set for this very program is not meant for others.
    cargo.env_remove("CARGO_MANIFEST_DIR");
    let built = cargo.stderr(Stdio::piped()).output().map_err(|error| format!("cargo: {error}"))?;
    if !built.status.success() {
        return Err(format!(
            "the copy in {} does not build:\n{}\n{}",
            copy.display(),
            String::from_utf8_lossy(&built.stderr),
            rendered(&String::from_utf8_lossy(&built.stdout))
        ));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let programs = messages.lines().filter_map(|line| line.split_once("\"executable\":\""));
    let program = programs.filter_map(|(_, rest)| rest.split('"').next()).next_back();
    program.map(PathBuf::from).ok_or_else(|| "cargo names no test program".to_owned())
}

/// The compiler's words in cargo's messages.
fn rendered(messages: &str) -> String {
    let words = messages.lines().filter_map(|line| line.split_once("\"rendered\":\""));
    let words = words.map(|(_, rest)| rest.split("\",\"").next().unwrap_or(rest));
    words
        .filter(|word| word.starts_with("error"))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\n", "\n")
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Everything but what others make: `target`, and what begins with a dot.
fn list(root: &Path, directory: &Path, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            list(root, &path, paths)?;
        } else if let Ok(relative) = path.strip_prefix(root) {
            paths.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

/// Files that are modules of tests only.
fn test_files(texts: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, raw) in texts {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for (mark, line) in raw.lines().zip(raw.lines().skip(1)) {
            let module = line.trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
            if let (Some(module), true) = (module, mark.contains("#[cfg(test)]")) {
                found.insert(format!("{directory}/{module}.rs"));
                found.insert(format!("{directory}/{module}/mod.rs"));
            }
        }
    }
    found
}

fn write_if_new(to: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    fs::create_dir_all(to.parent().expect("a file is in a directory"))?;
    fs::write(to, bytes)
}
