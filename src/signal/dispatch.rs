//! Dispatch: one kernel thread of the process receives signals and tells the listeners.
//! listen: add the listener, then install the handlers, so that the first signal is not lost.
//! a signal: the handler writes to a pipe → the thread tells each listener. A listener that has gone is
//! dropped, and if no listener is left, the signal has its default effect.
//! Telling a listener wakes its receivers. That may call foreign code (a waker), which may itself call
//! `listen`, so the thread tells the listeners without the lock. [Q3]
//! A handler blocks every signal while it runs. Several signals that are pending at once are therefore handled
//! one after the other, and take one frame of the alternate stack.
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

/// Highest number of a signal, on Linux.
const LAST: i32 = 64;

struct Listener {
    signals: Vec<i32>,
    /// Returns false if the listener had gone. A listener that is told may go before this returns.
    tell: Box<dyn Fn(i32) -> bool + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// The kernel thread's handle, once there is one.
    handle: Option<Handle>,
    listeners: Vec<Arc<Listener>>,
    /// Whether the second Ctrl-C ends this process.
    is_armed: bool,
}

static DISPATCH: OfProcess<Mutex<State>> = OfProcess::new();

/// The process that listens to each signal, as [`Born::number`]; 0 means that none has listened so far.
static LISTENING: [AtomicU32; LAST as usize + 1] = [const { AtomicU32::new(0) }; _];

/// Whether a Ctrl-C has arrived. Written by a signal handler.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Has `tell` called for each of these signals from now on.
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
    // Declared before the guard, so that on failure it is dropped without the lock.
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

/// Lets the second Ctrl-C end the process from now on. Its handler ends the process, so nothing can delay that.
pub(super) fn arm_second() -> io::Result<()> {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    let mut dispatch = state();
    if dispatch.is_armed {
        return Ok(());
    }
    // Relaxed, here and below: every writer holds the lock, or is the handler. A Ctrl-C that the parent of
    // a fork received does not count as the child's first.
    INTERRUPTED.store(false, Ordering::Relaxed);
    if !REGISTERED.load(Ordering::Relaxed) {
        // In this order, because the first Ctrl-C sets the flag that the second Ctrl-C finds.
        signal_hook::flag::register_conditional_default(libc::SIGINT, &INTERRUPTED)?;
        signal_hook::flag::register(libc::SIGINT, &INTERRUPTED)?;
        // Relaxed: as above.
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

/// Makes this process a listener to `signal`. In a child of a fork that does not listen itself, the handler
/// gives the signal its default effect.
fn handle_in_this_process(signal: i32) -> io::Result<()> {
    let listening = &LISTENING[signal as usize];
    let action = move || {
        // Relaxed: written before the handler could run, or by the child on its one thread.
        if listening.load(Ordering::Relaxed) != Born::here().number() {
            let _ = emulate_default_handler(signal);
        }
    };
    // Relaxed: under the lock.
    if listening.swap(Born::here().number(), Ordering::Relaxed) == 0 {
        // SAFETY: the action reads atomics and calls what is async-signal-safe.
        if let Err(error) = unsafe { low_level::register(signal, action) } {
            // Relaxed: as above.
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
    // Without the lock.
    drop(gone);
    if told == 0 {
        // An error means a signal without a name; its default effect is to end the process.
        let _ = emulate_default_handler(signal);
    }
}

/// Makes the installed handler run on the alternate stack, because a goroutine's stack may have no room for
/// it, and with every signal blocked, because the alternate stack has room for few frames. Between the
/// installation and this call, other signals may interrupt the handler once; they are shielded already.
fn shield(signal: i32) -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call writes the current action into `action`, which has room for it.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `action` was written, because the call has succeeded.
    let mut action = unsafe { action.assume_init() };
    action.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: the call fills in the set, which is valid memory.
    unsafe { libc::sigfillset(&mut action.sa_mask) };
    // SAFETY: the action has the same handler, with one more flag and a larger mask.
    if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
