//! Dispatch: one kernel thread of the process receives signals and tells the listeners.
//! listen: add the listener, then install the handlers, so that the first signal is not lost.
//! a signal: the handler writes to a pipe → the thread tells each listener. The thread drops a
//! listener that no longer receives. If no listener is left, the signal has its default effect.
//! Telling a listener wakes its receivers. The wake-up may call foreign code (a waker), and that code may call
//! `listen`. The thread therefore does not hold the lock while it tells the listeners. [Q3]
//! A handler blocks every signal while it runs. Several signals that are pending at once are therefore handled
//! one after the other, and need only one frame of the alternate stack.
//! In the child of a `fork` the handlers are still there, but no thread reads the pipe. A signal for which
//! the child itself has no listener has its default effect there.
//! Checked by: proptests/io/signals.rs, proptests/environment/storm.rs, proptests/environment/fork.rs.

use crate::fiber::overflow;
use crate::platform::fork;
use crate::platform::fork::Born;
use crate::platform::unmodelled::{AtomicBool, AtomicU32, Mutex, MutexGuard, Ordering};
use crate::platform::{Arc, OfProcess, environment_took, thread};
use crate::sched::core::forked;
use signal_hook::iterator::Handle;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;
use signal_hook::low_level::{self, emulate_default_handler};
use std::io::{self, ErrorKind, Read};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

/// The highest signal number on Linux.
const LAST: i32 = 64;

struct Listener {
    signals: Vec<i32>,
    /// Returns false if the listener no longer receives. A listener may stop receiving before `tell` returns true.
    tell: Box<dyn Fn(i32) -> bool + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// The handle to the kernel thread's pipe and signals. `None` until the first `listen`.
    handle: Option<Handle>,
    listeners: Vec<Arc<Listener>>,
    /// Whether the second Ctrl-C ends this process.
    is_armed: bool,
}

static DISPATCH: OfProcess<Mutex<State>> = OfProcess::new();

/// For each signal, the process that listens to it, as [`Born::number`]. The number 0 means that no process has
/// listened.
static LISTENING: [AtomicU32; LAST as usize + 1] = [const { AtomicU32::new(0) }; _];

/// Whether a Ctrl-C has arrived. A signal handler writes this flag.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Registers `tell`, which the kernel thread calls for each of these signals from now on.
pub(super) fn listen(
    signals: &[i32],
    tell: impl Fn(i32) -> bool + Send + Sync + 'static,
) -> io::Result<()> {
    let own = [libc::SIGBUS];
    if let Some(signal) = signals.iter().find(|signal| {
        let forbidden = signal_hook::consts::FORBIDDEN.contains(signal) || own.contains(signal);
        forbidden || !(1..=LAST).contains(*signal)
    }) {
        let message = format!(
            "signal {signal} can't be received: the kernel or the runtime keeps it for itself, or \
             there is none of that number"
        );
        return Err(io::Error::new(ErrorKind::InvalidInput, message));
    }
    // The listener is declared before the guard, so on failure it is dropped after the lock is released.
    let listener = Arc::new(Listener { signals: signals.to_vec(), tell: Box::new(tell) });
    let mut dispatch = state();
    let State { handle, listeners, .. } = &mut *dispatch;
    let handle = match handle {
        Some(handle) => handle,
        None => handle.insert(start()?),
    };
    listeners.push(Arc::clone(&listener));
    for &signal in signals {
        let handled = handle_in_this_process(signal)
            .and_then(|()| handle.add_signal(signal))
            .and_then(|()| shield(signal));
        if let Err(error) = handled {
            listeners.pop();
            return Err(error);
        }
    }
    Ok(())
}

/// Lets the second Ctrl-C end the process from now on. The signal's handler ends the process, so no
/// thread can delay the end.
pub(super) fn arm_second() -> io::Result<()> {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    let mut dispatch = state();
    if dispatch.is_armed {
        return Ok(());
    }
    // Relaxed, here and below, because every writer holds the lock or is the handler. A Ctrl-C that the parent of
    // a fork received does not count as the child's first.
    INTERRUPTED.store(false, Ordering::Relaxed);
    if !REGISTERED.load(Ordering::Relaxed) {
        // The order matters: at the first Ctrl-C, the first action finds the flag unset, and the second sets it.
        signal_hook::flag::register_conditional_default(libc::SIGINT, &INTERRUPTED)?;
        signal_hook::flag::register(libc::SIGINT, &INTERRUPTED)?;
        // Relaxed, because the caller holds the lock.
        REGISTERED.store(true, Ordering::Relaxed);
        shield(libc::SIGINT)?;
    }
    dispatch.is_armed = true;
    Ok(())
}

