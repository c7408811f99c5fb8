//! What is wrong with a program, by name.

use super::{line, text};
use crate::observe::run_log::{Kind, Record, Run};
use std::error::Error;
use std::fmt;

/// What was found. Its text says which goroutine waits for what and where, what happened before, and how to see the
/// failure again.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Everybody waits, and nobody is left to wake them.
    Deadlock(Story),
    /// The program panicked, or a goroutine did and nobody joined it. Also what a checker finds wrong
    /// in this crate: a data race.
    Panic(Story),
    /// The program has ended, but a goroutine waits, and nobody is left to wake it.
    Leak(Story),
    /// A channel was dropped with messages that nobody had received; see
    /// [`Check::forbid_lost_values`](crate::model::Check::forbid_lost_values).
    LostValue(Story),
    /// The program is more than the checker, or a limit, allows: no verdict.
    Limit(Story),
}

/// A failed execution.
#[derive(Debug)]
pub struct Story(Box<Inner>);

#[derive(Debug)]
struct Inner {
    message: String,
    replay: String,
    found: String,
    run: Run,
}

impl Story {
    /// What is wrong, in a sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to give to [`replay`](crate::model::replay).
    pub fn replay(&self) -> &str {
        &self.0.replay
    }

    /// The goroutines that had not ended, and what each of them did, one on each line.
    pub fn alive(&self) -> Vec<String> {
        text::alive(&self.0.run)
    }

    /// What happened, one step a line, in order.
    pub fn history(&self) -> Vec<String> {
        text::history(&self.0.run)
    }
}

impl Failure {
    pub(super) fn new(record: Record, replay: String, found: String) -> Self {
        let Record { kind, message, run } = record;
        let story = Story(Box::new(Inner { message, replay, found, run }));
        match kind {
            Kind::Deadlock => Failure::Deadlock(story),
            Kind::Panic => Failure::Panic(story),
            Kind::Leak => Failure::Leak(story),
            Kind::LostValue => Failure::LostValue(story),
            Kind::Limit => Failure::Limit(story),
        }
    }

    /// What happened in it.
    pub fn story(&self) -> &Story {
        let (Failure::Deadlock(story)
        | Failure::Panic(story)
        | Failure::Leak(story)
        | Failure::LostValue(story)
        | Failure::Limit(story)) = self;
        story
    }

    fn name(&self) -> &'static str {
        match self {
            Failure::Deadlock(_) => "DEADLOCK",
            Failure::Panic(_) => "PANIC",
            Failure::Leak(_) => "LEAK",
            Failure::LostValue(_) => "LOST VALUE",
            Failure::Limit(_) => "LIMIT",
        }
    }
}

/// How many steps are printed.
const SHOWN: usize = 60;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = self.story();
        writeln!(f, "{}: {}", self.name(), story.message())?;
        let alive = story.alive();
        if !alive.is_empty() {
            writeln!(f, "\nwho had not ended:")?;
            alive.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        let history = story.history();
        writeln!(f, "\nwhat happened:")?;
        let hidden = history.len().saturating_sub(SHOWN);
        let before = hidden + story.0.run.forgotten;
        if before > 0 {
            writeln!(f, "    ({before} steps before)")?;
        }
        for (number, line) in (1..).zip(&history).skip(hidden) {
            writeln!(f, "    {number:>3}  {line}")?;
        }
        writeln!(f, "\nfound in {}. To see it again:", story.0.found)?;
        match line::seed_of(story.replay()) {
            Some(seed) => {
                write!(f, "    selvedge::model::simulate({seed}, || /* the program */);")
            }
            None => {
                let line = story.replay();
                write!(f, "    selvedge::model::replay({line:?}, || /* the program */);")
            }
        }
    }
}

impl Error for Failure {}
