//! The zone's owner and the host's administrator change things while a zone moves.

use serde_json::json;

use crate::lab::ends::{Before, assert_came_back, assert_outcomes, has_top};
use crate::lab::{Lab, Request, TOP, ZONE, profile, wait};

/// A zone that never passes the gate on the target.
fn not_verified(timeout: &str) -> Request {
    let request = Request::new().set("verify", "timeout", &format!("{timeout:?}"));
    request.set("verify", "commands", "[\"/opt/mysql/bin/nosuch\"]")
}

#[test]
fn a_dataset_created_during_verify_does_not_stop_the_undo() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&not_verified("5s"));
    lab.target.wait_event(&job, "installed", "boot");
    lab.target.run("zfs", &["create", "-o", "mountpoint=none", &format!("{TOP}/tank/new")]);
    lab.outcomes();
    assert_came_back(&lab, &before, &job);
}

#[test]
fn a_snapshot_destroyed_during_verify_does_not_stop_the_undo() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&not_verified("5s"));
    lab.target.wait_event(&job, "installed", "boot");
    for dataset in [format!("{TOP}/tank/mysql"), TOP.to_owned()] {
        lab.target.run("zfs", &["destroy", &format!("{dataset}@zmigrate-{job}")]);
    }
    lab.outcomes();
    assert_came_back(&lab, &before, &job);
}

#[test]
fn a_peer_removed_from_the_target_is_waited_for() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&not_verified("90s"));
    lab.target.wait_event(&job, "installed", "boot");
    lab.target.configure("[accept.zhost1]", "[accept.zhost7]");
    lab.target.kill();
    lab.target.start();
    let status = || lab.target.ask(&["status", ZONE]);
    wait("the target to wait for the section", || {
        status().contains("section [accept.zhost1] is gone").then_some(())
    });
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"), "nothing was undone");
    assert!(has_top(&lab.target));
    lab.target.configure("[accept.zhost7]", "[accept.zhost1]");
    lab.target.kill();
    lab.target.start();
    lab.target.ask(&["rollback", &job]);
    let (_, line) = lab.outcomes();
    assert!(line.contains("result=cancelled ") && line.contains("rolled back by"), "{line}");
    before.assert_at_home(&lab.source);
}

#[test]
fn a_zone_booted_after_the_survey_runs_on_the_target() {
    let lab = Lab::new();
    lab.source.run("zoneadm", &["-z", ZONE, "halt"]);
    let kill = json!({"do": "kill-parent", "when": "before"});
    lab.source
        .fault(&json!({"command": "zonecfg", "contains": ["autoboot=false"], "call": 1, "action": kill}));
    lab.start();
    lab.submit(&Request::new());
    lab.source.wait_killed();
    lab.source.run("zoneadm", &["-z", ZONE, "boot"]);
    let before = Before::of(&lab.source);
    lab.source.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_zone_with_bookmarks_moves_and_is_finished() {
    // Oracle's ZFS has no bookmarks.
    if profile::is_solaris() {
        return;
    }
    let lab = Lab::new();
    for dataset in [TOP.to_owned(), format!("{TOP}/tank/mysql")] {
        lab.source.run("zfs", &["snapshot", &format!("{dataset}@daily")]);
        lab.source.run("zfs", &["bookmark", &format!("{dataset}@daily"), &format!("{dataset}#zrepl_CURSOR")]);
        lab.source.run("zfs", &["destroy", &format!("{dataset}@daily")]);
    }
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(&lab, "ok", &[]);
    lab.source.ask(&["finish", ZONE]);
    lab.source.wait_outcome(1);
    wait("the old copy to be destroyed", || (!has_top(&lab.source)).then_some(()));
}

#[test]
fn a_snapshot_of_a_destroyed_dataset_does_not_keep_the_others() {
    let lab = Lab::new();
    lab.target.fault(&crate::lab::failing("zoneadm", &["attach"], "zoneadm: no such luck"));
    // The attach fails and the source takes the zone back; what it finds then has lost a dataset.
    let kill = json!({"do": "kill-parent", "when": "before"});
    lab.source.fault(&json!({"command": "zoneadm", "contains": ["boot"], "call": 1, "action": kill}));
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_killed();
    lab.source.run("zonecfg", &["-z", ZONE, &format!("remove dataset name={TOP}/tank")]);
    lab.source.run("zfs", &["destroy", "-r", &format!("{TOP}/tank")]);
    lab.source.start();
    lab.source.wait_outcome(0);
    let left: Vec<_> = lab.source.datasets().into_iter().filter(|name| name.contains('@')).collect();
    assert_eq!(left, [""; 0], "snapshots of job {job}");
}

#[test]
fn a_zone_with_a_broken_document_is_not_taken_for_absent() {
    let lab = Lab::new();
    let kill = json!({"do": "kill-parent", "when": "before"});
    lab.target.fault(&json!({"command": "zoneadm", "contains": ["boot"], "call": 1, "action": kill}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&not_verified("1s"));
    lab.target.wait_killed();
    let document = lab.target.root.join(format!("etc/zones/{ZONE}.xml"));
    let whole = std::fs::read_to_string(&document).expect("the zone's document");
    std::fs::write(&document, &whole[..whole.len() / 2]).expect("half of it");
    lab.target.start();
    wait("the target to say so", || lab.target.told().contains("could not list every zone").then_some(()));
    assert!(has_top(&lab.target), "nothing was undone");
    std::fs::write(&document, whole).expect("the whole document");
    lab.outcomes();
    assert_came_back(&lab, &before, &job);
}
