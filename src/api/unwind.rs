//! Makes the ends of channels, handles, timers and runtimes `UnwindSafe`, so they may be used on both sides of a
//! `catch_unwind`. A panic leaves no value of these types in an inconsistent state. While such a value is changed, no
//! user code runs, or the panics of that code are caught (docs/foreign-code.md). `std` does the same for its types.
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
