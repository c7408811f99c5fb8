//! The one line that names an execution: the search that found it, its numbers, and its rules.
//!
//! `loom:preemptions=2:execution=17:steps=10000`
//! `shuttle:pct:seed=1:depth=3:length=80:execution=5:steps=1000000:forbid-lost-values`

use crate::explore::{Plan, Search};
use crate::observe::run_log::Rules;

/// The line of execution number `number` of `plan`, counted from 0.
pub(super) fn write(plan: &Plan, number: u64, length: u64) -> String {
    let mut line = match plan.search {
        Search::Every { preemptions: Some(most) } => format!("loom:preemptions={most}"),
        Search::Every { preemptions: None } => "loom:complete".to_owned(),
        Search::Random { seed } => format!("shuttle:random:seed={seed}"),
        Search::Pct { seed, depth, .. } => {
            format!("shuttle:pct:seed={seed}:depth={depth}:length={length}")
        }
    };
    line.push_str(&format!(":execution={number}:steps={}", plan.steps));
    if plan.rules.forbid_lost_values {
        line.push_str(":forbid-lost-values");
    }
    line
}

/// The line of a simulation.
pub(super) fn of_seed(seed: u64) -> String {
    format!("simulate:seed={seed}")
}

/// The seed, if the line is a simulation's.
pub(super) fn seed_of(line: &str) -> Option<u64> {
    line.strip_prefix("simulate:seed=")?.parse().ok()
}

/// What a line asks for: a plan whose last execution is the one.
pub(super) fn read(line: &str) -> Result<Plan, String> {
    let words: Vec<&str> = line.split(':').collect();
    let has = |word: &str| words.contains(&word);
    let number = |name: &str| -> Result<u64, String> {
        let value = words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let value = value.ok_or_else(|| wrong(line, &format!("it has no {name}")))?;
        value.parse().map_err(|_| wrong(line, &format!("{name} is no number")))
    };
    let search = match words[0] {
        "loom" if has("complete") => Search::Every { preemptions: None },
        "loom" => Search::Every { preemptions: Some(number("preemptions")? as usize) },
        "shuttle" if has("random") => Search::Random { seed: number("seed")? },
        "shuttle" if has("pct") => Search::Pct {
            seed: number("seed")?,
            depth: number("depth")? as usize,
            length: Some(number("length")?),
        },
        _ => return Err(wrong(line, "nobody writes such lines")),
    };
    let execution = number("execution")?;
    let every = matches!(search, Search::Every { .. });
    Ok(Plan {
        search,
        first: if every { 0 } else { execution },
        most: Some(if every { execution + 1 } else { 1 }),
        within: None,
        steps: number("steps")? as usize,
        rules: Rules { forbid_lost_values: has("forbid-lost-values"), ..Rules::default() },
    })
}

fn wrong(line: &str, why: &str) -> String {
    format!("{line:?} can't be replayed, as {why}: paste the line that a failure has printed")
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::explore::{Plan, Search};
    use crate::observe::run_log::Rules;

    #[test]
    fn what_is_written_is_read() {
        let rules = Rules { forbid_lost_values: true, ..Rules::default() };
        for search in [
            Search::Every { preemptions: Some(3) },
            Search::Every { preemptions: None },
            Search::Random { seed: u64::MAX },
            Search::Pct { seed: 7, depth: 3, length: Some(90) },
        ] {
            let plan = Plan { search, first: 0, most: None, within: None, steps: 500, rules };
            let line = write(&plan, 41, 90);
            let again = read(&line).expect(&line);
            assert_eq!(write(&again, 41, 90), line);
            assert_eq!(again.first + again.most.unwrap(), 42);
        }
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        for line in ["", "loom", "loom:preemptions=x:execution=1", "shuttle:seed=1", "a:b=c"] {
            let error = read(line).unwrap_err();
            assert!(error.contains("paste the line"), "{error}");
        }
    }
}
