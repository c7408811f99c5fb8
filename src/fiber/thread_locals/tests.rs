//! Unit tests of thread-local blocks, without a scheduler.

use super::block::Blocks;
use super::pointer;
use crate::fiber::tests::{DONE, PAUSED, serve};
use crate::fiber::{
    DEFAULT_GUARD_SIZE, DEFAULT_STACK_SIZE, Fiber, Guards, SlotLayout, StackPool, StackPoolPlan,
    Suspender,
};
use crate::platform::unmodelled::Mutex;
use crate::platform::{Arc, MODELLED, thread};
use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

fn blocks() -> &'static Blocks {
    Blocks::of_this_process().unwrap_or_else(|error| panic!("{error}"))
}

fn arena() -> Arc<StackPool> {
    let layout = SlotLayout::new(DEFAULT_STACK_SIZE, DEFAULT_GUARD_SIZE, blocks().bytes());
    let layout = layout.expect("a layout");
    let plan = StackPoolPlan {
        layout,
        slots: 64,
        guards: Guards::Light,
        may_lack_guards: false,
        painted: false,
    };
    StackPool::isolated(plan, serve, blocks()).expect("an arena")
}

fn one(arena: &StackPool) -> Fiber {
    let mut fibers = Vec::new();
    arena.take(&mut fibers, 1).expect("a stack");
    fibers.pop().expect("one fiber")
}

type Job = Box<dyn FnOnce(&Suspender)>;

fn start(fiber: &mut Fiber, job: impl FnOnce(&Suspender) + 'static) -> usize {
    let mut job: Option<Job> = Some(Box::new(job));
    let job: *mut () = ptr::from_mut(&mut job).cast();
    // SAFETY: the fiber is at rest and runs `serve`, which takes the job before it suspends. `blocks()` are the
    // blocks of the fiber's pool.
    unsafe { fiber.resume(job, Some((blocks(), ptr::null()))) }
}

fn pause(suspender: &Suspender) {
    // SAFETY: `suspender` belongs to the fiber that runs this code.
    unsafe { suspender.suspend(PAUSED) };
}

fn go_on(fiber: &mut Fiber) -> usize {
    // SAFETY: the suspended job expects no argument. The fiber has thread-locals of its own, so it may run here.
    unsafe { fiber.resume(ptr::null_mut(), Some((blocks(), ptr::null()))) }
}

/// Calls `f` with each fiber on another kernel thread, and returns the fibers.
fn elsewhere(mut fibers: Vec<Fiber>, f: impl Fn(&mut Fiber) + Send + 'static) -> Vec<Fiber> {
    let moved = Arc::new(Mutex::new(None));
    let place = Arc::clone(&moved);
    let run = move || {
        fibers.iter_mut().for_each(f);
        *place.lock().unwrap() = Some(fibers);
    };
    assert!(thread::spawn(String::from("elsewhere"), run).expect("a thread").join());
    let mut moved = moved.lock().unwrap();
    moved.take().expect("it has ended in order")
}

