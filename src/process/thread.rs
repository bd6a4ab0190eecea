//! Threads of this layer: each copies bytes, or waits for one event.

use std::io;
use std::thread;

/// Stack of such a thread, in bytes.
const SMALL_STACK: usize = 128 << 10;

/// Starts a thread of this name. It is detached; `body` reports its end itself.
///
/// # Errors
/// When the host has no thread left.
pub(super) fn start(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(SMALL_STACK).spawn(body).map(drop)
}
