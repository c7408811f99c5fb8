//! Door: what a crate that depends on this one can name. Such crates are made here, and given to the compiler:
//! without the feature `internals` each line that names something inside is refused, and with it each is
//! accepted, so no line is refused because it is misspelt.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the feature opens.
const INSIDE: [&str; 12] = [
    "internals",
    "internals::alarm::Alarm",
    "internals::cell::Cell",
    "internals::fiber::{StackPool, Fiber, Suspender}",
    "internals::structures::{GlobalQueue, Linked, List, RemoteQueue, Slot, run_queue}",
    "internals::platform::biased_lock::BiasedLock",
    "internals::platform::tls::worker",
    "internals::platform::{Parker, cell::UnsafeCell, thread}",
    "internals::raw_mutex::RawMutex",
    "internals::sched::join_word::JoinWord",
    "internals::sched::{idle, poller, retake_gate, state, timers}",
    "internals::wait::{WaitLimit, List, Node, Wait, WakeHandle}",
];

/// What nothing opens.
const CLOSED: [&str; 13] = [
    "chan::written",
    "explore",
    "fiber",
    "internals::fiber::overflow",
    "internals::structures::Ring",
    "internals::structures::local_values",
    "internals::platform::tls::{locals, set_worker}",
    "structures",
    "net::cell",
    "platform",
    "sched",
    "observe",
    "sync::raw_mutex",
];

/// Methods that the feature adds.
const METHODS: [&str; 6] = [
    "selvedge::Builder::modelled",
    "selvedge::Builder::kernel",
    "selvedge::Runtime::fire_timers",
    "selvedge::Runtime::register",
    "selvedge::Runtime::retake_all",
    "selvedge::Runtime::see_to_sockets",
];

/// Ways from what the macros need to what they need not.
const PAST_THE_MACROS: [&str; 5] = [
    "|mut arm: selvedge::__macro_support::RecvArm<'static, u8>| arm.any().0",
    "|arm: selvedge::__macro_support::AnyArm<'static>| arm.link()",
    "|arm: selvedge::__macro_support::AnyArm<'static>| arm.packet()",
    "|arm: selvedge::__macro_support::RecvArm<'static, u8>| arm.0",
    "|arm: selvedge::__macro_support::SendArm<'static, u8>| arm.0",
];

/// What everybody may do.
const OPEN: &str = "\
#![forbid(unsafe_code)]
use selvedge::{chan, go, goroutine_local, scope, select};
use std::cell::Cell;
goroutine_local! { static COUNT: Cell<u32> = Cell::new(0); }
fn main() {
    selvedge::Runtime::new().unwrap().run(|| {
        let (tx, rx) = chan::bounded(1);
        let token = selvedge::CancelToken::new();
        select! {
            send(tx, 1) -> sent => sent.unwrap(),
            recv(rx) -> _ => {}
            cancel(token) => {}
            default(std::time::Duration::ZERO) => {}
        }
        scope(|s| _ = s.go(|| COUNT.set(1)).join());
        go(|| ()).join().unwrap();
    });
}
";

/// The crate, made anew in a directory of its own.
struct Dependent(PathBuf);

impl Dependent {
    fn new(name: &str, features: &str) -> Dependent {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("door").join(name);
        fs::create_dir_all(own.join("src/bin")).expect("a directory for the crate");
        // Of a workspace of its own; and with the versions that this one has.
        let manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
             selvedge = {{ path = {root:?}, features = [{features}] }}\n"
        );
        fs::write(own.join("Cargo.toml"), manifest).expect("a manifest");
        fs::copy(root.join("Cargo.lock"), own.join("Cargo.lock")).expect("a lock file");
        Dependent(own)
    }

    /// The lines of `program` that the compiler refuses, and what it says.
    fn refused(&self, name: &str, program: &str) -> (BTreeSet<usize>, String) {
        let path = format!("src/bin/{name}.rs");
        fs::write(self.0.join(&path), program).expect("a program");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["check", "--offline", "--message-format", "short", "--bin", name]);
        cargo.current_dir(&self.0).env("CARGO_TARGET_DIR", self.0.with_file_name("target"));
        let output = cargo.output().expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let place = |line: &str| {
            let (line, what) = line.strip_prefix(&path)?.strip_prefix(':')?.split_once(':')?;
            what.contains(" error").then(|| line.parse().expect("a line's number"))
        };
        let lines: BTreeSet<usize> = said.lines().filter_map(place).collect();
        // A failure of another kind, as of cargo itself, proves nothing.
        assert_eq!(lines.is_empty(), output.status.success(), "{said}");
        (lines, said)
    }

    fn accepts(&self, name: &str, program: &str) {
        let (lines, said) = self.refused(name, program);
        assert!(lines.is_empty(), "{said}");
    }

    /// Every line but the first two and the last.
    fn refuses_each(&self, name: &str, program: &str) {
        let (lines, said) = self.refused(name, program);
        let all: Vec<&str> = program.lines().collect();
        let accepted = (3..all.len()).filter(|line| !lines.contains(line));
        let accepted: Vec<_> = accepted.map(|line| all[line - 1]).collect();
        assert!(accepted.is_empty(), "a dependent can write {accepted:#?}\n{said}");
    }
}

fn names(paths: &[&str]) -> String {
    let lines = paths.iter().zip(0..).map(|(path, number)| {
        let ends = !path.ends_with('}');
        let name = if ends { format!(" as name_{number}") } else { String::new() };
        format!("mod m{number} {{ #[allow(unused_imports)] use selvedge::{path}{name}; }}\n")
    });
    format!("#![forbid(unsafe_code)]\n\n{}fn main() {{}}\n", lines.collect::<String>())
}

fn values(values: &[&str]) -> String {
    let lines = values.iter().map(|value| format!("    _ = {value};\n"));
    format!("#![forbid(unsafe_code)]\nfn main() {{\n{}}}\n", lines.collect::<String>())
}

#[test]
fn a_dependent_can_not_name_the_inside() {
    let dependent = Dependent::new("outsider", "");
    dependent.accepts("open", OPEN);
    dependent.refuses_each("inside", &names(&INSIDE));
    dependent.refuses_each("closed", &names(&CLOSED));
    dependent.refuses_each("methods", &values(&METHODS));
    dependent.refuses_each("past", &values(&PAST_THE_MACROS));
}

#[test]
fn the_feature_opens_the_inside_and_no_more() {
    let dependent = Dependent::new("insider", "\"internals\"");
    dependent.accepts("open", OPEN);
    dependent.accepts("inside", &names(&INSIDE));
    dependent.accepts("methods", &values(&METHODS));
    dependent.refuses_each("closed", &names(&CLOSED));
    dependent.refuses_each("past", &values(&PAST_THE_MACROS));
}
