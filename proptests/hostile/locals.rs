//! Goroutine-local and thread-local values that misbehave, and that know whose they are.
//!
//! A value is used by one goroutine alone: the one that made it, or that inherited it. Goroutines are told
//! apart by id and by the name of their runtime's threads; in an anchored runtime the kernel thread is
//! the same, too.

use crate::acts::perform;
use crate::calm::calm_unless;
use crate::ledger::{Canary, Kind, fault};
use crate::program::{KEYS, Value};
use crate::values::Hostile;
use crate::world::world;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use std::thread::{self, ThreadId};

/// Who runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Thread(ThreadId),
    /// Its id, and its thread.
    Goroutine(u64, ThreadId),
}

#[inline(never)]
fn who() -> Who {
    let thread = thread::current().id();
    match selvedge::current().id() {
        Some(id) => Who::Goroutine(id, thread),
        None => Who::Thread(thread),
    }
}

/// See the module.
struct Local {
    /// `None` where there was no program when it was made.
    canary: Option<Canary>,
    spite: Value,
    owner: RefCell<Option<Who>>,
    uses: Cell<u64>,
}

impl Local {
    fn make(key: usize) -> Local {
        let Some(world) = world() else { return Local::empty() };
        perform(&world.program.makes[key]);
        let canary = world.ledger.canary(Kind::Local, None);
        let local = Local::new(Some(canary), world.program.locals[key].clone());
        local.check();
        local
    }

    fn empty() -> Local {
        Local::new(None, Value::default())
    }

    fn new(canary: Option<Canary>, spite: Value) -> Local {
        Local { canary, spite, owner: RefCell::new(None), uses: Cell::new(0) }
    }

    /// The first use tells whose it is.
    fn check(&self) {
        let Some(canary) = &self.canary else { return };
        canary.check();
        self.uses.set(self.uses.get() + 1);
        let who = who();
        let mut owner = self.owner.borrow_mut();
        match &*owner {
            Some(owner) if *owner != who => {
                fault(&format!("a goroutine-local value of {owner:?} is used by {who:?}"));
            }
            Some(_) => {}
            None => {
                if matches!(who, Who::Thread(_)) {
                    canary.becomes(Kind::ThreadsLocal, None);
                }
                *owner = Some(who);
            }
        }
    }

    /// A goroutine's value is dropped on it, and a thread's on that.
    fn check_at_the_end(&self) {
        let Some(canary) = &self.canary else { return };
        canary.check();
        match &*self.owner.borrow() {
            None => {}
            // At its end a thread can't be asked more than this.
            Some(Who::Thread(owner)) if *owner == thread::current().id() => {}
            Some(owner) if matches!(owner, Who::Goroutine(..)) && *owner == who() => {}
            Some(owner) => {
                fault(&format!("a goroutine-local value of {owner:?} is dropped by {:?}", who()));
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.check_at_the_end();
        if matches!(*self.owner.borrow(), Some(Who::Thread(_))) {
            ENDS.set(true);
        }
        perform(&std::mem::take(&mut self.spite.drop));
    }
}

/// What a goroutine inherits is made by its spawner.
impl Clone for Local {
    fn clone(&self) -> Local {
        self.check();
        let Some(world) = world() else { return Local::empty() };
        perform(&world.program.clones);
        self.check();
        Local::new(Some(world.ledger.canary(Kind::Local, None)), self.spite.clone())
    }
}

selvedge::goroutine_local! {
    static PLAIN: (Local, PhantomData<Rc<()>>) = (Local::make(0), PhantomData);
    static OTHER: (Local, PhantomData<Rc<()>>) = (Local::make(1), PhantomData);
    inherit static INHERITED: Local = Local::make(2);
    static REPLACED: RefCell<Option<Hostile>> = RefCell::new(None);
}

/// Puts a value in place, and another in place of that one, which goes then.
pub fn replace(value: Hostile) {
    REPLACED.set(Some(value));
    REPLACED.set(None);
}

/// Uses a value, and performs `within` while it is in use. It may be refused.
pub fn touch(key: usize, within: impl FnOnce()) {
    let use_it = |local: &Local| {
        local.check();
        within();
        local.check();
    };
    assert!(key < KEYS);
    let _ = match key {
        0 => PLAIN.try_with(|(local, _)| use_it(local)),
        1 => OTHER.try_with(|(local, _)| use_it(local)),
        _ => INHERITED.try_with(use_it),
    };
}

/// A value in a `thread_local!`: dropped when its kernel thread ends.
struct OfThread {
    canary: Canary,
    spite: Value,
    owner: ThreadId,
}

impl Drop for OfThread {
    fn drop(&mut self) {
        self.canary.check();
        if self.owner != thread::current().id() {
            fault("a thread-local value is dropped on another thread");
        }
        ENDS.set(true);
        // std aborts where such a destructor panics.
        let acts = std::mem::take(&mut self.spite.drop);
        let passes = world().is_some_and(|world| world.program.lets_threads_abort());
        let _ = calm_unless(passes, || perform(&acts));
    }
}

thread_local! {
    /// Whether this thread's values are being dropped.
    static ENDS: Cell<bool> = const { Cell::new(false) };
    static OF_THREAD: RefCell<Vec<OfThread>> = const { RefCell::new(Vec::new()) };
}

/// Whether the calling thread ends, so that it can't wait any more.
#[inline(never)]
pub fn thread_ends() -> bool {
    ENDS.get()
}

/// Puts a value into this thread's, unless there are some.
#[inline(never)]
pub fn touch_thread() {
    let Some(world) = world() else { return };
    let room = OF_THREAD.try_with(|values| values.borrow().len() < 2);
    if room != Ok(true) {
        return;
    }
    let value = OfThread {
        canary: world.ledger.canary(Kind::ThreadLocal, None),
        spite: world.program.thread_local.clone(),
        owner: thread::current().id(),
    };
    let _ = OF_THREAD.try_with(|values| values.borrow_mut().push(value));
}
