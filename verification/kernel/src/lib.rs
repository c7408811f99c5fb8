//! The battery, for programs that are linked in other ways: see `.ci/machines`.

pub mod battery;

/// For a C program, or one that loads this later: 0 if all holds, 1 if not.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_battery() -> i32 {
    let all = || battery::run(|name| println!("  {name}"));
    i32::from(std::panic::catch_unwind(all).is_err())
}
