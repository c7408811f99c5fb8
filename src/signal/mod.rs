//! Signals of the process, as channels. [`select!`](crate::select) can wait for them, as for other channels.
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
//! The handlers, which `signal-hook` installs, only write to a pipe. A dedicated kernel thread, which the
//! first call starts, reads the pipe and sends on the channels. So signals arrive also while all processors
//! are busy. A handler runs on the alternate stack of the kernel thread that it interrupts, if that thread has an
//! alternate stack, because a goroutine's stack may be nearly used up.
//!
//! A signal without a listener has its default effect again. In a model every call panics.
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

/// The number of signals that a channel holds. Further signals are dropped. The kernel does not count signals either.
const ROOM: usize = 32;

/// Returns a channel on which the first Ctrl-C (SIGINT) arrives. The second Ctrl-C ends the process at once, as
/// the first would without this call, even if the program hangs while it shuts down.
///
/// To continue after a Ctrl-C, as an interpreter does, call `Signals::new([SIGINT])` instead, because the second
/// Ctrl-C ends every program that has called `ctrl_c`. Each call makes a channel of its own.
/// Never suspends.
///
/// # Errors
/// Fails if no handler can be installed, or no kernel thread can be started.
///
/// # Panics
/// Panics in a model.
pub fn ctrl_c() -> io::Result<Receiver<()>> {
    refuse_in_model("signal::ctrl_c");
    arm_second()?;
    let (sender, receiver) = bounded(1);
    listen(&[SIGINT], move |_| {
        // A full channel is no error: it means that the first Ctrl-C was not received yet.
        !matches!(sender.try_send(()), Err(TrySendError::Disconnected(())))
    })?;
    Ok(receiver)
}

/// A channel on which the numbers of some signals arrive. `Signals` dereferences to a [`Receiver`], and
/// [`select!`](crate::select) takes it too. While it is alive, none of its signals has its default effect, however
/// often the signal arrives; but see [`ctrl_c`].
///
/// Like the kernel, the channel keeps no count: if a signal arrives twice before it is received, the
/// receiver may see it only once. When the last clone of the receiver is dropped, the default effects return.
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
    /// Begins to listen to these signals. Never suspends.
    ///
    /// # Errors
    /// Fails if a signal can't be received. These are SIGKILL, SIGSTOP, and the signals that report a fault (SIGSEGV,
    /// SIGBUS, SIGILL, SIGFPE), which the runtime needs itself. Also fails if no handler can be installed, or if no
    /// kernel thread can be started.
    ///
    /// # Panics
    /// Panics in a model.
    pub fn new(signals: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        refuse_in_model("Signals::new");
        let signals: Vec<i32> = signals.into_iter().collect();
        let (sender, receiver) = bounded(ROOM);
        listen(&signals, move |signal| {
            !matches!(sender.try_send(signal), Err(TrySendError::Disconnected(_)))
        })?;
        Ok(Signals(receiver))
    }

    /// Returns the receiver, without the `Signals` around it.
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
