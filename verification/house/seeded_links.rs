//! Each rule of `links`, against trees with one violation each that it must see, and a tree that it must pass.

use crate::links;
use crate::tree::Tree;

/// The rule sees exactly one violation, which says `what`, in the tree `bad`.
fn sees(rule: fn(&Tree) -> Vec<String>, what: &str, bad: &[(&str, &str)]) {
    let violations = rule(&Tree::of(bad));
    assert_eq!(violations.len(), 1, "{what}: {violations:?}");
    assert!(violations[0].contains(what), "{violations:?}");
}

fn passes(rule: fn(&Tree) -> Vec<String>, good: &[(&str, &str)]) {
    assert_eq!(rule(&Tree::of(good)), Vec::<String>::new());
}

#[test]
fn link_to_a_file_that_is_not_there() {
    let rule = links::links_resolve;
    let other = ("docs/b.md", "");
    sees(rule, "docs/a.md:2: there is no c.md", &[("docs/a.md", "A.\n[b](b.md) [c](c.md)"), other]);
    sees(rule, "README.md:1: there is no b.md", &[("README.md", "[b](b.md \"title\")"), other]);
    sees(rule, "a.svg", &[("docs/a.md", "![a](a.svg)"), other]);
    sees(rule, "there is no ", &[("docs/a.md", "[a draft]()"), other]);
    sees(rule, "out of the repository", &[("docs/a.md", "[b](../../b.md)"), other]);
    sees(rule, "out of the repository", &[("docs/a.md", "[b](/docs/b.md)"), other]);
    sees(rule, "c.md", &[("docs/a.md", "<a href=\"c.md\">c</a>"), other]);
    sees(rule, "c.md", &[("docs/a.md", "[c]\n\n[c]: c.md"), other]);
    sees(rule, "c(1).md", &[("docs/a.md", "[c](<c(1).md>)"), other]);
    sees(rule, "nothing defines [c]", &[("docs/a.md", "[b][c]"), other]);
    sees(rule, "nothing defines [c]", &[("docs/a.md", "[c][]"), other]);
    let good = "[b](b.md), [docs](../docs), [far](https://a.b/c#d), [b][2]; [D1][D2]\n\
                `[c](c.md)`, ``[c](c.md) ` ``\n```\n[c](c.md)\n```\n<!-- [c](c.md) -->\n[2]: ./b.md";
    passes(rule, &[("docs/a.md", good), other]);
}

#[test]
fn anchor_that_is_not_there() {
    let rule = links::links_resolve;
    let text = "# The `one`, and *two*\n## Twice\n```\n# Not this\n```\n## Twice\n### [L](x.rs) it_is\n\
                <a id=\"d1\"></a>";
    let target = [("docs/b.md", text), ("docs/x.rs", "")];
    let with = |link: &'static str| [[("docs/a.md", link)].as_slice(), &target].concat();
    sees(rule, "docs/b.md has no heading #three", &with("[b](b.md#three)"));
    sees(rule, "#not-this", &with("[b](b.md#not-this)"));
    sees(rule, "#twice-2", &with("[b](b.md#twice-2)"));
    sees(rule, "docs/a.md has no heading #one", &with("[a](#one)"));
    sees(rule, "cite an item", &with("[x](x.rs#L1)"));
    let good = "[b](b.md#the-one-and-two) [b](b.md#twice) [b](b.md#twice-1) [b](b.md#l-it_is)\n\
                [b](b.md#d1) [a](#own)\n# Own";
    passes(rule, &with(good));
}

#[test]
fn chapter_that_the_book_does_not_have() {
    let rule = links::the_book_has_each_chapter;
    let (first, second) = (("docs/README.md", ""), ("docs/a/b.md", ""));
    let with = |summary: &'static str| [("docs/SUMMARY.md", summary), first, second];
    sees(rule, "docs/a/b.md is missing", &with("[R](README.md)"));
    sees(rule, "docs/README.md is missing", &with("- [B](a/b.md) `[R](README.md)`"));
    sees(rule, "listed 2 times", &with("[R](README.md)\n- [B](a/b.md)\n- [B](./a/b.md)"));
    passes(rule, &with("# Summary\n[R](README.md)\n- [B](a/b.md)"));
    let missing = rule(&Tree::of(&[first, second]));
    assert_eq!(missing.len(), 2, "without a summary each chapter is missing: {missing:?}");
}

#[test]
fn chapter_that_leads_out_of_the_book() {
    let rule = links::chapters_stay_in_the_book;
    let leaves = "[it](../src/a.rs)";
    sees(rule, "docs/a.md:1: ../src/a.rs", &[("docs/a.md", leaves)]);
    sees(rule, "../README.md#a", &[("docs/a.md", "[it](../README.md#a)")]);
    let good = "[it](a.svg#b) [x](x/y.md) [far](https://a.b)";
    passes(rule, &[("docs/a.md", good), ("README.md", leaves)]);
}

#[test]
fn summary_is_no_chapter() {
    let (contents, summary) = (("docs/README.md", ""), ("docs/SUMMARY.md", ""));
    let rule = links::chapters_are_listed;
    sees(rule, "a.md is not listed", &[contents, summary, ("docs/a.md", "")]);
    passes(rule, &[contents, summary]);
}

#[test]
fn citation_outside_of_docs_that_does_not_resolve() {
    let rule = links::citations_outside_of_docs_resolve;
    let code = ("src/a.rs", "fn begin() {}");
    let bad = "See `src/a.rs` (`end`).";
    sees(rule, "CONTRIBUTING.md: there is no `end` in src/a.rs", &[("CONTRIBUTING.md", bad), code]);
    sees(rule, ".github/a.md", &[(".github/a.md", "`src/b.rs`"), code]);
    let good = ("README.md", "See `src/a.rs` (`begin`), and `src/*.rs`.");
    passes(rule, &[good, code, ("docs/a.md", bad), ("CHANGELOG.md", bad)]);
}

#[test]
fn task_that_does_not_exist() {
    let rule = links::tasks_exist;
    let tasks = ("verification/xtask/src/tasks.rs", "name: \"check\", name: \"release-check\"");
    sees(
        rule,
        "a.md:2: there is no `cargo xtask chec`",
        &[("a.md", "A\n`cargo xtask chec`"), tasks],
    );
    let good = "`cargo xtask`, `cargo xtask check`, `cargo xtask NAME`,\n    cargo xtask --print release-check";
    passes(rule, &[("a.md", good), tasks]);
}
