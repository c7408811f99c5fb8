// Under a checker no doctest is collected: each builds a runtime, which only works in a model.
#![cfg(not(all(doctest, any(feature = "loom", feature = "shuttle"))))]
//! selvedge runs very many goroutines on a few kernel threads. A *goroutine* is a thread with a stack of its own that
//! this runtime schedules instead of the kernel, as in Go. The code in it is ordinary blocking Rust, without `async`.
//!
//! ```
//! use selvedge::{Runtime, chan, go};
//!
//! let runtime = Runtime::new()?;
//! let sum: u64 = runtime.run(|| {
//!     let (squares, received) = chan::bounded(8);
//!     for n in 1..=10 {
//!         let squares = squares.clone();
//!         go(move || squares.send(n * n).unwrap());
//!     }
//!     drop(squares);
//!     received.iter().sum()
//! });
//! assert_eq!(sum, 385);
//! # Ok::<(), selvedge::BuildError>(())
//! ```
//!
//! Paths such as `docs/io.md` on these pages are files of the repository. `docs/README.md` lists them all, and
//! `docs/glossary.md` explains our words.
//!
//! # The types
//!
//! | to | use |
//! |---|---|
//! | start a runtime | [`Runtime::new`]; [`Builder`] sets processors, stacks, limits and the watchdog |
//! | spawn a goroutine | [`go`](fn@go) in a goroutine, [`Runtime::go`] on a plain thread; [`Spawn`] sets a name and a stack size |
//! | enter a runtime from a plain thread | [`Runtime::run`], with a closure that may borrow |
//! | wait for a result | [`JoinHandle::join`], or `.await` on the handle |
//! | spawn goroutines that borrow | [`scope`](fn@scope) |
//! | pass values | [`chan`], and [`select!`] over several channels |
//! | share state | [`sync`]: locks, condition variables, semaphores, once, barriers, wait groups |
//! | stop work early | [`CancelToken`]; the `_timeout`, `_deadline` and `_cancel` forms of each wait |
//! | wait for a time | [`time`] |
//! | use the network, files, children, signals | [`net`], [`fs`], [`io`], [`process`], [`signal`] |
//! | keep a value for each goroutine | [`goroutine_local!`]; plain `thread_local!` works, too (see [Placements](#placements)) |
//! | wait for a future, or let a future wait | [`block_on`]; handles, channels and timers have `async` forms |
//! | build a primitive of your own | [`park`], [`Goroutine::unpark`], [`current`] |
//! | see what the runtime does | [`Runtime::metrics`], [`Builder::watchdog`], [`Runtime::stack_use`] |
//! | check a program | [`model`] |
//! | use an allocator that has a cache for each thread | [`alloc::PerKernelThread`] |
//!
//! Goroutines, plain threads and futures can share every channel, lock and token. Where a goroutine parks, a plain
//! thread blocks. Each function's documentation says whether it may suspend the caller.
//!
//! # Feature flags
//!
//! No feature is on by default.
//!
//! | feature | effect |
//! |---|---|
//! | `loom` | [`model::check`] explores a program under the model checker loom. For tests: outside of a model, a runtime panics and says so. If `shuttle` is on as well, loom is used |
//! | `shuttle` | [`model::random`] and [`model::pct`] run a program under the randomized checker shuttle. For tests, as above |
//! | `spec` | the executable specification checks each step of the scheduler, on real threads. Each step then takes one lock of the runtime, so this is for tests (`docs/specification.md`) |
//! | `portable-switch` | the crate corosensei switches stacks instead of our assembly, to compare them. [`Runtime::new`] then returns an error |
//! | `internals` | opens private parts to this project's own checks. They are no part of the API, they are unstable, and many are unsafe to call |
//!
//! # Blocking calls
//!
//! A *processor* is the right to run goroutines, and a runtime has a fixed number of processors. If a goroutine blocks
//! its kernel thread, the runtime takes the processor and gives it to another kernel thread.
//!
//! | the call | what other goroutines notice |
//! |---|---|
//! | a wait of this crate: channels, locks, timers, sockets, the end of a child | nothing: the goroutine parks and holds no kernel thread |
//! | [`fs`], [`io`], [`process`] | nothing, but each call holds a kernel thread while it waits |
//! | [`blocking`] around a call, or around several calls | the same |
//! | `std::fs`, `println!`, a lock of `std`, any library | the runtime has to notice first, which takes some milliseconds |
//!
//! A runtime has at most [`Builder::max_threads`] kernel threads. If all of them are blocked, other goroutines wait. In
//! an anchored runtime, goroutines that are bound to a blocked kernel thread wait for it in any case, unless the call
//! is within [`blocking`] (`docs/handoff.md`, `docs/io.md`).
//!
//! Nothing preempts a goroutine. A goroutine that computes for 10 ms while others wait loses its processor and goes on
//! computing on its kernel thread. The number of such goroutines at a time is bounded.
//!
//! # Placements
//!
//! The *placement* of a runtime says where a goroutine may resume, and what thread-local variables it sees.
//!
//! | placement | constructor | thread-local variables | a goroutine resumes |
//! |---|---|---|---|
//! | isolated | [`Runtime::new`], safe | the goroutine's own | on any kernel thread |
//! | anchored | [`Runtime::anchored`], `unsafe` | those of the kernel thread, shared with other goroutines | on the kernel thread that first ran it |
//! | migrating | [`Runtime::migrating`], `unsafe` | those of the kernel thread, shared with other goroutines | on any kernel thread |
//!
//! In an isolated runtime a goroutine is a thread to its code. Thread-local variables, `Rc`, `RefCell` and guards
//! behave as in a thread, also in crates that know nothing of goroutines. Safe code in such a runtime can't cause
//! undefined behaviour, under one axiom: a goroutine is a thread in all that is reached through the thread pointer
//! (`docs/thread-locals.md`). What belongs to the *kernel's* thread is borrowed, and must not be kept across a
//! suspension outside of [`pinned`]. If a goroutine changes its kernel thread through the C library (its signal mask, a
//! namespace, its priority), it has that kernel thread for itself from then on (`docs/kernel-thread.md`).
//!
//! The other placements cost less for each switch. Rust can't make them safe, for two reasons. Code on one thread
//! nests, but goroutines interleave. The compiler also takes the address of a thread-local variable for constant
//! within a function. The `# Safety` sections of the two constructors say what the caller promises.
//!
//! [`pinned`] keeps a goroutine on its kernel thread for a while. Inside [`no_suspend`] a suspension panics.
//!
//! # Panics and shutdown
//!
//! - A panic ends its goroutine, and [`JoinHandle::join`] returns it in a [`JoinError`]. If the handle is gone,
//!   [`Metrics::unclaimed_panics`] counts the panic. A [`scope`](fn@scope) panics at its end if one of its goroutines
//!   panicked and nobody joined that goroutine. With [`PanicPolicy::Abort`] a panic ends the process.
//! - Nothing stops a goroutine from outside. Use a [`CancelToken`].
//! - Dropping the [`Runtime`] ends it at once. Goroutines that have not begun are dropped. Suspended goroutines are
//!   leaked with their stacks, and never unwound. Joiners of both get an error.
//! - [`Runtime::shutdown`] waits for all goroutines, up to a limit. If some are left, its [`ShutdownError`] says which
//!   goroutines they are and where they wait.
//! - A runtime does not survive `fork`. In the child it says so, and the child may build a runtime of its own
//!   (`docs/environment.md`).
//!
//! # Testing your program
//!
//! ```no_run
//! #[test]
//! fn no_order_of_steps_loses_a_value() {
//!     let report = selvedge::model::check(|| {
//!         let (sender, receiver) = selvedge::chan::unbounded();
//!         selvedge::go(move || sender.send(1).unwrap());
//!         assert_eq!(receiver.recv(), Ok(1));
//!     });
//!     assert!(report.is_complete(), "{report}");
//! }
//! ```
//!
//! | run | explores |
//! |---|---|
//! | `cargo test --features selvedge/loom` | [`model::check`]: every order of steps with at most two preemptions, weak memory included, with at most five threads |
//! | `cargo test --features selvedge/shuttle` | [`model::random`], [`model::pct`]: as many random orders as asked for, with any number of goroutines |
//! | `cargo test` | [`model::simulate_seeds`]: one run for each seed, in virtual time, on the build that ships |
//!
//! The goroutines, channels, locks, timers and tokens of the program are those of this crate, and the program is
//! unchanged. A failure is told in the program's own terms, and ends with the line that repeats it. `docs/model.md`
//! tells what is seen and what is not. `docs/worked.md` has four wrong programs and what was printed for them.
//!
//! # Coming from threads
//!
//! | `std` | here |
//! |---|---|
//! | `thread::spawn`, `thread::Builder` | [`go`](fn@go), [`Spawn`] |
//! | `thread::scope` | [`scope`](fn@scope) |
//! | `thread::park`, `Thread::unpark` | [`park`], [`Goroutine::unpark`]: the same contract |
//! | `thread::sleep`, `thread::yield_now` | [`time::sleep`], [`yield_now`] |
//! | `sync::Mutex`, `Condvar`, `OnceLock` … | [`sync`], with the same names and with poisoning. Guards may move between threads |
//! | `sync::mpsc` | [`chan`]: both ends can be cloned |
//! | `net`, `fs`, `process` | [`net`], [`fs`], [`process`], with the same names |
//! | `thread_local!` | the same in an isolated runtime; [`goroutine_local!`] in all |
//!
//! # Coming from Go
//!
//! | Go | here |
//! |---|---|
//! | `go f()` | [`go`](fn@go), which returns a handle to join |
//! | `make(chan T, n)` | [`chan::bounded`]. To send on a closed channel is an error, not a panic |
//! | `select` | [`select!`]. The value of a send is made after its arm was chosen |
//! | `context.Context` | [`CancelToken`] for cancellation and deadlines, [`goroutine_local!`] for values |
//! | `sync.WaitGroup` | [`sync::WaitGroup`], or [`scope`](fn@scope) |
//! | `time.After`, `time.Ticker` | [`time::after`], [`time::Ticker`] |
//! | `runtime.Gosched`, `GOMAXPROCS` | [`yield_now`], [`Builder::processors`] |
//! | `runtime.LockOSThread` | [`pinned`]: other goroutines may still run on the kernel thread |
//! | stacks that grow | stacks of a fixed size: [`Builder::stack_size`], [`Spawn::stack_size`] |
//! | preemption | none |
//!
//! # Coming from tokio
//!
//! | tokio | here |
//! |---|---|
//! | `Runtime::block_on(async { … })` | [`Runtime::run`], with a closure |
//! | `tokio::spawn(async { … })` | [`go`](fn@go), with a closure |
//! | `f().await` | `f()` |
//! | `spawn_blocking`, `block_in_place` | [`blocking`] |
//! | `tokio::select!` | [`select!`]: its arms are channels, tokens and times, not futures |
//! | `timeout(limit, f())` | the `_timeout` form of a call, or [`CancelToken::with_timeout`] for many calls |
//! | `JoinHandle::abort` | [`CancelToken`]: the goroutine returns by itself |
//! | `task_local!` | [`goroutine_local!`] |
//! | a library of futures | [`block_on`]. A future that needs tokio's reactor still needs a tokio runtime |
//!
//! # Limits
//!
//! - A stack has a fixed size: 320 KiB of address space, unless [`Builder::stack_size`] or [`Spawn::stack_size`] says
//!   otherwise. An overflow ends the process, and the message names the goroutine. Only touched pages take memory.
//! - Kernels before 6.13 need mappings for the guards of stacks, and give some 31,000 stacks at the default
//!   `vm.max_map_count` (`docs/stacks.md`).
//! - No token ends a call on a file or a pipe, because the kernel has the thread.
//! - In a model, files, sockets, children and signals panic, because a model contains no kernel.
//!
//! # Platforms
//!
//! Rust 1.95 or later, on Linux. [`Runtime::new`] needs x86-64 and the GNU C library. Elsewhere it returns
//! [`BuildError::ThreadLocals`], and [`Runtime::anchored`] and [`Runtime::migrating`] remain. The whole crate has been
//! run on x86-64. On aarch64 the switch and the data structures have been run, in an emulator.

