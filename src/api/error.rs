//! The error types of the interface. Their messages say what to do, and some errors give the caller's values back.

use crate::fiber::{StackError, ThreadLocalsError};
use crate::sched::core::forked;
use crate::sched::core::ready::SpawnRefusal;
use crate::sched::goroutine::body::PanicPayload;
use crate::sched::lifecycle::shutdown::Remaining;
use std::error::Error;
use std::{fmt, io};

/// The reason why [`Builder::build`](crate::Builder::build) made no runtime.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of processors is zero, or more than the runtime can have.
    Processors {
        /// The number that was asked for.
        asked: usize,
        /// The largest number that is possible.
        most: usize,
    },
    /// The number of goroutines is zero, or more than the address space or the kernel's limit on
    /// mappings allows at this stack size.
    Goroutines {
        /// The number that was asked for.
        asked: usize,
        /// The largest number that is possible.
        most: usize,
    },
    /// The cap on kernel threads allows less than one worker for each processor, or is more than the
    /// runtime can have.
    Threads {
        /// The number that was asked for.
        asked: usize,
        /// The smallest number that works with these processors.
        least: usize,
        /// The largest number that is possible.
        most: usize,
    },
    /// The stacks can't be made.
    Stack(StackError),
    /// The machine grants no kernel thread.
    Thread(io::Error),
    /// The thread name holds a NUL byte.
    ThreadName,
    /// Goroutines can't have thread-locals of their own in this process.
    ThreadLocals(ThreadLocalsError),
}

impl BuildError {
    /// Converts the error. A refused thread is always reported as [`BuildError::Thread`].
    pub(crate) fn thread_locals(error: ThreadLocalsError) -> Self {
        match error {
            ThreadLocalsError::Thread { errno } => {
                BuildError::Thread(io::Error::from_raw_os_error(errno))
            }
            error => BuildError::ThreadLocals(error),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Processors { asked, most } => {
                write!(f, "{asked} processors can't be had: ask for 1 to {most}")
            }
            BuildError::Goroutines { asked, most } => write!(
                f,
                "{asked} goroutines can't be had: ask for 1 to {most}, or for smaller stacks"
            ),
            BuildError::Threads { asked, least, most } => write!(
                f,
                "a cap of {asked} kernel threads can't be kept: ask for {least} to {most}, or for \
                 fewer processors"
            ),
            BuildError::Stack(error) => error.fmt(f),
            BuildError::Thread(error) => write!(
                f,
                "no kernel thread can be started ({error}): raise the limit on processes or threads"
            ),
            BuildError::ThreadLocals(error) => error.fmt(f),
            BuildError::ThreadName => f.write_str("the thread name holds a NUL byte: remove it"),
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            BuildError::Stack(error) => Some(error),
            BuildError::Thread(error) => Some(error),
            BuildError::ThreadLocals(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason why a goroutine was not spawned. The error gives the closure back.
pub struct SpawnError<F> {
    kind: SpawnErrorKind,
    closure: F,
}

/// The reasons of a [`SpawnError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnErrorKind {
    /// The runtime's limit on goroutines is reached.
    Limit,
    /// There is no stack for another goroutine, because the kernel refuses guards or address space.
    Stack(StackError),
    /// The runtime is shutting down.
    ShuttingDown,
    /// The caller is not a goroutine, so there is no runtime to spawn on.
    NoRuntime,
    /// The caller is in the child process of a `fork`, and the runtime belongs to the parent process.
    Forked,
}

impl<F> SpawnError<F> {
    pub(crate) fn new(refusal: SpawnRefusal, closure: F) -> Self {
        let kind = match refusal {
            SpawnRefusal::Limit => SpawnErrorKind::Limit,
            SpawnRefusal::Stack(error) => SpawnErrorKind::Stack(error),
            SpawnRefusal::Stopping => SpawnErrorKind::ShuttingDown,
            SpawnRefusal::Forked => SpawnErrorKind::Forked,
        };
        SpawnError { kind, closure }
    }

    pub(crate) fn no_runtime(closure: F) -> Self {
        let is_orphan = forked::is_orphan();
        let kind = if is_orphan { SpawnErrorKind::Forked } else { SpawnErrorKind::NoRuntime };
        SpawnError { kind, closure }
    }

    /// Returns the reason.
    pub fn kind(&self) -> SpawnErrorKind {
        self.kind
    }

    /// Returns the closure, which was not called.
    pub fn into_closure(self) -> F {
        self.closure
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for SpawnErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpawnErrorKind::Stack(error) => return error.fmt(f),
            SpawnErrorKind::Limit => {
                "the limit of goroutines is reached: join some first, or raise it with \
                 `Builder::max_goroutines`"
            }
            SpawnErrorKind::ShuttingDown => "the runtime is shutting down: spawn before `shutdown`",
            SpawnErrorKind::NoRuntime => {
                "not in a goroutine: call `Runtime::go`, or call this within `Runtime::run`"
            }
            SpawnErrorKind::Forked => forked::ADVICE,
        })
    }
}

impl<F> Error for SpawnError<F> {}

/// The reason why a goroutine has no result.
pub struct JoinError(Cause);

enum Cause {
    Panicked(PanicPayload),
    /// The id and name of the goroutine.
    Abandoned(u64, Option<String>),
}

impl JoinError {
    pub(crate) fn panicked(payload: PanicPayload) -> Self {
        JoinError(Cause::Panicked(payload))
    }

