//! Which steps actors take.

use super::acts::Where;
use super::{Maker, Theme};
use crate::program::{
    Act, Build, CHANNELS, Child, Fate, HELD, Hook, How, KEYS, Keep, Limited, Odd, On, POLICY,
    ScopeSpec, Spawn, Step, Steps, TOKENS,
};

#[derive(Clone, Copy)]
enum What {
    Do,
    Spawn,
    Scope,
    Send,
    Receive,
    Select,
    Selected,
    HoldReceive,
    HoldSend,
    HoldSleep,
    HoldToken,
    HoldTimer,
    BlockOn,
    Limit,
    Once,
    Blocking,
    Pinned,
    WithLocal,
    Hog,
    BuildSecond,
    Private,
    Timer,
    HoldSignal,
    Odd,
}

const STEPS: &[(usize, What)] = &[
    (6, What::Do),
    (10, What::Spawn),
    (4, What::Scope),
    (4, What::Send),
    (4, What::Receive),
    (3, What::Select),
    (2, What::Selected),
    (3, What::HoldReceive),
    (2, What::HoldSend),
    (2, What::HoldSleep),
    (2, What::HoldToken),
    (1, What::HoldTimer),
    (2, What::BlockOn),
    (3, What::Limit),
    (1, What::Once),
    (2, What::Blocking),
    (1, What::Pinned),
    (2, What::WithLocal),
    (1, What::Private),
    (1, What::Timer),
    (1, What::HoldSignal),
    (5, What::Odd),
];

const ODD: [Odd; 10] = [
    Odd::Deref,
    Odd::Instant,
    Odd::Name,
    Odd::Address,
    Odd::Argument,
    Odd::Iterator,
    Odd::IntoFuture,
    Odd::LastReceiver,
    Odd::Value,
    Odd::Replaced,
];

fn more(theme: Theme) -> &'static [(usize, What)] {
    match theme {
        Theme::Anything => &[(2, What::BuildSecond)],
        Theme::Goroutines => &[(30, What::Spawn)],
        Theme::Scopes => &[(60, What::Scope)],
        Theme::Channels => &[(20, What::HoldReceive), (30, What::Select), (10, What::HoldSend)],
        Theme::Futures => &[(20, What::HoldSleep), (20, What::HoldToken), (10, What::HoldTimer)],
        Theme::Ends => &[(30, What::Spawn), (5, What::Private), (10, What::BuildSecond)],
        Theme::Stalls => &[(30, What::Spawn), (10, What::Hog)],
        Theme::Slow => &[(150, What::Private), (10, What::Scope)],
    }
}

impl Maker {
    pub fn actor(&mut self) -> Spawn {
        let on = match self.theme {
            Theme::Stalls | Theme::Ends => {
                self.random.pick(&[(1, On::Main), (4, On::Second), (1, On::Thread)])
            }
            _ => self.on(),
        };
        self.spawn_on(on, 3, Keep::Shared)
    }

    pub fn build(&mut self) -> Build {
        let stalls = matches!(self.theme, Theme::Stalls | Theme::Ends);
        let processors = if stalls || self.random.one_in(2) { 1 } else { 2 };
        let limit = if self.random.one_in(8) { 3 } else { 256 };
        let narrow = if stalls { !self.random.one_in(4) } else { self.random.one_in(3) };
        let aborts = self.fate == Fate::MayAbort(POLICY);
        Build { processors, narrow, limit, aborts, watchdog: self.watchdog() }
    }

    pub fn watchdog(&mut self) -> Option<Hook> {
        let often = self.theme == Theme::Stalls;
        (often || self.random.one_in(3)).then(|| Hook {
            acts: self.acts(Where::Watchdog, 1),
            owns: self.value(Where::CaptureDrop, 1),
        })
    }

    fn spawn_on(&mut self, on: On, depth: u32, keep: Keep) -> Spawn {
        Spawn {
            on,
            steps: self.steps(depth),
            capture: self.value(Where::CaptureDrop, 1),
            result: self.value(Where::ResultDrop, 1),
            late: self.late(),
            keep,
        }
    }

    fn late(&mut self) -> u32 {
        let often = if self.theme == Theme::Slow { 2 } else { 20 };
        if self.random.one_in(often) { self.random.between(1, 300) } else { 0 }
    }

    fn steps(&mut self, depth: u32) -> Steps {
        let count = self.random.between(1, 5);
        (0..count).map(|_| (self.step(depth.saturating_sub(1)), self.random.one_in(6))).collect()
    }

    fn keep(&mut self) -> Keep {
        match self.random.below(12) {
            0..3 => Keep::Shared,
            3 => Keep::Detach,
            4 => Keep::Join,
            5 => Keep::JoinTimeout(self.random.between(1, 1000)),
            6 => Keep::JoinCancel(self.random.below(TOKENS)),
            7 | 8 => Keep::Await(self.waker(2)),
            9 => Keep::PollAndDrop(self.waker(2)),
            _ => Keep::Hold(self.random.below(HELD), self.waker(2)),
        }
    }

    fn how(&mut self) -> How {
        match self.random.below(5) {
            0 => How::Plain,
            1 => How::Try,
            2 => How::Timeout(self.random.between(1, 1000)),
            3 => How::Cancel(self.random.below(TOKENS)),
            _ => How::Awaited,
        }
    }