thread_local! {
    static PLAIN: Cell<u32> = const { Cell::new(7) };
    static LIST: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn what_was_learnt_is_what_the_c_library_does() {
    // A model has no isolated goroutines.
    if MODELLED {
        return;
    }
    let template = &blocks().template;
    let own = pointer::read() as isize;
    // SAFETY: the call takes no argument.
    let errno = unsafe { libc::__errno_location() }.addr() as isize - own;
    assert_eq!(template.learnt.errno, errno);
    // SAFETY: `own` is the calling thread's pointer, and its control block has the thread's number at this offset.
    let number =
        unsafe { ptr::with_exposed_provenance::<u32>((own + template.number) as usize).read() };
    assert_eq!(number, crate::platform::thread_id());
    assert!(!template.learnt.allocator.is_empty(), "the words of `malloc` are found");
    assert!(template.learnt.specific.is_some(), "the values of keys are found");
    let place = PLAIN.with(|plain| ptr::from_ref(plain).addr()) as isize - own;
    let renewed = template.renewed.iter().any(|&(from, to)| (from..to).contains(&place));
    assert!(renewed, "a variable of this program is renewed: {place} in {:?}", template.renewed);
}

#[test]
fn thread_pointer_is_back_when_a_fiber_has_suspended() {
    // A model has no isolated goroutines.
    if MODELLED {
        return;
    }
    let (arena, own) = (arena(), pointer::read());
    let mut fiber = one(&arena);
    let why = start(&mut fiber, move |suspender| {
        let here = pointer::read();
        assert_ne!(here, own);
        pause(suspender);
        assert_eq!(pointer::read(), here);
    });
    assert_eq!((why, pointer::read()), (PAUSED, own));
    // The fiber has the same pointer on another thread.
    let fibers = elsewhere(vec![fiber], |fiber| assert_eq!(go_on(fiber), DONE));
    arena.give(fibers.into_iter());
}

#[test]
fn thread_locals_are_the_fibers_own_wherever_it_resumes() {
    // A model has no isolated goroutines.
    if MODELLED {
        return;
    }
    let arena = arena();
    PLAIN.set(100);
    let mut fibers: Vec<_> = (0..8).map(|_| one(&arena)).collect();
    for fiber in &mut fibers {
        let why = start(fiber, |suspender| {
            for turn in 0..50 {
                PLAIN.with(|plain| {
                    assert_eq!(plain.get(), 7 + turn);
                    pause(suspender);
                    plain.set(plain.get() + 1);
                });
                LIST.with_borrow_mut(|list| {
                    list.push(turn);
                    pause(suspender);
                    assert_eq!(list.len() as u32, turn + 1);
                });
            }
        });
        assert_eq!(why, PAUSED);
    }
    // Each turn runs on another kernel thread than the turn before.
    for turn in 0..100 {
        let last = turn == 99;
        fibers = elsewhere(fibers, move |fiber| assert_eq!(go_on(fiber) == DONE, last));
    }
    assert_eq!(PLAIN.get(), 100);
    arena.give(fibers.into_iter());
}

#[test]
fn a_block_is_as_new_for_the_next_one() {
    // A model has no isolated goroutines.
    if MODELLED {
        return;
    }
    struct Counts(Rc<Cell<u32>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    thread_local! { static KEPT: RefCell<Option<Counts>> = const { RefCell::new(None) }; }
    let (arena, drops) = (arena(), Rc::new(Cell::new(0)));
    let mut fiber = one(&arena);
    for round in 1..=3 {
        let counts = Counts(Rc::clone(&drops));
        let why = start(&mut fiber, move |_| {
            assert_eq!(PLAIN.replace(9), 7);
            assert!(KEPT.replace(Some(counts)).is_none());
            // SAFETY: the C library returns a valid pointer to the `errno` of the block that this code runs on.
            unsafe {
                assert_eq!(*libc::__errno_location(), 0);
                *libc::__errno_location() = 5;
            }
            // SAFETY: this code runs on the block, and holds no reference to a variable of the block.
            unsafe {
                blocks().end();
                blocks().renew();
            }
        });
        assert_eq!((why, drops.get()), (DONE, round));
    }
    arena.give([fiber].into_iter());
}

/// The options of the resolver belong to each thread.
#[test]
fn the_state_of_the_resolver_is_as_new_for_the_next_one() {
    if MODELLED {
        return;
    }
    unsafe extern "C" {
        fn __res_state() -> *mut libc::c_ulong;
        fn __res_init() -> libc::c_int;
    }
    let arena = arena();
    let mut fiber = one(&arena);
    for _ in 0..3 {
        let why = start(&mut fiber, |_| {
            // SAFETY: `__res_state` returns this block's resolver state. The state's second word has the options.
            unsafe {
                let options = __res_state().add(1);
                assert_eq!(*options, 0);
                assert_eq!(__res_init(), 0);
                assert_ne!(*options, 0);
            }
            // SAFETY: this code runs on the block, and holds no reference to a variable of the block.
            unsafe {
                blocks().end();
                blocks().renew();
            }
        });
        assert_eq!(why, DONE);
    }
    arena.give([fiber].into_iter());
}

#[test]
fn a_block_can_be_trimmed_and_made_again() {
    if MODELLED {
        return;
    }
    let arena = arena();
    for _ in 0..3 {
        let mut fiber = one(&arena);
        assert_eq!(start(&mut fiber, |_| assert_eq!(PLAIN.replace(8), 7)), DONE);
        arena.give([fiber].into_iter());
        assert_eq!(arena.trim(0, usize::MAX), 1);
    }
}
