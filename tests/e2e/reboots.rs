//! Hosts that lose power at any step; the zone boots with the host wherever it is set to.

use serde_json::json;

use crate::lab::ends::{Before, assert_came_back, assert_outcomes};
use crate::lab::{Lab, Request, failing, profile};

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
    for event in [
        "surveyed",
        "accepted",
        "started",
        "autoboot-cleared",
        "shut-down",
        "detached",
        "recaptured",
        "snapshotted",
        "delivered",
        "handed-off",
        "result-ok",
    ] {
        eprintln!("-- after {event}");
        rebooted(0, event, "");
    }
}

#[test]
fn the_target_reboots_at_any_step() {
    for (event, word) in [
        ("accepted", ""),
        ("handoff-taken", ""),
        ("receipt-put", ""),
        ("installed", "recheck"),
        ("installed", "properties"),
        ("installed", "rename"),
        ("installed", "quotas"),
        ("installed", "mount"),
        ("installed", "route"),
        ("installed", "configure"),
        ("installed", "attach"),
        ("installed", "boot"),
        ("result-ok", ""),
        ("acked", ""),
        ("autoboot-set", ""),
    ] {
        eprintln!("-- after {event} {word}");
        rebooted(1, event, word);
    }
}

#[test]
fn the_target_reboots_when_only_some_of_the_datasets_mount_themselves_again() {
    let lab = Lab::new();
    let kill = json!({"do": "kill-parent", "when": "after"});
    lab.target.fault(&json!({"command": "zfs", "contains": profile::mounting(), "call": 1, "action": kill}));
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    lab.target.wait_killed();
    lab.target.reboot();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

/// A host loses power on the way back of a zone that did not come up on the target.
fn rebooted_on_the_way_back(host: usize, event: &str, word: &str) {
    eprintln!("-- after {event} {word}");
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let request = Request::new().set("verify", "timeout", "\"1s\"");
    let job = lab.submit(&request.set("verify", "commands", "[\"/opt/mysql/bin/nosuch\"]"));
    let host = lab.hosts()[host];
    host.wait_event(&job, event, word);
    host.reboot();
    lab.outcomes();
    assert_came_back(&lab, &before, &job);
}

#[test]
fn the_target_reboots_at_any_step_back() {
    for (event, word) in [
        ("turned-back", ""),
        ("undone", "halt"),
        ("undone", "detach"),
        ("undone", "unconfigure"),
        ("undone", "unroute"),
        ("undone", "shelve"),
        ("result-failed", ""),
        ("acked", ""),
    ] {
        rebooted_on_the_way_back(1, event, word);
    }
}

#[test]
fn the_source_reboots_at_any_step_back() {
    for event in ["result-failed", "put-back", "tidied"] {
        rebooted_on_the_way_back(0, event, "");
    }
}

#[test]
fn the_source_reboots_on_the_way_back_from_before_the_handoff() {
    for event in ["turned-back", "put-back", "tidied"] {
        eprintln!("-- after {event}");
        let lab = Lab::new();
        lab.source.fault(&failing("zfs", &["snapshot"], "cannot snapshot: permission denied"));
        let before = Before::of(&lab.source);
        lab.start();
        let job = lab.submit(&Request::new());
        lab.source.wait_event(&job, event, "");
        lab.source.reboot();
        lab.outcomes();
        let line = &lab.source.outcomes()[0];
        assert!(line.contains("result=failed ") && line.contains("undone=yes"), "{line}");
        before.assert_as_found(&lab.source, &lab.target);
    }
}
