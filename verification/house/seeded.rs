//! Each rule, against a tree with one violation that it must see, and its twin that it must pass.

use crate::tree::Tree;
use crate::{checks, docs, language, layers, rules};

/// The rule sees exactly one violation, which says `what`, and none once `good` stands instead.
fn sees(rule: fn(&Tree) -> Vec<String>, what: &str, bad: &[(&str, &str)], good: &[(&str, &str)]) {
    let violations = rule(&Tree::of(bad));
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].contains(what), "{violations:?}");
    assert_eq!(rule(&Tree::of(good)), Vec::<String>::new());
}

/// As [`sees`], for one file at `path`.
fn sees_in(rule: fn(&Tree) -> Vec<String>, path: &str, what: &str, bad: &str, good: &str) {
    sees(rule, what, &[(path, bad)], &[(path, good)]);
}

#[test]
fn std_sync_outside_the_platform() {
    let rule = rules::platform_alone;
    let doc = "/// use std::sync::Arc;\nfn f() { let text = \"std::thread\"; }";
    sees_in(rule, "src/sched/a.rs", "std::sync", "fn f() {\n std::sync::Arc::new(0);\n}", doc);
    sees_in(rule, "src/a.rs", "std::thread", "use std::{fmt, thread};", "use std::{fmt, io};");
    let text = "use std::sync::Arc;";
    sees(rule, "src/b.rs", &[("src/b.rs", text)], &[("src/platform/b.rs", text)]);
    let test = "#[cfg(test)]\nmod tests {\n    use std::thread;\n}";
    sees_in(rule, "src/c.rs", "std::thread", "use std::thread;", test);
    let (parent, child) = ("#[cfg(test)]\nmod tests;", "use std::thread;");
    let good = [("src/x/mod.rs", parent), ("src/x/tests.rs", child)];
    sees(rule, "tests.rs", &[("src/x/mod.rs", "mod tests;"), good[1]], &good);
}

#[test]
fn feature_of_a_checker_outside_the_platform() {
    let bad = "#[cfg(feature = \"loom\")]\nfn f() {}";
    let good = "#[cfg(feature = \"net\")]\nfn f() {}";
    sees_in(rules::platform_alone, "src/structures/a.rs", "feature", bad, good);
    let doctest = "#![cfg(not(all(doctest, feature = \"loom\")))]";
    sees_in(rules::platform_alone, "src/lib.rs", "feature", bad, doctest);
}

#[test]
fn import_of_a_layer_above() {
    let rule = layers::imports_go_down;
    let down = "use crate::platform::Mutex;";
    sees_in(rule, "src/structures/a.rs", "sched/core", "use crate::sched::core::cell::Ptr;", down);
    sees_in(rule, "src/sched/core/a.rs", "crate::wait", "use crate::wait::Wait;", down);
    sees_in(rule, "src/platform/a.rs", "crate::fiber", "use crate::fiber::Fiber;", "");
    sees_in(rule, "src/chan/a.rs", "crate::time", "fn f() { crate::time::never() }", down);
    // The same row.
    sees_in(rule, "src/sched/idle/a.rs", "sched/timers", "use crate::sched::timers::Timers;", down);
    sees_in(rule, "src/sync/a.rs", "crate::time", "use crate::time::Instant;", down);
    // One of a group, over two lines, and within another group.
    let group = "use crate::{fiber::Fiber,\n api::go, structures::{List, Link}};";
    sees_in(rule, "src/sched/worker/b.rs", "crate::api::go", group, "use crate::{fiber::{Fiber}};");
    let nested = "use crate::sched::{core::{cell::Ptr, ready}, monitor::Stall};";
    sees_in(
        rule,
        "src/sched/worker/c.rs",
        "sched/monitor",
        nested,
        "use crate::sched::{core::{a}};",
    );
    // By `super`, from an inline module too.
    sees_in(
        rule,
        "src/sched/idle/d.rs",
        "sched/core",
        "use super::super::core::cell::Ptr;",
        "use super::wake;",
    );
    let inline = "mod a {\n    fn f() { super::super::super::worker::run() }\n}";
    let own = "mod a {\n    fn f() { super::g() }\n}";
    sees_in(rule, "src/sched/core/e.rs", "sched/worker", inline, own);
    // By a re-export: through the root everything can reach everything.
    sees_in(
        rule,
        "src/api/f.rs",
        "the crate's root",
        "use crate::Runtime;",
        "use crate::api::runtime::Runtime;",
    );
    sees_in(
        rule,
        "src/sched/core/g.rs",
        "the crate's root",
        "use crate::sched::Shared;",
        "use super::runtime::Shared;",
    );
    // Inline tests do not ship.
    let test = "#[cfg(test)]\nmod tests {\n    use crate::model::check;\n}";
    sees_in(rule, "src/structures/h.rs", "crate::model", "use crate::model::check;", test);
}

