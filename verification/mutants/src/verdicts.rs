//! Verdicts: what a person has said of survivors (`survivors.txt`), and of bugs that others shipped
//! (`corpus.txt`). Both name mutants by their keys, and both are refused once they no longer fit.

use crate::plan::Fate;
use std::collections::BTreeMap;

/// `key => verdict: reason`, one a line.
pub struct Survivors(BTreeMap<String, (String, String)>);

/// What a survivor may be.
const VERDICTS: [&str; 3] = ["redundant", "loom-blind", "unmodelled"];

impl Survivors {
    pub fn read(text: &str) -> Result<Survivors, String> {
        let mut explained = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parts = line.split_once(" => ").and_then(|(key, said)| {
                let (verdict, reason) = said.split_once(": ")?;
                VERDICTS.contains(&verdict).then_some((key, verdict, reason))
            });
            let (key, verdict, reason) = parts.ok_or_else(|| {
                format!("survivors.txt: say `key => {}: reason`: {line}", VERDICTS.join(" or "))
            })?;
            let said = (verdict.to_owned(), reason.to_owned());
            if explained.insert(key.trim().to_owned(), said).is_some() {
                return Err(format!("survivors.txt: twice: {key}"));
            }
        }
        Ok(Survivors(explained))
    }

    /// Verdict and reason.
    pub fn of(&self, fate: &Fate) -> Option<(&str, &str)> {
        let said = self.0.get(&fate.numbered.mutant.key.to_string());
        said.map(|(verdict, reason)| (&**verdict, &**reason))
    }

    /// What is wrong: survivors of which nothing is said, and words about mutants that were killed or
    /// do not exist. `all`: the fates are those of every mutant.
    pub fn complaints(&self, fates: &[Fate], all: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        for fate in fates {
            let key = &fate.numbered.mutant.key;
            match (&fate.killed, self.of(fate)) {
                (None, None) => complaints.push(format!("survived, unexplained: {key}")),
                (Some(killed), Some(_)) => {
                    complaints.push(format!("explained, yet killed by {}: {key}", killed.check));
                }
                _ => {}
            }
        }
        let exists =
            |key: &&String| fates.iter().any(|fate| fate.numbered.mutant.key.to_string() == **key);
        if all {
            let stale = self.0.keys().filter(|key| !exists(key));
            complaints.extend(stale.map(|key| format!("explained, but there is no such: {key}")));
        }
        complaints
    }
}

/// A bug that somebody shipped.
pub struct Shipped {
    pub name: String,
    /// What went wrong there.
    pub what: String,
    /// The keys of the mutants that are the same here.
    pub mutants: Vec<String>,
    /// How they are the same; or why there is no place for it here.
    pub here: String,
}

/// Paragraphs: `name: what`, lines `mutant: key`, a line `here: words`.
pub fn read_corpus(text: &str) -> Result<Vec<Shipped>, String> {
    let mut corpus = Vec::new();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    for paragraph in text.split("\n\n").map(str::trim).filter(|text| !text.is_empty()) {
        let mut lines = paragraph.lines();
        let head = lines.next().unwrap_or_default();
        let malformed =
            || format!("corpus.txt: `name: what`, `mutant: key`, `here: words`: {head}");
        let (name, what) = head.split_once(": ").ok_or_else(malformed)?;
        let (name, what) = (name.to_owned(), what.to_owned());
        let mut shipped = Shipped { name, what, mutants: Vec::new(), here: String::new() };
        for line in lines {
            match line.split_once(": ").ok_or_else(malformed)? {
                ("mutant", key) => shipped.mutants.push(key.to_owned()),
                ("here", words) => words.clone_into(&mut shipped.here),
                _ => return Err(malformed()),
            }
        }
        corpus.push(shipped);
    }
    Ok(corpus)
}

/// Every bug that has mutants was found: each of them was killed.
pub fn corpus_complaints(corpus: &[Shipped], fates: &[Fate]) -> Vec<String> {
    let mut complaints = Vec::new();
    for shipped in corpus {
        if shipped.here.is_empty() {
            complaints.push(format!("{}: `here:` is missing", shipped.name));
        }
        for key in &shipped.mutants {
            match fates.iter().find(|fate| fate.numbered.mutant.key.to_string() == *key) {
                None => complaints.push(format!("{}: there is no mutant {key}", shipped.name)),
                Some(fate) if fate.killed.is_none() => {
                    complaints.push(format!("{}: not found: {key}", shipped.name));
                }
                Some(_) => {}
            }
        }
    }
    complaints
}
