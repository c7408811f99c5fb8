//! None of this is there in a model, which says so.

use selvedge::model::try_simulate;
use selvedge::{fs, io, process, signal};
use std::io::{Read, Write};

fn refused(program: impl Fn() + Send + Sync + 'static) {
    let failure = try_simulate(1, program).expect_err("it must be refused");
    let said = failure.story().message();
    assert!(said.contains("a model has no real I/O"), "{said}");
}

#[test]
fn real_input_and_output_is_refused_in_a_simulation() {
    refused(|| drop(fs::read("Cargo.toml")));
    refused(|| drop(fs::File::open("Cargo.toml")));
    refused(|| drop(fs::read_dir(".")));
    refused(|| drop(io::pipe()));
    refused(|| drop(io::stdin().read(&mut [0])));
    refused(|| drop(writeln!(io::stderr(), "nobody sees this")));
    refused(|| drop(process::Command::new("true").status()));
    refused(|| drop(signal::ctrl_c()));
    refused(|| drop(signal::Signals::new([signal::SIGHUP])));
    let file = std::fs::File::open("Cargo.toml").unwrap();
    refused(move || drop(fs::File::from(file.try_clone().unwrap()).read(&mut [0])));
}