#[test]
fn who_for_a_thread() {
    let rule = language::who_is_a_person;
    let good = "// The thread that locks.\nlet whose = \"who\"; // A user who reads.";
    sees_in(rule, "src/a.rs", "who", "// Who locks waits.", good);
    sees_in(rule, "src/b.rs", "whom", "/// By whom it was locked.", good);
    sees_in(rule, "src/c.rs", "threads who", "// Threads who wait.", good);
    let doc = "`whose` is an identifier.\n```\nwho\n```\nReaders who know.";
    sees_in(rule, "docs/a.md", "whoever", "It goes to whoever asks.", doc);
}

#[test]
fn unsafe_without_a_reason() {
    let rule = rules::unsafe_says_why;
    let bad = "fn f() {\n    unsafe { g() }\n}";
    sees_in(rule, "src/a.rs", "in `f`", bad, "fn f() {\n    // SAFETY: so.\n    unsafe { g() }\n}");
    let impls = "// SAFETY: so.\nunsafe impl Send for A {}\nunsafe fn f() {}";
    sees_in(rule, "src/b.rs", "SAFETY", "unsafe impl Send for A {}", impls);
    let text = "fn f() { let text = \"unsafe { }\"; } // unsafe {";
    sees_in(rule, "src/c.rs", "SAFETY", "fn f() {\n    g(unsafe\n    { h() });\n}", text);
}

#[test]
fn ordering_without_a_reason() {
    let rule = rules::ordering_says_what_for;
    let bad = "fn f() {\n    a.load(Ordering::Acquire);\n}";
    let good = "fn f() {\n    // Acquire: pairs with g.\n    a.load(Ordering::Acquire);\n}";
    sees_in(rule, "src/a.rs", "in `f`", bad, good);
    let tests = "#[cfg(test)]\nmod tests {\n    fn f() { a.load(Ordering::SeqCst); }\n}";
    sees_in(rule, "src/b.rs", "ordering", "fn f() { a.load(Ordering::SeqCst); }", tests);
    let order = "fn f() { a.cmp(b) == Ordering::Less; }";
    sees_in(rule, "src/c.rs", "ordering", "fn f() { fence(Plain::SeqCst); }", order);
}

#[test]
fn long_file_and_long_function() {
    let long = "// A line.\n".repeat(401);
    sees_in(rules::sizes, "src/a.rs", "401 lines", &long, &long[11..]);
    let function =
        |lines: usize| format!("fn f(a: [u8; 2]) {{\n{}}}\n", "    g();\n".repeat(lines));
    let (bad, good) = (function(59), function(58));
    sees_in(rules::sizes, "proptests/a.rs", "`f`: a function of 61 lines", &bad, &good);
    let declared = format!("trait T {{\n    fn g();\n{}}}\n", "    // x\n".repeat(80));
    assert_eq!(rules::sizes(&Tree::of(&[("src/b.rs", &declared)])), Vec::<String>::new());
}

#[test]
fn check_that_does_not_exist() {
    let bad = "//! A.\n//! Checked by: verification/loom/a.rs,\n//! proptests/b.rs.\n//! C.";
    let files = [("src/a.rs", bad), ("verification/loom/a.rs", ""), ("proptests/b.rs", "")];
    sees(docs::heads_name_checks_that_exist, "proptests/b.rs", &files[..2], &files);
}

#[test]
fn citation_that_does_not_resolve() {
    let rule = docs::citations_resolve;
    let code = ("src/a.rs", "fn begin_park() {}");
    let bad = "See `src/a.rs` (`begin_park`,\n`end_park`).";
    let good = "See `src/a.rs`\n(`StateWord::begin_park`), `src/`, and `src/a.rs::begin_park`.";
    sees(rule, "`end_park`", &[("docs/a.md", bad), code], &[("docs/a.md", good), code]);
    let fenced = "```\n`src/b.rs`\n```\n";
    sees_in(rule, "docs/b.md", "src/b.rs", "Not there: `src/b.rs`.", fenced);
    let bad = "| `src/a.rs::park` |";
    sees(rule, "test `park`", &[("docs/c.md", bad), code], &[("docs/c.md", ""), code]);
}

