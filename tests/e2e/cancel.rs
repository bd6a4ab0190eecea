//! An operator changes his mind, at every step.

use serde_json::json;

use crate::lab::ends::{Before, assert_outcomes, has_top};
use crate::lab::{Lab, Request, ZONE, failing, wait};

/// A command of the source fails again and again, which holds the job in a step; then it is cancelled.
fn cancelled_in(command: &str, contains: &str, step: &str) {
    let lab = Lab::new();
    let text = "cannot do it now: dataset is busy";
    lab.source.fault(&json!({"command": command, "contains": [contains], "action": {"do": "fail", "text": text, "status": 1}}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait("the step", || lab.source.told().contains(&format!("event=deferred step={step}")).then_some(()));
    lab.source.no_faults();
    lab.source.ask(&["cancel", &job]);
    lab.outcomes();
    assert_outcomes(&lab, "cancelled", &["cancelled by uid", "step="]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn in_a_step_that_fails_again_and_again() {
    for (command, contains, step) in [
        ("zonecfg", "autoboot=false", "autoboot"),
        ("zoneadm", "detach", "detach"),
        ("zfs", "snapshot", "snapshot"),
        ("zfs", "send", "send"),
    ] {
        eprintln!("-- in {step}");
        cancelled_in(command, contains, step);
    }
}

/// A receive has no deadline: a large one takes as long as it takes.
#[test]
fn while_the_targets_receive_hangs() {
    let lab = Lab::new();
    lab.target
        .fault(&json!({"command": "zfs", "contains": ["receive"], "call": 1, "action": {"do": "hang"}}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    wait("the receive", || lab.target.struck().then_some(()));
    lab.source.ask(&["cancel", &job, "--no-wait"]);
    lab.outcomes();
    assert_outcomes(&lab, "cancelled", &["cancelled by uid"]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn in_a_step_whose_command_hangs_until_its_deadline() {
    for (command, contains, call, step) in [
        ("zonecfg", &["autoboot=false"][..], 1, "autoboot"),
        ("zoneadm", &["detach"], 1, "detach"),
        // Behind the two surveys.
        ("zfs", &["get", "all"], 3, "recapture"),
        ("zfs", &["snapshot"], 1, "snapshot"),
        ("zfs", &["send"], 1, "send"),
    ] {
        eprintln!("-- in {step}");
        let lab = Lab::new();
        lab.source.configure("timeout = \"2m\"", "timeout = \"3s\"");
        lab.source.fault(
            &json!({"command": command, "contains": contains, "call": call, "action": {"do": "hang"}}),
        );
        let before = Before::of(&lab.source);
        lab.start();
        let job = lab.submit(&Request::new());
        wait("the command", || lab.source.struck().then_some(()));
        lab.source.ask(&["cancel", &job, "--no-wait"]);
        lab.outcomes();
        assert_outcomes(&lab, "cancelled", &["cancelled by uid"]);
        let line = &lab.source.outcomes()[0];
        assert!(line.contains(&format!("step={step} ")), "no step={step} in {line}");
        before.assert_as_found(&lab.source, &lab.target);
    }
}

#[test]
fn while_the_zone_is_going_down() {
    let lab = Lab::new();
    lab.source.manners(ZONE, json!({"shutdown_ms": 1500, "writes_on_boot": false}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "autoboot-cleared", "");
    lab.source.ask(&["cancel", &job]);
    lab.outcomes();
    assert_outcomes(&lab, "cancelled", &["cancelled by uid"]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn while_it_waits_for_its_time() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new().set("", "not_before", "2107-05-18T03:00:00Z"));
    lab.source.wait_event(&job, "accepted", "");
    lab.source.ask(&["cancel", &job]);
    lab.outcomes();
    assert_outcomes(&lab, "cancelled", &[]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn on_the_target_while_it_receives() {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive"], "cannot receive: out of space"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "snapshotted", "");
    lab.target.ask(&["cancel", &job]);
    lab.outcomes();
    let (source, target) = (&lab.source.outcomes()[0], &lab.target.outcomes()[0]);
    assert!(target.contains("result=cancelled") && target.contains("on zhost2"), "{target}");
    assert!(source.contains("zhost2 gave up: cancelled by uid"), "{source}");
    before.assert_as_found(&lab.source, &lab.target);
}

/// A job that is past the handoff and can't end: the zone does not come up on the target for a while.
fn held_behind_the_handoff() -> (Lab, Before, String) {
    let lab = Lab::new();
    lab.target.manners(ZONE, json!({"milestone": "offline", "writes_on_boot": false}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new().set("verify", "timeout", "\"10m\""));
    lab.target.wait_event(&job, "installed", "boot");
    (lab, before, job)
}

#[test]
fn behind_the_handoff_only_the_target_rolls_back() {
    let (lab, before, job) = held_behind_the_handoff();
    let refused = lab.source.zmigrate(&["cancel", &job]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("rollback"), "{said}");
    let refused = lab.source.zmigrate(&["rollback", &job]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("zhost2"), "{said}");

    lab.target.ask(&["rollback", &job]);
    lab.outcomes();
    let (source, target) = (&lab.source.outcomes()[0], &lab.target.outcomes()[0]);
    assert!(target.contains("result=cancelled") && target.contains("rolled back by uid"), "{target}");
    assert!(source.contains("rolled back by uid") && source.contains("kept on zhost2"), "{source}");
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.state(ZONE), None);
    assert!(!has_top(&lab.target));
}

#[test]
fn a_target_declared_gone_that_comes_back_gives_way() {
    let (lab, before, job) = held_behind_the_handoff();
    // Power off: its daemon and its zones are gone, and come back without autoboot.
    lab.target.kill();
    crate::lab::run_lab(lab.dir(), &["reboot", "zhost2"]);
    lab.declared_gone.set(true);
    let wrong = lab.source.zmigrate(&["rollback", &job, "--target-is-gone", "zhost9"]);
    assert!(!wrong.status.success());
    lab.source.ask(&["rollback", &job, "--target-is-gone", "zhost2", "--no-wait"]);
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("result=failed"), "{line}");
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("running"));
    lab.target.start();
    let line = lab.target.wait_outcome(0);
    assert!(line.contains("result=failed"), "{line}");
    lab.rest();
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.state(ZONE), None);
    assert!(!has_top(&lab.target));
}

/// The source was away when the target's ok came, and an operator, who sees the zone down, thinks that the target is gone.
#[test]
fn a_target_whose_ok_has_come_is_not_declared_gone() {
    let (lab, before, job) = held_behind_the_handoff();
    lab.source.kill();
    lab.source.configure("dropbox/zhost1\"", "dropbox/not-mounted\"");
    lab.source.start();
    wait("the way to be missed", || lab.source.told().contains("event=deferred step=await").then_some(()));
    lab.target.manners(ZONE, json!({"milestone": "online", "writes_on_boot": false}));
    lab.target.wait_event(&job, "result-ok", "");
    // Nobody tells the job that the way is there again: before it looks by itself, it is asked.
    lab.source.configure("dropbox/not-mounted\"", "dropbox/zhost1\"");
    lab.source.refresh();
    let refused = lab.source.zmigrate(&["rollback", &job, "--target-is-gone", "zhost2"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("zone 'dbbackup' runs on zhost2"), "{said}");
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_finish_that_fails_again_and_again() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new());
    lab.outcomes();
    lab.source.fault(&failing("zonecfg", &["delete"], "cannot do it now: dataset is busy"));
    lab.source.ask(&["finish", &job]);
    let finish = wait("the finish", || lab.source.jobs("active").first().cloned());
    wait("the step", || lab.source.told().contains("event=deferred step=unconfigure").then_some(()));
    lab.source.ask(&["cancel", &finish]);
    let line = lab.source.wait_outcome(1);
    assert!(line.contains("result=cancelled") && line.contains("cancelled by uid"), "{line}");
    lab.rest();
    before.assert_moved(&lab.source, &lab.target);
    // It can be had later.
    lab.source.no_faults();
    lab.source.ask(&["finish", &job]);
    let line = lab.source.wait_outcome(2);
    assert!(line.contains("result=ok"), "{line}");
    assert_eq!(lab.source.state(ZONE), None);
}

#[test]
fn what_is_over_cannot_be_cancelled() {
    let lab = Lab::started();
    let job = lab.submit(&Request::new());
    lab.outcomes();
    let refused = lab.source.zmigrate(&["cancel", &job]);
    assert!(!refused.status.success());
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
}
