//! `log`, with a logger that has a context for each thread, as loggers for services have.

use super::{FEW, each, many_alive, pause};
use log::{Log, Metadata, Record, info};
use std::cell::RefCell;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

thread_local! {
    /// What every line is to begin with.
    static CONTEXT: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Compares each line's context to what the line says that it should be.
struct Checks;
static LINES: AtomicUsize = AtomicUsize::new(0);

impl Log for Checks {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let context = CONTEXT.with_borrow(|context| context.join("/"));
        assert_eq!(record.args().to_string(), context, "a line in a stranger's context");
        LINES.fetch_add(1, SeqCst);
    }

    fn flush(&self) {}
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Checks).expect("the only logger");
        log::set_max_level(log::LevelFilter::Info);
    });
}

fn serve(number: usize) {
    CONTEXT.with_borrow_mut(|context| context.push(format!("request {number}")));
    info!("request {number}");
    pause(number);
    CONTEXT.with_borrow_mut(|context| context.push("query".to_owned()));
    info!("request {number}/query");
    pause(number + 1);
    CONTEXT.with_borrow_mut(Vec::pop);
    info!("request {number}");
    CONTEXT.with_borrow_mut(Vec::clear);
}

#[test]
fn lines_have_the_context_of_their_goroutine() {
    install();
    let before = LINES.load(SeqCst);
    each(FEW, |number| (0..10).for_each(|_| serve(number)));
    assert!(LINES.load(SeqCst) >= before + FEW * 30);
}

#[test]
fn very_many_have_contexts() {
    install();
    many_alive(serve);
}
