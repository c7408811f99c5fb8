//! The chapters of docs/ that are written for users: each of their code blocks is a doctest.

macro_rules! chapters {
    ($($name:ident: $path:literal,)*) => { $( #[doc = include_str!($path)] mod $name {} )* };
}

chapters! {
    tutorial: "../docs/tutorial.md",
    tutorial_2: "../docs/tutorial-2.md",
    cookbook: "../docs/cookbook.md",
    cookbook_state: "../docs/cookbook-state.md",
    cookbook_time: "../docs/cookbook-time.md",
    cookbook_failure: "../docs/cookbook-failure.md",
    cookbook_world: "../docs/cookbook-world.md",
    cookbook_operation: "../docs/cookbook-operation.md",
    coming_from: "../docs/coming-from.md",
}
