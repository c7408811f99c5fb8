//! Choose: the algorithm of select.
//!
//! 0. Try one arm, chosen at random, under its own lock. If most arms are ready, this step is enough.
//! 1. Lock all channels, in the order of their ids, so that no two selects wait for each other.
//! 2. Try the arms in a random order. The first arm that can perform its operation is chosen.
//! 3. If no arm is chosen, link a node for each arm, release the locks, and wait. A waker that claims the wait
//!    performs the operation of one arm, and this arm is chosen. A token, a time that is due, or the limit can also
//!    end the wait.
//! 4. Unlink the other nodes.
//!
//! All locks are held from step 1 to step 3, so nobody sees only some of the arms linked. The select's own nodes are
//! not linked while it tries the arms, so a select never meets itself.
//! [V6] Selects and channels never wait for each other's locks in a circle.
//! [V7] Exactly one arm performs its operation, or none does if the limit is reached.
//! Checked by: verification/loom/select.rs, proptests/runtime/select.rs.
#![allow(unsafe_code)]

use super::arm::{AnyArm, Arm, Tried};
use super::few::ArrayVec;
use crate::chan::door::{ChannelCore, ChannelState};
use crate::chan::until::Until;
use crate::sched::core::clock::seed;
use crate::structures::BiasedLockGuard;
use crate::structures::Rng;
use crate::wait::limit::Outcome;
use crate::wait::{Claim, Node, Wait, WaitLimit, Wakes, trace};
use std::panic::Location;

type Place = &'static Location<'static>;

/// What the caller wants from the arms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// One arm performs its operation.
    Do,
    /// One arm is found that could perform its operation.
    Know,
}

