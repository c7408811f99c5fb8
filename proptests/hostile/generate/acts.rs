//! Which acts foreign code performs, where it is called.

use super::{Maker, Theme};
use crate::program::{Act, Acts, CHANNELS, Fate, HELD, KEYS, LOCAL, RESULT, THREAD, TOKENS};

/// Where foreign code is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// In a closure.
    Body,
    Waker,
    MessageDrop,
    CaptureDrop,
    /// Of a result that nobody wants, a panic aborts.
    ResultDrop,
    /// A panic aborts.
    LocalDrop,
    /// std aborts.
    ThreadDrop,
    Make,
    Clone,
    Debug,
    Watchdog,
    /// The panic hook: std aborts where it panics.
    Hook,
}

/// The kinds of acts.
#[derive(Clone, Copy)]
enum What {
    Panic,
    PanicBadly,
    Yield,
    Sleep,
    Block,
    Slow,
    Send,
    Receive,
    Close,
    Cancel,
    Touch,
    TouchThread,
    Join,
    Detach,
    Unpark,
    Spawn,
    PollHeld,
    DropHeld,
    EndRuntime,
    ShutRuntime,
    Lock,
    Acquire,
    Notify,
    Blocking,
    NoSuspend,
    Scope,
    Print,
    Raise,
}
use What::*;

const ACTS: &[(usize, What)] = &[
    (10, Panic),
    (12, PanicBadly),
    (6, Yield),
    (5, Sleep),
    (4, Block),
    (2, Slow),
    (8, Send),
    (5, Receive),
    (1, Close),
    (4, Cancel),
    (9, Touch),
    (2, TouchThread),
    (4, Join),
    (2, Detach),
    (3, Unpark),
    (5, Spawn),
    (4, PollHeld),
    (5, DropHeld),
    (3, Lock),
    (2, Acquire),
    (1, Notify),
    (2, Blocking),
    (2, NoSuspend),
    (2, Scope),
    (2, Print),
    (2, Raise),
];

/// What may be done while a panic is reported.
const IN_HOOK: &[(usize, What)] =
    &[(4, Yield), (4, Sleep), (4, Block), (2, TouchThread), (2, Cancel), (2, Notify), (1, Slow)];

/// What is not done while a value is copied for a goroutine that is spawned: that would spawn without end.
fn spawns(what: What) -> bool {
    matches!(what, Spawn | Scope)
}

/// What goes wrong more often in a theme.
fn more(theme: Theme) -> &'static [(usize, What)] {
    match theme {
        Theme::Anything => &[(3, EndRuntime), (2, ShutRuntime)],
        Theme::Goroutines => &[(20, Touch), (10, Join), (5, Detach)],
        Theme::Scopes => &[(20, PanicBadly), (10, Panic)],
        Theme::Channels => &[(20, DropHeld), (20, Panic), (10, Send), (10, Receive)],
        Theme::Futures => &[(20, PanicBadly), (10, PollHeld), (10, DropHeld)],
        Theme::Ends => &[(20, PanicBadly), (10, EndRuntime)],
        Theme::Stalls => &[(20, EndRuntime), (5, ShutRuntime)],
        Theme::Slow => &[(30, Slow)],
    }
}

impl Maker {
    /// Acts of foreign code that is called at `place`; `depth` limits how they nest.
    pub fn acts(&mut self, place: Where, depth: u32) -> Acts {
        let count = self.random.pick(&[(6, 0), (10, 1), (4, 2)]);
        let acts: Acts = (0..count).map(|_| self.act(place, depth)).collect();
        let may_panic = match place {
            Where::ResultDrop => self.fate == Fate::MayAbort(RESULT),
            Where::LocalDrop => self.fate == Fate::MayAbort(LOCAL),
            Where::ThreadDrop => self.fate == Fate::MayAbort(THREAD),
            Where::Hook => false,
            _ => true,
        };
        if may_panic { acts } else { self.calmly(acts) }
    }

    fn act(&mut self, place: Where, depth: u32) -> Act {
        if self.fate == Fate::MayExit && self.random.one_in(12) {
            return Act::Exit;
        }
        let what = if place == Where::Hook {
            self.random.pick(IN_HOOK)
        } else {
            let choices = ACTS.iter().chain(more(self.theme)).copied();
            let may_spawn = place != Where::Clone;
            let choices: Vec<_> = choices.filter(|(_, what)| may_spawn || !spawns(*what)).collect();
            self.random.pick(&choices)
        };
        self.act_of(what, depth)
    }

    fn act_of(&mut self, what: What, depth: u32) -> Act {
        let within = depth.saturating_sub(1);
        match what {
            Panic => Act::Panic,
            PanicBadly => Act::PanicBadly(self.random.between(1, 4) as u8),
            Yield => Act::Yield,
            Sleep => Act::Sleep(self.random.between(1, 1500)),
            Block => Act::Block(self.random.between(1, 1500)),
            Slow => Act::Slow(self.random.between(1, 400)),
            Send if depth == 0 => Act::Yield,
            Send => {
                let value = self.value(Where::MessageDrop, within);
                Act::Send(self.random.below(CHANNELS), value)
            }
            Receive => Act::Receive(self.random.below(CHANNELS)),
            Close => Act::Close(self.random.below(CHANNELS)),
            Cancel => Act::Cancel(self.random.below(TOKENS)),
            Touch => Act::Touch(self.random.below(KEYS)),
            TouchThread => Act::TouchThread,
            Join => Act::Join,
            Detach => Act::Detach,
            Unpark => Act::Unpark,
            Spawn if depth == 0 => Act::Unpark,
            Spawn => {
                let capture = self.value(Where::CaptureDrop, within);
                Act::Spawn(capture, self.acts(Where::Body, within))
            }
            PollHeld if depth == 0 => Act::DropHeld(self.random.below(HELD)),
            PollHeld => Act::PollHeld(self.random.below(HELD), self.waker(within)),
            DropHeld => Act::DropHeld(self.random.below(HELD)),
            EndRuntime => Act::EndRuntime,
            ShutRuntime => Act::ShutRuntime,
            Lock => Act::Lock,
            Acquire => Act::Acquire,
            Notify => Act::Notify,
            Blocking if depth > 0 => Act::Blocking(self.acts(Where::Body, within)),
            NoSuspend if depth > 0 => Act::NoSuspend(self.acts(Where::Body, within)),
            Scope if depth > 0 => Act::Scope(self.acts(Where::Body, within)),
            Blocking | NoSuspend | Scope => Act::Yield,
            Print => Act::Print,
            Raise => Act::Raise,
        }
    }
}
