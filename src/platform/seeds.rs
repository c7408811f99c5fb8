//! Seeds: numbers for choices that need no secrecy, from the random bytes that the kernel gives each program at
//! its start. They need no system call that a sandbox could take away.
//! Source: SplitMix64, by Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA
//! 2014).
//! Checked by: unit tests here.

use super::fork::Born;
use super::unmodelled::{AtomicU64, Ordering};
use std::ptr;

/// The step of SplitMix64. It is odd, so that all numbers are produced before the first number is repeated.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

static NEXT: AtomicU64 = AtomicU64::new(0);

pub(super) fn next() -> u64 {
    // Relaxed, all: only uniqueness matters.
    if NEXT.load(Ordering::Relaxed) == 0 {
        let _ = NEXT.compare_exchange(0, first(), Ordering::Relaxed, Ordering::Relaxed);
    }
    let number = NEXT.fetch_add(STEP, Ordering::Relaxed);
    // The child of a fork continues where its parent stood.
    mix(number ^ u64::from(Born::here().number()))
}

fn first() -> u64 {
    // SAFETY: `getauxval` takes no pointer, and returns 0 if the kernel did not provide the entry.
    let place = unsafe { libc::getauxval(libc::AT_RANDOM) } as usize;
    if place == 0 {
        // The address of the program is random, too.
        return mix((&raw const NEXT).addr() as u64) | 1;
    }
    let bytes = ptr::with_exposed_provenance::<[u64; 2]>(place);
    // SAFETY: the pointer is that of the sixteen bytes that the kernel provides for the life of the process.
    let [one, other] = unsafe { bytes.read_unaligned() };
    mix(one ^ mix(other)) | 1
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    /// No system call is needed, and no number comes twice.
    #[test]
    fn no_seed_comes_twice() {
        let seeds: std::collections::HashSet<u64> = (0..10_000).map(|_| super::next()).collect();
        assert_eq!(seeds.len(), 10_000);
    }
}
