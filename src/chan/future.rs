//! Futures that send and receive. The future itself holds what a parked caller has in its frame: the wait, the node,
//! the slot and the value. A pinned future stays in place until it is dropped.
//!
//! poll: if the wait is completed, return what the slot tells. If the node is linked, set the task to wake, under the
//!     lock. Otherwise put or take; or, under the same lock, link the node.
//! drop: cancel the wait and unlink the node. If the wait was completed, a received value goes back into the channel.
//!     If the wait is claimed by a select that is making its value, leave the select, under the lock. The value is
//!     then for the next receiver. So a drop never waits. A drop must not wait, because the user code that makes the
//!     select's value may drop the future.
//! The task's waker is foreign code. It is cloned before anything has changed, and dropped without unwinding.
//! Invariants: [V4], [V10], [X3], [Q2].
//! [V8] A future is woken for each change that it waits for, by the waker of its last poll.
//! Checked by: verification/loom/chan_async.rs, proptests/runtime/chan_async.rs.
#![allow(unsafe_code)]

use super::channel::{Channel, Put, Take};
use super::door::ChannelState;
use super::error::{RecvError, SendError};
use super::slot::{Content, Slot};
use super::source::Source;
use super::timely::SourceFuture;
use crate::platform::foreign::Task;
use crate::wait::{Claim, List, Node, Wait, Wakes, trace};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

/// Selects one of a channel's two lists.
type Which = fn(&mut ChannelState) -> &mut List;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The node is on no list.
    Begins,
    /// The node is linked, or claimed, or its wait is completed.
    Waits,
    Done,
}

/// A wait that continues between polls.
struct Place<T> {
    phase: Cell<Phase>,
    /// Points to `room` once the wait has begun.
    slot: Slot<T>,
    room: UnsafeCell<MaybeUninit<T>>,
    wait: UnsafeCell<Option<Wait>>,
    node: UnsafeCell<Option<Node>>,
    _pinned: PhantomPinned,
}

impl<T> Place<T> {
    fn new(content: Content<T>, room: MaybeUninit<T>) -> Self {
        Place {
            phase: Cell::new(Phase::Begins),
            slot: Slot::new(content, ptr::null_mut()),
            room: UnsafeCell::new(room),
            wait: UnsafeCell::new(None),
            node: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Makes a new wait for a task, with a node that is on no list.
    ///
    /// # Safety
    /// The place must be pinned, and its node must be on no list. When the caller links or claims the node, it must
    /// set the phase to `Waits`.
    unsafe fn begin(&self, task: Task) -> &Node {
        self.slot.lie_at(self.room());
        // SAFETY: the node is on no list, so nobody else accesses the wait or the node.
        unsafe {
            let wait = (*self.wait.get()).insert(Wait::of_task(task));
            (*self.node.get()).insert(Node::new(wait, 0, self.slot.packet()))
        }
    }

    fn room(&self) -> *mut T {
        self.room.get().cast()
    }

    /// Returns the content of the slot if the wait is completed. Otherwise makes `waker` the waker to wake.
    fn poll(&self, channel: &Channel<T>, waker: &Waker) -> Option<Content<T>> {
        let wait = self.wait();
        if wait.fired().is_none() {
            let task = Task::of(waker);
            let locked = channel.lock();
            // A waker that completes the wait holds this lock, so the check and `set_task` are one step.
            let before = if wait.fired().is_none() { wait.set_task(task) } else { None };
            drop(locked);
            drop(before);
            wait.fired()?;
        }
        self.phase.set(Phase::Begins);
        // SAFETY: the wait has ended, so the slot is ours. [X2]
        Some(unsafe { self.slot.take() })
    }

    /// Ends the wait, and returns the content of the slot after that.
    fn leave(&self, channel: &Channel<T>, which: Which) -> Content<T> {
        if self.phase.replace(Phase::Done) == Phase::Waits {
            let wait = self.wait();
            let mut locked = channel.lock();
            if wait.cancel_wait() {
                // SAFETY: in phase `Waits` there is a node, and the list's lock is held.
                if let Some(node) = unsafe { &*self.node.get() } {
                    which(&mut locked.gate).unlink(node);
                }
            } else if wait.fired().is_none() {
                // The wait is claimed but not completed. A waker that completes it would need this lock, so it is a
                // select that owes the value.
                // mutant: it is not told: replace channel.leave(&self.slot) with ()
                channel.leave(&self.slot);
            }
        }
        // SAFETY: the wait has ended, so the slot is ours. [X2]
        unsafe { self.slot.take() }
    }

    fn wait(&self) -> &Wait {
        // SAFETY: only `begin` writes the wait, and `begin` is not called while this reference exists.
        unsafe { &*self.wait.get() }.as_ref().expect("a future that waits has a wait")
    }

    #[track_caller]
    fn check_not_done(&self) {
        assert!(self.phase.get() != Phase::Done, "a future that was ready was polled again");
    }
}

/// A future that sends a value. See [`Sender::send_async`](crate::chan::Sender::send_async).
#[must_use = "a future sends only when it is awaited"]
pub struct SendAsync<'a, T> {
    channel: &'a Channel<T>,
    /// Its room has the value, and its slot says so, until the value is sent or returned.
    place: Place<T>,
}

impl<'a, T> SendAsync<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>, value: T) -> Self {
        SendAsync { channel, place: Place::new(Content::Value, MaybeUninit::new(value)) }
    }
}

