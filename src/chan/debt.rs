//! Debt: the relation between a select that was chosen to send but has not made its value yet, and the receiver that
//! it was chosen for. Each of them knows the other's slot, and accesses either slot only under the channel's lock.
//!
//! owe: a select claims a receiver, or a receiver finds a waiting select. The select's slot becomes `Taker`, and the
//!     receiver's slot becomes `Owed`.
//! settle: the value has been made, so the select hands it to the receiver.
//! let go: the value will not be made, so the select tells the receiver to start again.
//! leave: the receiver leaves first. Only a future may do so, because other receivers wait until they are completed.
//!     The select's slot becomes `Left`. The value then goes to the next receiver, or to the front of the buffer.
//! [V10] A receiving future may leave a select that owes it a value at any time, without waiting. Nothing of the
//! future is accessed after that.
//! Checked by: verification/loom/chan_async.rs, verification/loom/select.rs, proptests/runtime/chan_async.rs.
#![allow(unsafe_code)]

use super::channel::Channel;
use super::error::SendError;
use super::slot::{Content, Slot};
use crate::observe::broken;
use crate::wait::{Claim, Wakes};
use std::mem;
use std::ptr::NonNull;

/// The slot of the select that owes a value.
pub(crate) struct Debtor<T>(NonNull<Slot<T>>);

// SAFETY: this is an address. What it points to is accessed only under the channel's lock, and values move between
// threads because `T: Send`. [V10]
unsafe impl<T: Send> Send for Debtor<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send> Sync for Debtor<T> {}

impl<T> Channel<T> {
    /// Makes the select owe a value to the claimed `receiver`, and returns the new content of the select's slot. The
    /// caller holds the lock.
    pub(crate) fn owe(&self, receiver: Claim, select: &Slot<T>) -> Content<T> {
        let debtor = Debtor(NonNull::from(select));
        // SAFETY: the receiver is claimed by us, so its slot is ours. [X1]
        unsafe { Slot::of_claim(self, &receiver).replace(Content::Owed(debtor)) };
        Content::Taker(receiver)
    }

    /// Tells a claimed select that was chosen to send which receiver its value is for. If `own` is `None`, tells it to
    /// start again. The caller holds the lock.
    pub(crate) fn take_later(&self, from: Claim, own: Option<Claim>, wakes: &mut Wakes) {
        // SAFETY: the select is claimed by us, so its slot is ours. [X1]
        let select = unsafe { Slot::of_claim(self, &from) };
        let content = own.map_or(Content::Again, |own| self.owe(own, select));
        // SAFETY: the slot is ours, as above.
        unsafe { select.replace(content) };
        wakes.push(from.complete());
    }

    /// Makes a claimed receiver, which owns the slot `own`, leave the select that owes it a value. The caller holds
    /// the lock. After this call nobody holds the claim. [V10]
    pub(crate) fn leave(&self, own: &Slot<T>) {
        // SAFETY: the receiver is claimed and not completed, and the lock is held, so the slot holds what `owe` put
        // there.
        let Content::Owed(Debtor(select)) = (unsafe { own.take() }) else {
            broken("leave", "a select that owes a value", "a claim of somebody else");
        };
        // SAFETY: the select stays in place while its slot holds the claim. The claim ends when the select settles or
        // lets go, under the lock, and from then on the receiver's slot does not name the select.
        unsafe { select.as_ref().replace(Content::Left) };
    }

    /// Sends the value of a select that was chosen to send. The value goes to the reserved place in the buffer or to
    /// the waiting receiver. Returns the value if the channel was closed before.
    ///
    /// # Safety
    /// The slot must be the slot of a chosen arm that sends to this channel, and the wait of its select must have
    /// ended. [X2]
    pub(crate) unsafe fn settle(&self, select: &Slot<T>, value: T) -> Result<(), SendError<T>> {
        let mut wakes = Wakes::new();
        let from = &raw const value;
        let mut locked = self.lock();
        // SAFETY: the caller promises that the slot is ours. The lock is held, because the receiver may leave at any
        // time. [V10]
        let sent = match unsafe { select.replace(Content::Unmade) } {
            // SAFETY: `value` is forgotten below if it was sent, and nothing unwinds before that. The next two calls
            // rely on the same fact.
            Content::Reserved => unsafe { locked.fill(from, &mut wakes) },
            Content::Taker(receiver) => {
                // SAFETY: as above, `value` is forgotten below.
                unsafe { locked.hand(receiver, from, &mut wakes) };
                true
            }
            Content::Left if !locked.is_closed() => {
                // mutant: the value of one that left is lost: replace unsafe { locked.give_back(from, &mut wakes) } with ()
                // SAFETY: as above, `value` is forgotten below.
                unsafe { locked.give_back(from, &mut wakes) };
                true
            }
            _ => false,
        };
        drop(locked);
        let result = if sent {
            mem::forget(value);
            Ok(())
        } else {
            Err(SendError(value))
        };
        wakes.wake();
        result
    }

    /// Releases a select that was chosen to send but makes no value.
    ///
    /// # Safety
    /// The caller must meet the same conditions as for [`settle`](Self::settle).
    pub(crate) unsafe fn let_go(&self, select: &Slot<T>) {
        let mut wakes = Wakes::new();
        let mut locked = self.lock();
        // SAFETY: as in `settle`, the slot is ours and the lock is held.
        match unsafe { select.replace(Content::Unmade) } {
            Content::Reserved => locked.release(&mut wakes),
            Content::Taker(receiver) => {
                // SAFETY: the receiver is claimed by us, so its slot is ours. [X1]
                unsafe { Slot::of_claim(self, &receiver).replace(Content::Again) };
                wakes.push(receiver.complete());
            }
            _ => {}
        }
        drop(locked);
        wakes.wake();
    }
}
