//! `bandwidth` of `[jobs]`: one limit over all copies of this host, whatever jobs they belong to.
//!
//! Bytes are copied first and paid for afterwards: who has copied a piece waits until the time for all that was
//! copied has passed. The limit is looked up while waiting, so a refreshed configuration counts at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::job::name::Bytes;

/// Between two looks at the limit, and whether to stop.
const LOOK: Duration = Duration::from_millis(250);

/// What has been copied and not been paid for.
#[derive(Debug)]
pub struct Bandwidth {
    debt: Mutex<(f64, Instant)>,
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self { debt: Mutex::new((0.0, Instant::now())) }
    }
}

impl Bandwidth {
    /// Waits, by `wait`, until the limit lets more bytes pass than these. `limit` is in bytes a second.
    /// `false` when `stopped` said so before.
    pub fn pass(
        &self,
        copied: Bytes,
        limit: impl Fn() -> Option<Bytes>,
        stopped: impl Fn() -> bool,
        wait: impl Fn(Duration),
    ) -> bool {
        let mut more = copied;
        while !stopped() {
            let pause = {
                let mut debt = self.debt.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                let (owed, pause) = owes(debt.0, now - debt.1, more, limit());
                *debt = (owed, now);
                pause
            };
            if pause.is_zero() {
                return true;
            }
            more = Bytes(0);
            wait(pause.min(LOOK));
        }
        false
    }
}

/// Bytes that are owed after `passed` and `more` copied bytes, and the time that pays for them.
fn owes(owed: f64, passed: Duration, more: Bytes, limit: Option<Bytes>) -> (f64, Duration) {
    let Some(limit) = limit else { return (0.0, Duration::ZERO) };
    let rate = limit.0 as f64;
    // What was not used is not saved up: a limit is one in every second.
    let owed = (owed - passed.as_secs_f64() * rate).max(0.0) + more.0 as f64;
    (owed, Duration::try_from_secs_f64(owed / rate).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn bytes_are_paid_for_by_time() {
        let (owed, pause) = owes(0.0, SECOND, Bytes(3_000), Some(Bytes(1_000)));
        assert_eq!((owed, pause), (3_000.0, 3 * SECOND));
        let (owed, pause) = owes(owed, SECOND, Bytes(0), Some(Bytes(1_000)));
        assert_eq!((owed, pause), (2_000.0, 2 * SECOND));
        assert_eq!(owes(owed, 5 * SECOND, Bytes(0), Some(Bytes(1_000))), (0.0, Duration::ZERO));
    }

    #[test]
    fn a_new_limit_counts_for_what_is_owed_and_none_forgives_it() {
        assert_eq!(owes(2_000.0, Duration::ZERO, Bytes(0), Some(Bytes(4_000))).1, SECOND / 2);
        assert_eq!(owes(2_000.0, Duration::ZERO, Bytes(9), None), (0.0, Duration::ZERO));
    }

    #[test]
    fn two_copies_share_one_limit() {
        let bandwidth = Bandwidth::default();
        let passed = std::cell::Cell::new(Duration::ZERO);
        let limit = || if passed.get() < 3 * SECOND { Some(Bytes(1 << 20)) } else { None };
        // Nobody waits in truth: the limit is taken away once the time asked for is more than one copy's.
        let wait = |pause: Duration| passed.set(passed.get() + pause);
        for _ in 0..2 {
            assert!(bandwidth.pass(Bytes(1 << 30), limit, || false, wait));
        }
        assert!(passed.get() >= 3 * SECOND);
    }

    #[test]
    fn who_is_to_stop_does_not_wait_for_the_limit() {
        let bandwidth = Bandwidth::default();
        assert!(!bandwidth.pass(Bytes(1 << 40), || Some(Bytes(1)), || true, |_| panic!("waited")));
    }
}
