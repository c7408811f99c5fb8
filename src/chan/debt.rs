//! Debt: between a select that was chosen to send, and has yet to make its value, and the receiver that it was
//! chosen for. Each knows the other's slot, and touches either under the channel's lock alone.
//!
//! owe: the select claims a receiver, or a receiver finds a select that waits: `Taker` in the select's slot,
//!     `Owed` in the receiver's.
//! settle: the value is made: hand it to the receiver.   let go: it is not: send the receiver back to begin anew.
//! leave: the receiver goes first. Only a future may: others wait until they are fired. `Left` in the select's
//!     slot; the value then goes to the next receiver, or becomes the first in the buffer.
//! [V10] A future that receives may leave a select that owes it a value at any time, without waiting, and
//! nothing of the future is touched afterwards.
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

// SAFETY: an address; what is behind it is touched under the channel's lock, and values go from thread to
// thread whole. [V10]
unsafe impl<T: Send> Send for Debtor<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Debtor<T> {}

impl<T> Channel<T> {
    /// What the slot of the select holds from now on, for a claimed `receiver`. Under the lock.
    pub(crate) fn owe(&self, receiver: Claim, select: &Slot<T>) -> Content<T> {
        let debtor = Debtor(NonNull::from(select));
        // SAFETY: claimed, so its slot is ours. [X1]
        unsafe { Slot::of_claim(self, &receiver).replace(Content::Owed(debtor)) };
        Content::Taker(receiver)
    }

    /// Tells a claimed select that was chosen to send for whom its value is; or, with no `own`, that
    /// nothing has happened after all. Under the lock.
    pub(crate) fn take_later(&self, from: Claim, own: Option<Claim>, wakes: &mut Wakes) {
        // SAFETY: claimed, so its slot is ours. [X1]
        let select = unsafe { Slot::of_claim(self, &from) };
        let content = own.map_or(Content::Again, |own| self.owe(own, select));
        // SAFETY: as above.
        unsafe { select.replace(content) };
        wakes.push(from.complete());
    }

    /// A claimed receiver, whose own slot this is, leaves the select that owes it a value. Under the lock. From
    /// here on nobody has the claim. [V10]
    pub(crate) fn leave(&self, own: &Slot<T>) {
        // SAFETY: claimed and not fired, under the lock: so it is what `owe` has left there.
        let Content::Owed(Debtor(select)) = (unsafe { own.take() }) else {
            broken("leave", "a select that owes a value", "a claim of somebody else");
        };
        // SAFETY: the select stays in place while its slot holds the claim: until it settles or lets go, under
        // the lock, after which the receiver's slot does not name it any more.
        unsafe { select.as_ref().replace(Content::Left) };
    }

    /// Sends the value of a select that was chosen: into the place in the buffer that was kept for it, or to the
    /// receiver that waits for it. The value comes back if the channel was closed before.
    ///
    /// # Safety
    /// The slot is that of a chosen arm that sends to this channel, whose wait has ended. [X2]
    pub(crate) unsafe fn settle(&self, select: &Slot<T>, value: T) -> Result<(), SendError<T>> {
        let mut wakes = Wakes::new();
        let from = &raw const value;
        let mut locked = self.lock();
        // SAFETY: the caller's promise; under the lock, as the receiver may leave. [V10]
        let sent = match unsafe { select.replace(Content::Unmade) } {
            // SAFETY: the value is forgotten if it was sent, and nothing unwinds before; as below.
            Content::Reserved => unsafe { locked.fill(from, &mut wakes) },
            Content::Taker(receiver) => {
                // SAFETY: as above.
                unsafe { locked.hand(receiver, from, &mut wakes) };
                true
            }
            Content::Left if !locked.is_closed() => {
                // mutant: the value of one that left is lost: replace unsafe { locked.give_back(from, &mut wakes) } with ()
                // SAFETY: as above.
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

    /// A select that was chosen makes no value after all.
    ///
    /// # Safety
    /// As [`settle`](Self::settle).
    pub(crate) unsafe fn let_go(&self, select: &Slot<T>) {
        let mut wakes = Wakes::new();
        let mut locked = self.lock();
        // SAFETY: as in `settle`.
        match unsafe { select.replace(Content::Unmade) } {
            Content::Reserved => locked.release(&mut wakes),
            Content::Taker(receiver) => {
                // SAFETY: claimed, so its slot is ours. [X1]
                unsafe { Slot::of_claim(self, &receiver).replace(Content::Again) };
                wakes.push(receiver.complete());
            }
            _ => {}
        }
        drop(locked);
        wakes.wake();
    }
}
