//! The pauses behind what fails outside of any job, and is tried again for as long as it takes: a log host that is deaf, a name
//! service that does not answer. A job's own are in [`job::retry`](crate::job::retry).

use std::time::Duration;

/// Behind the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest: what came back should not look broken for long.
const LONGEST: Duration = Duration::from_secs(60);

/// The pause behind the `failures`-th failure in a row (1 = the first): each twice as long as the one before.
pub fn behind(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses = [1, 2, 3, 7, u32::MAX].map(|failures| behind(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 60, 60]);
    }
}
