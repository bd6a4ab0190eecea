//! The way back itself fails for a while: it alerts, stays, and is tried again until it succeeds.

use serde_json::{Value, json};

use crate::lab::ends::{Before, assert_came_back, assert_outcomes};
use crate::lab::{Lab, Request, failing, wait};
use crate::routes::with_route;

/// A zone that does not come up on the target.
fn in_vain() -> Request {
    let request = Request::new().set("verify", "timeout", "\"1s\"");
    with_route(request.set("verify", "commands", "[\"/opt/mysql/bin/nosuch\"]"))
}

fn denied(command: &str, contains: &[&str]) -> Value {
    failing(command, contains, "cannot do it: permission denied")
}

/// A command of the way back fails again and again on one host, until somebody has mended it.
fn held_up(on: usize, rules: &[Value], step: &str) {
    eprintln!("-- {step}");
    let lab = Lab::new();
    let host = lab.hosts()[on];
    rules.iter().for_each(|rule| host.fault(rule));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&in_vain());
    wait("an alert", || {
        let told = host.told();
        let mut alerts = told.lines().filter(|line| line.contains("event=undo-failed undone=no"));
        alerts.any(|line| line.contains(&format!("error=\"{step}: "))).then_some(())
    });
    host.no_faults();
    lab.outcomes();
    assert_came_back(&lab, &before, &job);
}

#[test]
fn each_step_back_on_the_target_is_tried_until_it_succeeds() {
    for (command, verb, step) in [
        ("zoneadm", "halt", "undo-halt"),
        ("zoneadm", "detach", "undo-detach"),
        ("zonecfg", "delete", "undo-configure"),
        ("route", "delete", "undo-route"),
    ] {
        held_up(1, &[denied(command, &[verb])], step);
    }
    // The first rename is that into place.
    let later = |call: u64| {
        let mut rule = denied("zfs", &["rename"]);
        rule["call"] = json!(call);
        rule
    };
    held_up(1, &(2..30).map(later).collect::<Vec<_>>(), "undo-rename");
}

#[test]
fn each_step_back_on_the_source_is_tried_until_it_succeeds() {
    for (command, verb, step) in [
        ("zoneadm", "attach", "undo"),
        ("zonecfg", "autoboot=true", "undo"),
        ("zoneadm", "boot", "undo"),
        ("zfs", "destroy", "tidy"),
    ] {
        held_up(0, &[denied(command, &[verb])], step);
    }
}

#[test]
fn what_was_received_is_discarded_as_soon_as_that_is_possible() {
    let lab = Lab::new();
    lab.target.fault(&denied("zoneadm", &["attach"]));
    lab.target.fault(&denied("zfs", &["destroy"]));
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    wait("an alert", || lab.target.told().contains("event=undo-failed").then_some(()));
    lab.target.no_faults();
    lab.outcomes();
    assert_outcomes(&lab, "failed", &["undone=yes", "step=attach"]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn a_zone_that_cannot_be_looked_at_is_not_taken_for_one_that_is_gone() {
    let lab = Lab::new();
    let kill = json!({"do": "kill-parent", "when": "before"});
    lab.target.fault(&json!({"command": "zoneadm", "contains": ["boot"], "call": 1, "action": kill}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.target.wait_killed();
    // A state that no zoneadm of today has: the boot fails for good, and so does each step back.
    let line = "1:dbbackup:frozen:/export/zones/dbbackup:e4b2f6d0:sparse:shared";
    let odd = json!({"do": "fail", "text": line, "status": 0, "to": "stdout"});
    lab.target.fault(&json!({"command": "zoneadm", "contains": ["list", "dbbackup"], "action": odd}));
    lab.target.start();
    wait("an alert", || lab.target.told().contains("error=\"undo-halt: ").then_some(()));
    assert_eq!(lab.target.state("dbbackup").as_deref(), Some("installed"), "nothing was undone");
    lab.target.no_faults();
    lab.outcomes();
    assert_came_back(&lab, &before, &job);
}

#[test]
fn a_zone_that_comes_up_behind_the_halt_is_halted_again() {
    for (command, verb, step, meanwhile) in [
        ("zoneadm", "detach", "undo-detach", &[&["boot"][..]][..]),
        ("zonecfg", "delete", "undo-configure", &[&["attach"][..], &["boot"]]),
        ("zonecfg", "delete", "undo-configure", &[&["mark", "incomplete"]]),
    ] {
        eprintln!("-- {meanwhile:?} before {step}");
        let lab = Lab::new();
        lab.target.fault(&denied(command, &[verb]));
        let before = Before::of(&lab.source);
        lab.start();
        let job = lab.submit(&in_vain());
        wait("an alert", || lab.target.told().contains(&format!("error=\"{step}: ")).then_some(()));
        for verb in meanwhile {
            lab.target.run("zoneadm", &[&["-z", "dbbackup"], *verb].concat());
        }
        lab.target.no_faults();
        lab.outcomes();
        assert_came_back(&lab, &before, &job);
    }
}

#[test]
fn a_zone_that_is_only_ready_is_not_taken_for_one_that_runs_again() {
    let lab = Lab::new();
    lab.source.fault(&denied("zfs", &["snapshot"]));
    lab.source.fault(&denied("zonecfg", &["autoboot=true"]));
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    wait("an alert", || lab.source.told().contains("event=undo-failed").then_some(()));
    lab.source.run("zoneadm", &["-z", "dbbackup", "ready"]);
    lab.source.no_faults();
    lab.outcomes();
    let line = &lab.source.outcomes()[0];
    assert!(line.contains("result=failed ") && line.contains("undone=yes"), "{line}");
    before.assert_as_found(&lab.source, &lab.target);
}
