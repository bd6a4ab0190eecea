//! How fast bytes arrive and how long the rest will take, over the last half minute. Pure: the times are told.
//!
//! Honest where it can't know: no rate before there is enough to measure, and none while nothing moves.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::job::name::Bytes;

/// What is measured over: long enough to smooth parts out, short enough to see a stall.
const WINDOW: TimeDelta = TimeDelta::seconds(30);
/// The least to measure over.
const LEAST: TimeDelta = TimeDelta::seconds(2);

/// The last half minute of one count of bytes.
#[derive(Debug, Default)]
pub struct Meter {
    seen: VecDeque<(DateTime<Utc>, u64)>,
}

impl Meter {
    /// Takes note of how many bytes there are at this time.
    pub fn note(&mut self, at: DateTime<Utc>, bytes: Bytes) {
        // An image that is sent again, or a clock that was set back: what was measured says nothing any more.
        if self.seen.back().is_some_and(|&(last, count)| bytes.0 < count || at < last) {
            self.seen.clear();
        }
        self.seen.push_back((at, bytes.0));
        // One that is older than the window is kept, to measure from.
        while self.seen.get(1).is_some_and(|&(second, _)| at - second >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Bytes in a second; `None` when that is not known, or nothing moves.
    pub fn rate(&self) -> Option<Bytes> {
        let (&(first, from), &(last, to)) = (self.seen.front()?, self.seen.back()?);
        let span = last - first;
        if span < LEAST || to <= from {
            return None;
        }
        let millis = u128::try_from(span.num_milliseconds()).ok()?;
        let rate = u128::from(to - from) * 1000 / millis;
        u64::try_from(rate).ok().filter(|rate| *rate > 0).map(Bytes)
    }

    /// The time that `rest` takes at this rate.
    pub fn left(&self, rest: Bytes) -> Option<Duration> {
        Some(Duration::from_secs(rest.0.div_ceil(self.rate()?.0)))
    }
}

/// The two stages that an operator waits for: copying, of which the source knows, and receiving.
#[derive(Debug, Default)]
pub struct Meters {
    copied: Meter,
    come: Meter,
}

impl Meters {
    /// Takes note of how many bytes have been copied, where that is known, and of how many have come.
    pub fn note(&mut self, at: DateTime<Utc>, copied: Option<Bytes>, come: Bytes) {
        if let Some(copied) = copied {
            self.copied.note(at, copied);
        }
        self.come.note(at, come);
    }

    /// The rate of the stage that will take longest, and how long that is. What is received comes part by part over
    /// a slow way, so that its own rate is too high there: the copying's tells.
    pub fn slowest(&self, copied: Option<Bytes>, come: Bytes, of: Bytes) -> Option<(Bytes, Duration)> {
        let stage = |meter: &Meter, done: Bytes| {
            let rest = Bytes(of.0.saturating_sub(done.0));
            if rest.0 == 0 { None } else { Some((meter.rate()?, meter.left(rest)?)) }
        };
        let stages = [copied.and_then(|copied| stage(&self.copied, copied)), stage(&self.come, come)];
        stages.into_iter().flatten().max_by_key(|(_, left)| *left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_of_copying_and_receiving_tells_the_time_left() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let mut meters = Meters::default();
        // A part of 100 arrives at a stroke, long after it was begun.
        for (second, copied, come) in [(0, 0, 0), (10, 50, 0), (20, 100, 100)] {
            meters.note(at(second), Some(Bytes(copied)), Bytes(come));
        }
        let left = |copied, come| meters.slowest(copied, Bytes(come), Bytes(1000)).unwrap();
        assert_eq!(left(Some(Bytes(100)), 100), (Bytes(5), Duration::from_secs(180)));
        // All is copied, and is being received.
        assert_eq!(left(Some(Bytes(1000)), 100), (Bytes(5), Duration::from_secs(180)));
        // The target does not know what was copied.
        assert_eq!(left(None, 900), (Bytes(5), Duration::from_secs(20)));
        assert_eq!(meters.slowest(Some(Bytes(1000)), Bytes(1000), Bytes(1000)), None);
    }

    fn meter(seen: &[(i64, u64)]) -> Meter {
        let mut meter = Meter::default();
        for &(second, bytes) in seen {
            meter.note(DateTime::from_timestamp(second, 0).unwrap(), Bytes(bytes));
        }
        meter
    }

    #[test]
    fn the_rate_is_that_of_the_last_half_minute() {
        let fast_then_slow: Vec<_> = (0..100u32)
            .map(|s| (i64::from(s), if s < 50 { u64::from(s) * 1000 } else { 50_000 + u64::from(s) }))
            .collect();
        let meter = meter(&fast_then_slow);
        assert_eq!(meter.rate(), Some(Bytes(1)));
        assert_eq!(meter.left(Bytes(90)), Some(Duration::from_secs(90)));
        assert!(meter.seen.len() <= 32, "{}", meter.seen.len());
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        for seen in [&[][..], &[(0, 0)], &[(0, 0), (1, 100)], &[(0, 7), (10, 7)], &[(0, 5), (60, 5)]] {
            assert_eq!(meter(seen).rate(), None, "{seen:?}");
            assert_eq!(meter(seen).left(Bytes(1)), None, "{seen:?}");
        }
    }

    #[test]
    fn a_stall_ends_the_rate_when_the_window_has_passed() {
        let mut seen = vec![(0, 0), (5, 500)];
        seen.extend((6..40).map(|s| (s, 500)));
        assert_eq!(meter(&seen).rate(), None);
    }

    #[test]
    fn a_count_that_goes_back_is_measured_anew() {
        assert_eq!(meter(&[(0, 0), (10, 1000), (11, 0), (13, 20)]).rate(), Some(Bytes(10)));
    }
}
