//! How long a command with a stream of ours goes on when something else is to be looked at: the daemon's end, an operator.
//!
//! Whoever feeds it may be held up in a full pipe, or wait for its end, and then does not look himself.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::process::Killer;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// So many looks, three seconds, are enough for one that is about to end by itself.
const LOOKS: u32 = 12;

/// Does `work`, which feeds the command and waits for its end, while another thread ends the command once `interrupted` has
/// been so for as long as it is given. `work` then sees it killed.
pub fn given<T>(killer: &Killer, interrupted: &(dyn Fn() -> bool + Sync), work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (over, is_over) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut looks = 0;
            while is_over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                looks = if interrupted() { looks + 1 } else { 0 };
                if looks >= LOOKS {
                    return killer.kill();
                }
            }
        });
        let done = work();
        drop(over);
        done
    })
}
