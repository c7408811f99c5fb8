//! Checks: the tests of the copy, each run in a process of its own, broken or not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Who explores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    Loom,
    Shuttle,
}

impl Checker {
    pub fn name(self) -> &'static str {
        match self {
            Checker::Loom => "loom",
            Checker::Shuttle => "shuttle",
        }
    }

    /// The tests that a `Checked by` path means; `None` if it is another checker's.
    pub fn prefix(self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&format!("verification/{}/", self.name()))?;
        let module = rest.strip_suffix(".rs").unwrap_or(rest);
        let module = module.strip_suffix("/mod").unwrap_or(module).trim_end_matches('/');
        Some(if module.is_empty() { String::new() } else { module.replace('/', "::") + "::" })
    }
}

/// One test, and what it did on the sound code.
#[derive(Clone, Debug)]
pub struct Check {
    pub checker: Checker,
    /// As the test harness names it.
    pub test: String,
    pub seconds: f64,
    /// The mutants whose places it comes by: it can't see others.
    pub comes_by: BTreeSet<u32>,
}

/// What the harness of the check printed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub bound: String,
    pub permutations: String,
    pub end: String,
}

/// What a check said of a mutant.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Green,
    /// It failed; the row is missing where the process died before it could print one.
    Red {
        row: Option<Row>,
        why: String,
        seconds: f64,
    },
    /// It did not end in time, which proves nothing.
    Cut,
}

/// The programs that hold the tests.
pub struct Programs {
    programs: Vec<(Checker, PathBuf)>,
    scratch: PathBuf,
}

/// However fast it is on the sound code, a check has so many seconds, of processor time where the
/// system tells.
const PATIENCE: f64 = 20.0;

impl Programs {
    pub fn new(programs: Vec<(Checker, PathBuf)>, scratch: &Path) -> Result<Programs, String> {
        let scratch = scratch.to_owned();
        fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        Ok(Programs { programs, scratch })
    }

    /// The names of all tests.
    pub fn tests(&self) -> Result<Vec<(Checker, String)>, String> {
        let mut tests = Vec::new();
        for (checker, program) in &self.programs {
            let listed = Command::new(program).args(["--list", "--format", "terse"]).output();
            let listed = listed.map_err(|error| format!("{}: {error}", program.display()))?;
            let names = String::from_utf8_lossy(&listed.stdout).into_owned();
            let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
            tests.extend(names.map(|name| (*checker, name.to_owned())));
        }
        Ok(tests)
    }

    /// Runs a test on the sound code, and sees what it comes by, for at most so many seconds. `None`:
    /// it is no model (it prints no row).
    pub fn baseline(
        &self,
        checker: Checker,
        test: &str,
        limit: f64,
    ) -> Result<Option<Check>, String> {
        let (status, seconds, output) = self.run(checker, test, "cover", limit)?;
        if status.is_some_and(|status| !status.success()) {
            return Err(format!("{test} fails on the sound code:\n{output}"));
        }
        if status.is_some() && rows(&output).is_empty() {
            return Ok(None);
        }
        let numbers = output.lines().filter_map(|line| line.strip_prefix("come by "));
        let comes_by = numbers.filter_map(|number| number.parse().ok()).collect();
        Ok(Some(Check { checker, test: test.to_owned(), seconds, comes_by }))
    }

    /// Runs a check with mutant `id`.
    pub fn check(&self, check: &Check, id: u32) -> Result<Verdict, String> {
        let limit = PATIENCE.max(6.0 * check.seconds);
        let (status, seconds, output) =
            self.run(check.checker, &check.test, &id.to_string(), limit)?;
        let Some(status) = status else { return Ok(Verdict::Cut) };
        if status.success() {
            return Ok(Verdict::Green);
        }
        let row = rows(&output).into_iter().find(|row| row.end == "RED");
        Ok(Verdict::Red { row, why: why(&output, status), seconds })
    }

