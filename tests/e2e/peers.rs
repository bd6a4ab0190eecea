//! Hosts that are away for a while, and two zones at once.

use std::fs;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Host, Lab, Request, ZONE, failing, tree, wait};

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

#[test]
fn check_asks_whether_the_peers_daemon_is_there_and_leaves_nothing() {
    let lab = Lab::started();
    let check = || String::from_utf8(lab.source.zmigrate(&["check"]).stdout).expect("words");
    let is_empty = || tree(&lab.target.dropbox()).is_empty();
    // A busy machine's daemon may take longer than a check waits.
    wait("an answer", || check().contains("ok    peer zhost2: zmigrated on zhost2 answers\n").then_some(()));
    wait("nothing to be left", || is_empty().then_some(()));
    lab.target.kill();
    let said = check();
    let words =
        "warn  peer zhost2: zmigrated on zhost2 has not answered within 10 s\n      → it must run there";
    assert!(said.contains(words) && is_empty(), "{said}");
    assert!(lab.hosts().iter().all(|host| host.outcomes().is_empty()));
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
fn a_source_that_is_gone_for_good_leaves_no_image_on_the_targets_scratch() {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive"], "cannot receive: out of space"));
    lab.start();
    let job = lab.submit(&Request::new());
    let inbox = lab.target.dropbox().join("in").join(&job);
    let images = || {
        let entries = fs::read_dir(&inbox).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().contains('@')).count()
    };
    wait("images", || (images() > 0).then_some(()));
    lab.source.kill();
    lab.target.ask(&["cancel", &job]);
    lab.target.wait_event(&job, "result-failed", "");
    wait("no image", || (images() == 0).then_some(()));
    assert!(inbox.is_dir(), "the words are for the source to take away");
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

/// Both hosts doubt behind a second.
fn doubting() -> Lab {
    let lab = Lab::new();
    for host in lab.hosts() {
        host.configure("doubt_after = \"15m\"", "doubt_after = \"1s\"");
    }
    lab
}

#[track_caller]
fn wait_alert(host: &Host, event: &str, words: &[&str]) {
    let event = format!("event={event} ");
    let line = host.wait_told(&[&event]);
    assert!(line.starts_with("<25>") && words.iter().all(|word| line.contains(word)), "{line}");
}

#[test]
fn whoever_waits_too_long_for_the_other_is_told_with_the_way_out() {
    let lab = doubting();
    lab.target.fault(&failing("zlogin", &[], "zlogin: cannot connect"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait_alert(&lab.source, "in-doubt", &[&format!("`zmigrate rollback {job} --target-is-gone zhost2`")]);
    lab.source.kill();
    lab.target.no_faults();
    wait_alert(&lab.target, "no-ack", &[&format!("`zmigrate retry {job} --source-is-gone zhost1`")]);
    lab.target.kill();
    lab.source.start();
    wait_alert(&lab.source, "overdue", &["zone 'dbbackup' is zhost2's", "autoboot stays off"]);
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_settled_zone_needs_no_word_of_a_source_that_is_gone() {
    let lab = Lab::new();
    lab.target.fault(&failing("zlogin", &[], "zlogin: cannot connect"));
    lab.start();
    let job = lab.submit(&Request::new());
    lab.target.wait_event(&job, "installed", "boot");
    lab.source.kill();
    lab.target.no_faults();
    lab.target.wait_event(&job, "result-ok", "");
    lab.target.ask(&["retry", &job, "--source-is-gone", "zhost1"]);
    let line = lab.target.wait_outcome(0);
    assert!(line.contains("result=ok "), "{line}");
    wait("autoboot", || lab.target.autoboot(ZONE).then_some(()));
    lab.declared_gone.set(true);
}

#[test]
fn a_step_that_fails_for_too_long_while_the_zone_is_down_is_told_with_the_way_out() {
    let lab = doubting();
    lab.source.fault(&failing("zfs", &["send"], "internal error: out of memory"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait_alert(
        &lab.source,
        "overdue",
        &["is down, and send has failed", &format!("`zmigrate cancel {job}`")],
    );
    lab.source.no_faults();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}
