//! House rules: what the compiler does not check of `src/` and `docs/`.
//!
//! | rule | file |
//! |---|---|
//! | `std::sync`, `std::thread` and the checkers' features only in `src/platform/` | `rules` |
//! | no module imports from a floor above | `rules` |
//! | each `unsafe` block and impl says why, each ordering what for | `rules` |
//! | files and functions stay short | `rules` |
//! | no test is ignored, no file of tests left out; models take no time, and say what runs | `checks` |
//! | each file with an ordering names its check | `checks` |
//! | each invariant has code and a check; each citation resolves | `docs` |
//! | each link, anchor and name of a task resolves; the book has each chapter | `links` |
//! | a dependent can't name the inside, unless it asks for `internals` | `door` |
//!
//! The last rule asks the compiler. Each other one is a function from a tree of files to violations: here it is
//! held against the real tree, and in `seeded` and `seeded_links` against trees with one violation, which it must
//! see.
#![forbid(unsafe_code)]

mod checks;
mod docs;
mod door;
mod language;
mod layers;
mod lexer;
mod links;
mod rules;
mod seeded;
mod seeded_links;
mod tree;

use tree::Tree;

fn hold(rule: fn(&Tree) -> Vec<String>) {
    hold_in(&Tree::of_this_repository(), rule);
}

fn hold_in(tree: &Tree, rule: fn(&Tree) -> Vec<String>) {
    let violations = rule(tree);
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn only_the_platform_names_std_sync_and_the_features() {
    hold(rules::platform_alone);
}

#[test]
fn imports_go_down() {
    hold(layers::imports_go_down);
}

#[test]
fn architecture_shows_the_layers() {
    hold(layers::architecture_shows_them);
}

#[test]
fn who_is_a_person() {
    hold(language::who_is_a_person);
}

#[test]
fn every_unsafe_says_why() {
    hold(rules::unsafe_says_why);
}

#[test]
fn every_ordering_says_what_for() {
    hold(rules::ordering_says_what_for);
}

#[test]
fn files_and_functions_are_short() {
    hold(rules::sizes);
}

#[test]
fn checks_named_in_heads_exist() {
    hold(docs::heads_name_checks_that_exist);
}

#[test]
fn citations_resolve() {
    hold(docs::citations_resolve);
}

#[test]
fn invariants_have_code_and_checks() {
    hold(docs::invariants_are_traced);
}

#[test]
fn every_chapter_is_in_the_table_of_contents() {
    hold(links::chapters_are_listed);
}

#[test]
fn no_test_is_ignored() {
    hold(checks::none_is_ignored);
}

#[test]
fn models_take_no_time() {
    hold(checks::models_take_no_time);
}

#[test]
fn every_file_is_a_module() {
    hold(checks::every_file_is_a_module);
}

#[test]
fn models_say_what_they_are() {
    hold(checks::models_say_what_they_are);
}

#[test]
fn orderings_have_a_check() {
    hold(checks::orderings_have_a_check);
}

#[test]
fn links_resolve() {
    hold_in(&links::whole_tree(), links::links_resolve);
}

#[test]
fn the_book_has_each_chapter() {
    hold(links::the_book_has_each_chapter);
}

#[test]
fn chapters_stay_in_the_book() {
    hold(links::chapters_stay_in_the_book);
}

#[test]
fn citations_outside_of_docs_resolve() {
    hold_in(&links::whole_tree(), links::citations_outside_of_docs_resolve);
}

#[test]
fn tasks_that_documents_name_exist() {
    hold_in(&links::whole_tree(), links::tasks_exist);
}
