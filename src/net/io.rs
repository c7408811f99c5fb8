//! Io: one socket, and how its operations wait.
//!
//! run: try the operation. Only if the kernel says that the operation would block, wait until the poller
//!     reports readiness, and try again. A socket that never blocks is never registered.
//! A goroutine waits in its runtime's poller. A plain thread waits in `poll`. A goroutine of another runtime
//! than the one where the socket is registered also waits in `poll`, inside `blocking`.
//! [N7] A socket is registered in at most one poller, and is removed from the poller before it is closed.
//! Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::cell::{Cell, Way};
use super::plain;
use crate::cancel::{CancelReason, CancelToken, Cancelled};
use crate::platform::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::platform::{Arc, MODELLED, Mutex, OnceLock};
use crate::sched::blocking::blocking;
use crate::sched::core::clock;
use crate::sched::core::current::current_worker;
use crate::sched::core::runtime::Registration;
use crate::sched::suspend::park;
use crate::wait::WaitLimit;
use crate::wait::limit::Outcome;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// After this number of operations in a row that did not wait, a goroutine yields.
const STREAK: u32 = 32;

/// A socket that never blocks its kernel thread.
pub(crate) struct Io<S> {
    /// This field is declared before the socket, so that it is dropped first. [N7]
    registered: OnceLock<Registered>,
    registering: Mutex<()>,
    settings: Arc<Settings>,
    /// The number of operations since the last operation that waited.
    streak: AtomicU32,
    /// One more than the count before the last read that emptied the socket; zero if there was no such read. [N6]
    emptied: AtomicU64,
    socket: S,
}

struct Registered {
    registration: Registration,
    cell: Arc<Cell>,
}

/// The settings of a socket. A socket and its duplicates share the settings, as with `std`'s sockets.
#[derive(Default)]
struct Settings {
    /// The time-outs in nanoseconds. Zero means that there is no time-out.
    timeouts: [AtomicU64; 2],
    never_waits: AtomicBool,
}

/// The limit on how long an operation waits.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// The operation waits as long as the socket's time-out allows.
    AsSet,
    /// The operation waits as with `AsSet`, but at most until the token is cancelled.
    Token(&'a CancelToken),
    /// The operation waits at most this long. `connect_timeout` uses this variant.
    For(Duration),
}

impl Patience<'_> {
    /// Returns an error if the token is already cancelled. Every operation checks this first.
    #[inline]
    fn check(self) -> io::Result<()> {
        match self {
            Patience::Token(token) if token.is_cancelled() => Err(cancelled(token)),
            _ => Ok(()),
        }
    }
}

// A panic of user code leaves no state half changed, because the locks are not held while user code runs.
impl<S> UnwindSafe for Io<S> {}
impl<S> RefUnwindSafe for Io<S> {}

impl<S: AsFd> Io<S> {
    /// Wraps a socket in non-blocking mode.
    ///
    /// # Panics
    /// Panics in a model and in a simulation, because a checker can't see what the kernel does.
    #[track_caller]
    pub(crate) fn new(socket: S) -> Self {
        Io::with(socket, Arc::default)
    }

    #[track_caller]
    fn with(socket: S, settings: impl FnOnce() -> Arc<Settings>) -> Self {
        refuse_in_model();
        Io {
            registered: OnceLock::new(),
            registering: Mutex::new(()),
            settings: settings(),
            streak: AtomicU32::new(0),
            emptied: AtomicU64::new(0),
            socket,
        }
    }

    /// Returns a duplicate, which shares the settings.
    #[track_caller]
    pub(super) fn duplicate(&self, socket: S) -> Self {
        Io::with(socket, || Arc::clone(&self.settings))
    }

