//! Ledger: what became of each value and each goroutine of one program.
//!
//! A canary is a small value on the heap with a magic word. Each value that a program hands to the
//! runtime contains a canary, so that a second drop, a use after the drop, and a value that is never
//! dropped are all noticed. A message also records that it was sent and that it was received.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

const MAGIC: u64 = 0x5e1f_ed6e_c0ff_ee00;
const GONE: u64 = 0xdead_dead_dead_dead;
/// A program makes fewer values than this.
const MOST: usize = 1 << 14;

/// What a canary is part of. The kind says what must be true of it at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Captured by the closure of a goroutine.
    Capture,
    Result,
    Message,
    /// A panic payload that our own code threw.
    Payload,
    /// A panic payload that was thrown by the destructor of another payload.
    NestedPayload,
    /// A goroutine-local value of a goroutine.
    Local,
    /// A goroutine-local value of a plain thread, which may outlive the program.
    ThreadsLocal,
    /// A value in a `thread_local!`; its thread may outlive the program.
    ThreadLocal,
    /// Data of a waker.
    Waker,
    /// A value behind a lock, in a future, in a frame.
    Other,
}

const KINDS: [Kind; 10] = [
    Kind::Capture,
    Kind::Result,
    Kind::Message,
    Kind::Payload,
    Kind::NestedPayload,
    Kind::Local,
    Kind::ThreadsLocal,
    Kind::ThreadLocal,
    Kind::Waker,
    Kind::Other,
];

const ALIVE: u8 = 1;
const DROPPED: u8 = 2;

#[derive(Default)]
struct Entry {
    state: AtomicU8,
    kind: AtomicU8,
    /// The goroutine that it belongs to, or `usize::MAX`.
    of: AtomicUsize,
    sent: AtomicU8,
    received: AtomicU8,
}

/// How far a goroutine of the program has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is about to be spawned.
    Planned,
    NotBegun,
    Running,
    Returned,
    Panicked,
    /// `go` gave the closure back.
    Refused,
}

/// What is known of one goroutine.
#[derive(Clone, Debug)]
pub struct Record {
    pub life: Life,
    /// What it did last, for a report.
    pub step: String,
    pub on: String,
}

/// See the module.
pub struct Ledger {
    entries: Box<[Entry]>,
    used: AtomicUsize,
    records: Mutex<Vec<Record>>,
    /// Runtimes whose end has begun and is not over.
    pub ending: AtomicUsize,
    /// Whether a runtime was ended while some of its goroutines had not ended.
    pub left_behind: AtomicBool,
}

impl Ledger {
    pub fn new() -> Arc<Ledger> {
        Arc::new(Ledger {
            entries: (0..MOST).map(|_| Entry::default()).collect(),
            used: AtomicUsize::new(0),
            records: Mutex::default(),
            ending: AtomicUsize::new(0),
            left_behind: AtomicBool::new(false),
        })
    }

