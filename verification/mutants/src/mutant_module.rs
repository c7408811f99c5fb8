//! Which mutant this process is. Put into the copy of `src/platform/` whose mutants are chosen at run
//! time: SELVEDGE_MUTANT is a mutant's number, or `cover` to have the numbers of all places printed
//! that are come by.
#![allow(missing_docs)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Sound,
    Broken(u32),
    Cover,
}

fn mode() -> Mode {
    static MODE: OnceLock<Mode> = OnceLock::new();
    *MODE.get_or_init(|| match std::env::var("SELVEDGE_MUTANT") {
        Ok(word) if word == "cover" => Mode::Cover,
        Ok(word) => Mode::Broken(word.parse().expect("SELVEDGE_MUTANT is a number")),
        Err(_) => Mode::Sound,
    })
}

#[inline]
pub fn is(id: u32) -> bool {
    match mode() {
        Mode::Sound => false,
        Mode::Broken(mutant) => mutant == id,
        Mode::Cover => {
            come_by(id);
            false
        }
    }
}

/// The first of `choices`, or another if that is the mutant: the second is mutant `first`.
#[inline]
pub fn ordering(first: u32, choices: &[Ordering]) -> Ordering {
    match mode() {
        Mode::Sound => choices[0],
        Mode::Broken(mutant) => {
            let at = mutant.wrapping_sub(first).wrapping_add(1) as usize;
            choices.get(at).copied().unwrap_or(choices[0])
        }
        Mode::Cover => {
            (1..choices.len() as u32).for_each(|at| come_by(first + at - 1));
            choices[0]
        }
    }
}

#[cold]
fn come_by(id: u32) {
    static SEEN: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];
    if !SEEN[id as usize].swap(true, Ordering::Relaxed) {
        use std::io::Write;
        let _ = std::io::stderr().write_all(format!("\ncome by {id}\n").as_bytes());
    }
}
