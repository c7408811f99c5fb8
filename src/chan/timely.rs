//! Timely: a future that awaits a value of a source, which becomes ready at some time. `recv_async` uses it for
//! `after` and similar receivers, and `CancelToken::cancelled_async` is built on it.
//!
//! poll: unlink the node, then try to take a value. If there is none, link the node, ask when a value is due, and arm
//!     the alarm for that time.
//! drop: unlink the node, and disarm the alarm.
//! These are the steps of `Source::recv`, with the alarm in place of a park with a limit. A source completes waits
//! under the lock of its list. So a thread that holds that lock finds a node linked or its wait completed.
//! Invariants: [X3], [W4], [Z4].
//! [V9] A future that awaits a source is woken, by the waker of its last poll, when the source is set again, and when
//! a value is due.
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

/// A wait for a source that continues between polls.
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

    /// Returns the value if a value is due. Otherwise makes sure that `waker` is woken when a value may be due.
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
            // The node was linked before this call, so a later change of the source completes the wait. [V9]
            match self.source.due() {
                Some(due) if due <= clock::now() => {}
                Some(due) => {
                    // Cloning the waker is foreign code and may panic, so it happens before anything is borrowed.
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
        // SAFETY: the node is on no list, because `unlink` was called before. So nobody else accesses the wait or the
        // node. Both are pinned, and `Drop` unlinks the node. [X3]
        unsafe {
            let wait = (*self.wait.get()).insert(wait);
            let node = (*self.node.get()).insert(Node::new(wait, 0, ptr::null_mut()));
            waiters.lock().link(node);
        }
    }

    /// Unlinks the node. After this call nobody else knows the wait.
    fn unlink(&self) {
        // SAFETY: only `link` and the code below write the node, and neither runs now.
        let node = unsafe { &*self.node.get() };
        if let (Some(node), Some(waiters)) = (node, self.source.waiters()) {
            waiters.lock().unlink(node);
        }
        // SAFETY: the node is on no list. A waker that took it off the list had completed the wait before it released
        // the list's lock. [X4]
        let before = unsafe {
            *self.node.get() = None;
            (*self.wait.get()).take()
        };
        // If the wait was not completed, this drops the task's waker. The lock is not held here.
        drop(before);
    }
}

impl<T> Drop for SourceFuture<'_, T> {
    fn drop(&mut self) {
        self.unlink();
    }
}
