//! Sites: the places of one file where it can be broken, and the mutants of each.
//!
//! | place | mutants |
//! |---|---|
//! | `Ordering::X` in a load, store, read-modify-write | each ordering that is weaker and allowed there |
//! | `fence(Ordering::X)` | each weaker fence; removed |
//! | `fence::light()`, `fence::heavy()` | removed |
//! | `// mutant: drop NAME` | the statement or block that follows is left out |
//! | `// mutant: NAME: replace A with B` | in the statement that follows, `B` stands for `A` |
//!
//! Every place becomes a choice at run time, so that all mutants are one build.

use crate::text::{Text, is_word};
use std::fmt;
use std::ops::Range;

/// What is wrong with a mutant, in the words of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only weak memory shows it: a sequentially consistent checker need not try.
    Order,
    /// A step is missing or another.
    Step,
}

/// A mutant's name: stable while other lines move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub file: String,
    pub item: String,
    pub what: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {}", self.file, self.item, self.what)
    }
}

/// One way to break the code.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub key: Key,
    pub kind: Kind,
}

/// A part of the text, and what to put around it so that its mutants can be chosen.
struct Site {
    at: Range<usize>,
    mutants: Vec<Mutant>,
    how: How,
}

/// How the choice is written.
enum How {
    /// Left out.
    Drop,
    /// One of these weaker orderings instead.
    Weaken(&'static [&'static str]),
    /// This instead.
    Replace(String),
}

impl How {
    fn prefix(&self, id: u32) -> String {
        match self {
            How::Drop => format!("if !{MODULE}::is({id}) {{ "),
            How::Weaken(_) => format!("{MODULE}::ordering({id}, &["),
            How::Replace(to) => format!("(if {MODULE}::is({id}) {{ {to} }} else {{ "),
        }
    }

    fn suffix(&self) -> String {
        match self {
            How::Drop => " }".to_owned(),
            How::Weaken(to) => {
                let to: String = to.iter().map(|to| format!(", Ordering::{to}")).collect();
                format!("{to}])")
            }
            How::Replace(_) => " })".to_owned(),
        }
    }
}

/// A file whose places are found.
pub struct File {
    text: Text,
    sites: Vec<Site>,
}

const MODULE: &str = "crate::platform::mutant";

impl File {
    pub fn new(path: &str, raw: &str) -> Result<File, String> {
        let text = Text::new(raw);
        let mut sites = marks(path, &text)?;
        if orderings_are_modelled(&text) {
            sites.extend(fences(path, &text));
            sites.extend(orderings(path, &text)?);
        }
        // The outer before the inner.
        sites.sort_by_key(|site| (site.at.start, std::cmp::Reverse(site.at.end)));
        number_the_equal(&mut sites);
        Ok(File { text, sites })
    }

    pub fn mutants(&self) -> impl Iterator<Item = &Mutant> {
        self.sites.iter().flat_map(|site| &site.mutants)
    }

    /// The text in which mutant `first` is the first of this file's.
    pub fn rewritten(&self, first: u32) -> String {
        let mut out = String::new();
        let (mut at, mut number) = (0, first);
        let mut open: Vec<&Site> = Vec::new();
        let close = |out: &mut String, at: &mut usize, open: &mut Vec<&Site>, until: usize| {
            while open.last().is_some_and(|site| site.at.end <= until) {
                let site = open.pop().expect("just seen");
                out.push_str(&self.text.raw[*at..site.at.end]);
                out.push_str(&site.how.suffix());
                *at = site.at.end;
            }
        };
        for site in &self.sites {
            close(&mut out, &mut at, &mut open, site.at.start);
            out.push_str(&self.text.raw[at..site.at.start]);
            out.push_str(&site.how.prefix(number));
            at = site.at.start;
            number += site.mutants.len() as u32;
            open.push(site);
        }
        close(&mut out, &mut at, &mut open, usize::MAX);
        out.push_str(&self.text.raw[at..]);
        out
    }
}

/// Of mutants that would have the same name the second gets a 2, and so on.
fn number_the_equal(sites: &mut [Site]) {
    let mut seen: Vec<Key> = Vec::new();
    for mutant in sites.iter_mut().flat_map(|site| &mut site.mutants) {
        let before = seen.iter().filter(|key| **key == mutant.key).count();
        seen.push(mutant.key.clone());
        if before > 0 {
            mutant.key.what = format!("{} ({})", mutant.key.what, before + 1);
        }
    }
}

/// Not so where `Ordering` is the real one's, of which no checker knows.
fn orderings_are_modelled(text: &Text) -> bool {
    let imports = text.mask.split(';').filter(|statement| statement.contains("unmodelled::"));
    !imports.into_iter().any(|import| import.contains("Ordering") && !import.contains("as Plain"))
}

