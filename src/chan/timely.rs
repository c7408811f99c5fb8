//! Timely: awaits a value of a source, whose readiness is a time: what `recv_async` is for `after` and
//! its kin, and what `CancelToken::cancelled_async` is made of.
//!
//! poll: unlink; take; or link, ask when one is due, arm the alarm for then.   drop: unlink, disarm.
//! As in `Source::recv`, with the alarm in place of a park with a limit. A source fires its waits under
//! the lock of its list, so who holds that lock finds a node linked, or its wait fired.
//! Invariants: [X3], [W4], [Z4].
//! [V9] A future that awaits a source is woken, by the waker of its last poll, when the source is set
//! anew, and when a value is due.
//! Checked by: verification/loom/alarm.rs, proptests/runtime/awaited.rs.
#![allow(unsafe_code)]

use super::source::Source;
use crate::platform::foreign::Task;
use crate::sched::core::clock;
use crate::wait::alarm::Reminder;
use crate::wait::{Node, Wait, trace};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;
use std::task::{Poll, Waker};

/// A wait for a source that outlives the call that began it.
pub(crate) struct SourceFuture<'a, T> {
    source: &'a dyn Source<T>,
    reminder: RefCell<Reminder>,
    wait: UnsafeCell<Option<Wait>>,
    node: UnsafeCell<Option<Node>>,
    done: Cell<bool>,
    _pinned: PhantomPinned,
}

impl<'a, T> SourceFuture<'a, T> {
    pub(crate) fn new(source: &'a dyn Source<T>) -> Self {
        SourceFuture {
            source,
            reminder: RefCell::default(),
            wait: UnsafeCell::new(None),
            node: UnsafeCell::new(None),
            done: Cell::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// The value, if one is due; else `waker` is woken when there may be.
    #[track_caller]
    pub(crate) fn poll(self: Pin<&Self>, waker: &Waker) -> Poll<T> {
        assert!(!self.done.get(), "a future that was ready was polled again");
        trace::polls("await", self.source.kind(), &raw const *self.source);
        loop {
            self.unlink();
            if let Some(value) = self.source.take(clock::now()) {
                self.done.set(true);
                self.reminder.borrow_mut().clear();
                return Poll::Ready(value);
            }
            self.link(waker);
            // After it was linked: a later change fires it. [V9]
            match self.source.due() {
                Some(due) if due <= clock::now() => {}
                Some(due) => {
                    // Foreign code, which may panic: before anything is borrowed.
                    let task = Task::of(waker);
                    self.reminder.borrow_mut().set(due, task);
                    return Poll::Pending;
                }
                None => {
                    self.reminder.borrow_mut().clear();
                    return Poll::Pending;
                }
            }
        }
    }

    fn link(self: Pin<&Self>, waker: &Waker) {
        let Some(waiters) = self.source.waiters() else { return };
        let wait = Wait::of_task(Task::of(waker));
        // SAFETY: on no list, since `unlink` came before: nobody else looks at wait or node. Both are
        // pinned, and `Drop` unlinks the node. [X3]
        unsafe {
            let wait = (*self.wait.get()).insert(wait);
            let node = (*self.node.get()).insert(Node::new(wait, 0, ptr::null_mut()));
            waiters.lock().link(node);
        }
    }

    /// From here on nobody else knows the wait.
    fn unlink(&self) {
        // SAFETY: written by `link` and below alone, which are not called meanwhile.
        let node = unsafe { &*self.node.get() };
        if let (Some(node), Some(waiters)) = (node, self.source.waiters()) {
            waiters.lock().unlink(node);
        }
        // SAFETY: it is on no list, and who took it off had fired it before it gave up the lock. [X4]
        let before = unsafe {
            *self.node.get() = None;
            (*self.wait.get()).take()
        };
        // With the task's waker, if it was not fired: without the lock.
        drop(before);
    }
}

impl<T> Drop for SourceFuture<'_, T> {
    fn drop(&mut self) {
        self.unlink();
    }
}
