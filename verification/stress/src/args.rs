//! The command line.
#![forbid(unsafe_code)]

use std::fmt::Display;

pub const USAGE: &str = "usage: stress --seconds N --seed S [--processors P] \
[--placement isolated|anchored|migrating|all] [--job NAME]... [--signals R] [--hold]
  --job    only jobs whose name begins so (may be repeated)
  --signals  R signals a second to the process and its threads meanwhile
  --hold   when nothing gets on, wait for a debugger rather than abort";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Isolated,
    Anchored,
    Migrating,
}

#[derive(Clone, Debug)]
pub struct Args {
    pub seconds: u64,
    pub seed: u64,
    pub processors: usize,
    pub placements: Vec<Placement>,
    pub jobs: Vec<String>,
    pub signals: u64,
    pub hold: bool,
}

impl Args {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut seconds = None;
        let mut seed = None;
        let mut args = Args {
            seconds: 0,
            seed: 0,
            processors: std::thread::available_parallelism().map_or(2, usize::from),
            placements: vec![Placement::Isolated, Placement::Anchored, Placement::Migrating],
            jobs: Vec::new(),
            signals: 0,
            hold: false,
        };
        while let Some(word) = words.next() {
            if word == "--hold" {
                args.hold = true;
                continue;
            }
            let value = words.next().ok_or(format!("{word} needs a value, or is unknown"))?;
            match word.as_str() {
                "--seconds" => seconds = Some(number(&word, &value)?),
                "--seed" => seed = Some(number(&word, &value)?),
                "--processors" => args.processors = number(&word, &value)? as usize,
                "--placement" => args.placements = placements(&value)?,
                "--signals" => args.signals = number(&word, &value)?,
                "--job" => args.jobs.push(value),
                _ => return Err(format!("{word} is unknown")),
            }
        }
        args.seconds = seconds.ok_or("--seconds is missing")?;
        args.seed = seed.ok_or("--seed is missing")?;
        if !(1..=64).contains(&args.processors) {
            return Err(format!("--processors {}: ask for 1 to 64", args.processors));
        }
        if args.seconds == 0 {
            return Err(String::from("--seconds 0: ask for 1 or more"));
        }
        Ok(args)
    }
}

fn number(word: &str, value: &str) -> Result<u64, String> {
    let wrong = |error: &dyn Display| format!("{word} {value}: {error}");
    value.parse().map_err(|error: std::num::ParseIntError| wrong(&error))
}

fn placements(value: &str) -> Result<Vec<Placement>, String> {
    match value {
        "isolated" => Ok(vec![Placement::Isolated]),
        "anchored" => Ok(vec![Placement::Anchored]),
        "migrating" => Ok(vec![Placement::Migrating]),
        "all" => Ok(vec![Placement::Isolated, Placement::Anchored, Placement::Migrating]),
        _ => Err(format!("--placement {value}: ask for isolated, anchored, migrating or all")),
    }
}