    /// Takes over a socket of `std`, time-outs included.
    ///
    /// # Panics
    /// Panics if the socket's descriptor is not open, and in the same cases as `new`.
    #[track_caller]
    pub(super) fn of_std(socket: S) -> Self {
        refuse_in_model();
        let own = SockRef::from(&socket);
        own.set_nonblocking(true).expect("a socket that is open");
        let nanos = |limit: io::Result<Option<Duration>>| {
            let limit = limit.ok().flatten().unwrap_or_default();
            AtomicU64::new(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
        };
        let timeouts = [nanos(own.read_timeout()), nanos(own.write_timeout())];
        let settings = Settings { timeouts, ..Settings::default() };
        Io::with(socket, || Arc::new(settings))
    }

    /// Returns `std`'s socket with its time-outs, which blocks unless `set_nonblocking(true)` was called.
    pub(super) fn into_std(self) -> S {
        let (read, write) = (self.timeout(Way::Read), self.timeout(Way::Write));
        let own = SockRef::from(&self.socket);
        // Each of these calls can fail only if foreign code has closed the descriptor.
        let _ = own.set_nonblocking(self.is_nonblocking());
        if read.is_some() || write.is_some() {
            let _ = own.set_read_timeout(read);
            let _ = own.set_write_timeout(write);
        }
        self.into_socket()
    }

    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// Removes the socket from the poller. [N7]
    pub(super) fn into_socket(self) -> S {
        drop(self.registered);
        self.socket
    }

    /// Performs `operation`. If the operation would block, waits until the poller reports readiness.
    #[inline]
    pub(crate) fn run<T>(
        &self,
        way: Way,
        patience: Patience<'_>,
        place: &'static Location<'static>,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        patience.check()?;
        let seen = self.count(way);
        match operation(&self.socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut again = |socket: &S, _| operation(socket);
                self.run_slow(way, seen, patience, place, &mut again, error)
            }
            done => {
                self.take_turn(place);
                done
            }
        }
    }

