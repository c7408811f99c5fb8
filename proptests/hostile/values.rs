//! Values that misbehave when they are dropped or formatted: messages, results, what closures own, and
//! panic payloads.

use crate::acts::perform;
use crate::calm::unwinding;
use crate::ledger::{Canary, Kind, Ledger};
use crate::program::Value;
use crate::world::world;
use std::fmt;
use std::panic::panic_any;
use std::sync::Arc;

/// A value whose destructor and whose `Debug` are the program's.
pub struct Hostile {
    canary: Canary,
    spite: Value,
}

impl Hostile {
    pub fn of(ledger: &Arc<Ledger>, kind: Kind, spite: &Value) -> Hostile {
        Hostile { canary: ledger.canary(kind, None), spite: spite.clone() }
    }

    /// A value of goroutine `number`.
    pub fn owned(ledger: &Arc<Ledger>, kind: Kind, number: usize, spite: &Value) -> Hostile {
        Hostile { canary: ledger.canary(kind, Some(number)), spite: spite.clone() }
    }

    pub fn canary(&self) -> &Canary {
        &self.canary
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.canary.check();
        perform(&std::mem::take(&mut self.spite.drop));
        self.canary.check();
    }
}

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.canary.check();
        perform(&self.spite.debug);
        self.canary.check();
        f.write_str("Hostile")
    }
}

/// What a goroutine returns. It knows whose it is.
pub struct Outcome {
    pub value: Hostile,
    pub of: usize,
}

/// A panic payload whose destructor panics with another payload, `depth` times.
struct Payload {
    canary: Canary,
    depth: u8,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.canary.check();
        if self.depth > 0 && !unwinding() {
            let canary = self.canary.ledger().canary(Kind::NestedPayload, None);
            panic_any(Payload { canary, depth: self.depth - 1 });
        }
    }
}

/// Panics with a payload that is counted, and whose destructor panics so many times. Where the thread
/// unwinds already, or the program is over, it doesn't.
pub fn throw(depth: u8) {
    if unwinding() {
        return;
    }
    if let Some(world) = world() {
        panic_any(Payload { canary: world.ledger.canary(Kind::Payload, None), depth });
    }
}
