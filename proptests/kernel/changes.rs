//! Changes of a kernel thread, and how they show.

use std::ptr;

/// How a change shows.
pub struct Change {
    pub name: &'static str,
    /// Makes it, on the calling thread.
    pub make: fn(),
    /// What is different then: other goroutines must find it as it was.
    pub see: fn() -> String,
}

pub fn link(name: &str) -> String {
    std::fs::read_link(format!("/proc/thread-self/{name}")).unwrap().display().to_string()
}

pub fn of_status(what: &str) -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find(|line| line.starts_with(what)).unwrap().to_owned()
}

pub fn succeeds(result: libc::c_long) {
    assert_ne!(result, -1, "{}", std::io::Error::last_os_error());
}

fn first_processor() -> libc::cpu_set_t {
    // SAFETY: an empty set, and a number below its size.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        set
    }
}

// SAFETY: each of these takes numbers, or sets of the caller's frame.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the reason stands above")]
pub const CHANGES: &[Change] = &[
    Change { name: "unshare", make: new_namespace, see: || link("ns/uts") },
    Change {
        name: "unshare by its number",
        make: || succeeds(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUTS) }),
        see: || link("ns/uts"),
    },
    Change {
        name: "affinity",
        make: || {
            let set = first_processor();
            succeeds(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) }.into());
        },
        see: || of_status("Cpus_allowed:"),
    },
    Change {
        name: "affinity by handle",
        make: || {
            let set = first_processor();
            let own = unsafe { libc::pthread_self() };
            assert_eq!(unsafe { libc::pthread_setaffinity_np(own, size_of_val(&set), &set) }, 0);
        },
        see: || of_status("Cpus_allowed:"),
    },
    Change {
        name: "scheduler",
        make: || {
            let parameters = libc::sched_param { sched_priority: 0 };
            succeeds(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &parameters) }.into());
        },
        see: || unsafe { libc::sched_getscheduler(0) }.to_string(),
    },
    Change {
        name: "priority",
        make: || succeeds(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 7) }.into()),
        see: || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }.to_string(),
    },
    Change {
        name: "nice",
        make: || assert_eq!(unsafe { libc::nice(5) }, 5),
        see: || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }.to_string(),
    },
    Change {
        name: "priority of input and output",
        make: || succeeds(unsafe { libc::syscall(libc::SYS_ioprio_set, 1, 0, 3 << 13) }),
        see: || unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) }.to_string(),
    },
    Change {
        name: "timer slack",
        make: || succeeds(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 12_345) }.into()),
        see: || unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }.to_string(),
    },
    Change {
        name: "personality",
        make: || succeeds(unsafe { libc::personality(0x000_0001 << 18) }.into()),
        see: || unsafe { libc::personality(0xffff_ffff) }.to_string(),
    },
    Change { name: "a thread's namespace", make: enter_namespace, see: || link("ns/uts") },
    Change { name: "capabilities", make: drop_capability, see: || of_status("CapEff:") },
    Change {
        name: "user of file accesses",
        make: || assert_eq!(unsafe { libc::setfsuid(4242) }, 0),
        see: || of_status("Uid:"),
    },
    Change {
        name: "group of file accesses",
        make: || assert_eq!(unsafe { libc::setfsgid(4242) }, 0),
        see: || of_status("Gid:"),
    },
    Change {
        name: "no new privileges",
        make: || succeeds(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into()),
        see: || of_status("NoNewPrivs:"),
    },
    Change {
        name: "scheduler by handle",
        make: || {
            let parameters = libc::sched_param { sched_priority: 0 };
            let own = unsafe { libc::pthread_self() };
            let made = unsafe { libc::pthread_setschedparam(own, libc::SCHED_BATCH, &parameters) };
            assert_eq!(made, 0);
        },
        see: || unsafe { libc::sched_getscheduler(0) }.to_string(),
    },
    Change { name: "signal mask", make: || block(libc::SIGUSR2), see: || of_status("SigBlk:") },
    Change {
        name: "group of one thread",
        make: || succeeds(unsafe { libc::syscall(libc::SYS_setgid, 4242) }),
        see: || of_status("Gid:"),
    },
];

pub fn new_namespace() {
    // SAFETY: takes a number.
    succeeds(unsafe { libc::unshare(libc::CLONE_NEWUTS) }.into());
}

pub fn block(signal: libc::c_int) {
    change_mask(libc::SIG_BLOCK, signal);
}

pub fn change_mask(how: libc::c_int, signal: libc::c_int) {
    // SAFETY: a set of this frame.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigaddset(&mut set, signal);
        assert_eq!(libc::pthread_sigmask(how, &set, ptr::null_mut()), 0);
    }
}

/// That of a plain thread.
fn enter_namespace() {
    use std::os::fd::AsRawFd;
    let other = std::thread::spawn(|| {
        new_namespace();
        std::fs::File::open("/proc/thread-self/ns/uts").unwrap()
    });
    let other = other.join().unwrap();
    // SAFETY: takes numbers.
    succeeds(unsafe { libc::setns(other.as_raw_fd(), libc::CLONE_NEWUTS) }.into());
}

/// As the kernel has it, in its third version: two words of each set.
#[repr(C)]
#[derive(Default)]
struct Capabilities {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

unsafe extern "C" {
    fn capget(header: *mut u32, data: *mut Capabilities) -> libc::c_int;
    fn capset(header: *mut u32, data: *const Capabilities) -> libc::c_int;
}

fn drop_capability() {
    const THIRD_VERSION: u32 = 0x2008_0522;
    const SYS_NICE: u32 = 23;
    let (mut header, mut sets) = ([THIRD_VERSION, 0], <[Capabilities; 2]>::default());
    // SAFETY: places of this frame, as large as that version has them.
    unsafe {
        succeeds(capget(header.as_mut_ptr(), sets.as_mut_ptr()).into());
        sets[0].effective &= !(1 << SYS_NICE);
        succeeds(capset(header.as_mut_ptr(), sets.as_ptr()).into());
    }
}
