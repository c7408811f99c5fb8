//! Deliver: goroutines whose sockets are ready go to where they wait to run, a whole batch at a time;
//! and when workers and the monitor look.
//! rest (a worker that sleeps): what is for this worker, or for anybody, it takes up itself.
//! look (a worker): when its own queues are empty, before it looks elsewhere; and every 61st decision.
//! look (the monitor): while all processors are busy; where one is idle it sends a worker to wait.
//! Checked by: verification/loom/poller.rs, verification/shuttle/sockets.rs, proptests/net/.

use super::super::goroutine::{Goroutine, Ptr};
use super::super::pool::drop_reference_inside;
use super::super::processor::Held;
use super::super::roster::Awake;
use super::super::shared::Shared;
use super::super::state::Unparked;
use super::super::waiter::Wake;
use super::super::worker::Worker;
use crate::lockfree::List;
use crate::platform::{Parker, SPEC};
use std::ptr;

/// Where a batch went.
#[derive(Clone, Copy, Debug, Default)]
struct Delivered {
    /// Some to the ring of the worker that called.
    home: bool,
    /// Some to where every worker looks; somebody is still to be woken for it.
    stealable: bool,
}

impl Worker {
    /// It is about to sleep: waits for sockets instead, if nobody does. `Some(None)`: it was woken, or
    /// has woken others.
    pub(crate) fn rest_at_sockets(&self, parker: &Parker) -> Option<Option<Awake>> {
        let shared = self.shared();
        let wakes = shared.sockets.get()?.poller.rest(self.id, parker)?;
        if wakes.is_empty() {
            return Some(None);
        }
        let _acting = shared.roster.spec.acting();
        let found = shared.deliver(wakes, Some((self, None)));
        if !found.home && !found.stealable {
            return Some(None);
        }
        let up = shared.roster.rise(self.id, found.home);
        if found.stealable && up.is_none() {
            shared.carry_out(shared.roster.notify());
        }
        Some(up)
    }

    /// Between two goroutines: takes what is ready. True if something came of it for this worker.
    pub(crate) fn look_at_sockets(&self, held: Held<'_>) -> bool {
        let shared = self.shared();
        let Some(sockets) = shared.sockets.get() else { return false };
        let wakes = sockets.poller.look(|seat| shared.roster.seat(seat).parker.unpark());
        if wakes.is_empty() {
            return false;
        }
        let _acting = shared.roster.spec.acting();
        let found = shared.deliver(wakes, Some((self, Some(held))));
        if found.stealable {
            shared.carry_out(shared.roster.notify());
        }
        found.home || found.stealable
    }
}

impl Shared {
    /// The monitor's part: nobody waits at the sockets, as all who could are busy, or asleep since
    /// before somebody was needed there.
    pub(crate) fn see_to_sockets(&self) {
        let Some(sockets) = self.sockets.get().filter(|own| own.poller.is_unattended()) else {
            return;
        };
        let _acting = self.roster.spec.acting();
        if self.roster.idle_processors() > 0 {
            // It will find nothing to do, and go there.
            return self.carry_out(self.roster.wake_searcher());
        }
        let wakes = sockets.poller.look(|seat| self.roster.seat(seat).parker.unpark());
        if self.deliver(wakes, None).stealable {
            self.carry_out(self.roster.notify());
        }
    }

    /// Gives each its permit, and puts it where it waits to run. `here`: the calling worker, inside the
    /// runtime, and its processor.
    fn deliver(&self, wakes: Vec<Wake>, here: Option<(&Worker, Option<Held<'_>>)>) -> Delivered {
        let mut found = Delivered::default();
        let mut stealable = List::<Goroutine>::new();
        let mut to_wake = None;
        // To the specification, each of them is unparked until all are in their queues.
        let mut unparks = Vec::new();
        for wake in &wakes {
            let (goroutine, id) = self.own_goroutine(wake);
            if SPEC && id.is_some_and(|id| goroutine.id() != id) {
                continue;
            }
            let unpark = self.roster.spec.unparking(goroutine.key());
            unparks.extend(SPEC.then_some(unpark));
            let unparked = match id {
                Some(id) => goroutine.word.unpark_if(id),
                None => goroutine.word.unpark(),
            };
            match (unparked, goroutine.home()) {
                (Unparked::Nothing, _) | (Unparked::WakeInPlace, None) => {}
                (Unparked::WakeInPlace, Some(home)) => {
                    self.workers[home as usize].in_place.unpark();
                }
                (Unparked::Enqueue, None) => {
                    // SAFETY: it was just readied, so it is in no queue. [S2]
                    unsafe { stealable.push_back(goroutine.raw()) };
                }
                (Unparked::Enqueue, Some(home)) => match here {
                    Some((worker, _)) if worker.id == home => {
                        worker.push_home(goroutine);
                        found.home = true;
                    }
                    _ => {
                        self.workers[home as usize].send_home(goroutine);
                        let others = to_wake.replace(home).filter(|before| *before != home);
                        // mutant: drop wake of another home
                        if let Some(other) = others {
                            self.carry_out(self.roster.wake_home(other));
                        }
                    }
                },
            }
        }
        // mutant: drop wake of the last home
        if let Some(home) = to_wake {
            self.carry_out(self.roster.wake_home(home));
        }
        found.stealable = !stealable.is_empty();
        self.queue_stealable(stealable, here.and_then(|(_, held)| held));
        drop(unparks);
        wakes.into_iter().for_each(|wake| {
            let (goroutine, id) = self.own_goroutine(&wake);
            // Not by its own drop, which enters the runtime as user code does.
            std::mem::forget(wake);
            if id.is_none() {
                drop_reference_inside(goroutine);
            }
        });
        found
    }

    /// Where every worker looks; the caller then wakes somebody. [I1]
    fn queue_stealable(&self, mut list: List<Goroutine>, held: Option<Held<'_>>) {
        if list.is_empty() {
            return;
        }
        let each = std::iter::from_fn(|| list.pop_front().map(Ptr::from_raw));
        match held {
            Some(held) => each.for_each(|goroutine| held.push(self, goroutine)),
            // SAFETY: they left the list, so they are in no queue.
            None => unsafe { self.inject_all(each) },
        }
    }

    /// Nobody else is told by this poller. With its id, or, counted, without.
    fn own_goroutine(&self, wake: &Wake) -> (Ptr, Option<u64>) {
        match wake.goroutine() {
            Some(own) if ptr::eq(own.0.shared, self) => own,
            _ => crate::sched::broken("deliver", "a goroutine of this runtime", "somebody else"),
        }
    }
}
