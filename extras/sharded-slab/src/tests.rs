//! One thread, then several that create, read and clear at random.

use super::{Clear, Pool};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[derive(Default)]
struct Item {
    number: usize,
    cleared: usize,
}

impl Clear for Item {
    fn clear(&mut self) {
        self.number = 0;
        self.cleared += 1;
    }
}

#[test]
fn a_cleared_value_is_gone_and_its_slot_is_used_again() {
    let pool = Pool::<Item>::new();
    let key = pool.create_with(|item| item.number = 7).unwrap();
    let read = pool.get(key).unwrap();
    assert_eq!((read.number, read.key()), (7, key));
    assert!(pool.clear(key));
    assert!(!pool.clear(key), "once");
    assert!(pool.get(key).is_none(), "nobody finds it any more");
    assert_eq!(read.number, 7, "who reads it still does");
    drop(read);
    let next = pool.create_with(|item| assert_eq!((item.number, item.cleared), (0, 1))).unwrap();
    assert_eq!(next as u32, key as u32, "the same slot");
    assert_ne!(next, key, "another key");
    assert!(pool.get(key).is_none() && pool.get(next).is_some());
}

#[test]
fn many_values_have_keys_of_their_own() {
    let pool = Pool::<Item>::new();
    let create = |number| (pool.create_with(|item| item.number = number).unwrap(), number);
    let keys: HashMap<_, _> = (0..10_000).map(create).collect();
    assert_eq!(keys.len(), 10_000);
    assert!(keys.iter().all(|(&key, &number)| pool.get(key).unwrap().number == number));
    assert!(pool.get(20_000).is_none() && pool.get(usize::MAX).is_none());
}

/// Drops its parent's key when it is cleared, as a span does.
#[derive(Default)]
struct Child(Option<usize>);
static CHILDREN: std::sync::OnceLock<Pool<Child>> = std::sync::OnceLock::new();

impl Clear for Child {
    fn clear(&mut self) {
        if let Some(parent) = self.0.take() {
            assert!(CHILDREN.get().unwrap().clear(parent));
        }
    }
}

#[test]
fn clearing_may_clear_others() {
    let pool = CHILDREN.get_or_init(Pool::new);
    let mut keys = vec![pool.create_with(|_| ()).unwrap()];
    for _ in 0..100 {
        let parent = keys.last().copied();
        keys.push(pool.create_with(|child| child.0 = parent).unwrap());
    }
    assert!(pool.clear(*keys.last().unwrap()));
    assert!(keys.into_iter().all(|key| pool.get(key).is_none()));
}

#[test]
fn several_threads() {
    let pool = Pool::<Item>::new();
    let shared = Mutex::new(Vec::<(usize, usize)>::new());
    let (created, cleared) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 1..=4_usize {
            let (pool, shared, created, cleared) = (&pool, &shared, &created, &cleared);
            scope.spawn(move || {
                let mut random = thread * 0x9e37_79b9;
                for _ in 0..20_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let (choice, at) = (random >> 60, random >> 33);
                    if choice < 5 {
                        let key = pool.create_with(|item| item.number = random).unwrap();
                        created.fetch_add(1, SeqCst);
                        shared.lock().unwrap().push((key, random));
                        continue;
                    }
                    let found = {
                        let shared = shared.lock().unwrap();
                        shared.get(at % shared.len().max(1)).copied()
                    };
                    let Some((key, number)) = found else { continue };
                    if let Some(item) = pool.get(key) {
                        assert_eq!(item.number, number, "the value of this key");
                        if choice > 12 {
                            cleared.fetch_add(usize::from(pool.clear(key)), SeqCst);
                            assert_eq!(item.number, number, "while it is read");
                        }
                    }
                }
            });
        }
    });
    let all = shared.into_inner().unwrap();
    let left = all.iter().filter(|(key, _)| pool.get(*key).is_some()).count();
    assert_eq!(left, created.into_inner() - cleared.into_inner());
}
