//! Store: keys and values, each of which may have its time. A key is in one of many shards, under one
//! lock of selvedge's: who waits for it parks.

use selvedge::sync::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const SHARDS: usize = 64;

pub struct Store {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

#[derive(Default)]
pub struct Shard(HashMap<Vec<u8>, Entry>);

pub struct Entry {
    pub value: Vec<u8>,
    /// When it will be gone.
    pub until: Option<Instant>,
}

impl Entry {
    fn is_there(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Default for Store {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Store { shards, hasher: RandomState::new() }
    }
}

impl Store {
    /// The shard of a key, and nobody else's meanwhile.
    pub fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[at].lock().expect("no command panics")
    }

    fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards.iter().map(|shard| shard.lock().expect("no command panics"))
    }

    pub fn len(&self) -> usize {
        let now = Instant::now();
        self.all().map(|shard| shard.0.values().filter(|entry| entry.is_there(now)).count()).sum()
    }

    pub fn clear(&self) {
        self.all().for_each(|mut shard| shard.0.clear());
    }

    /// Removes what nobody can see any more.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.all().for_each(|mut shard| shard.0.retain(|_, entry| entry.is_there(now)));
    }
}

impl Shard {
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let entry = self.0.get(key)?;
        (entry.until.is_none() || entry.is_there(Instant::now())).then_some(entry)
    }

    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let entry = self.0.get_mut(key)?;
        (entry.until.is_none() || entry.is_there(Instant::now())).then_some(entry)
    }

    pub fn set(&mut self, key: &[u8], value: &[u8], until: Option<Instant>) {
        match self.0.get_mut(key) {
            // What is there has room, mostly.
            Some(entry) => {
                entry.value.clear();
                entry.value.extend_from_slice(value);
                entry.until = until;
            }
            None => drop(self.0.insert(key.to_vec(), Entry { value: value.to_vec(), until })),
        }
    }

    /// False: there was none.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.0.remove(key).is_some_and(|entry| entry.is_there(Instant::now()))
    }
}

/// In so many milliseconds; `None` if that is beyond all time.
pub fn after(millis: i64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(u64::try_from(millis).ok()?))
}