fn state() -> MutexGuard<'static, State> {
    let state = DISPATCH.get_or_init(Mutex::default);
    state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Makes this process a listener to `signal`. If a child process of a fork does not listen itself, the
/// handler gives the signal its default effect there.
fn handle_in_this_process(signal: i32) -> io::Result<()> {
    let listening = &LISTENING[signal as usize];
    let action = move || {
        // Relaxed, because the number is written before the handler can run, or by a forked child on its only thread.
        if listening.load(Ordering::Relaxed) != Born::here().number() {
            let _ = emulate_default_handler(signal);
        }
    };
    // Relaxed, because the caller holds the lock.
    if listening.swap(Born::here().number(), Ordering::Relaxed) == 0 {
        // SAFETY: `register` requires an async-signal-safe action. `action` only reads atomics, and calls
        // `emulate_default_handler`, which is async-signal-safe.
        if let Err(error) = unsafe { low_level::register(signal, action) } {
            // Relaxed, because the caller holds the lock.
            listening.store(0, Ordering::Relaxed);
            return Err(error);
        }
    }
    Ok(())
}

fn start() -> io::Result<Handle> {
    fork::prepare();
    let (read, write) = UnixStream::pair()?;
    let mut signals = SignalDelivery::with_pipe(read, write, SignalOnly, &[] as &[i32])?;
    let handle = signals.handle();
    let born = Born::here();
    thread::spawn("selvedge-signals".to_owned(), move || {
        overflow::ensure_alternate_stack();
        loop {
            let pending = match signals.poll_pending(&mut await_signal) {
                Ok(Some(pending)) => pending,
                Ok(None) => lose_pipe(&ErrorKind::UnexpectedEof.into()),
                Err(error) => lose_pipe(&error),
            };
            for signal in pending {
                dispatch(signal);
                forked::check_thread(born, "what a signal wakes");
            }
        }
    })?;
    Ok(handle)
}

/// Blocks until a handler has written to the pipe. Returns false at the pipe's end.
fn await_signal(pipe: &mut UnixStream) -> io::Result<bool> {
    loop {
        match pipe.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map(|bytes| bytes > 0),
        }
    }
}

/// Reports that the pipe's descriptors were closed. The runtime must not close them again, or write to them,
/// because the numbers may now belong to other files.
fn lose_pipe(error: &io::Error) -> ! {
    environment_took(
        "the pipe by which signals arrive",
        error,
        "close none but your own file descriptors, or do so (close_range, closefrom) before the first \
         call of `signal::ctrl_c` or `Signals::new`",
    )
}

fn dispatch(signal: i32) {
    let mut concerned = state().listeners.clone();
    concerned.retain(|listener| listener.signals.contains(&signal));
    let all = concerned.len();
    concerned.retain(|listener| !(listener.tell)(signal));
    let (told, gone) = (all - concerned.len(), concerned);
    state().listeners.retain(|own| !gone.iter().any(|gone| Arc::ptr_eq(own, gone)));
    // The listeners are dropped without the lock, because their destructors may be foreign code.
    drop(gone);
    if told == 0 {
        // An error means that the signal has no name. The default effect of such a signal is to end the process.
        let _ = emulate_default_handler(signal);
    }
}

/// Makes the installed handler run on the alternate stack, because a goroutine's stack may be nearly used up.
/// Also makes it run with every signal blocked, because the alternate stack is large enough for few frames only.
/// Between the installation and this call, other signals may interrupt the handler, but only once, because the
/// handlers of those signals already run with every signal blocked.
fn shield(signal: i32) -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the null pointer means that no action is set. The kernel writes the current action to `action`, a local
    // variable of that type.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call of `sigaction` above has succeeded, so it has initialized `action`.
    let mut action = unsafe { action.assume_init() };
    action.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: the reference to `action.sa_mask` is valid, and `sigfillset` only writes to that set.
    unsafe { libc::sigfillset(&mut action.sa_mask) };
    // SAFETY: `action` is what the kernel returned above, with the same handler, one more flag and a larger mask.
    if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
