//! Dispatch: one kernel thread of the process receives signals and tells those who listen.
//! listen: enter the listener, then have the signals handled; so the first one is not lost.
//! a signal: the handler writes to a pipe → the thread tells each listener; one that has gone is
//! dropped, and with none left the default effect is had.
//! Checked by: proptests/io/signals.rs.

use crate::platform::thread;
use crate::platform::unmodelled::{AtomicBool, Mutex};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::mem::MaybeUninit;

/// Highest number of a signal, on Linux.
const LAST: i32 = 64;

struct Listener {
    signals: Vec<i32>,
    /// False: nobody was there to be told. Who is told may go before this returns.
    tell: Box<dyn Fn(i32) -> bool + Send>,
}

/// The kernel thread's handle, once there is one; and those who listen.
static DISPATCH: Mutex<(Option<Handle>, Vec<Listener>)> = Mutex::new((None, Vec::new()));

/// Whether there was a Ctrl-C. Written by a signal handler.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on `tell` is called for each of these signals.
pub(super) fn listen(
    signals: &[i32],
    tell: impl Fn(i32) -> bool + Send + 'static,
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
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut dispatch = DISPATCH.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (handle, listeners) = &mut *dispatch;
    let handle = match handle {
        Some(handle) => handle,
        None => handle.insert(start()?),
    };
    listeners.push(Listener { signals: signals.to_vec(), tell: Box::new(tell) });
    for &signal in signals {
        if let Err(error) = handle.add_signal(signal).and_then(|()| use_alternate_stack(signal)) {
            listeners.pop();
            return Err(error);
        }
    }
    Ok(())
}

/// From now on the second Ctrl-C ends the process: its handler does, so nothing can hold it up.
pub(super) fn arm_second() -> io::Result<()> {
    static ARMED: Mutex<bool> = Mutex::new(false);
    let mut armed = ARMED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*armed {
        // In this order: the first one sets what the second one finds.
        signal_hook::flag::register_conditional_default(libc::SIGINT, &INTERRUPTED)?;
        signal_hook::flag::register(libc::SIGINT, &INTERRUPTED)?;
        *armed = true;
    }
    Ok(())
}

fn start() -> io::Result<Handle> {
    let mut signals = Signals::new(std::iter::empty::<i32>())?;
    let handle = signals.handle();
    thread::spawn("selvedge-signals".to_owned(), move || {
        for signal in signals.forever() {
            dispatch(signal);
        }
    })?;
    Ok(handle)
}

fn dispatch(signal: i32) {
    let mut told = false;
    {
        let mut dispatch = DISPATCH.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        dispatch.1.retain(|listener| {
            let concerned = listener.signals.contains(&signal);
            let there = !concerned || (listener.tell)(signal);
            told |= concerned && there;
            there
        });
    }
    if !told {
        // An error: a signal without a name, whose default effect is to end the process.
        let _ = emulate_default_handler(signal);
    }
}

/// Adds SA_ONSTACK to the handler that is installed: a goroutine's own stack may have no room for it.
fn use_alternate_stack(signal: i32) -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks for the handler, which is written where it may be.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was written, since the call has succeeded.
    let mut action = unsafe { action.assume_init() };
    action.sa_flags |= libc::SA_ONSTACK;
    // SAFETY: the same handler, with one more flag.
    if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
