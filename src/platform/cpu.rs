//! What the machine provides: processors, the processor time of a kernel thread, a hint to its caches.

/// Returns how many processors this process may use; affinity and the container's CPU limit count.
pub fn available_processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The CPU clock of one kernel thread, which other threads can read while that thread lives.
#[derive(Clone, Copy, Debug)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// Returns the calling thread's clock, or `None` if the kernel has none.
    pub fn of_this_thread() -> Option<CpuClock> {
        let mut clock = 0;
        // SAFETY: `pthread_self` returns a thread that is alive, and `clock` is a valid place for the result.
        let rc = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        (rc == 0).then_some(CpuClock(clock))
    }

    /// Returns the nanoseconds of processor time used so far, or `None` once the thread has ended.
    pub fn nanos(self) -> Option<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place for the result. If the thread has ended, the call returns an error.
        let rc = unsafe { libc::clock_gettime(self.0, &mut time) };
        (rc == 0).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }
}

/// Returns whether the kernel says that thread `id` of this process sleeps, rather than runs or waits for a
/// processor. Returns `None` if the kernel doesn't say.
pub fn thread_sleeps(id: u32) -> Option<bool> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?;
    // The command's name, in parentheses, may contain anything: the state follows the last parenthesis.
    let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
    Some(state != 'R')
}

/// Returns the kernel's number for the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: `gettid` takes no argument and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Tells the caches that the memory at `place` will be used soon. This call is a hint, so the address need not be
/// valid.
#[inline(always)]
pub fn prefetch<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch of any address is valid, because it returns no data and never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}
