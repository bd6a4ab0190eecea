//! SQLite's loop: n = 1, 2, …: something happens at the n-th opportunity. The loop is over when a run survives untouched:
//! then there was no n-th.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs at the same time: they wait more than they work.
const WORKERS: usize = 6;
/// No loop gets here.
const MOST: u64 = 600;

/// What a run is told to do at its n-th opportunity; `true`: it came to that.
pub type Run = dyn Fn(u64) -> Result<bool, String> + Sync;

/// Which n are run.
#[derive(Debug, Clone, Copy)]
pub struct Nth {
    first: u64,
    stride: u64,
    most: u64,
}

impl Nth {
    /// As the environment variable says: `all`, or a number, that one alone. Without it every `stride`-th, from a start that is
    /// printed.
    pub fn from_env(variable: &str, stride: u64) -> Self {
        let (first, stride, most) = match std::env::var(variable).ok().as_deref() {
            Some("all") => (1, 1, MOST),
            Some(n) => {
                let n = n.parse().unwrap_or_else(|_| panic!("{variable} is `all` or a number"));
                (n, 1, n)
            }
            None => (1 + u64::from(std::process::id()) % stride, stride, MOST),
        };
        Self { first, stride, most }
    }

    /// Runs n = first, first + stride, … until one survives; every failure at once.
    pub fn until_one_survives(self, what: &str, run: &Run) {
        // One loop at a time: each has its own workers.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let Self { first, stride, most } = self;
        let (next, survived, struck) = (AtomicU64::new(first), AtomicU64::new(u64::MAX), AtomicU64::new(0));
        let failures = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    loop {
                        let n = next.fetch_add(stride, Ordering::Relaxed);
                        if n > most || n > survived.load(Ordering::Relaxed) {
                            return;
                        }
                        match run(n) {
                            Ok(true) => drop(struck.fetch_add(1, Ordering::Relaxed)),
                            Ok(false) => drop(survived.fetch_min(n, Ordering::Relaxed)),
                            Err(story) => {
                                println!("{what}, n = {n}: {story}");
                                failures.lock().unwrap_or_else(PoisonError::into_inner).push(n);
                            }
                        }
                    }
                });
            }
        });
        let (survived, struck) = (survived.into_inner(), struck.into_inner());
        println!(
            "{what}: n = {first}, {}, …: {struck} struck, the first that survived: {survived}",
            first + stride
        );
        let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        failures.sort_unstable();
        assert!(failures.is_empty(), "{what}: n = {failures:?} ended badly, see above");
        if most == MOST {
            assert!(struck > 0 && survived < MOST, "{what}: the loop has shown nothing");
        }
    }
}
