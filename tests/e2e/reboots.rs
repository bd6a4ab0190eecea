//! Hosts that lose power at any step; the zone boots with the host wherever it is set to.

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Request};

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
