//! How models build a runtime whose goroutines have homes.

use selvedge::{BuildError, Builder, Runtime};

pub trait Anchored {
    /// Builds an anchored runtime.
    fn anchored(self) -> Result<Runtime, BuildError>;
}

impl Anchored for Builder {
    fn anchored(self) -> Result<Runtime, BuildError> {
        // SAFETY: no goroutine of a model initializes a thread-local by code that suspends, or lends
        // anything by way of one.
        unsafe { self.build_anchored() }
    }
}