    pub(crate) fn abandoned(id: u64, name: Option<&str>) -> Self {
        JoinError(Cause::Abandoned(id, name.map(str::to_owned)))
    }

    /// Returns whether the goroutine panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Cause::Panicked(_))
    }

    /// Returns whether the runtime ended before the goroutine ended.
    pub fn is_abandoned(&self) -> bool {
        matches!(self.0, Cause::Abandoned(..))
    }

    /// Returns the panic's payload, which can be given to [`std::panic::resume_unwind`].
    ///
    /// # Errors
    /// Returns the error itself if the goroutine did not panic.
    pub fn into_panic(self) -> Result<Box<dyn std::any::Any + Send + 'static>, JoinError> {
        match self.0 {
            Cause::Panicked(payload) => Ok(payload),
            other => Err(JoinError(other)),
        }
    }
}

// SAFETY: the payload may be a type that is not Sync. A shared reference to a `JoinError` gives access to the payload
// only to read a panic's message, and the message is a `&str` or a `String`. Both types are Sync.
#[allow(unsafe_code)]
unsafe impl Sync for JoinError {}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Panicked(payload) => match message(payload) {
                Some(message) => write!(f, "the goroutine panicked: {message}"),
                None => f.write_str("the goroutine panicked"),
            },
            Cause::Abandoned(id, name) => {
                write!(f, "the runtime ended before goroutine {id}")?;
                if let Some(name) = name {
                    write!(f, " \"{name}\"")?;
                }
                f.write_str(": join it, or call `Runtime::shutdown`, before the runtime is dropped")
            }
        }
    }
}

impl Error for JoinError {}

/// The error of a join that ended before the goroutine ended, because its time ran out or its token was cancelled.
/// Gives back the handle: a [`JoinHandle`](crate::JoinHandle) or [`ScopedJoinHandle`](crate::ScopedJoinHandle).
pub struct StillRunning<H> {
    pub(crate) handle: H,
    pub(crate) cancelled: bool,
}

impl<H> StillRunning<H> {
    /// Returns the handle. The caller may join the goroutine again, or drop the handle to detach it.
    pub fn into_handle(self) -> H {
        self.handle
    }

    /// Returns whether the token ended the join, by a cancellation or by the token's deadline.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

impl<H> fmt::Debug for StillRunning<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StillRunning").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl<H> fmt::Display for StillRunning<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = if self.cancelled { "the join was cancelled" } else { "the join timed out" };
        write!(
            f,
            "{why}, and the goroutine goes on: join it again, or drop the handle to detach it"
        )
    }
}

impl<H> Error for StillRunning<H> {}

fn message(payload: &PanicPayload) -> Option<&str> {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// The error of [`Runtime::shutdown`](crate::Runtime::shutdown) if goroutines were alive when its time ran out.
#[derive(Debug)]
pub struct ShutdownError {
    pub(crate) remaining: Vec<Remaining>,
}

impl ShutdownError {
    pub(crate) fn unless_none(remaining: Vec<Remaining>) -> Result<(), ShutdownError> {
        if remaining.is_empty() { Ok(()) } else { Err(ShutdownError { remaining }) }
    }

    /// Returns the goroutines that were still alive, and where each was last suspended.
    pub fn remaining(&self) -> &[Remaining] {
        &self.remaining
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        write!(f, "{} goroutines had not ended at the deadline", self.remaining.len())?;
        for left in self.remaining.iter().take(SHOWN) {
            write!(f, "; {}", left.id)?;
            if let Some(name) = &left.name {
                write!(f, " \"{name}\"")?;
            }
            write!(f, " {:?}", left.state)?;
            if let Some(place) = left.place {
                write!(f, " at {place}")?;
            }
        }
        if self.remaining.len() > SHOWN {
            write!(f, "; and {} more", self.remaining.len() - SHOWN)?;
        }
        Ok(())
    }
}

impl Error for ShutdownError {}

/// The error of [`Runtime::set_processors`](crate::Runtime::set_processors) if the number of processors was zero,
/// or more than the runtime can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeError {
    pub(crate) asked: usize,
    pub(crate) most: usize,
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (asked, most) = (self.asked, self.most);
        write!(
            f,
            "{asked} processors can't be had: ask for 1 to {most}, or build the runtime with a larger \
             `Builder::max_processors`"
        )
    }
}

impl Error for ResizeError {}