    /// Works like `run`, for a stream of bytes. `operation` reads at most `room` bytes. If it reads fewer, the
    /// stream is empty. The next read then waits for the poller at once, which saves a system call that would fail.
    /// A `room` of zero means that a short read does not show an empty stream.
    #[inline]
    pub(super) fn read(
        &self,
        patience: Patience<'_>,
        place: &'static Location<'static>,
        room: usize,
        mut operation: impl FnMut(&S) -> io::Result<usize>,
    ) -> io::Result<usize> {
        patience.check()?;
        let mut noting = |socket: &S, seen: u32| {
            let length = operation(socket)?;
            if 0 < length && length < room {
                // Relaxed: if bytes arrive later, the poller changes the count or wakes the waiters. So a reader that
                // sees an old value of `emptied` loses no readiness.
                self.emptied.store(u64::from(seen) + 1, Ordering::Relaxed);
            }
            Ok(length)
        };
        let seen = self.count(Way::Read);
        let tried: io::Result<usize> = if room > 0 && self.is_empty(seen) {
            Err(ErrorKind::WouldBlock.into())
        } else {
            noting(&self.socket, seen)
        };
        match tried {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.run_slow(Way::Read, seen, patience, place, &mut noting, error)
            }
            done => {
                self.take_turn(place);
                done
            }
        }
    }

    /// Returns whether a read has emptied the socket, and the poller has reported nothing since (`seen` is the
    /// count). Returns false at an end of file and with out-of-band bytes, which need a system call. [N6]
    #[inline]
    fn is_empty(&self, seen: u32) -> bool {
        // Relaxed: for `emptied`, see `read`. `never_waits` is a setting, which orders no other access.
        self.emptied.load(Ordering::Relaxed) == u64::from(seen) + 1
            && self.registered.get().is_some_and(|registered| !registered.cell.is_odd())
            && !self.settings.never_waits.load(Ordering::Relaxed)
    }

    #[cold]
    fn run_slow<T>(
        &self,
        way: Way,
        mut seen: u32,
        patience: Patience<'_>,
        place: &'static Location<'static>,
        operation: &mut impl FnMut(&S, u32) -> io::Result<T>,
        refusal: io::Error,
    ) -> io::Result<T> {
        // Relaxed: a setting. If threads change a setting during an operation, they must synchronize themselves.
        if self.settings.never_waits.load(Ordering::Relaxed) {
            return Err(refusal);
        }
        let limit = self.limit(way, patience);
        loop {
            let outcome = self.wait(way, seen, limit, place)?;
            if outcome == Outcome::Cancelled {
                return Err(given_up(outcome, patience));
            }
            seen = self.count(way);
            // The operation is tried also after a time-out, because readiness may have arrived just now.
            match operation(&self.socket, seen) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            if outcome == Outcome::TimedOut {
                return Err(given_up(outcome, patience));
            }
        }
    }

    fn limit<'a>(&self, way: Way, patience: Patience<'a>) -> WaitLimit<'a> {
        // Relaxed: a setting, as in `run_slow`.
        let set = self.settings.timeouts[way as usize].load(Ordering::Relaxed);
        let until = |nanos| Some(clock::now().saturating_add(nanos));
        let deadline = if set == 0 { None } else { until(set) };
        match patience {
            Patience::AsSet => WaitLimit::NONE.no_later_than(deadline),
            Patience::Token(token) => token.limit().no_later_than(deadline),
            Patience::For(limit) => WaitLimit::after(limit),
        }
    }

    /// Waits until the poller or `poll` reports readiness, or the limit is reached.
    fn wait(
        &self,
        way: Way,
        seen: u32,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> io::Result<Outcome> {
        // Relaxed: only operations on this socket write this count, and it need not be exact.
        self.streak.store(0, Ordering::Relaxed);
        match self.cell()? {
            Place::Cell(cell) => Ok(cell.wait(way, seen, limit, place)),
            Place::Thread => plain::wait(self.socket.as_fd(), way, limit),
            Place::Elsewhere => {
                let fd = self.socket.as_fd();
                blocking(|| plain::wait(fd, way, limit))
            }
        }
    }

    #[inline]
    fn count(&self, way: Way) -> u32 {
        // If the socket was not registered, the poller has reported nothing for it.
        self.registered.get().map_or(0, |registered| registered.cell.count(way))
    }

    /// Returns where the caller must wait. Registers the socket if a goroutine waits for it first.
    fn cell(&self) -> io::Result<Place<'_>> {
        let Some(worker) = current_worker() else { return Ok(Place::Thread) };
        let sockets = worker.shared().sockets()?;
        if self.registered.get().is_none() {
            let _one = self.registering.lock();
            if self.registered.get().is_none() {
                let cell = Arc::new(Cell::new());
                let fd = self.socket.as_fd().as_raw_fd();
                let registration = sockets.register(fd, Arc::<Cell>::clone(&cell))?;
                let _ = self.registered.set(Registered { registration, cell });
            }
        }
        let registered = self.registered.get().expect("registered just now, or before");
        let here = registered.registration.is_with(sockets);
        Ok(if here { Place::Cell(&registered.cell) } else { Place::Elsewhere })
    }

    /// Yields after many operations, so that other goroutines run even if a socket is always ready.
    #[inline]
    fn take_turn(&self, place: &'static Location<'static>) {
        // Relaxed: a count that need not be exact if two threads add at once.
        let streak = self.streak.load(Ordering::Relaxed) + 1;
        let over = streak >= STREAK;
        self.streak.store(if over { 0 } else { streak }, Ordering::Relaxed);
        if over {
            park::give_way(place);
        }
    }

    // ---- settings --------------------------------------------------------------------------------

    pub(super) fn set_timeout(&self, way: Way, limit: Option<Duration>) -> io::Result<()> {
        if limit == Some(Duration::ZERO) {
            let text = "a time-out of zero is none: pass None to wait for ever";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        }
        let nanos = |limit: Duration| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: a setting.
        self.settings.timeouts[way as usize].store(limit.map_or(0, nanos), Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn timeout(&self, way: Way) -> Option<Duration> {
        // Relaxed: a setting.
        let nanos = self.settings.timeouts[way as usize].load(Ordering::Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }

    pub(super) fn set_nonblocking(&self, never_waits: bool) {
        // Relaxed: a setting.
        self.settings.never_waits.store(never_waits, Ordering::Relaxed);
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        // Relaxed: a setting.
        self.settings.never_waits.load(Ordering::Relaxed)
    }
}

enum Place<'a> {
    /// The caller is a goroutine of the runtime that has registered the socket in its poller.
    Cell(&'a Cell),
    /// The caller is a plain thread.
    Thread,
    /// The caller is a goroutine of another runtime.
    Elsewhere,
}

fn given_up(outcome: Outcome, patience: Patience<'_>) -> io::Error {
    match (outcome, patience) {
        (Outcome::Cancelled, Patience::Token(token)) => cancelled(token),
        (_, Patience::For(_)) => io::Error::new(ErrorKind::TimedOut, "connection timed out"),
        // `std` returns this error too on Unix.
        _ => io::Error::from(ErrorKind::WouldBlock),
    }
}

/// Returns the error for a cancelled token, of kind `TimedOut` if the token's deadline has passed.
pub(super) fn cancelled(token: &CancelToken) -> io::Error {
    match token.reason() {
        Some(CancelReason::DeadlinePassed) => io::Error::new(ErrorKind::TimedOut, Cancelled),
        _ => io::Error::from(Cancelled),
    }
}

/// # Panics
/// Panics in a model or a simulation.
#[track_caller]
pub(super) fn refuse_in_model() {
    let simulated = || current_worker().is_some_and(|worker| worker.shared().simulation.is_some());
    if MODELLED || simulated() {
        refuse();
    }
}

#[cold]
#[track_caller]
fn refuse() -> ! {
    panic!(
        "selvedge::net in a model: a checker can't see what the kernel does with a socket; let the \
         program read and write through a trait, and give it channels or buffers in the model"
    );
}
