//! `tracing`: the span that a thread is in, by the registry of `tracing-subscriber`. Beyond 4,096 live
//! goroutines it needs `extras/sharded-slab`, which this workspace patches in.

use super::{FEW, each, many_alive, pause};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once};
use tracing::{Dispatch, Event, Subscriber, info, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Notes for each event which spans it is in, and counts the spans that were closed.
#[derive(Clone, Default)]
struct Paths(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Paths {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !is_ours(event.metadata()) {
            return;
        }
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let path: Vec<_> = spans
            .map(|span| {
                let number = span.extensions().get::<Number>().map(|number| number.0);
                format!("{}({})", span.name(), number.expect("recorded by `on_new_span`"))
            })
            .collect();
        let mut said = Number(0);
        event.record(&mut said);
        self.0.lock().unwrap().push(format!("{} in {}", said.0, path.join(">")));
    }

    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        context: Context<'_, S>,
    ) {
        if !is_ours(attributes.metadata()) {
            return;
        }
        let mut number = Number(0);
        attributes.record(&mut number);
        context.span(id).expect("new").extensions_mut().insert(number);
    }

    fn on_close(&self, id: tracing::span::Id, context: Context<'_, S>) {
        let is_one = context.span(&id).is_some_and(|span| is_ours(span.metadata()));
        self.1.fetch_add(usize::from(is_one), SeqCst);
    }
}

/// Other libraries have spans and events too, where they are built with those.
fn is_ours(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.target() == module_path!()
}

/// The field that all spans and events here have.
struct Number(u64);

impl tracing::field::Visit for Number {
    fn record_u64(&mut self, _: &tracing::field::Field, value: u64) {
        self.0 = value;
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}

/// What was noted since the last time. One test at a time has it.
fn paths() -> &'static Paths {
    static PATHS: std::sync::OnceLock<Paths> = std::sync::OnceLock::new();
    static ONCE: Once = Once::new();
    let paths = PATHS.get_or_init(Paths::default);
    ONCE.call_once(|| {
        let all = tracing_subscriber::registry().with(paths.clone());
        tracing::dispatcher::set_global_default(Dispatch::new(all)).expect("the only one");
    });
    paths
}

static TURN: Mutex<()> = Mutex::new(());

fn serve(number: usize) {
    let number = number as u64;
    let span = info_span!("request", number);
    let _in = span.enter();
    pause(number as usize);
    info!(number);
    info_span!("query", number).in_scope(|| {
        pause(number as usize + 1);
        info!(number);
    });
    pause(number as usize + 2);
    info!(number);
}

#[track_caller]
fn check(paths: &Paths, goroutines: usize, times: usize) {
    let seen = std::mem::take(&mut *paths.0.lock().unwrap());
    assert_eq!(seen.len(), 3 * goroutines * times, "events");
    assert_eq!(paths.1.swap(0, SeqCst), 2 * goroutines * times, "spans closed");
    for line in seen {
        let number = line.split(' ').next().expect("a number");
        let outer = format!("{number} in request({number})");
        assert!(line == outer || line == format!("{outer}>query({number})"), "{line}");
    }
}

#[test]
fn events_are_in_the_spans_of_their_goroutine() {
    let _turn = TURN.lock();
    let paths = paths();
    each(FEW, |number| (0..10).for_each(|_| serve(number)));
    check(paths, FEW, 10);
}

#[test]
fn very_many_have_spans() {
    let _turn = TURN.lock();
    let paths = paths();
    many_alive(serve);
    check(paths, super::many(), 2);
}

/// A dispatcher that is a goroutine's own until a call returns.
#[test]
fn goroutines_have_dispatchers_of_their_own() {
    each(FEW, |number| {
        let own = Paths::default();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(own.clone()));
        tracing::dispatcher::with_default(&dispatch, || (0..5).for_each(|_| serve(number)));
        check(&own, 1, 5);
    });
}
