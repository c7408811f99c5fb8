//! Tour: executes a fence on every thread of the process, by running on every processor once. It is needed only once,
//! when `membarrier` is taken away. `fence` says more.
//!
//! The calling thread moves from processor to processor by its affinity, and back. On the processor where it runs, no
//! other thread runs: a thread that ran there was switched out, and a context switch is a full fence for the thread
//! that leaves and for the thread that comes. A thread that runs on no processor was switched out before. A thread
//! that moves between two processors meanwhile is switched out, too. So each thread has a point in its program with
//! two properties. The calling thread sees what that thread stored before the point. After the point, that thread
//! sees what the caller stored before the tour.
//!
//! Rejected: changing the rights of a page, so that the kernel interrupts every processor to flush it. Some
//! processors flush the entries of others without an interrupt (aarch64; AMD's INVLPGB, Linux 6.15).
//! Rejected: a signal to each thread. It makes their system calls fail with EINTR, runs on goroutines' stacks, and
//! waits for ever if a thread blocks the signal.
//! Rejected: waiting until any store must have been seen. No processor promises how long that is.
//! Checked by: proptests/fence.rs.

use super::unmodelled::{Ordering, fence};
use std::io;

/// The greatest number of processors for which a kernel can be built.
const MOST: usize = 8192;
const WORD: usize = u64::BITS as usize;

/// A set of processors.
#[derive(Clone, Copy)]
struct Set([u64; MOST / WORD]);

/// Returns once every other thread of the process has executed a full fence since the call, or has been on no
/// processor.
///
/// # Errors
/// Returns an error if the kernel refuses to move the calling thread, or to say where the others may run, or if
/// one of them may run where the calling thread may not.
pub fn everywhere() -> io::Result<()> {
    // SeqCst: what the caller has stored is visible before the first context switch.
    fence(Ordering::SeqCst);
    let own = Set::of_thread(0)?;
    let visited = visit();
    own.impose()?;
    let visited = visited?;
    for entry in std::fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match Set::of_thread(id) {
            Ok(allowed) if !allowed.is_within(&visited) => {
                let text = "a thread may run on a processor that another thread may not use";
                return Err(io::Error::other(text));
            }
            Ok(_) => {}
            // The thread has ended.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn visit() -> io::Result<Set> {
    let mut visited = Set([0; MOST / WORD]);
    for processor in 0..MOST {
        let mut one = Set([0; MOST / WORD]);
        one.0[processor / WORD] = 1 << (processor % WORD);
        match one.impose() {
            Ok(()) => visited.0[processor / WORD] |= one.0[processor / WORD],
            // There is no such processor, it is off, or this process may not use it.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(visited)
}

impl Set {
    /// Returns the processors on which thread `id` of this process may run; 0 means the calling thread.
    fn of_thread(id: libc::pid_t) -> io::Result<Set> {
        let mut set = Set([0; MOST / WORD]);
        let (bytes, place) = (size_of_val(&set.0), set.0.as_mut_ptr());
        // SAFETY: the pointer and the size are those of the variable that receives the result.
        let rc = unsafe { libc::syscall(libc::SYS_sched_getaffinity, id, bytes, place) };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(set) }
    }

    /// Moves the calling thread: it runs on one of these processors when this returns.
    fn impose(&self) -> io::Result<()> {
        let (bytes, place) = (size_of_val(&self.0), self.0.as_ptr());
        // SAFETY: the pointer and the size are those of the set, which the call only reads.
        let rc = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, bytes, place) };
        if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn is_within(&self, other: &Set) -> bool {
        self.0.iter().zip(&other.0).all(|(own, other)| own & !other == 0)
    }
}