impl<T> Future for SendAsync<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.into_ref().get_ref();
        let (place, channel) = (&this.place, this.channel);
        place.check_not_done();
        if place.phase.get() == Phase::Waits {
            let Some(content) = place.poll(channel, cx.waker()) else { return Poll::Pending };
            place.phase.set(Phase::Done);
            return Poll::Ready(match content {
                // SAFETY: the slot said that the value is there, and `poll` has emptied the slot, so the value is read
                // only once.
                Content::Value => Err(SendError(unsafe { place.room().read() })),
                _ => Ok(()),
            });
        }
        trace::polls("await send on", "channel", channel);
        // Cloning the waker is foreign code and may panic, so it happens before the value is taken out.
        let task = Task::of(cx.waker());
        let mut wakes = Wakes::new();
        let mut locked = channel.lock();
        // SAFETY: the wait has not begun, so the value is in the room, and the slot says so until the value is sent.
        let put = unsafe { locked.put(place.room(), &mut wakes) };
        if put != Put::Full {
            // SAFETY: the node is on no list, so the slot is ours.
            unsafe { place.slot.take() };
        }
        let result = match put {
            Put::Done => Poll::Ready(Ok(())),
            // SAFETY: the value was not sent, and the slot no longer says that it is there.
            Put::Closed => Poll::Ready(Err(SendError(unsafe { place.room().read() }))),
            Put::Full => {
                place.phase.set(Phase::Waits);
                // SAFETY: the place is pinned, the node is on no list, and `Drop` unlinks it. [X3]
                unsafe { locked.gate.senders.link(place.begin(task)) };
                Poll::Pending
            }
        };
        drop(locked);
        wakes.wake();
        if result.is_ready() {
            place.phase.set(Phase::Done);
        }
        result
    }
}

impl<T> Drop for SendAsync<'_, T> {
    fn drop(&mut self) {
        if let Content::Value = self.place.leave(self.channel, |gate| &mut gate.senders) {
            // SAFETY: nobody took the value. The lock is not held here.
            unsafe { ptr::drop_in_place(self.place.room()) };
        }
    }
}

/// A future that receives a value. See [`Receiver::recv_async`](crate::chan::Receiver::recv_async).
#[must_use = "a future receives only when it is awaited"]
pub struct RecvAsync<'a, T> {
    origin: Origin<'a, T>,
}

enum Origin<'a, T> {
    Channel(&'a Channel<T>, Place<T>),
    /// A source, which becomes ready at some time.
    Source(SourceFuture<'a, T>),
}

impl<'a, T> RecvAsync<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        RecvAsync {
            origin: Origin::Channel(channel, Place::new(Content::Nothing, MaybeUninit::uninit())),
        }
    }

    pub(super) fn of_source(source: &'a dyn Source<T>) -> Self {
        RecvAsync { origin: Origin::Source(SourceFuture::new(source)) }
    }
}

impl<T> Future for RecvAsync<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.into_ref().get_ref().origin {
            Origin::Channel(channel, place) => {
                place.check_not_done();
                // SAFETY: the place is pinned, and `Drop` unlinks its node. [X3]
                let result = unsafe { poll_recv(channel, place, cx.waker()) };
                if result.is_ready() {
                    place.phase.set(Phase::Done);
                }
                result
            }
            Origin::Source(timely) => {
                // SAFETY: the field is pinned because `self` is pinned, and nothing moves the field before it is
                // dropped.
                let timely = unsafe { Pin::new_unchecked(timely) };
                timely.poll(cx.waker()).map(Ok)
            }
        }
    }
}

/// # Safety
/// The place must be pinned, and the caller must call `leave` on it before it goes.
unsafe fn poll_recv<T>(
    channel: &Channel<T>,
    place: &Place<T>,
    waker: &Waker,
) -> Poll<Result<T, RecvError>> {
    if place.phase.get() == Phase::Waits {
        match place.poll(channel, waker) {
            None => return Poll::Pending,
            Some(Content::Again) => {}
            // SAFETY: the slot says that a value was received.
            Some(Content::Value) => return Poll::Ready(Ok(unsafe { place.room().read() })),
            Some(_) => return Poll::Ready(Err(RecvError)),
        }
    }
    trace::polls("await recv on", "channel", channel);
    let task = Task::of(waker);
    let mut wakes = Wakes::new();
    let mut locked = channel.lock();
    // SAFETY: the room is free.
    let result = match unsafe { locked.take(place.room(), &mut wakes) } {
        // SAFETY: `take` has moved a value into the room.
        Take::Value => Poll::Ready(Ok(unsafe { place.room().read() })),
        Take::Closed => Poll::Ready(Err(RecvError)),
        Take::Empty => {
            place.phase.set(Phase::Waits);
            // SAFETY: the place is pinned, the node is on no list, and `Drop` unlinks it. [X3]
            unsafe { locked.gate.receivers.link(place.begin(task)) };
            Poll::Pending
        }
        Take::Later(sender) => {
            place.phase.set(Phase::Waits);
            // SAFETY: the place is pinned and the node is on no list. `Drop` leaves the select unless the claim was
            // completed. [X3] [V10]
            let own = unsafe { Claim::of_own(place.begin(task)) };
            channel.take_later(sender, Some(own), &mut wakes);
            Poll::Pending
        }
    };
    drop(locked);
    wakes.wake();
    result
}

impl<T> Drop for RecvAsync<'_, T> {
    fn drop(&mut self) {
        if let Origin::Channel(channel, place) = &self.origin
            && let Content::Value = place.leave(channel, |gate| &mut gate.receivers)
        {
            // SAFETY: the value was received, and nobody has read it.
            unsafe { channel.give_back(place.room()) };
        }
    }
}

impl<T> fmt::Debug for SendAsync<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAsync").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RecvAsync<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvAsync").finish_non_exhaustive()
    }
}
