//! Reading a child's pipe to its end in a thread, keeping only a bounded piece of it.
//!
//! A pipe ends when the last process that holds it closes it, and that need not be the child: `zoneadm boot`
//! leaves a `zoneadmd` behind. So whoever waits for the end waits with a limit and then takes what came. The
//! thread goes on reading into nothing until the pipe really ends: closing our end would kill the survivor by
//! SIGPIPE.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::thread;

/// Which piece of the bytes is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// The first so many; the rest is counted as too much.
    Head(usize),
    /// The last so many.
    Tail(usize),
}

/// What came through a pipe.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// The bytes kept.
    pub(super) bytes: Vec<u8>,
    /// Whether there were more than are kept.
    pub(super) cut: bool,
    /// Whether the pipe has not ended: somebody still holds it.
    pub(super) open: bool,
}

#[derive(Debug, Default)]
struct State {
    kept: Drained,
    ended: bool,
    abandoned: bool,
}

/// A pipe that is being read.
#[derive(Debug)]
pub(super) struct Drain {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Drain {
    /// Starts reading; `overflow` is called once when a [`Keep::Head`] is full.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(
        pipe: impl Read + Send + 'static,
        keep: Keep,
        overflow: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new((Mutex::default(), Condvar::new()));
        let theirs = Arc::clone(&shared);
        thread::start("drain", move || read_all(pipe, keep, &theirs, overflow))?;
        Ok(Self { shared })
    }

    /// Waits for the pipe's end, at most so long, and takes what came.
    pub(super) fn finish(self, at_most: Duration) -> Drained {
        let (state, ended) = &*self.shared;
        let waited = ended.wait_timeout_while(lock(state), at_most, |state| !state.ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.abandoned = true;
        let open = !state.ended;
        Drained { open, ..std::mem::take(&mut state.kept) }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(
    mut pipe: impl Read,
    keep: Keep,
    (state, ended): &(Mutex<State>, Condvar),
    overflow: impl FnOnce(),
) {
    let mut overflow = Some(overflow);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let mut state = lock(state);
                if !state.abandoned {
                    store(&mut state.kept, &buffer[..count], keep);
                }
                if state.kept.cut
                    && matches!(keep, Keep::Head(_))
                    && let Some(overflow) = overflow.take()
                {
                    drop(state);
                    overflow();
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lock(state).ended = true;
    ended.notify_all();
}

fn store(kept: &mut Drained, bytes: &[u8], keep: Keep) {
    match keep {
        Keep::Head(limit) => {
            let room = limit.saturating_sub(kept.bytes.len()).min(bytes.len());
            kept.bytes.extend_from_slice(&bytes[..room]);
            kept.cut |= room < bytes.len();
        }
        Keep::Tail(limit) => {
            kept.bytes.extend_from_slice(bytes);
            let surplus = kept.bytes.len().saturating_sub(limit);
            kept.bytes.drain(..surplus);
            kept.cut |= surplus > 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(keep: Keep, chunks: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut drained = Drained::default();
        chunks.iter().for_each(|chunk| store(&mut drained, chunk, keep));
        (drained.bytes, drained.cut)
    }

    #[test]
    fn the_head_and_the_tail_are_kept_and_the_cut_is_told() {
        let chunks: [&[u8]; 3] = [b"abc", b"de", b"f"];
        assert_eq!(kept(Keep::Head(4), &chunks), (b"abcd".to_vec(), true));
        assert_eq!(kept(Keep::Head(6), &chunks), (b"abcdef".to_vec(), false));
        assert_eq!(kept(Keep::Tail(4), &chunks), (b"cdef".to_vec(), true));
        assert_eq!(kept(Keep::Tail(6), &chunks), (b"abcdef".to_vec(), false));
    }
}
