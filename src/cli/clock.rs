//! The command line's clock: the one place of it that asks for the time or lets some pass.

use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Between two looks at what a running daemon may have done.
const PAUSE: Duration = Duration::from_millis(100);

/// The wall clock's time.
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// What counts the time that passes.
pub fn instant() -> Instant {
    Instant::now()
}

/// Lets some time pass before the next look.
pub fn pause(length: Duration) {
    thread::sleep(length);
}

/// Looks until `look` finds something, for at most `limit`; looks at least once.
///
/// # Errors
/// The first of `look`.
pub fn until<T, E>(limit: Duration, mut look: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, E> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        pause(PAUSE);
    }
}