    fn records(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A goroutine is about to be spawned: its number.
    pub fn spawned(&self, on: &str) -> usize {
        let mut records = self.records();
        records.push(Record { life: Life::Planned, step: String::new(), on: on.to_owned() });
        records.len() - 1
    }

    pub fn lives(&self, number: usize, life: Life) {
        let mut records = self.records();
        let before = records[number].life;
        let in_order = match life {
            // It may have begun, and ended, before its spawner says so.
            Life::NotBegun if before != Life::Planned => return,
            Life::Planned | Life::NotBegun | Life::Refused => before == Life::Planned,
            Life::Running => matches!(before, Life::Planned | Life::NotBegun),
            Life::Returned | Life::Panicked => before == Life::Running,
        };
        if !in_order {
            fault(&format!("goroutine {number} is {life:?} after it was {before:?}"));
        }
        records[number].life = life;
    }

    pub fn does(&self, number: usize, step: String) {
        let before = std::mem::replace(&mut self.records()[number].step, step);
        drop(before);
    }

    pub fn life(&self, number: usize) -> Life {
        self.records()[number].life
    }

    /// Those that have neither ended nor were refused, for a report.
    pub fn unfinished(&self) -> Vec<(usize, Record)> {
        let records = self.records();
        let all = records.iter().cloned().enumerate();
        all.filter(|(_, record)| matches!(record.life, Life::NotBegun | Life::Running)).collect()
    }

    /// Whether every goroutine has ended, and nothing was leaked with one.
    pub fn is_whole(&self) -> bool {
        !self.left_behind.load(SeqCst) && self.unfinished().is_empty()
    }

    pub fn canary(self: &Arc<Self>, kind: Kind, of: Option<usize>) -> Canary {
        let number = self.used.fetch_add(1, SeqCst);
        let Some(entry) = self.entries.get(number) else {
            fault("the program makes too many values for the ledger");
        };
        entry.state.store(ALIVE, SeqCst);
        entry.kind.store(kind as u8, SeqCst);
        entry.of.store(of.unwrap_or(usize::MAX), SeqCst);
        let body = Box::new(Body { magic: MAGIC ^ number as u64, pad: [number as u64; 3] });
        Canary { body, number, ledger: Arc::clone(self) }
    }

    fn kind(&self, number: usize) -> Kind {
        KINDS[usize::from(self.entries[number].kind.load(SeqCst))]
    }

    /// What is wrong at the end of the program, once all goroutines have ended (`whole`), or at least
    /// those that their runtime didn't leave behind.
    pub fn wrongs(&self, whole: bool) -> Vec<String> {
        let mut wrongs = Vec::new();
        for number in 0..self.used.load(SeqCst).min(MOST) {
            let entry = &self.entries[number];
            let kind = self.kind(number);
            let alive = entry.state.load(SeqCst) == ALIVE;
            let may_stay = match kind {
                Kind::ThreadsLocal | Kind::ThreadLocal | Kind::NestedPayload => true,
                Kind::Capture => match self.life(entry.of.load(SeqCst)) {
                    Life::Running => true,
                    // Whoever spawns it, or drops it, may be left behind.
                    Life::Planned | Life::Refused => !whole,
                    Life::NotBegun => self.ending.load(SeqCst) > 0,
                    Life::Returned | Life::Panicked => false,
                },
                _ => !whole,
            };
            if alive && !may_stay {
                let of = self.records().get(entry.of.load(SeqCst)).cloned();
                wrongs.push(format!("value {number} ({kind:?} of {of:?}) was never dropped"));
            }
            let (sent, received) = (entry.sent.load(SeqCst), entry.received.load(SeqCst));
            if received > 1 || (whole && sent == 1 && received == 0) {
                wrongs.push(format!("message {number}: sent {sent} times, received {received}"));
            }
        }
        wrongs
    }
}

struct Body {
    magic: u64,
    pad: [u64; 3],
}

/// See the module.
pub struct Canary {
    body: Box<Body>,
    number: usize,
    ledger: Arc<Ledger>,
}

impl Canary {
    pub fn number(&self) -> usize {
        self.number
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Notices a use after the drop.
    pub fn check(&self) {
        let number = self.number as u64;
        if self.body.magic != MAGIC ^ number || self.body.pad != [number; 3] {
            fault(&format!("a value was used after it was dropped: {:#x}", self.body.magic));
        }
    }

    pub fn becomes(&self, kind: Kind, of: Option<usize>) {
        self.ledger.entries[self.number].kind.store(kind as u8, SeqCst);
        self.ledger.entries[self.number].of.store(of.unwrap_or(usize::MAX), SeqCst);
    }

    /// A send of this number has returned `Ok`.
    pub fn note_sent(ledger: &Ledger, number: usize) {
        ledger.entries[number].sent.fetch_add(1, SeqCst);
    }

    pub fn note_received(&self) {
        self.check();
        if self.ledger.entries[self.number].received.fetch_add(1, SeqCst) > 0 {
            fault(&format!("message {} was received twice", self.number));
        }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.check();
        self.body.magic = GONE;
        if self.ledger.entries[self.number].state.swap(DROPPED, SeqCst) != ALIVE {
            fault(&format!("value {} was dropped twice", self.number));
        }
    }
}

/// Says what is wrong, and ends the process. Never unwinds, since it may be called anywhere.
pub fn fault(what: &str) -> ! {
    let trace = if std::env::var_os("SELVEDGE_HOSTILE_TRACE").is_some() {
        std::backtrace::Backtrace::force_capture().to_string()
    } else {
        String::new()
    };
    eprintln!("hostile: FAULT: {what}\n{trace}");
    // SAFETY: ends the process at once, which is what is wanted: other threads may be anywhere.
    unsafe { libc::_exit(crate::run::FAULT) }
}
