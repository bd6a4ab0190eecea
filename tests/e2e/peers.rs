//! Hosts that are away, that reboot, and words between them that get lost, come twice or come damaged.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Request, ZONE, wait};

#[test]
fn a_target_that_is_down_at_first_gets_the_zone_later() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.source.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "surveyed", "");
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("running"));
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

/// The target's daemon is away from one event of the source's journal to another, or until it has nothing left to do.
fn target_away(from: &str, until: &str) {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, from, "");
    lab.target.kill();
    if !until.is_empty() {
        lab.source.wait_event(&job, until, "");
    }
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_target_that_goes_away_before_the_shutdown() {
    target_away("started", "");
}

#[test]
fn a_target_that_goes_away_during_the_send() {
    target_away("autoboot-cleared", "snapshotted");
}

#[test]
fn a_target_that_goes_away_behind_the_handoff() {
    target_away("handed-off", "");
}

#[test]
fn two_zones_change_places_at_once() {
    let lab = Lab::new();
    lab.add_zone(&lab.target, "web");
    // Both were built with one address, and will meet for a moment.
    lab.target.run("zoneadm", &["-z", "web", "halt"]);
    lab.target.run("zonecfg", &["-z", "web", "select net physical=nge0; set address=192.0.2.11/24; end"]);
    lab.target.run("zoneadm", &["-z", "web", "boot"]);
    let there = Before::of(&lab.source);
    let back = Before::of_zone(&lab.target, "web");
    lab.start();
    lab.source.submit(&Request::new());
    lab.target.submit(&Request::of("web", "zhost1"));
    for host in lab.hosts() {
        host.wait_outcome(1);
    }
    lab.rest();
    for host in lab.hosts() {
        assert!(host.outcomes().iter().all(|line| line.contains("result=ok ")), "{:?}", host.outcomes());
    }
    there.assert_moved(&lab.source, &lab.target);
    back.assert_moved(&lab.target, &lab.source);
}

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

/// A host loses power right after one of its job's events; the zone boots with the host wherever it is set to.
fn rebooted(host: usize, event: &str, word: &str) {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new());
    let host = lab.hosts()[host];
    host.wait_event(&job, event, word);
    host.reboot();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn the_source_reboots_at_any_step() {
    for event in
        ["accepted", "autoboot-cleared", "shut-down", "detached", "snapshotted", "handed-off", "result-ok"]
    {
        eprintln!("-- after {event}");
        rebooted(0, event, "");
    }
}

#[test]
fn the_target_reboots_at_any_step() {
    for (event, word) in [
        ("accepted", ""),
        ("handoff-taken", ""),
        ("installed", "properties"),
        ("installed", "rename"),
        ("installed", "configure"),
        ("installed", "attach"),
        ("installed", "boot"),
        ("acked", ""),
    ] {
        eprintln!("-- after {event} {word}");
        rebooted(1, event, word);
    }
}

#[test]
fn a_host_that_takes_one_zone_at_once_says_later() {
    let lab = Lab::new();
    lab.target.configure("[jobs]", "[jobs]\noffers = 1");
    // One address for both: the new zone boots only while the other is down.
    lab.source.run("zoneadm", &["-z", ZONE, "halt"]);
    lab.add_zone(&lab.source, "web");
    // The first stays at the target's until it is told when.
    lab.start();
    let first = lab.submit(&Request::new().set("", "not_before", "2107-05-18T03:00:00Z"));
    lab.source.wait_event(&first, "accepted", "");
    let second = lab.submit(&Request::of("web", "zhost2"));
    lab.source.wait_event(&second, "told-later", "offers");
    assert_eq!(lab.source.state("web").as_deref(), Some("running"));
    lab.source.ask(&["cancel", &first]);
    lab.source.ask(&["cancel", &second]);
    wait("both outcomes", || (lab.source.outcomes().len() == 2).then_some(()));
}
