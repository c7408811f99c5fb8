//! Scopes: the children borrow from the frame of their parent, and so the scope must not return, even by
//! unwinding, before each has ended.

use crate::acts::perform;
use crate::calm::{calm, calm_unless, drop_calmly};
use crate::ledger::{Canary, Kind, fault};
use crate::program::{Child, Keep, On, ScopeSpec, WakerSpec};
use crate::slow::Late;
use crate::steps::spawns::POLLS;
use crate::values::{Hostile, throw};
use crate::wakers::poll_once;
use crate::world::World;
use selvedge::{CancelToken, JoinError, Scope, ScopedJoinHandle, scope, time};
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

/// What the children borrow.
struct Frame {
    canary: Canary,
}

/// A child is counted from before its spawn until its closure and its result are gone, or until its
/// result is in other hands.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Counted(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// The result of a child: its destructor uses what it borrows.
struct Borrows<'a> {
    value: Hostile,
    frame: &'a Frame,
    _counted: Counted,
    /// The last to go.
    _late: Late,
}

impl Drop for Borrows<'_> {
    fn drop(&mut self) {
        self.frame.canary.check();
        self.value.canary().check();
    }
}

/// Runs a scope on the calling goroutine. A panic of it goes on.
pub fn run(world: &Arc<World>, spec: &ScopeSpec) {
    let frame = Frame { canary: world.ledger.canary(Kind::Other, None) };
    let count = Arc::new(AtomicUsize::new(0));
    // Dropped also where the scope unwinds.
    let _checks = Checks(&count);
    scope(|s| body(world, spec, s, &frame, &count));
}

struct Checks<'a>(&'a AtomicUsize);

impl Drop for Checks<'_> {
    fn drop(&mut self) {
        let children = self.0.load(SeqCst);
        if children > 0 {
            fault(&format!("a scope has returned before {children} of its children"));
        }
    }
}

fn body<'scope, 'env>(
    world: &Arc<World>,
    spec: &'env ScopeSpec,
    s: &'scope Scope<'scope, 'env>,
    frame: &'env Frame,
    count: &Arc<AtomicUsize>,
) {
    let mut handles = Vec::new();
    for child in &spec.children {
        let closure = closure(world, child, frame, count);
        let place = if child.elsewhere { world.runtime(On::Main) } else { None };
        // The error gives the closure back, however large that is.
        #[allow(clippy::result_large_err)]
        let spawned = match &place {
            Some(place) => place.runtime().run(|| s.try_go(closure)),
            None => s.try_go(closure),
        };
        match spawned {
            Ok(handle) if matches!(child.keep, Keep::Detach) => drop(handle),
            Ok(handle) => handles.push((handle, &child.keep)),
            Err(error) => drop_calmly(error),
        }
    }
    if let Some(waker) = &spec.token {
        hold_token(world, s.token().clone(), waker);
    }
    perform(&spec.body);
    for (handle, how) in handles {
        keep(world, handle, how);
    }
}

fn closure<'env>(
    world: &Arc<World>,
    child: &'env Child,
    frame: &'env Frame,
    count: &Arc<AtomicUsize>,
) -> impl FnOnce() -> Borrows<'env> + Send + use<'env> {
    let counted = Counted::new(count);
    let late = child.late;
    let passes = world.program.lets_payloads_pass();
    let ledger = Arc::clone(&world.ledger);
    let capture = Hostile::of(&ledger, Kind::Other, &child.capture);
    move || {
        let counted = counted;
        frame.canary.check();
        let act = || {
            perform(&child.acts);
            drop(capture);
        };
        if calm_unless(passes, act).is_none() {
            throw(0);
        }
        frame.canary.check();
        let value = Hostile::of(&ledger, Kind::Other, &child.result);
        Borrows { value, frame, _counted: counted, _late: Late(late) }
    }
}

/// The future goes nowhere until the end of the program, and has the token wake its waker.
fn hold_token(world: &Arc<World>, token: CancelToken, waker: &WakerSpec) {
    let mut future = Box::pin(async move { token.cancelled_async().await });
    let polled = calm(|| poll_once(future.as_mut(), &world.ledger, waker));
    if polled == Some(Poll::Pending) {
        world.hold(0, future);
    } else {
        drop_calmly(future);
    }
}

fn keep<'a>(world: &Arc<World>, handle: ScopedJoinHandle<'_, Borrows<'a>>, how: &Keep) {
    match how {
        Keep::Join => check(handle.join()),
        Keep::JoinTimeout(micros) => {
            if let Ok(result) = handle.join_timeout(Duration::from_micros((*micros).into())) {
                check(result);
            }
        }
        Keep::JoinCancel(token) => {
            if let Ok(result) = handle.join_cancel(&world.tokens[*token]) {
                check(result);
            }
        }
        Keep::Await(spec) => {
            let mut future = handle.into_future();
            for _ in 0..POLLS {
                match poll_once(Pin::new(&mut future), &world.ledger, spec) {
                    Poll::Ready(result) => return check(result),
                    Poll::Pending => time::sleep(Duration::from_micros(200)),
                }
            }
            check(selvedge::block_on(future));
        }
        Keep::PollAndDrop(spec) => {
            let mut future = handle.into_future();
            if let Poll::Ready(result) = poll_once(Pin::new(&mut future), &world.ledger, spec) {
                check(result);
            }
        }
        Keep::Shared | Keep::Detach | Keep::Hold(..) => drop(handle),
    }
}

fn check(result: Result<Borrows<'_>, JoinError>) {
    match result {
        Ok(borrows) => drop_calmly(borrows),
        Err(error) => drop_calmly(error),
    }
}
