//! Signals of the process, as channels: for [`select!`](crate::select), among others.
//!
//! ```no_run
//! use selvedge::{chan, select, signal, signal::Signals};
//!
//! selvedge::Runtime::new()?.run(|| {
//!     let (_requests, inbox) = chan::bounded::<u32>(8);
//!     let interrupted = signal::ctrl_c().unwrap();
//!     let reload = Signals::new([signal::SIGHUP]).unwrap();
//!     loop {
//!         select! {
//!             recv(inbox) -> request => println!("{request:?}"),
//!             recv(reload) -> _ => println!("reading the configuration again"),
//!             recv(interrupted) -> _ => break,
//!         }
//!     }
//! });
//! # Ok::<(), selvedge::BuildError>(())
//! ```
//!
//! # How
//! The handlers, by `signal-hook`, write to a pipe and do no more; a kernel thread of its own, started by
//! the first call and kept, reads it and sends. So signals come also while all processors are busy. The
//! handlers run on the alternate stack, where a kernel thread has one: a goroutine's own may be nearly
//! used up.
//!
//! A signal that nobody listens to any more has its default effect again. In a model every call panics.
//! Checked by: proptests/io/signals.rs.
#![allow(unsafe_code)]

mod dispatch;

use crate::chan::{Receiver, TrySendError, bounded};
use crate::io::call::refuse_in_model;
use dispatch::{arm_second, listen};
use std::io;
use std::ops::Deref;

pub use libc::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGURG, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// How many signals wait to be received; further ones are dropped. The kernel does not count them either.
const ROOM: usize = 32;

/// A channel on which Ctrl-C (SIGINT) comes: once. The second Ctrl-C ends the process at once, as the
/// first would have without this: also where the program hangs while it shuts down.
///
/// To go on after a Ctrl-C, as an interpreter does, call `Signals::new([SIGINT])` instead; a program
/// that has called `ctrl_c` even once is ended by the second one. Each call makes a channel of its own.
/// Never suspends.
///
/// # Errors
/// If no handler, or no kernel thread for it, can be had.
///
/// # Panics
/// In a model.
pub fn ctrl_c() -> io::Result<Receiver<()>> {
    refuse_in_model("signal::ctrl_c");
    arm_second()?;
    let (sender, receiver) = bounded(1);
    listen(&[SIGINT], move |_| {
        // Full: the first has not been received yet.
        !matches!(sender.try_send(()), Err(TrySendError::Disconnected(())))
    })?;
    Ok(receiver)
}

/// A channel on which some signals come, by their numbers: a [`Receiver`] of them, which
/// [`select!`](crate::select) takes too. None of them has its default effect meanwhile, however often it
/// comes; but see [`ctrl_c`].
///
/// Like the kernel it keeps no count: a signal that comes again before it was received may be seen once.
/// With the last clone of the receiver dropped, the default effects are back.
///
/// ```
/// use selvedge::signal::{SIGUSR1, Signals};
///
/// let signals = Signals::new([SIGUSR1])?;
/// # // SAFETY: raises a signal that is handled.
/// # unsafe { libc::raise(SIGUSR1) };
/// assert_eq!(signals.recv(), Ok(SIGUSR1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Signals(Receiver<i32>);

impl Signals {
    /// Begins to listen. Never suspends.
    ///
    /// # Errors
    /// If one of them can't be had: SIGKILL, SIGSTOP, and those that tell of a fault, which the runtime
    /// needs itself (SIGSEGV, SIGBUS, SIGILL, SIGFPE); or if no handler, or no kernel thread for it,
    /// can be had.
    ///
    /// # Panics
    /// In a model.
    pub fn new(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        refuse_in_model("Signals::new");
        let signals: Vec<i32> = signals.into_iter().collect();
        let (sender, receiver) = bounded(ROOM);
        listen(&signals, move |signal| {
            !matches!(sender.try_send(signal), Err(TrySendError::Disconnected(_)))
        })?;
        Ok(Signals(receiver))
    }

    /// The receiver alone.
    pub fn into_receiver(self) -> Receiver<i32> {
        self.0
    }
}

impl Deref for Signals {
    type Target = Receiver<i32>;

    fn deref(&self) -> &Receiver<i32> {
        &self.0
    }
}