/// Returns the arm that was chosen, or `None` if no arm is ready and the caller may not wait (any longer). `until` is
/// `None` if the caller does not wait at all.
pub(super) fn choose(
    arms: &[AnyArm<'_>],
    aim: Aim,
    until: Option<Until<'_>>,
    place: Place,
) -> Option<usize> {
    trace::select(until.is_some(), arms.iter().map(|arm| arm.0.told()), place);
    let chosen = choose_untold(arms, aim, until, place);
    match chosen {
        Some(arm) => trace::chooses(|| arms[arm].0.told()),
        None => trace::says("none is ready"),
    }
    chosen
}

fn choose_untold(
    arms: &[AnyArm<'_>],
    aim: Aim,
    mut until: Option<Until<'_>>,
    place: Place,
) -> Option<usize> {
    let mut glance = aim == Aim::Do && arms.len() > 1;
    loop {
        let mut wakes = Wakes::new();
        let mut locked = Locked::new();
        let glances = std::mem::take(&mut glance);
        let looked = if glances {
            locked.glance(arms, &mut wakes)
        } else {
            locked.lock(arms);
            locked.look(arms, aim, &mut wakes)
        };
        match looked {
            Looked::Chosen(arm) => {
                locked.unlock();
                wakes.wake();
                return Some(arm);
            }
            Looked::Later(arm, sender) => {
                let taken = take_later(arms[arm].0, arm, sender, &mut locked, wakes, place);
                match taken {
                    Taken::Done => return Some(arm),
                    Taken::Again => {}
                    // The caller would have to wait, but is not allowed to: this call panics.
                    Taken::Refused if until.is_some() => drop(Wait::of_caller(place)),
                    Taken::Refused => return None,
                }
            }
            Looked::None if glances => {
                locked.unlock();
                wakes.wake();
            }
            Looked::None => {
                let Some(waits) = &mut until else {
                    locked.unlock();
                    wakes.wake();
                    return None;
                };
                match wait(arms, aim, waits.limit(), &mut locked, &mut wakes, place) {
                    Waited::Chosen(arm) => return Some(arm),
                    // An arm may have become ready at the same time, so the arms are tried once more.
                    Waited::Over => until = None,
                    Waited::Again => {}
                }
            }
        }
    }
}

enum Looked {
    Chosen(usize),
    Later(usize, Claim),
    None,
}

/// The locks of one arm's channel, or of all arms' channels. [V6]
struct Locked<'a> {
    guards: ArrayVec<BiasedLockGuard<'a, ChannelState>>,
    /// For each arm, the index of its channel's guard.
    places: ArrayVec<u8>,
}

impl<'a> Locked<'a> {
    #[inline]
    fn new() -> Self {
        Locked { guards: ArrayVec::new(), places: ArrayVec::new() }
    }

    /// Tries one arm under the lock of its channel, if it has a channel. The arm is chosen at random, so each ready
    /// arm is chosen as often as if all arms were tried.
    fn glance(&mut self, arms: &[AnyArm<'a>], wakes: &mut Wakes) -> Looked {
        let arm = random(arms, arms.len());
        if let Some(door) = arms[arm].0.door() {
            self.guards.push(door.lock());
        }
        let tried = arms[arm].0.attempt(self.guards.first_mut().map(|guard| &mut **guard), wakes);
        // mutant: what the glance took is forgotten: replace looked(tried, arm) with Looked::None
        looked(tried, arm)
    }

    fn lock(&mut self, arms: &[AnyArm<'a>]) {
        let mut doors: ArrayVec<(&'a ChannelCore, u8)> = ArrayVec::new();
        for (AnyArm(arm), at) in arms.iter().zip(0..) {
            self.places.push(u8::MAX);
            if let Some(door) = arm.door() {
                doors.push((door, at));
            }
        }
        doors.sort_unstable_by_key(|(door, _)| door.id);
        let mut last = None;
        for (door, at) in doors.iter() {
            if last != Some(door.id) {
                self.guards.push(door.lock());
                last = Some(door.id);
            }
            self.places[usize::from(*at)] = self.guards.len() as u8 - 1;
        }
    }

    fn unlock(&mut self) {
        self.guards.clear();
    }

    fn gate(&mut self, arm: usize) -> Option<&mut ChannelState> {
        let place = usize::from(self.places[arm]);
        self.guards.get_mut(place).map(|guard| &mut **guard)
    }

    /// Tries the arms in a random order, and returns the first arm that is ready.
    fn look(&mut self, arms: &[AnyArm<'_>], aim: Aim, wakes: &mut Wakes) -> Looked {
        let mut order = ArrayVec::new();
        (0..arms.len()).for_each(|arm| order.push(arm as u8));
        for at in 0..arms.len() {
            let left = arms.len() - at;
            let pick = at + if left > 1 { random(arms, left) } else { 0 };
            order.swap(at, pick);
            let arm = usize::from(order[at]);
            let gate = self.gate(arm);
            if aim == Aim::Know {
                if arms[arm].0.is_ready(gate) {
                    return Looked::Chosen(arm);
                }
                continue;
            }
            match looked(arms[arm].0.attempt(gate, wakes), arm) {
                Looked::None => {}
                chosen => return chosen,
            }
        }
        Looked::None
    }
}

fn looked(tried: Tried, arm: usize) -> Looked {
    match tried {
        Tried::NotReady => Looked::None,
        Tried::Ready => Looked::Chosen(arm),
        Tried::Later(sender) => Looked::Later(arm, sender),
    }
}

fn random(arms: &[AnyArm<'_>], below: usize) -> usize {
    match arms.iter().find_map(|arm| arm.0.door()) {
        Some(door) => door.random(below),
        None => Rng::new(seed()).below(below as u32) as usize,
    }
}

enum Waited {
    Chosen(usize),
    Again,
    Over,
}

/// Links a node for each arm, waits, and unlinks the nodes.
fn wait(
    arms: &[AnyArm<'_>],
    aim: Aim,
    limit: WaitLimit<'_>,
    locked: &mut Locked<'_>,
    wakes: &mut Wakes,
    place: Place,
) -> Waited {
    let Some(who) = Wait::caller(limit.is_unlimited()) else {
        // The panic hook may use these channels, so the locks are released first. [Q3]
        locked.unlock();
        Wait::refuse(place);
    };
    let wait = Wait::of(who);
    let mut nodes = ArrayVec::new();
    for (AnyArm(arm), number) in arms.iter().zip(0..) {
        let packet = if aim == Aim::Do { arm.packet() } else { std::ptr::null_mut() };
        nodes.push(Node::new(&wait, number, packet));
    }
    for (at, node) in nodes.iter().enumerate() {
        let sends = arms[at].0.sends();
        let Some(gate) = locked.gate(at) else { continue };
        let list = if sends { &mut gate.senders } else { &mut gate.receivers };
        // SAFETY: the wait is completed or the node is unlinked before this function ends, and nothing below unwinds.
        // [X3]
        unsafe { list.link(node) };
    }
    locked.unlock();
    wakes.wake();
    let (outcome, by_an_arm) = link_others_and_wait(arms, &nodes, &wait, limit, place);
    for (at, node) in nodes.iter().enumerate() {
        if outcome != Outcome::Fired(at as u32) || arms[at].0.door().is_none() {
            unlink(arms[at].0, node);
        }
    }
    let Outcome::Fired(at) = outcome else {
        return if by_an_arm { Waited::Again } else { Waited::Over };
    };
    let arm = arms[at as usize].0;
    if (aim == Aim::Know && arm.door().is_some()) || arm.was_chosen() {
        Waited::Chosen(at as usize)
    } else {
        Waited::Again
    }
}

/// Links the nodes of the arms that have no channel, and waits. Returns the outcome, and whether a time-out comes from
/// an arm rather than from the limit.
fn link_others_and_wait(
    arms: &[AnyArm<'_>],
    nodes: &[Node],
    wait: &Wait,
    limit: WaitLimit<'_>,
    place: Place,
) -> (Outcome, bool) {
    let mut due = u64::MAX;
    for (AnyArm(arm), node) in arms.iter().zip(nodes) {
        if arm.door().is_some() {
            continue;
        }
        // SAFETY: the caller, `wait`, unlinks the node before the node's frame ends.
        if !unsafe { arm.link(node) } && wait.cancel_wait() {
            return (Outcome::TimedOut, true);
        }
        // The node was linked before this call, so a later change of the source completes the wait.
        due = due.min(arm.due().unwrap_or(u64::MAX));
    }
    let by_an_arm = due <= limit.deadline().unwrap_or(u64::MAX) && due != u64::MAX;
    let deadline = (due != u64::MAX).then_some(due);
    (limit.no_later_than(deadline).wait(wait, place), by_an_arm)
}

fn unlink(arm: &dyn Arm, node: &Node) {
    let Some(door) = arm.door() else { return arm.unlink(node) };
    let mut gate = door.lock();
    if arm.sends() {
        gate.senders.unlink(node);
    } else {
        gate.receivers.unlink(node);
    }
}

enum Taken {
    Done,
    Again,
    /// The caller would have to wait, but is not allowed to.
    Refused,
}

/// Receives from a select that was chosen but has not made its value yet.
#[cold]
fn take_later(
    arm: &dyn Arm,
    number: usize,
    sender: Claim,
    locked: &mut Locked<'_>,
    mut wakes: Wakes,
    place: Place,
) -> Taken {
    let Some(who) = Wait::caller(false) else {
        // SAFETY: the sender was claimed from a list of this arm's channel, and the channel's lock is held.
        unsafe { arm.take_later(sender, None, &mut wakes) };
        locked.unlock();
        wakes.wake();
        return Taken::Refused;
    };
    let wait = Wait::of(who);
    let node = Node::new(&wait, number as u32, arm.packet());
    // SAFETY: this frame waits, below, until the claim is completed. [X3]
    let own = unsafe { Claim::of_own(&node) };
    // SAFETY: the sender was claimed as above, and the node is this arm's.
    unsafe { arm.take_later(sender, Some(own), &mut wakes) };
    locked.unlock();
    wakes.wake();
    let _ = WaitLimit::NONE.wait(&wait, place);
    if arm.was_chosen() { Taken::Done } else { Taken::Again }
}
