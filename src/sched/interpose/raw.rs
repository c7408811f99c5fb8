//! System calls without the C library, whose `syscall` may be ours.

/// The kernel's answer: from -4095 to -1 it is an error.
#[derive(Clone, Copy)]
pub(super) struct Answer(pub(super) isize);

/// # Safety
/// As of the system call of this number.
pub(super) unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Answer {
    let [a, b, c, d, e, f] = arguments;
    let answer;
    // SAFETY: the caller's; the kernel changes these registers alone.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    Answer(answer)
}

impl Answer {
    /// What the C library has left in `errno`.
    pub(super) fn of_errno() -> Answer {
        // SAFETY: the calling thread's.
        Answer(-(unsafe { *libc::__errno_location() } as isize))
    }

    pub(super) fn is_ok(self) -> bool {
        !(-4095..0).contains(&self.0)
    }

    /// The error's number, or 0.
    pub(super) fn errno(self) -> libc::c_int {
        if self.is_ok() { 0 } else { -self.0 as libc::c_int }
    }

    /// As the C library returns it: -1, and the error in `errno`.
    pub(super) fn returned(self) -> isize {
        if self.is_ok() {
            return self.0;
        }
        // SAFETY: the calling thread's.
        unsafe { *libc::__errno_location() = self.errno() };
        -1
    }

    pub(super) fn returned_int(self) -> libc::c_int {
        self.returned() as libc::c_int
    }
}

/// The kernel's number of the calling thread.
pub(super) fn thread_id() -> libc::pid_t {
    // SAFETY: takes nothing.
    unsafe { call(libc::SYS_gettid, [0; 6]) }.0 as libc::pid_t
}

/// Whether the kernel takes this number for that of the calling thread.
pub(super) fn is_self(id: libc::pid_t) -> bool {
    id == 0 || id == thread_id()
}
