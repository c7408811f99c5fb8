//! A filter of system calls, as a sandbox has it: those named are answered by an error.

use std::io;
use std::mem::offset_of;

/// One kind of call that is refused.
#[derive(Clone, Copy)]
pub struct Rule {
    pub call: libc::c_long,
    /// Only where the third argument is this.
    pub third: Option<u32>,
    /// The error.
    pub errno: i32,
}

impl Rule {
    /// The call of this name, answered by "operation not permitted". `guard` is `madvise` that installs
    /// a guard, answered as by kernels that don't know it.
    pub fn of(name: &str) -> Option<Rule> {
        const MADV_GUARD_INSTALL: u32 = 102;
        let (call, third, errno) = match name {
            "guard" => (libc::SYS_madvise, Some(MADV_GUARD_INSTALL), libc::EINVAL),
            "membarrier" => (libc::SYS_membarrier, None, libc::EPERM),
            "mprotect" => (libc::SYS_mprotect, None, libc::ENOMEM),
            "ppoll" => (libc::SYS_ppoll, None, libc::EPERM),
            "pidfd_open" => (libc::SYS_pidfd_open, None, libc::ENOSYS),
            "sched_getaffinity" => (libc::SYS_sched_getaffinity, None, libc::EPERM),
            "sched_setaffinity" => (libc::SYS_sched_setaffinity, None, libc::EPERM),
            "sigaltstack" => (libc::SYS_sigaltstack, None, libc::EPERM),
            "getrandom" => (libc::SYS_getrandom, None, libc::ENOSYS),
            _ => return None,
        };
        Some(Rule { call, third, errno })
    }
}

/// Refuses these calls to every thread of the process, and to all that it starts, for good.
pub fn refuse(rules: &[Rule]) -> io::Result<()> {
    let mut program: Vec<libc::sock_filter> = Vec::new();
    for rule in rules {
        let refusal = libc::SECCOMP_RET_ERRNO | (rule.errno as u32 & libc::SECCOMP_RET_DATA);
        // The lower half of the third argument: these are little-endian machines.
        let third = rule.third.map(|third| {
            let at = offset_of!(libc::seccomp_data, args) + 2 * size_of::<u64>();
            [load(at), unless(third, 1)]
        });
        program.push(load(offset_of!(libc::seccomp_data, nr)));
        program.push(unless(rule.call as u32, if third.is_some() { 3 } else { 1 }));
        program.extend(third.into_iter().flatten());
        program.push(answer(refusal));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let program =
        libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_mut_ptr() };
    // SAFETY: takes no pointer. What is started from here on gains no rights, as filters ask for.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (operation, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
    // SAFETY: a program that lives until the call returns.
    match unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &program) } {
        0 => Ok(()),
        // The number of a thread that has another filter, or an error.
        _ => Err(io::Error::last_os_error()),
    }
}

fn load(at: usize) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at as u32, 0)
}

/// Skips `skipped` statements unless what was loaded is `value`.
fn unless(value: u32, skipped: u8) -> libc::sock_filter {
    statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, skipped)
}

fn answer(answer: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, answer, 0)
}

fn statement(code: u32, k: u32, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf, k }
}
