use selvedge::*;
use std::time::*;
fn main() {
    let mig = std::env::args().any(|a| a == "m");
    let procs: usize = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1);
    let b = Runtime::builder().processors(procs);
    let rt = if mig { unsafe { b.build_migrating() } } else { b.build() }.unwrap();
    println!("run: {}", rt.run(|| 42));
    let n = 1_000_000u32;
    let only = std::env::var("ONLY").unwrap_or_default();
    for _ in 0..std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(3) {
        if only.is_empty() || only == "spawn" {
            let t = Instant::now();
            rt.run(|| {
                for _ in 0..n / 100 {
                    let hs: Vec<_> = (0..100).map(|i| go(move || i)).collect();
                    for h in hs {
                        h.join().unwrap();
                    }
                }
            });
            println!("spawn+join {:?} ns", t.elapsed().as_nanos() as f64 / n as f64);
        }
        if only.is_empty() || only == "yield" {
            let t = Instant::now();
            rt.run(|| {
                let hs: Vec<_> = (0..100)
                    .map(|_| {
                        go(move || {
                            for _ in 0..10000 {
                                yield_now()
                            }
                        })
                    })
                    .collect();
                for h in hs {
                    h.join().unwrap();
                }
            });
            println!("yield {:?} ns", t.elapsed().as_nanos() as f64 / 1e6);
        }
        if only.is_empty() || only == "ping" {
            let t = Instant::now();
            rt.run(|| {
                use std::sync::{Arc, atomic::*};
                let flag = Arc::new(AtomicU32::new(0));
                let f2 = flag.clone();
                let me = current();
                let h = go(move || {
                    for i in 0..500_000 {
                        while f2.load(Ordering::Acquire) != 2 * i + 1 {
                            park()
                        }
                        f2.store(2 * i + 2, Ordering::Release);
                        me.unpark();
                    }
                });
                let p = h.goroutine();
                for i in 0..500_000 {
                    flag.store(2 * i + 1, Ordering::Release);
                    p.unpark();
                    while flag.load(Ordering::Acquire) != 2 * i + 2 {
                        park()
                    }
                }
                h.join().unwrap();
            });
            println!("pingpong {:?} ns/rt", t.elapsed().as_nanos() as f64 / 5e5);
        }
        if only.is_empty() || only == "block" {
            let t = Instant::now();
            rt.run(|| {
                for _ in 0..1_000_000 {
                    blocking(|| std::hint::black_box(1));
                }
            });
            println!("blocking {:?} ns", t.elapsed().as_nanos() as f64 / 1e6);
        }
    }
    println!("{:?}", rt.metrics());
    let t = Instant::now();
    rt.shutdown(Duration::from_secs(5)).unwrap();
    println!("shutdown {:?}", t.elapsed());
}
