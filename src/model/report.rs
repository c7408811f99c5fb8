//! What was explored, and how far.

use crate::explore::{Explored, Plan, Search};
use std::fmt;
use std::time::Duration;

/// What [`check`](crate::model::check) and its kin explored, without finding a failure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Executions, each of them different under [`check`](crate::model::check).
    pub executions: u64,
    /// How much of all that could happen these were.
    pub coverage: Coverage,
    /// How long it took.
    pub took: Duration,
}

/// How much of all that could happen was explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coverage {
    /// Every execution with at most so many preemptions; with `None`, every one.
    Complete {
        /// The bound. Most bugs need one or two preemptions.
        preemptions: Option<usize>,
    },
    /// A cap ended it: nothing is known of the rest.
    Cut {
        /// As above.
        preemptions: Option<usize>,
    },
    /// As many as asked for, drawn at random: nothing is known of the rest.
    Sampled,
    /// The one that was asked for.
    One,
}

impl Report {
    pub(super) fn of(plan: &Plan, explored: &Explored) -> Self {
        let coverage = match plan.search {
            Search::Every { preemptions } if explored.cut => Coverage::Cut { preemptions },
            Search::Every { preemptions } => Coverage::Complete { preemptions },
            _ => Coverage::Sampled,
        };
        Report { executions: explored.executions, coverage, took: explored.took }
    }

    pub(super) fn of_one(explored: &Explored) -> Self {
        Report { executions: 1, coverage: Coverage::One, took: explored.took }
    }

    /// Whether every execution within the bound was explored.
    pub fn is_complete(&self) -> bool {
        matches!(self.coverage, Coverage::Complete { .. })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { executions, coverage, took } = self;
        write!(f, "{executions} executions in {:.1} s: {coverage}", took.as_secs_f64())
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Coverage::Complete { preemptions } => write!(f, "COMPLETE, {}", bound(*preemptions)),
            Coverage::Cut { preemptions } => write!(f, "CUT, {}", bound(*preemptions)),
            Coverage::Sampled => f.write_str("SAMPLED"),
            Coverage::One => f.write_str("the one asked for"),
        }
    }
}

pub(super) fn bound(preemptions: Option<usize>) -> String {
    match preemptions {
        Some(1) => "at most 1 preemption".to_owned(),
        Some(n) => format!("at most {n} preemptions"),
        None => "any number of preemptions".to_owned(),
    }
}
