//! Small libraries in C, compiled by the tests.

use std::path::PathBuf;
use std::process::Command;

/// Compiles a shared library; `None` if there is no compiler, which is said.
pub fn library(name: &str, source: &str) -> Option<PathBuf> {
    library_with(name, source, &[])
}

/// As [`library`], with options of the compiler.
pub fn library_with(name: &str, source: &str, options: &[&str]) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("{name}-{}.c", std::process::id()));
    let library = folder.join(format!("lib{name}-{}.so", std::process::id()));
    std::fs::write(&file, source).expect("a folder for tests");
    let compiler = std::env::var("CC").unwrap_or_else(|_| String::from("cc"));
    let compiled = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &file])
        .args(options)
        .output();
    let Ok(compiled) = compiled else {
        eprintln!("{name}: NOTHING CHECKED: there is no {compiler}");
        return None;
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    Some(library)
}
