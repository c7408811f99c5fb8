//! Xtask: a name for everything that a contributor does. `cargo xtask` lists the names.
//!
//! Each name stands for commands. A command is printed before it runs, so that a reader can run it without
//! this program. The first command that fails ends the task, and its failure is the failure of the task.
//! A command that is also part of the gate is read from `.ci/run` or from README.md, so that it is written once.
//!
//! `cargo xtask --print NAME` prints the commands and runs none of them.

mod source;
mod tasks;

use std::process::{Command, ExitCode, Stdio};
use tasks::TASKS;

/// Runs commands in the root of the repository, or only prints them.
struct Shell {
    print_only: bool,
}

impl Shell {
    /// Prints the command and runs it.
    ///
    /// # Errors
    /// If the command cannot be started, or if it fails.
    fn run(&self, words: &[&str]) -> Result<(), String> {
        let line = quoted(words);
        println!("$ {line}");
        if self.print_only {
            return Ok(());
        }
        let status = command(words).status().map_err(|error| format!("{line}: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
    }

    /// As [`run`](Self::run), for a line that the shell must read.
    ///
    /// # Errors
    /// As of `run`.
    fn run_line(&self, line: &str) -> Result<(), String> {
        println!("$ {line}");
        if self.print_only {
            return Ok(());
        }
        let status = command(&["bash", "-c", line]).status();
        let status = status.map_err(|error| format!("bash, which runs `{line}`: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
    }

    /// What the command writes to its standard output.
    ///
    /// # Errors
    /// As of [`run`](Self::run).
    fn output(&self, words: &[&str]) -> Result<String, String> {
        let line = quoted(words);
        println!("$ {line}");
        let output = command(words).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("{line}: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("{line}: {}", output.status))
        }
    }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(source::root());
    command
}

/// The words as a shell would read them.
fn quoted(words: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,".contains(c);
    let quote = |word: &&str| {
        if !word.is_empty() && word.chars().all(plain) {
            (*word).to_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn list() {
    println!("cargo xtask [--print] NAME [ARGUMENT]...\n");
    for task in &TASKS {
        let left = format!("{} {}", task.name, task.arguments);
        println!("  {left:<22} {}", task.about);
    }
    println!("\n--print prints the commands of a task and runs none of them.");
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let print_only = words.first().is_some_and(|word| word == "--print");
    if print_only {
        words.remove(0);
    }
    let Some((name, arguments)) = words.split_first() else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        list();
        eprintln!("\nxtask: there is no task {name}");
        return ExitCode::from(2);
    };
    if task.arguments.is_empty() && !arguments.is_empty() {
        eprintln!("xtask: {name} takes no arguments");
        return ExitCode::from(2);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match (task.run)(&Shell { print_only }, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {name} FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_reads_them() {
        assert_eq!(quoted(&["cargo", "-p", "a-b", "--x=1"]), "cargo -p a-b --x=1");
        assert_eq!(quoted(&["a b", "", "it's"]), r"'a b' '' 'it'\''s'");
    }

    #[test]
    fn every_task_prints_a_command() {
        for task in &TASKS {
            assert_eq!((task.run)(&Shell { print_only: true }, &[]), Ok(()), "{}", task.name);
        }
    }
}
