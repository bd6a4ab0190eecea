//! Words between the hosts that get lost, come damaged, come twice or come late.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Request};

/// Something meddles with one message while a migration runs. Some messages live for a millisecond only: where
/// one was read before it was met, the migration is a plain one, and another is tried.
fn meddled(side: &str, message: &str, meddle: impl Fn(&std::path::Path, usize) -> bool + Send + Sync) {
    let met = (0..8).any(|_| meets(side, message, &meddle));
    assert!(met, "{message} was never met");
}

/// One migration; whether the message was met.
fn meets(
    side: &str,
    message: &str,
    meddle: &(impl Fn(&std::path::Path, usize) -> bool + Send + Sync),
) -> bool {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let (over, times) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let place = lab.target.dropbox().join(side);
        let (over, times) = (&over, &times);
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for job in fs::read_dir(&place).into_iter().flatten().flatten() {
                    let path = job.path().join(message);
                    if path.exists() && meddle(&path, times.load(Ordering::Relaxed)) {
                        times.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::park_timeout(Duration::from_micros(200));
            }
        });
        // The thread must end when a wait fails, or the scope waits for it for ever.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lab.submit(&Request::new());
            lab.outcomes();
        }));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
    times.load(Ordering::Relaxed) > 0
}

/// Gone right after it was put, twice at most.
fn lost(side: &str, message: &str) {
    meddled(side, message, |path, times| times < 2 && fs::remove_file(path).is_ok());
}

/// Cut in the middle, once.
fn torn(side: &str, message: &str) {
    meddled(side, message, |path, times| {
        times < 1 && fs::read(path).is_ok_and(|bytes| fs::write(path, &bytes[..bytes.len() / 2]).is_ok())
    });
}

#[test]
fn a_lost_offer() {
    lost("in", "offer");
}

#[test]
fn a_lost_answer() {
    lost("out", "answer");
}

#[test]
fn a_lost_handoff() {
    lost("in", "handoff");
}

#[test]
fn a_lost_receipt() {
    lost("out", "receipt");
}

#[test]
fn a_lost_result() {
    lost("out", "result");
}

#[test]
fn a_lost_ack() {
    lost("in", "ack");
}

#[test]
fn a_torn_offer() {
    torn("in", "offer");
}

#[test]
fn a_torn_handoff() {
    torn("in", "handoff");
}

#[test]
fn a_torn_result() {
    torn("out", "result");
}

#[test]
fn a_torn_ack() {
    torn("in", "ack");
}