    /// The status, unless it took longer than `limit`; how long it took; and all that it printed.
    fn run(
        &self,
        checker: Checker,
        test: &str,
        mutant: &str,
        limit: f64,
    ) -> Result<(Option<ExitStatus>, f64, String), String> {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let own = self.scratch.join(format!("{}-{number}", std::process::id()));
        let fail = |error| format!("{test}: {error}");
        fs::create_dir_all(&own).map_err(fail)?;
        let printed = own.join("printed");
        let file = fs::File::create(&printed).map_err(fail)?;
        let program = self.programs.iter().find(|(whose, _)| *whose == checker);
        let (_, program) = program.ok_or_else(|| format!("{test}: no program"))?;
        let mut child = Command::new(program)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env("SELVEDGE_MUTANT", mutant)
            .env("SELVEDGE_REPLAYS", &own)
            .env("RUST_BACKTRACE", "0")
            .stdout(file.try_clone().map_err(fail)?)
            .stderr(file)
            .spawn()
            .map_err(fail)?;
        let start = Instant::now();
        let mut seconds = 0.0;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(fail)? {
                break Some(status);
            }
            seconds = processor_seconds(child.id()).unwrap_or(start.elapsed().as_secs_f64());
            // A deadlock takes no time at all.
            if seconds > limit || start.elapsed().as_secs_f64() > 20.0 * limit {
                child.kill().map_err(fail)?;
                child.wait().map_err(fail)?;
                break None;
            }
            std::thread::sleep(Duration::from_millis(4));
        };
        let output = String::from_utf8_lossy(&fs::read(&printed).map_err(fail)?).into_owned();
        fs::remove_dir_all(&own).map_err(fail)?;
        Ok((status, seconds, output))
    }
}

/// What a process has used so far.
fn processor_seconds(id: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before the last bracket may contain anything; then come the fields from the third on.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// `... | bound or scheduler | permutations | seconds | END`
fn rows(output: &str) -> Vec<Row> {
    const ENDS: [&str; 4] = ["COMPLETE", "CUT", "RED", "SAMPLED"];
    let mut rows = Vec::new();
    for line in output.lines() {
        let mut cells = line.rsplit(" | ");
        let (Some(end), Some(_), Some(permutations), Some(bound), Some(_)) =
            (cells.next(), cells.next(), cells.next(), cells.next(), cells.next())
        else {
            continue;
        };
        if ENDS.contains(&end) {
            let (bound, permutations) = (bound.to_owned(), permutations.to_owned());
            rows.push(Row { bound, permutations, end: end.to_owned() });
        }
    }
    rows
}

/// A few words of why it failed: the first panic's, as a rule.
fn why(output: &str, status: ExitStatus) -> String {
    if let Some((_, rest)) = output.split_once("selvedge: specification: ")
        && let Some((rule, what)) = rest.split_once(" is broken: ")
    {
        return short(&format!("{rule} {what}"));
    }
    for (said, means) in [
        ("Causality violation", "race"),
        ("deadlock", "deadlock"),
        ("exceeded maximum number of branches", "livelock"),
        ("exceeded max_steps", "livelock"),
    ] {
        if output.contains(said) {
            return means.to_owned();
        }
    }
    let broken =
        output.split_once("broken invariant at ").and_then(|(_, rest)| rest.split_once(": "));
    if let Some((_, rest)) = broken {
        return short(rest.split(';').next().unwrap_or(rest));
    }
    let mut lines = output.lines().skip_while(|line| !line.contains("panicked at"));
    match lines.nth(1) {
        Some(words) => short(words),
        None => status.to_string(),
    }
}

fn short(words: &str) -> String {
    let line = words.lines().next().unwrap_or_default().replace('|', "/");
    let mut short: String = line.chars().take(60).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_their_end() {
        let output = "come by 3\na | b | 2 | c | d | 2 | 17 | 0.4 | RED\ntest a ... FAILED\n";
        let row = Row { bound: "2".into(), permutations: "17".into(), end: "RED".into() };
        assert_eq!(rows(output), [row]);
    }

    #[test]
    fn checked_by_paths_name_tests() {
        let loom = |path| Checker::Loom.prefix(path);
        assert_eq!(loom("verification/loom/idle.rs"), Some("idle::".to_owned()));
        assert_eq!(loom("verification/loom/chan/close.rs"), Some("chan::close::".to_owned()));
        assert_eq!(loom("verification/loom/chan/"), Some("chan::".to_owned()));
        assert_eq!(loom("verification/loom/"), Some(String::new()));
        assert_eq!(loom("verification/shuttle/"), None);
    }

    #[test]
    fn why_is_said_in_a_few_words() {
        use std::os::unix::process::ExitStatusExt;
        let status = ExitStatus::from_raw(134);
        let panicked = "thread 'a' panicked at b.rs:1:2:\nassertion `left == right` failed: S2\n";
        assert_eq!(why(panicked, status), "assertion `left == right` failed: S2");
        assert_eq!(why("deadlock; threads = []", status), "deadlock");
        let named =
            "selvedge: specification: [I1] is broken: goroutine 2 waits\nthread 'a' panicked";
        assert_eq!(why(named, status), "[I1] goroutine 2 waits");
        let broken = "selvedge: broken invariant at a.rs:1:2: settle: expected A, found B; this";
        assert_eq!(why(broken, status), "settle: expected A, found B");
    }
}