fn key(path: &str, text: &Text, offset: usize, what: String) -> Key {
    Key { file: path.to_owned(), item: text.item(offset), what }
}

fn dropped(path: &str, text: &Text, at: Range<usize>, kind: Kind, what: String) -> Site {
    Site {
        mutants: vec![Mutant { key: key(path, text, at.start, what), kind }],
        how: How::Drop,
        at,
    }
}

fn fences(path: &str, text: &Text) -> Vec<Site> {
    let shipped = &text.mask[..text.shipped()];
    let mut sites = Vec::new();
    for call in ["fence(Ordering::", "fence::light()", "fence::heavy()"] {
        for (at, _) in shipped.match_indices(call) {
            if shipped[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':') {
                continue;
            }
            let statement = text.statement(at);
            let name = call.split_once('(').map_or(call, |(name, _)| name);
            let what = format!("`{name}` removed");
            sites.push(dropped(path, text, statement, Kind::Order, what));
        }
    }
    sites
}

fn orderings(path: &str, text: &Text) -> Result<Vec<Site>, String> {
    let shipped = &text.mask[..text.shipped()];
    let mut sites = Vec::new();
    for (at, path_of) in shipped.match_indices("Ordering::") {
        if shipped[..at].chars().next_back().is_some_and(|c| is_word(c) || c == ':') {
            continue;
        }
        let after = at + path_of.len();
        let now: String = shipped[after..].chars().take_while(|c| is_word(*c)).collect();
        let call = call_around(shipped, at);
        let weaker = weaker(&now, &call);
        if weaker.is_empty() {
            continue;
        }
        if call.name.is_empty() {
            let line = shipped[..at].matches('\n').count() + 1;
            return Err(format!("{path}:{line}: write the ordering in the call that it is for"));
        }
        let mutants = weaker.iter().map(|to| {
            let what = format!("`{}` {now} → {to}", call.name);
            Mutant { key: key(path, text, at, what), kind: Kind::Order }
        });
        sites.push(Site {
            at: at..after + now.len(),
            mutants: mutants.collect(),
            how: How::Weaken(weaker),
        });
    }
    Ok(sites)
}

/// The call of which an ordering is an argument.
struct Call {
    /// `field.method`, and which of two orderings.
    name: String,
    method: String,
    second: bool,
}

fn call_around(mask: &str, at: usize) -> Call {
    let (mut depth, mut open, mut orderings) = (0, 0, 0);
    for (place, c) in mask[..at].char_indices().rev() {
        match c {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' if depth == 0 => {
                open = place;
                break;
            }
            '(' | '[' | '{' => depth -= 1,
            'O' if depth == 0 && mask[place..at].starts_with("Ordering::") => orderings += 1,
            _ => {}
        }
    }
    let before = mask[..open].trim_end();
    let tail = |c: char| is_word(c) || c == '.' || c.is_whitespace();
    let from = before.char_indices().rev().take_while(|(_, c)| tail(*c)).last();
    let chain: String =
        before[from.map_or(before.len(), |(at, _)| at)..].split_whitespace().collect();
    let method = chain.rsplit('.').next().unwrap_or(&chain).to_owned();
    // The field and the method are enough.
    let short: Vec<&str> = chain.rsplitn(3, '.').take(2).collect();
    let short: Vec<&str> = short.into_iter().rev().filter(|part| !part.is_empty()).collect();
    let mut name = short.join(".");
    if orderings > 0 {
        name.push_str(" on failure");
    }
    Call { name, method, second: orderings > 0 }
}

/// What may stand there instead and asks for less.
fn weaker(now: &str, call: &Call) -> &'static [&'static str] {
    let load = call.method == "load" || call.second;
    let store = call.method == "store";
    match (now, &*call.method) {
        ("SeqCst", "fence") => &["AcqRel"],
        ("AcqRel", "fence") => &["Acquire", "Release"],
        (_, "fence") => &[],
        ("SeqCst", _) if load => &["Acquire", "Relaxed"],
        ("SeqCst", _) if store => &["Release", "Relaxed"],
        ("SeqCst", _) => &["AcqRel", "Acquire", "Release", "Relaxed"],
        ("AcqRel", _) => &["Acquire", "Release", "Relaxed"],
        ("Acquire" | "Release", _) => &["Relaxed"],
        _ => &[],
    }
}

