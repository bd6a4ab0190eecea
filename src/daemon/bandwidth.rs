//! `bandwidth` of `[jobs]`: one limit over all copies of this host, whatever jobs they belong to.
//!
//! Bytes are paid for before they are copied, by time, in the order in which their copiers came: none of them waits longer than
//! for what was before it. The limit is looked up while waiting, so a refreshed configuration counts at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::job::name::Bytes;

/// Between two looks at the limit, and whether to stop.
const LOOK: Duration = Duration::from_millis(250);

/// What is to be paid for, and what has been.
#[derive(Debug)]
pub struct Bandwidth {
    account: Mutex<(Account, Instant)>,
}

impl Default for Bandwidth {
    fn default() -> Self {
        Self { account: Mutex::new((Account::default(), Instant::now())) }
    }
}

impl Bandwidth {
    /// Waits, by `wait`, until the limit lets these bytes pass. `limit` is in bytes a second. `false` when `stopped` said so
    /// before.
    pub fn pass(
        &self,
        bytes: Bytes,
        limit: impl Fn() -> Option<Bytes>,
        stopped: impl Fn() -> bool,
        wait: impl Fn(Duration),
    ) -> bool {
        let mut ticket = None;
        while !stopped() {
            let pause = {
                let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
                let (account, at) = &mut *account;
                let (now, limit) = (Instant::now(), limit());
                account.pay(now - *at, limit);
                *at = now;
                let ticket = *ticket.get_or_insert_with(|| account.charge(bytes));
                account.until(ticket, limit)
            };
            if pause.is_zero() {
                return true;
            }
            wait(pause.min(LOOK));
        }
        false
    }
}

/// Bytes since the daemon's start.
#[derive(Debug, Default)]
struct Account {
    charged: f64,
    paid: f64,
}

impl Account {
    /// Time has passed. What was not used is not saved up: a limit is one in every second.
    fn pay(&mut self, passed: Duration, limit: Option<Bytes>) {
        let paid = limit.map_or(f64::INFINITY, |limit| self.paid + passed.as_secs_f64() * limit.0 as f64);
        self.paid = paid.min(self.charged);
    }

    /// More bytes; the ticket says when they have been paid for.
    fn charge(&mut self, bytes: Bytes) -> f64 {
        self.charged += bytes.0 as f64;
        self.charged
    }

    /// The time until a ticket has been paid for.
    fn until(&self, ticket: f64, limit: Option<Bytes>) -> Duration {
        let Some(limit) = limit else { return Duration::ZERO };
        let owed = (ticket - self.paid).max(0.0);
        Duration::try_from_secs_f64(owed / limit.0 as f64).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIMIT: Option<Bytes> = Some(Bytes(1_000));

    #[test]
    fn bytes_are_paid_for_by_time() {
        let mut account = Account::default();
        account.pay(SECOND, LIMIT);
        let ticket = account.charge(Bytes(3_000));
        assert_eq!(
            account.until(ticket, LIMIT),
            3 * SECOND,
            "a second before it was charged has paid for it"
        );
        account.pay(SECOND, LIMIT);
        assert_eq!(account.until(ticket, LIMIT), 2 * SECOND);
        account.pay(5 * SECOND, LIMIT);
        assert_eq!(account.until(ticket, LIMIT), Duration::ZERO);
        let ticket = account.charge(Bytes(1_000));
        assert_eq!(account.until(ticket, LIMIT), SECOND, "what was not used was saved up");
    }

    #[test]
    fn a_new_limit_counts_for_what_is_owed_and_none_forgives_it() {
        let mut account = Account::default();
        let ticket = account.charge(Bytes(2_000));
        assert_eq!(account.until(ticket, Some(Bytes(4_000))), SECOND / 2);
        assert_eq!(account.until(ticket, None), Duration::ZERO);
        account.pay(Duration::ZERO, None);
        assert_eq!(account.until(ticket, LIMIT), Duration::ZERO);
    }

    #[test]
    fn copies_beside_each_other_share_one_limit_in_the_order_in_which_they_came() {
        let mut account = Account::default();
        let (first, second) = (account.charge(Bytes(1_000)), account.charge(Bytes(1_000)));
        assert_eq!((account.until(first, LIMIT), account.until(second, LIMIT)), (SECOND, 2 * SECOND));
        account.pay(SECOND, LIMIT);
        // The first one is through and comes again: it does not get in front.
        let again = account.charge(Bytes(1_000));
        assert_eq!((account.until(second, LIMIT), account.until(again, LIMIT)), (SECOND, 2 * SECOND));
    }

    #[test]
    fn who_waits_sees_a_new_limit() {
        let bandwidth = Bandwidth::default();
        let passed = std::cell::Cell::new(Duration::ZERO);
        let limit = || if passed.get() < 3 * SECOND { Some(Bytes(1 << 20)) } else { None };
        // Nobody waits in truth: the limit is taken away once so much time was asked for.
        let wait = |pause: Duration| passed.set(passed.get() + pause);
        assert!(bandwidth.pass(Bytes(1 << 40), limit, || false, wait));
        assert!(passed.get() >= 3 * SECOND);
    }

    #[test]
    fn who_is_to_stop_does_not_wait_for_the_limit() {
        let bandwidth = Bandwidth::default();
        assert!(!bandwidth.pass(Bytes(1 << 40), || Some(Bytes(1)), || true, |_| panic!("waited")));
    }
}
