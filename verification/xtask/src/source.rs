//! Source: what is read from the repository, so that no command is written twice.

use std::fs;
use std::path::PathBuf;

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of a file of the repository.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}

/// The lines of the gate that check the format and run clippy.
///
/// # Errors
/// If the gate has no such line.
pub fn fast_checks() -> Result<Vec<String>, String> {
    let gate = read(".ci/run")?;
    let is_fast = |line: &&str| ["cargo fmt ", "cargo clippy "].iter().any(|c| line.starts_with(c));
    let lines: Vec<String> = gate.lines().filter(is_fast).map(str::to_owned).collect();
    if lines.is_empty() { Err(".ci/run runs neither fmt nor clippy".to_owned()) } else { Ok(lines) }
}

const TESTS: &str = "<!-- ci: these are the tests -->";

/// The command that README.md gives for all tests, which is also the one that the gate runs.
///
/// # Errors
/// If README.md has no such command.
pub fn tests_of_the_readme() -> Result<String, String> {
    let readme = read("README.md")?;
    let mut lines = readme.lines().skip_while(|line| *line != TESTS).skip(1);
    let fenced = lines.next().is_some_and(|line| line.starts_with("```"));
    let block: Vec<&str> = lines.take_while(|line| !line.starts_with("```")).collect();
    match block[..] {
        [command] if fenced => Ok(command.to_owned()),
        _ => Err(format!("README.md: after `{TESTS}` there is no block of one command")),
    }
}

/// The version of the package.
///
/// # Errors
/// If the manifest has none.
pub fn version() -> Result<String, String> {
    let manifest = read("Cargo.toml")?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    let version = version.and_then(|rest| rest.strip_suffix('"'));
    version.map(str::to_owned).ok_or("Cargo.toml has no version".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_and_the_readme_are_understood() {
        let checks = fast_checks().unwrap();
        assert!(checks.iter().any(|line| line == "cargo fmt --all -- --check"), "{checks:?}");
        assert!(checks.iter().any(|line| line.contains("--features loom")), "{checks:?}");
        assert!(tests_of_the_readme().unwrap().starts_with("cargo test && "));
        assert!(version().unwrap().contains('.'));
    }
}