fn marks(path: &str, text: &Text) -> Result<Vec<Site>, String> {
    let mut sites = Vec::new();
    let mut offset = 0;
    for (number, line) in text.raw.split_inclusive('\n').enumerate() {
        offset += line.len();
        let Some(mark) = line.trim().strip_prefix("// mutant: ") else { continue };
        let place = format!("{path}:{}", number + 1);
        let statement = text.statement(offset);
        sites.push(match mark.strip_prefix("drop ") {
            Some(name) => {
                if text.mask[statement.clone()].starts_with("let ") {
                    return Err(format!("{place}: a `let` can't be dropped; replace its value"));
                }
                dropped(path, text, statement, Kind::Step, format!("drop {name}"))
            }
            None => replaced(path, text, statement, mark).map_err(|e| format!("{place}: {e}"))?,
        });
    }
    Ok(sites)
}

fn replaced(path: &str, text: &Text, within: Range<usize>, mark: &str) -> Result<Site, String> {
    let parts = mark.split_once(": replace ").and_then(|(name, rest)| {
        let (from, to) = rest.split_once(" with ")?;
        Some((name, from, to.to_owned()))
    });
    let (name, from, to) = parts.ok_or("say `drop NAME` or `NAME: replace A with B`")?;
    let mut places = text.raw[within.clone()].match_indices(from);
    let (Some((at, _)), None) = (places.next(), places.next()) else {
        return Err(format!("`{from}` is not there, or more than once"));
    };
    let at = within.start + at..within.start + at + from.len();
    let what = format!("{name}: `{from}` → `{to}`");
    Ok(Site {
        mutants: vec![Mutant { key: key(path, text, at.start, what), kind: Kind::Step }],
        how: How::Replace(to),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(raw: &str) -> Vec<String> {
        let file = File::new("f", raw).expect("well marked");
        file.mutants().map(|mutant| mutant.key.what.clone()).collect()
    }

    #[test]
    fn orderings_are_weakened_as_their_operation_allows() {
        let raw = "fn f() { a.b.load(Ordering::Acquire); c(d).e\n.swap(1, Ordering::AcqRel);
            g.compare_exchange(1, h(2), Ordering::Release, Ordering::Acquire); }";
        let expected = [
            "`b.load` Acquire → Relaxed",
            "`e.swap` AcqRel → Acquire",
            "`e.swap` AcqRel → Release",
            "`e.swap` AcqRel → Relaxed",
            "`g.compare_exchange` Release → Relaxed",
            "`g.compare_exchange on failure` Acquire → Relaxed",
        ];
        assert_eq!(names(raw), expected);
    }

    #[test]
    fn fences_are_weakened_and_removed() {
        let raw =
            "fn f() { fence(Ordering::SeqCst); fence::light(); compiler_fence(Plain::SeqCst); }";
        let expected = ["`fence` removed", "`fence` SeqCst → AcqRel", "`fence::light` removed"];
        assert_eq!(names(raw), expected);
    }

    #[test]
    fn nested_places_are_rewritten_inside_out() {
        let raw = "fn f() {\n// mutant: drop a\nfence(Ordering::SeqCst);\n}";
        let file = File::new("f", raw).expect("well marked");
        let expected = "fn f() {\n// mutant: drop a\n\
            if !crate::platform::mutant::is(7) { if !crate::platform::mutant::is(8) { \
            fence(crate::platform::mutant::ordering(9, &[Ordering::SeqCst, Ordering::AcqRel])); \
            } }\n}";
        assert_eq!(file.rewritten(7), expected);
    }

    #[test]
    fn a_mark_replaces_what_it_names() {
        let raw = "fn f() {\n// mutant: half: replace b / 2 with b\na(b / 2);\n}";
        let file = File::new("f", raw).expect("well marked");
        assert!(
            file.rewritten(1)
                .contains("a((if crate::platform::mutant::is(1) { b } else { b / 2 }));")
        );
    }

    #[test]
    fn marks_that_make_no_sense_are_refused() {
        for raw in [
            "// mutant: drop a\nlet b = 1;",
            "// mutant: a: replace c with d\nb();",
            "// mutant: a: replace b with d\nb(b);",
            "// mutant: nothing of the kind\nb();",
            "fn f() { let (a, b) = (Ordering::Acquire, Ordering::Relaxed); }",
        ] {
            assert!(File::new("f", raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn what_no_checker_knows_is_left_alone() {
        let raw = "use crate::platform::unmodelled::{AtomicU32, Ordering};
            fn f() { a.load(Ordering::Acquire); }";
        assert!(names(raw).is_empty());
    }

    #[test]
    fn equal_names_are_numbered() {
        let raw = "fn f() { a.load(Ordering::Acquire); a.load(Ordering::Acquire); }";
        assert_eq!(names(raw), ["`a.load` Acquire → Relaxed", "`a.load` Acquire → Relaxed (2)"]);
    }
}
