//! Generate: a program of a seed. The theme, which is the seed's too, says which steps are frequent, so that
//! each kind of fault is near enough for some hundred programs.

mod acts;
mod steps;

use crate::program::{
    Act, Acts, Fate, KEYS, LOCAL, On, POLICY, Program, RESULT, THREAD, Value, WakerSpec,
};
use acts::Where;

/// splitmix64.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn between(&mut self, least: u32, end: u32) -> u32 {
        least + self.below((end - least) as usize) as u32
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these, by its weight.
    pub fn pick<T: Copy>(&mut self, choices: &[(usize, T)]) -> T {
        let mut at = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if at < *weight {
                return *choice;
            }
            at -= weight;
        }
        unreachable!("less than the sum of all")
    }
}

/// What a program is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Anything,
    Goroutines,
    Scopes,
    Channels,
    Futures,
    Ends,
    Stalls,
    Slow,
}

/// The theme is the seed modulo this.
pub const THEMES: u64 = ALL.len() as u64;

const ALL: [Theme; 8] = [
    Theme::Anything,
    Theme::Goroutines,
    Theme::Scopes,
    Theme::Channels,
    Theme::Futures,
    Theme::Ends,
    Theme::Stalls,
    Theme::Slow,
];

/// A program that is being made.
pub struct Maker {
    random: Random,
    theme: Theme,
    fate: Fate,
}

/// The program of a seed.
pub fn generate(seed: u64) -> Program {
    let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5e1f_ed6e);
    let fate = match random.below(40) {
        0 => Fate::MayAbort(RESULT),
        1 => Fate::MayAbort(LOCAL),
        2 => Fate::MayAbort(POLICY),
        3 => Fate::MayAbort(THREAD),
        4 => Fate::MayExit,
        _ => Fate::Ends,
    };
    let theme = ALL[(seed % THEMES) as usize];
    let mut maker = Maker { random, theme, fate };
    let second = maker.build();
    let main_watchdog = maker.watchdog();
    let panic_hook = if maker.random.one_in(4) { maker.acts(Where::Hook, 1) } else { Acts::new() };
    let makes = (0..KEYS).map(|_| maker.acts(Where::Make, 1)).collect();
    let clones = maker.acts(Where::Clone, 0);
    let locals = (0..KEYS).map(|_| maker.value(Where::LocalDrop, 1)).collect();
    let thread_local = maker.value(Where::ThreadDrop, 1);
    let actors = (0..maker.random.between(2, 5)).map(|_| maker.actor()).collect();
    Program {
        seed,
        fate,
        second,
        main_watchdog,
        panic_hook,
        makes,
        clones,
        locals,
        thread_local,
        actors,
    }
}

impl Maker {
    fn value(&mut self, place: Where, depth: u32) -> Value {
        let debug =
            if self.random.one_in(4) { self.acts(Where::Debug, depth) } else { Acts::new() };
        Value { drop: self.acts(place, depth), debug }
    }

    fn waker(&mut self, depth: u32) -> WakerSpec {
        let rarely = |maker: &mut Maker, times, place| {
            if maker.random.one_in(times) { maker.acts(place, depth) } else { Acts::new() }
        };
        WakerSpec {
            clone: rarely(self, 8, Where::Waker),
            wake: self.acts(Where::Waker, depth),
            drop: rarely(self, 2, Where::Waker),
        }
    }

    fn on(&mut self) -> On {
        self.random.pick(&[(4, On::Main), (3, On::Second), (2, On::Thread)])
    }

    fn calmly(&self, acts: Acts) -> Acts {
        if acts.is_empty() { acts } else { vec![Act::Calmly(acts)] }
    }
}