#[test]
fn invariant_without_code_check_or_use() {
    let rule = docs::invariants_are_traced;
    let code = ("src/a.rs", "//! [S1] One.\nfn f() {}");
    let table =
        |row: &str| format!("| ID | statement | code | checks |\n|---|---|---|---|\n{row}\n");
    let good = table("| [S1] | One. | `src/a.rs` | `proptests/a.rs::one` |");
    let seen = |what, bad: &str| {
        let bad = table(bad);
        sees(
            rule,
            what,
            &[("docs/invariants.md", &bad), code],
            &[("docs/invariants.md", &good), code],
        );
    };
    seen("[S1] has no code", "| [S1] | One. | nowhere | `proptests/a.rs::one` |");
    seen("[S1] has no check", "| [S1] | One. | `src/a.rs` | `proptests/a.rs` |");
    seen("[S1] is missing", "");
    let both = "| [S1] | One. | `src/a.rs` | `proptests/a.rs::one` |\n\
                | [S2] | Two. | `src/a.rs` | `proptests/a.rs::two` |";
    seen("no code names [S2]", both);
}

#[test]
fn chapter_that_nobody_finds() {
    let contents = ("docs/README.md", "[A](a.md)");
    let (found, lost) = (("docs/a.md", ""), ("docs/b.md", ""));
    sees(docs::chapters_are_listed, "b.md", &[contents, found, lost], &[contents, found]);
    let long = "A line.\n".repeat(251);
    let generated = [("docs/README.md", "[S](scenarios.md)"), ("docs/scenarios.md", &long)];
    sees(docs::chapters_are_listed, "251", &[contents, ("docs/a.md", &long)], &generated);
}

#[test]
fn ignored_test() {
    let figures = "#[ignore = \"prints figures\"]\nfn f() {} // #[ignore]";
    sees_in(checks::none_is_ignored, "proptests/a.rs", "ignored", "#[ignore]\nfn f() {}", figures);
}

#[test]
fn model_that_takes_time() {
    let rule = checks::models_take_no_time;
    let (sleeps, sleep) = ("fn f() { thread::sleep(LONG); }", "fn f() { selvedge::sleep(LONG); }");
    sees_in(rule, "verification/loom/a.rs", "in `f`: a model names thread::sleep", sleeps, sleep);
    let clock = "use std::time::Instant;";
    let harness = [("verification/shuttle/harness.rs", clock)];
    sees(rule, "Instant", &[("verification/shuttle/a.rs", clock)], &harness);
}

#[test]
fn file_that_nobody_compiles() {
    let rule = checks::every_file_is_a_module;
    let main = |text| ("verification/loom/main.rs", text);
    let (idle, shared) = (("verification/loom/idle.rs", ""), ("verification/loom/b/mod.rs", ""));
    let both = [main("mod idle;\nmod b;"), idle, shared];
    sees(rule, "idle.rs", &[main("mod b; // mod idle;"), idle, shared], &both);
    sees(rule, "b/mod.rs", &[main("mod idle;"), idle, shared], &both);
    let below = [main("mod idle;"), idle, ("verification/loom/idle/x.rs", "")];
    let named = [main("mod idle;"), ("verification/loom/idle.rs", "mod x;"), below[2]];
    sees(rule, "idle/x.rs", &below, &named);
}

#[test]
fn model_without_a_word() {
    let good = "/// 2 threads: push | pop.\n#[test]\nfn f() { Scenario::check() }";
    let bad = "// 2 threads.\n#[test]\nfn f() { Scenario::check() }";
    sees_in(checks::models_say_what_they_are, "verification/loom/a.rs", "in `f`", bad, good);
}

#[test]
fn ordering_without_a_check() {
    let rule = checks::orderings_have_a_check;
    let code = "fn f() { a.load(Ordering::Acquire); }";
    let checked = format!("//! Checked by: verification/loom/a.rs.\n{code}");
    sees_in(rule, "src/a.rs", "in `f`", code, &checked);
    let head = ("src/x/mod.rs", "//! Checked by: verification/loom/a.rs.");
    sees(rule, "src/x/a.rs", &[("src/x/a.rs", code)], &[("src/x/a.rs", code), head]);
}
