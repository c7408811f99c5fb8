//! `ppoll`: blocks a kernel thread until a descriptor is ready, with a limit that the kernel keeps exactly.
//! Checked by: proptests/net/.

use std::io;
use std::ptr;
use std::time::Duration;

/// Blocks the kernel thread until one of `fds` is ready, or until `limit` is over and none is. Returns how many
/// are ready. If a signal's handler ran meanwhile, it returns an error of the kind `Interrupted`.
pub fn ppoll(fds: &mut [libc::pollfd], limit: Option<Duration>) -> io::Result<usize> {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos() as _,
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    let (place, count) = (fds.as_mut_ptr(), fds.len() as libc::nfds_t);
    // SAFETY: the pointer and the length come from the slice `fds`, and the time limit is in this frame.
    match unsafe { libc::ppoll(place, count, limit, ptr::null()) } {
        ready @ 0.. => Ok(ready as usize),
        _ => Err(io::Error::last_os_error()),
    }
}