    fn step(&mut self, depth: u32) -> Step {
        let choices: Vec<_> = STEPS.iter().chain(more(self.theme)).copied().collect();
        match self.random.pick(&choices) {
            What::Spawn if depth == 0 => Step::Do(self.acts(Where::Body, 2)),
            What::Private if depth == 0 => Step::Do(self.acts(Where::Body, 2)),
            What::Spawn => {
                let (on, keep) = (self.on(), self.keep());
                Step::Spawn(Box::new(self.spawn_on(on, depth, keep)))
            }
            What::Private => {
                Step::Private(self.build(), self.private(depth), self.random.one_in(3))
            }
            What::Scope => Step::Scope(self.scope()),
            What::Do => Step::Do(self.acts(Where::Body, 2)),
            What::Blocking => Step::Blocking(self.acts(Where::Body, 2)),
            What::Pinned => Step::Pinned(self.acts(Where::Body, 2)),
            What::WithLocal => Step::WithLocal(self.random.below(KEYS), self.acts(Where::Body, 2)),
            What::Hog => Step::Hog(self.random.between(5_000, 25_000), self.random.one_in(2)),
            What::BuildSecond => Step::BuildSecond(self.build()),
            What::Limit => Step::Limit(self.limited(), self.acts(Where::Body, 2)),
            What::Once => Step::Once(self.acts(Where::Make, 1), self.value(Where::MessageDrop, 1)),
            what => self.step_on_channels(what),
        }
    }

    fn step_on_channels(&mut self, what: What) -> Step {
        let (channel, slot) = (self.random.below(CHANNELS), self.random.below(HELD));
        match what {
            What::Send => Step::Send(channel, self.value(Where::MessageDrop, 2), self.how()),
            What::Receive => Step::Receive(channel, self.how()),
            What::Select => Step::Select {
                send: channel,
                value: self.value(Where::MessageDrop, 1),
                acts: self.acts(Where::Body, 2),
                receive: self.random.below(CHANNELS),
                limit: self.random.one_in(2).then_some(700),
            },
            What::Selected => Step::Selected {
                send: channel,
                value: self.value(Where::MessageDrop, 1),
                acts: self.acts(Where::Body, 2),
                finish: !self.random.one_in(3),
            },
            What::HoldReceive => Step::HoldReceive(slot, channel, self.waker(2)),
            What::HoldSend => {
                Step::HoldSend(slot, channel, self.value(Where::MessageDrop, 1), self.waker(2))
            }
            What::HoldSleep => Step::HoldSleep(slot, self.random.between(1, 3000), self.waker(2)),
            What::HoldToken => Step::HoldToken(slot, self.random.below(TOKENS), self.waker(2)),
            What::HoldTimer => Step::HoldTimer(slot, self.random.between(1, 3000), self.waker(2)),
            What::HoldSignal => Step::HoldSignal(slot, self.waker(2)),
            What::Odd => {
                let what = ODD[self.random.below(ODD.len())];
                Step::Odd(what, self.acts(Where::Make, 2), self.value(Where::MessageDrop, 1))
            }
            What::Timer => Step::Timer(self.random.between(1, 1500), self.acts(Where::Waker, 2)),
            _ => {
                let count = self.random.between(1, 4);
                let polls = (0..count).map(|_| self.acts(Where::Body, 1)).collect();
                Step::BlockOn { polls, drop: self.value(Where::MessageDrop, 1) }
            }
        }
    }

    fn limited(&mut self) -> Limited {
        match self.random.below(7) {
            0 => Limited::Mutex,
            1 => Limited::Read,
            2 => Limited::Write,
            3 => Limited::Permits(1 + self.random.below(3)),
            4 => Limited::Condvar,
            5 => Limited::Barrier,
            _ => Limited::WaitGroup,
        }
    }

    fn scope(&mut self) -> ScopeSpec {
        let count = self.random.between(1, 4);
        let children = (0..count).map(|_| self.child()).collect();
        let token = self.random.one_in(2).then(|| self.waker(2));
        ScopeSpec { children, token, body: self.acts(Where::Body, 2) }
    }

    fn child(&mut self) -> Child {
        Child {
            elsewhere: self.random.one_in(3),
            acts: self.acts(Where::Body, 2),
            capture: self.value(Where::CaptureDrop, 1),
            result: self.value(Where::ResultDrop, 1),
            late: self.late(),
            keep: self.keep(),
        }
    }

    /// On a runtime of its own: mostly scopes, whose children may be on another runtime.
    fn private(&mut self, depth: u32) -> Steps {
        if self.theme == Theme::Slow || self.random.one_in(2) {
            return vec![(Step::Scope(self.crossing()), false)];
        }
        self.steps(depth)
    }

    /// The children are elsewhere, and are held up at their end; the parent comes to the end meanwhile.
    fn crossing(&mut self) -> ScopeSpec {
        let mut child = self.child();
        child.elsewhere = true;
        child.keep = Keep::Detach;
        child.late = self.random.between(1, 200);
        // What takes long would be over before the parent comes, or after it has gone.
        child.acts.clear();
        child.capture.drop.clear();
        child.result.drop.clear();
        let wait = Act::Block(self.random.between(2_000, 9_000));
        ScopeSpec { children: vec![child], token: None, body: vec![wait] }
    }
}
