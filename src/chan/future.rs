//! Futures that send and receive. The future itself holds the wait, the node, the slot and the value that a
//! parked caller has in its frame; a pinned future stays where it is until it was dropped.
//!
//! poll: fired → what the slot says.   linked → set the task to wake, under the lock.
//!       else put, or take; or link, under the same lock.
//! drop: give up and unlink.   fired → a received value goes back into the channel.
//!       claimed by a select that makes its value → leave it, under the lock: the value is for the next one.
//!       So a drop never waits: the select may be what drops it.
//! The task's waker is foreign code: it is cloned before anything has changed, and dropped without unwinding.
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

/// Which of a channel's lists.
type Which = fn(&mut ChannelState) -> &mut List;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// On no list.
    Begins,
    /// Linked, or claimed, or fired.
    Waits,
    Done,
}

/// A wait that outlives the call that began it.
struct Place<T> {
    phase: Cell<Phase>,
    /// It leads to `room` once the wait has begun.
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

    /// A new wait of a task, on no list.
    ///
    /// # Safety
    /// The place is pinned, and on no list. Once the node is linked or claimed, the phase is `Waits`.
    unsafe fn begin(&self, task: Task) -> &Node {
        self.slot.lie_at(self.room());
        // SAFETY: on no list, so nobody else looks at wait or node.
        unsafe {
            let wait = (*self.wait.get()).insert(Wait::of_task(task));
            (*self.node.get()).insert(Node::new(wait, 0, self.slot.packet()))
        }
    }

    fn room(&self) -> *mut T {
        self.room.get().cast()
    }

    /// What has come, once it was fired.
    fn poll(&self, channel: &Channel<T>, waker: &Waker) -> Option<Content<T>> {
        let wait = self.wait();
        if wait.fired().is_none() {
            let task = Task::of(waker);
            let locked = channel.lock();
            // Who fires it holds the lock.
            let before = if wait.fired().is_none() { wait.set_task(task) } else { None };
            drop(locked);
            drop(before);
            wait.fired()?;
        }
        self.phase.set(Phase::Begins);
        // SAFETY: the wait has ended. [X2]
        Some(unsafe { self.slot.take() })
    }

    /// Ends the wait: what is in the slot then.
    fn leave(&self, channel: &Channel<T>, which: Which) -> Content<T> {
        if self.phase.replace(Phase::Done) == Phase::Waits {
            let wait = self.wait();
            let mut locked = channel.lock();
            if wait.cancel_wait() {
                // SAFETY: in phase `Waits` there is one, and the list's lock is held.
                if let Some(node) = unsafe { &*self.node.get() } {
                    which(&mut locked.gate).unlink(node);
                }
            } else if wait.fired().is_none() {
                // Whoever fires it would hold the lock.
                // mutant: it is not told: replace channel.leave(&self.slot) with ()
                channel.leave(&self.slot);
            }
        }
        // SAFETY: the wait has ended. [X2]
        unsafe { self.slot.take() }
    }

    fn wait(&self) -> &Wait {
        // SAFETY: written by `begin` alone, which is not called meanwhile.
        unsafe { &*self.wait.get() }.as_ref().expect("a future that waits has a wait")
    }

    #[track_caller]
    fn check_not_done(&self) {
        assert!(self.phase.get() != Phase::Done, "a future that was ready was polled again");
    }
}

/// Sends when it is awaited. See [`Sender::send_async`](crate::chan::Sender::send_async).
#[must_use = "a future sends only when it is awaited"]
pub struct SendAsync<'a, T> {
    channel: &'a Channel<T>,
    /// Until it was sent, or given back, its room has the value, and its slot says so.
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
                // SAFETY: the slot says that it is there, and said so for the last time.
                Content::Value => Err(SendError(unsafe { place.room().read() })),
                _ => Ok(()),
            });
        }
        trace::polls("await send on", "channel", channel);
        // Foreign code, which may panic: before the value is taken out.
        let task = Task::of(cx.waker());
        let mut wakes = Wakes::new();
        let mut locked = channel.lock();
        // SAFETY: it has not begun, so its value is in the room, and the slot says so until it was sent.
        let put = unsafe { locked.put(place.room(), &mut wakes) };
        if put != Put::Full {
            // SAFETY: on no list.
            unsafe { place.slot.take() };
        }
        let result = match put {
            Put::Done => Poll::Ready(Ok(())),
            // SAFETY: it was not sent, and the slot says no more that it is there.
            Put::Closed => Poll::Ready(Err(SendError(unsafe { place.room().read() }))),
            Put::Full => {
                place.phase.set(Phase::Waits);
                // SAFETY: pinned, on no list; `Drop` unlinks it. [X3]
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
            // SAFETY: a value that was not taken; it is dropped without the lock.
            unsafe { ptr::drop_in_place(self.place.room()) };
        }
    }
}

/// Receives when it is awaited. See [`Receiver::recv_async`](crate::chan::Receiver::recv_async).
#[must_use = "a future receives only when it is awaited"]
pub struct RecvAsync<'a, T> {
    origin: Origin<'a, T>,
}

enum Origin<'a, T> {
    Channel(&'a Channel<T>, Place<T>),
    /// What comes with time.
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
                // SAFETY: pinned; `Drop` unlinks it. [X3]
                let result = unsafe { poll_recv(channel, place, cx.waker()) };
                if result.is_ready() {
                    place.phase.set(Phase::Done);
                }
                result
            }
            Origin::Source(timely) => {
                // SAFETY: it is pinned as we are: nothing moves it before it is dropped.
                let timely = unsafe { Pin::new_unchecked(timely) };
                timely.poll(cx.waker()).map(Ok)
            }
        }
    }
}

/// # Safety
/// The place is pinned, and left before it goes.
unsafe fn poll_recv<T>(
    channel: &Channel<T>,
    place: &Place<T>,
    waker: &Waker,
) -> Poll<Result<T, RecvError>> {
    if place.phase.get() == Phase::Waits {
        match place.poll(channel, waker) {
            None => return Poll::Pending,
            Some(Content::Again) => {}
            // SAFETY: it was received.
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
        // SAFETY: it was received.
        Take::Value => Poll::Ready(Ok(unsafe { place.room().read() })),
        Take::Closed => Poll::Ready(Err(RecvError)),
        Take::Empty => {
            place.phase.set(Phase::Waits);
            // SAFETY: pinned, on no list; `Drop` unlinks it. [X3]
            unsafe { locked.gate.receivers.link(place.begin(task)) };
            Poll::Pending
        }
        Take::Later(sender) => {
            place.phase.set(Phase::Waits);
            // SAFETY: pinned, on no list; `Drop` leaves the select, unless the claim was fired. [X3] [V10]
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
            // SAFETY: it was received, and nobody has read it.
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
