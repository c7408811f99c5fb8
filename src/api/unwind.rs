//! The types that are `UnwindSafe`, so they may be used on both sides of a `catch_unwind`: the ends of channels,
//! handles, timers and runtimes. A panic leaves none of them in an inconsistent state, because no user code runs while
//! they are changed, or its panics are caught there (docs/foreign-code.md). `std` does the same for its own types.
#![forbid(unsafe_code)]

use super::handle::Goroutine;
use super::join::JoinHandle;
use super::runtime::Runtime;
use crate::chan::{Receiver, Sender};
use crate::time::{Ticker, Timer};
use std::panic::{RefUnwindSafe, UnwindSafe};

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl UnwindSafe for Goroutine {}
impl RefUnwindSafe for Goroutine {}
impl UnwindSafe for Ticker {}
impl RefUnwindSafe for Ticker {}
impl UnwindSafe for Timer {}
impl RefUnwindSafe for Timer {}
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}
