//! Journals and requests that are not where they were: a spool that was set back, a folder that somebody moved, a first line
//! that could not be written.

use std::fs;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Request, ZONE, wait};

/// A migration whose target has the zone and nobody to tell it to, and then not its job any more.
fn target_forgets() -> (Lab, Before, String) {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new());
    lab.target.wait_event(&job, "handoff-taken", "");
    lab.source.kill();
    lab.target.wait_event(&job, "result-ok", "");
    lab.target.kill();
    fs::rename(lab.target.spool("active").join(&job), lab.dir().join(&job)).expect("the job's folder");
    // And what it may have answered.
    fs::remove_dir_all(lab.target.dropbox().join("out").join(&job)).expect("its answers");
    lab.target.start();
    lab.source.start();
    (lab, before, job)
}

#[test]
fn a_target_that_has_forgotten_its_job_does_not_give_back_a_zone_that_it_has() {
    let (lab, before, job) = target_forgets();
    let line = lab.target.wait_told(&["event=held", "what=handoff"]);
    assert!(line.contains(&format!("job={job}")) && line.contains("running"), "{line}");
    // Twice: what the source asks after the alert changes nothing.
    lab.source.ask(&["retry", &job]);
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("configured"), "{}", lab.source.told());
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    lab.target.kill();
    fs::rename(lab.dir().join(&job), lab.target.spool("active").join(&job)).expect("the job's folder");
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_target_that_has_forgotten_its_job_and_has_no_zone_gives_it_back() {
    let (lab, _, job) = target_forgets();
    lab.target.wait_told(&["event=held", "what=handoff"]);
    for args in [&["halt"][..], &["detach"]] {
        lab.target.run("zoneadm", &[&["-z", ZONE], args].concat());
    }
    lab.target.run("zonecfg", &["-z", ZONE, "delete", "-F"]);
    lab.source.wait_event(&job, "put-back", "");
    wait("the zone", || (lab.source.state(ZONE).as_deref() == Some("running")).then_some(()));
}

#[test]
fn a_request_whose_first_line_was_never_written_is_begun_or_set_aside_and_keeps_no_other_waiting() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    let folder = |id: &str, request: Option<&str>| {
        let folder = lab.source.spool("active").join(id);
        fs::create_dir_all(&folder).expect("a folder");
        if let Some(text) = request {
            fs::write(folder.join("request.toml"), text).expect("a request");
        }
        folder
    };
    lab.source.start();
    lab.source.kill();
    let good = Request::new().text();
    let readable = folder("dbbackup-20261126T100000Z-0002", Some(&good));
    let unreadable = folder("another-20261126T100000Z-0001", Some("zone = 1\n"));
    let nothing = folder("other-20261126T100000Z-0003", None);
    lab.start();
    let line = lab.source.wait_told(&["event=set-aside", "job=another-"]);
    assert!(line.contains("request.toml:1") && line.contains("zone"), "{line}");
    lab.source.wait_outcome(0);
    lab.target.wait_outcome(0);
    assert!(unreadable.join("request.toml").exists(), "a request was lost");
    assert!(!nothing.exists(), "a folder in which nothing is");
    // Its zone is kept from others.
    lab.source.drop_file("more.toml", &good.replace("\"dbbackup\"", "\"another\""));
    let reason = lab.source.reason("more.toml");
    assert!(reason.contains("is in job another-20261126T100000Z-0001 already"), "{reason}");
    assert_eq!(lab.source.told().matches("event=set-aside").count(), 1, "{}", lab.source.told());
    fs::rename(&unreadable, lab.dir().join("another")).expect("the operator takes it away");
    lab.source.drop_file("again.toml", &good.replace("\"dbbackup\"", "\"another\""));
    let reason = lab.source.reason("again.toml");
    assert!(reason.contains("'another' is not on this host") && !reason.contains("is in job"), "{reason}");
    lab.rest();
    assert!(!readable.exists());
    before.assert_moved(&lab.source, &lab.target);
}