// What only the checks use: see `internals`.
#![cfg_attr(not(feature = "internals"), allow(dead_code, unused_imports))]

pub mod alloc;
mod api;
// The chapters for users, whose code is run as doctests.
#[cfg(doctest)]
mod book;
#[cfg(test)]
mod book_tests;
mod cancel;
pub mod chan;
mod explore;
mod fiber;
pub mod fs;
mod future;
mod in_model;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod io;
mod local;
pub mod model;
pub mod net;
mod observe;
mod platform;
pub mod process;
mod sched;
pub mod signal;
mod structures;
pub mod sync;
pub mod time;
mod wait;

pub use api::builder::{Builder, PanicPolicy};
pub use api::error::{
    BuildError, JoinError, ResizeError, ShutdownError, SpawnError, SpawnErrorKind, StillRunning,
};
pub use api::go::{
    Spawn, blocking, go, no_suspend, park, park_cancel, park_timeout, pinned, try_go, yield_now,
};
pub use api::handle::{Goroutine, current};
pub use api::join::JoinHandle;
pub use api::join_future::JoinFuture;
pub use api::runtime::Runtime;
pub use api::scope::{Scope, ScopedJoinFuture, ScopedJoinHandle, scope};
pub use cancel::{CancelGuard, CancelReason, CancelToken, Cancelled};
pub use chan::cancelled::CancelledAsync;
pub use fiber::{StackError, ThreadLocalsError};
pub use future::block_on;
pub use local::{AccessError, LocalKey};
pub use sched::core::config::Stall;
pub use sched::core::stacks::StackUse;
pub use sched::lifecycle::metrics::Metrics;
pub use sched::lifecycle::shutdown::{Remaining, RemainingState};

/// The code of the README, as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the macros expand to. No part of the API.
#[doc(hidden)]
pub mod __macro_support {
    pub use crate::chan::written::{
        AnyArm, AsReceiver, AsSender, CancelArm, Chosen, DEFAULT, RecvArm, SendArm, select,
        select_timeout, try_select,
    };
}
