//! The program of docs/tutorial.md is that of examples/tally/; its own tests run here.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
#[allow(dead_code)]
#[path = "../examples/tally/server.rs"]
mod server;
#[cfg(not(feature = "shuttle"))]
#[allow(dead_code)]
#[path = "../examples/tally/store.rs"]
mod store;

/// A file as the tutorial shows it: its code in one block, its tests in another.
fn is_shown(file: &str) -> bool {
    let tutorial = [include_str!("../docs/tutorial.md"), include_str!("../docs/tutorial-2.md")];
    let tests = ["\n#[cfg(test)]\n", "\n#[cfg(all(test, "].iter().find_map(|mark| file.find(mark));
    let (code, tests) = file.split_at(tests.unwrap_or(file.len()));
    [code, tests].into_iter().map(str::trim).filter(|part| !part.is_empty()).all(|part| {
        let [rust, other] = ["rust", "rs"].map(|language| format!("```{language}\n{part}\n```"));
        tutorial.iter().any(|text| text.contains(&rust) || text.contains(&other))
    })
}

#[test]
fn the_tutorial_shows_the_example() {
    assert!(is_shown(include_str!("../examples/tally/main.rs")), "main.rs");
    assert!(is_shown(include_str!("../examples/tally/server.rs")), "server.rs");
    assert!(is_shown(include_str!("../examples/tally/store.rs")), "store.rs");
}
