//! Locks held: which goroutine holds which lock, and since when. With this, a report of a deadlock can say for which
//! goroutine another goroutine waits.
//! Checked by: proptests/model/stories.rs.

use super::{Object, Place, Run, State, What, with};

/// A lock and the goroutine that holds it.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    /// The lock.
    pub object: Object,
    /// The goroutine.
    pub who: u32,
    /// The location where the goroutine took the lock.
    pub place: Place,
}

/// Records that goroutine `who` holds `object` from now on.
pub fn holds(who: u32, object: Option<Object>, place: Place) {
    with(|log| log.run.held.extend(object.map(|object| Holder { object, who, place })));
}

/// Records that `object` is no longer held by `who`, or, if the guard has moved, by the goroutine that held it.
pub fn lets_go(who: u32, object: Option<Object>) {
    with(|log| {
        let held = &mut log.run.held;
        let own = held.iter().rposition(|one| Some(one.object) == object && one.who == who);
        let any = || held.iter().rposition(|one| Some(one.object) == object);
        if let Some(at) = own.or_else(any) {
            held.remove(at);
        }
    });
}

impl Run {
    /// Returns the goroutine that holds the lock for which that goroutine waits.
    pub fn holders_before(&self, who: u32) -> impl Iterator<Item = &Holder> {
        let record = self.goroutines.get((who as usize).wrapping_sub(1));
        let waits = record.filter(|record| record.state == State::Waiting);
        let object = waits.and_then(|record| match record.doing.as_ref()?.what {
            What::Op(_, object) => object,
            _ => None,
        });
        self.held.iter().filter(move |holder| Some(holder.object) == object)
    }

    /// Returns a sentence for a goroutine that waits for a lock that it holds itself.
    pub(super) fn waits_for_itself(&self) -> Option<String> {
        let ids = 1..=self.goroutines.len() as u32;
        let (id, own) = ids
            .into_iter()
            .find_map(|id| Some((id, self.holders_before(id).find(|holder| holder.who == id)?)))?;
        let ((kind, number), place) = (own.object, own.place);
        Some(format!(
            "goroutine {id} waits for {kind} {number}, which it has itself since {}:{}: a lock can't \
             be had twice",
            place.file(),
            place.line()
        ))
    }
}
