//! Runs a command as a sandbox, an older kernel or a smaller machine would:
//!
//! ```text
//! deny membarrier,guard -- COMMAND ARGUMENTS      these system calls are refused
//! deny processors=1 -- COMMAND ARGUMENTS          it may use one processor
//! ```
//!
//! Its exit status is the command's; 125 if it could not be started so.

#[path = "deny/filter.rs"]
mod filter;

use filter::Rule;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: deny WHAT[,WHAT...] -- COMMAND [ARGUMENTS]
  WHAT is processors=N, or one of membarrier, guard, mprotect, ppoll, pidfd_open, sched_getaffinity,
  sched_setaffinity, sigaltstack, getrandom";

fn main() -> ExitCode {
    let Err(error) = run();
    eprintln!("deny: {error}");
    ExitCode::from(125)
}

fn run() -> Result<std::convert::Infallible, String> {
    let mut arguments = std::env::args_os().skip(1);
    let what = arguments.next().and_then(|what| what.into_string().ok()).ok_or(USAGE)?;
    if arguments.next().is_none_or(|dashes| dashes != "--") {
        return Err(USAGE.to_owned());
    }
    let program = arguments.next().ok_or(USAGE)?;
    let mut rules = Vec::new();
    for word in what.split(',') {
        match word.strip_prefix("processors=") {
            Some(count) => keep_processors(count.parse().map_err(|_| USAGE)?)?,
            None => rules.push(Rule::of(word).ok_or_else(|| format!("{word}? {USAGE}"))?),
        }
    }
    if !rules.is_empty() {
        filter::refuse(&rules).map_err(|error| format!("the kernel takes no filter: {error}"))?;
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("{}: {error}", program.display()))
}

/// From here on the process, and what it starts, may use `count` of its processors.
fn keep_processors(count: usize) -> Result<(), String> {
    // SAFETY: all zeroes is the empty set.
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let bytes = size_of_val(&all);
    // SAFETY: a place for the set, and its size.
    if unsafe { libc::sched_getaffinity(0, bytes, &mut all) } != 0 {
        return Err(format!("sched_getaffinity: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: the number is within the set.
    let has = |processor: &usize| unsafe { libc::CPU_ISSET(*processor, &all) };
    let kept: Vec<usize> = (0..8 * bytes).filter(has).take(count).collect();
    if count == 0 || kept.len() < count {
        return Err(format!("{count} processors can't be had: there are {}", kept.len()));
    }
    // SAFETY: as above.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    kept.iter().for_each(|&processor| unsafe { libc::CPU_SET(processor, &mut set) });
    // SAFETY: a set, and its size.
    if unsafe { libc::sched_setaffinity(0, bytes, &set) } != 0 {
        return Err(format!("sched_setaffinity: {}", std::io::Error::last_os_error()));
    }
    Ok(())
}
