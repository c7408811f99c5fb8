//! Io: one socket, and how its operations wait.
//!
//! run: try the operation; only where the kernel says that it would block, wait until the poller says
//!     otherwise, and try again. A socket that never blocks is never registered.
//! A goroutine waits in its runtime's poller. A plain thread waits in `poll`, as does, in `blocking`, a
//! goroutine of another runtime than the one where the socket is registered.
//! [N7] A socket is in one poller at most, and leaves it before it is closed.
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

/// After so many operations in a row that did not wait, a goroutine lets others run.
const STREAK: u32 = 32;

/// A socket that never blocks its kernel thread.
pub(crate) struct Io<S> {
    /// Before the socket, so that it ends first. [N7]
    registered: OnceLock<Registered>,
    registering: Mutex<()>,
    settings: Arc<Settings>,
    /// Operations since it last waited.
    streak: AtomicU32,
    /// One more than the count before a read that left nothing; zero: there was none. [N6]
    emptied: AtomicU64,
    socket: S,
}

struct Registered {
    registration: Registration,
    cell: Arc<Cell>,
}

/// What duplicates of a socket share, as those of `std` do.
#[derive(Default)]
struct Settings {
    /// Nanoseconds; zero: for ever.
    timeouts: [AtomicU64; 2],
    never_waits: AtomicBool,
}

/// How long an operation waits at the most.
#[derive(Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// As long as the socket is set to.
    AsSet,
    /// That, and until the token is cancelled.
    Token(&'a CancelToken),
    /// So long, and no longer: for `connect_timeout`.
    For(Duration),
}

impl Patience<'_> {
    /// A token that is cancelled already comes before all else.
    #[inline]
    fn check(self) -> io::Result<()> {
        match self {
            Patience::Token(token) if token.is_cancelled() => Err(cancelled(token)),
            _ => Ok(()),
        }
    }
}

// What a panic could leave half done is guarded by locks that are not held while user code runs.
impl<S> UnwindSafe for Io<S> {}
impl<S> RefUnwindSafe for Io<S> {}

impl<S: AsFd> Io<S> {
    /// A socket that was set not to block.
    ///
    /// # Panics
    /// In a model, and in a simulation: a checker can't see what the kernel does.
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

    /// A duplicate, with settings in common.
    #[track_caller]
    pub(super) fn duplicate(&self, socket: S) -> Self {
        Io::with(socket, || Arc::clone(&self.settings))
    }

    /// Takes over one of `std`'s, time-outs included.
    ///
    /// # Panics
    /// If its descriptor is not open; and as `new`.
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

    /// Gives it back as `std` would have it.
    pub(super) fn into_std(self) -> S {
        let (read, write) = (self.timeout(Way::Read), self.timeout(Way::Write));
        let own = SockRef::from(&self.socket);
        // Each can fail only for a descriptor that somebody has closed behind our back.
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

    /// Takes it out of the poller. [N7]
    pub(super) fn into_socket(self) -> S {
        drop(self.registered);
        self.socket
    }

    /// Does `operation`, if need be waiting until it can be done.
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

    /// As `run`, for a stream of bytes, of which `operation` reads at most `room`. One that gives fewer
    /// is empty then; the next read waits for the poller's word at once, and spares itself a system
    /// call that would fail. A `room` of zero says that this is not so here.
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
                // Relaxed: a later arrival counts, or fires who waits, whatever is seen of this.
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

    /// Whether a read has emptied it after `seen` was read, and nothing was told since. Where it is at
    /// its end, or has urgent bytes, that says nothing. [N6]
    #[inline]
    fn is_empty(&self, seen: u32) -> bool {
        // Relaxed: see `read`; and a setting.
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
        // Relaxed: a setting; who sets it and who reads at once agree between themselves.
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
            // Also when the time is up: it may have come just now.
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
        // Relaxed: a setting, as above.
        let set = self.settings.timeouts[way as usize].load(Ordering::Relaxed);
        let until = |nanos| Some(clock::now().saturating_add(nanos));
        let deadline = if set == 0 { None } else { until(set) };
        match patience {
            Patience::AsSet => WaitLimit::NONE.no_later_than(deadline),
            Patience::Token(token) => token.limit().no_later_than(deadline),
            Patience::For(limit) => WaitLimit::after(limit),
        }
    }

    /// Waits until the operation is worth another try.
    fn wait(
        &self,
        way: Way,
        seen: u32,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> io::Result<Outcome> {
        // Relaxed: a count that only this socket's users write.
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
        // What is not registered, the poller has said nothing of.
        self.registered.get().map_or(0, |registered| registered.cell.count(way))
    }

    /// Where the caller is to wait.
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

    /// A socket that never makes its goroutine wait must not keep others from running.
    #[inline]
    fn take_turn(&self, place: &'static Location<'static>) {
        // Relaxed: a count; where two add at once it is none the worse.
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
    /// A goroutine of the runtime in whose poller the socket is.
    Cell(&'a Cell),
    /// A plain thread.
    Thread,
    /// A goroutine of another runtime.
    Elsewhere,
}

fn given_up(outcome: Outcome, patience: Patience<'_>) -> io::Error {
    match (outcome, patience) {
        (Outcome::Cancelled, Patience::Token(token)) => cancelled(token),
        (_, Patience::For(_)) => io::Error::new(ErrorKind::TimedOut, "connection timed out"),
        // As `std` does on Unix.
        _ => io::Error::from(ErrorKind::WouldBlock),
    }
}

/// A token's error: `TimedOut` where its deadline has passed.
pub(super) fn cancelled(token: &CancelToken) -> io::Error {
    match token.reason() {
        Some(CancelReason::DeadlinePassed) => io::Error::new(ErrorKind::TimedOut, Cancelled),
        _ => io::Error::from(Cancelled),
    }
}

/// # Panics
/// Where a checker makes the choices.
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
