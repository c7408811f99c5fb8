//! Whether others used the machine while a program of ours ran: their processor time, by the
//! kernel's count of all, less that of our children.

use std::time::Instant;

/// Of all processors' time, what others may use before a figure counts as disturbed.
const SHARE: f64 = 0.03;

/// A look at the machine before a program is started.
pub struct Watch {
    start: Instant,
    busy: f64,
    children: f64,
}

impl Watch {
    pub fn start() -> Self {
        Watch { start: Instant::now(), busy: busy_seconds(), children: children_seconds() }
    }

    /// After the program has ended and was waited for.
    pub fn others_were_at_work(&self) -> bool {
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let ours = children_seconds() - self.children;
        let others = busy_seconds() - self.busy - ours;
        // The kernel counts in hundredths of a second.
        others > SHARE * processors * self.start.elapsed().as_secs_f64() + 0.02
    }
}

/// Processor seconds that were not idle, since the machine started; stolen ones count.
fn busy_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = all.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user nice system idle iowait irq softirq steal
    let busy: f64 =
        ticks.iter().take(8).enumerate().filter(|(i, _)| *i != 3 && *i != 4).map(|(_, t)| t).sum();
    // SAFETY: asks for a constant.
    busy / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
}

fn children_seconds() -> f64 {
    // SAFETY: a zeroed `rusage` is one, and lives through the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
