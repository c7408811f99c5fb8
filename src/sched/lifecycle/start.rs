//! This file starts the threads with which a runtime begins.
//! Checked by: proptests/runtime/lifecycle.rs, proptests/environment/.

use crate::fiber::overflow;
use crate::observe::AbortIfUnwinding;
use crate::platform::thread;
use crate::sched::core::runtime::{Attendant, Shared};
use crate::sched::idle::WakeAction;
use crate::sched::monitor::Monitor;
use std::io;

impl Shared {
    /// Starts the monitor, the timekeeper and a first worker. Fails if the machine refuses to start a thread, so
    /// that the error is reported when the runtime is built.
    pub(crate) fn start(&self) -> io::Result<()> {
        crate::sched::interpose::link();
        if self.config.monitor {
            self.start_attendant(Attendant::Watch, |this| Monitor::new(this).main())?;
            self.start_attendant(Attendant::Clock, Shared::keep_time)?;
        }
        match self.idle.wake_searcher() {
            WakeAction::Start(id) => self.start_worker(id).inspect_err(|_| {
                let _ = self.idle.start_failed(id);
            }),
            _ => Ok(()),
        }
    }

    fn start_attendant(&self, which: Attendant, main: fn(&Shared)) -> io::Result<()> {
        let this = self.counted();
        let what = match which {
            Attendant::Watch => "watch",
            Attendant::Clock => "clock",
        };
        let thread = thread::spawn(format!("{}-{what}", self.config.thread_name), move || {
            let _bomb = AbortIfUnwinding(what);
            overflow::ensure_alternate_stack();
            main(&this);
        })?;
        self.threads.lock()[self.place_of(which)] = Some(thread);
        Ok(())
    }
}
