//! The bell: whoever waits for something to change waits here, and looks again when it rings.
//!
//! It carries no news. A watcher's event, an operator's ask or another job's step ring it; what
//! has really changed is found by looking. A ring that comes while nobody waits is not lost.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung by anyone, heard by all.
#[derive(Debug, Default)]
pub struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// The number of rings so far: take it before you look, and hand it to [`Bell::wait`].
    pub fn count(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has rung since `heard` was taken, or `at_most` has passed.
    pub fn wait(&self, heard: u64, at_most: Duration) {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.rung.wait_timeout_while(rings, at_most, |rings| *rings == heard));
    }
}
