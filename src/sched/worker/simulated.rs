//! Chooses the goroutine that runs next in a simulation, by its seed (`impl Worker`).
//! Checked by: proptests/model/simulate.rs.

use crate::observe::run_log;
use crate::observe::run_log::Kind;
use crate::sched::core::cell::Ptr;
use crate::sched::core::processor::ProcessorGuard;
use crate::sched::core::simulation::{START, Simulation, State};
use crate::sched::core::worker::Worker;
use crate::sched::suspend::park_until::fire_timers;
use crate::structures::NEVER;

impl Worker {
    /// Returns the next goroutine of a simulation, or `None` if the run is over. Does not return if the run
    /// has failed. [K10]
    #[cold]
    pub(crate) fn pick(&self, held: ProcessorGuard<'_>) -> Option<Ptr> {
        let simulation = self.shared().simulation.as_deref().expect("it is one");
        let last = simulation.0.lock().last.take();
        // If the cell belongs to another goroutine now, the one that was chosen last has ended.
        if let Some((goroutine, id)) = last
            && goroutine.id() == id
            && goroutine.word.is_parked()
        {
            run_log::waits(id as u32);
        }
        loop {
            self.gather(held, simulation);
            let now = simulation.now();
            let nearest = self.shared().timers.nearest();
            if nearest <= now {
                fire_timers(self.shared(), now);
                continue;
            }
            // The choice is a statement of its own, so that the lock is released at once.
            let chosen = simulation.0.lock().choose();
            if let Some(chosen) = chosen {
                return Some(self.chosen(chosen, simulation));
            }
            if nearest == NEVER {
                run_log::at_rest();
                return None;
            }
            simulation.0.lock().advance(nearest);
            run_log::time(nearest - START);
        }
    }

    fn chosen(&self, goroutine: Ptr, simulation: &Simulation) -> Ptr {
        run_log::wakes(goroutine.id() as u32);
        let State { steps, most_steps, .. } = *simulation.0.lock();
        if steps > most_steps {
            let message = format!(
                "the simulation took {most_steps} steps and has not ended: is there a loop that polls? \
                 Let it park, or raise the limit with `Check::steps`"
            );
            run_log::fail(Kind::Limit, message);
        }
        goroutine
    }

    /// Takes all runnable goroutines out of the queues, in their order.
    fn gather(&self, held: ProcessorGuard<'_>, simulation: &Simulation) {
        self.drain_remote();
        let mut state = simulation.0.lock();
        let next = || {
            let own = self.pop_bound().or_else(|| held.local(|local| local.run_queue.pop()));
            own.or_else(|| self.shared().global_queue.pop().map(Ptr::from_raw))
        };
        state.runnable.extend(std::iter::from_fn(next));
        state.runnable.extend(held.processor().take_next());
    }
}
