//! System calls that are made without the C library, because its `syscall` may be our function.

/// The value that the kernel returns. A value from -4095 to -1 is an error.
#[derive(Clone, Copy)]
pub(super) struct Answer(pub(super) isize);

/// # Safety
/// The caller must keep the contract of the system call with this number.
pub(super) unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> Answer {
    let [a, b, c, d, e, f] = arguments;
    let answer;
    // SAFETY: the caller guarantees the contract of the system call. The kernel changes only the registers
    // that are named here.
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
    /// Makes the answer that corresponds to the C library's `errno`.
    pub(super) fn of_errno() -> Answer {
        // SAFETY: `__errno_location` returns a valid pointer to the calling thread's own `errno`.
        Answer(-(unsafe { *libc::__errno_location() } as isize))
    }

    pub(super) fn is_ok(self) -> bool {
        !(-4095..0).contains(&self.0)
    }

    /// Returns the number of the error, or 0.
    pub(super) fn errno(self) -> libc::c_int {
        if self.is_ok() { 0 } else { -self.0 as libc::c_int }
    }

    /// Returns what the C library would return: on an error -1, with the error's number in `errno`.
    pub(super) fn returned(self) -> isize {
        if self.is_ok() {
            return self.0;
        }
        // SAFETY: `__errno_location` returns a valid pointer to the calling thread's own `errno`.
        unsafe { *libc::__errno_location() = self.errno() };
        -1
    }

    pub(super) fn returned_int(self) -> libc::c_int {
        self.returned() as libc::c_int
    }
}

/// Returns the kernel's number of the calling thread.
pub(super) fn thread_id() -> libc::pid_t {
    // SAFETY: this call takes no argument.
    unsafe { call(libc::SYS_gettid, [0; 6]) }.0 as libc::pid_t
}

/// Returns true if the kernel understands `id` as the calling thread.
pub(super) fn is_self(id: libc::pid_t) -> bool {
    id == 0 || id == thread_id()
}
