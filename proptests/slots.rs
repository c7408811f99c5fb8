//! The poller's slots against a map of all keys that there ever were. [N5]

use proptest::prelude::*;
use selvedge::internals::sched::poller::{Event, EventHandler, Key, Slots};
use selvedge::internals::wait::WakeHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A sink that counts what it is told.
#[derive(Default)]
struct Told(AtomicUsize);

impl EventHandler<WakeHandle> for Told {
    fn ready(&self, _: Event, _: &mut Vec<WakeHandle>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert,
    /// Removes the key of this number, which may be gone already.
    Remove(usize),
    /// An event for it, which may be an old one.
    Tell(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Insert),
        2 => (0usize..32).prop_map(Step::Remove),
        3 => (0usize..32).prop_map(Step::Tell),
    ]
}

/// A sink, its key, how often it was told while it was there, and whether it still is.
struct Known {
    sink: Arc<Told>,
    key: Key,
    told: usize,
    there: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

    #[test]
    fn a_key_leads_to_its_own_sink_until_it_is_removed(
        steps in prop::collection::vec(step(), 0..200)
    ) {
        let mut slots = Slots::new();
        let mut known: Vec<Known> = Vec::new();
        for step in steps {
            match step {
                Step::Insert => {
                    let sink = Arc::new(Told::default());
                    let key = slots.insert(Arc::<Told>::clone(&sink));
                    prop_assert!(known.iter().all(|one| one.key != key), "a key is used once");
                    known.push(Known { sink, key, told: 0, there: true });
                }
                Step::Remove(number) if number < known.len() => {
                    let one = &mut known[number];
                    let removed = slots.remove(one.key);
                    prop_assert_eq!(removed.is_some(), std::mem::take(&mut one.there));
                }
                Step::Tell(number) if number < known.len() => {
                    let one = &mut known[number];
                    let found = slots.get(one.key);
                    prop_assert_eq!(found.is_some(), one.there);
                    found.into_iter().for_each(|sink| sink.ready(Event::default(), &mut Vec::new()));
                    one.told += usize::from(one.there);
                }
                _ => {}
            }
            prop_assert_eq!(slots.len(), known.iter().filter(|one| one.there).count());
        }
        for one in &known {
            prop_assert_eq!(one.sink.0.load(Ordering::Relaxed), one.told);
        }
    }
}
