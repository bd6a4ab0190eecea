//! No place on a host is taken from the zone that has it: by a zone that arrives, by one that is
//! sent, or by `finish`.

use crate::lab::ends::{Before, assert_outcomes, assert_tidy};
use crate::lab::{Lab, Request, TOP, ZONE, profile};

/// A zone that is configured and nothing more, with these resources.
fn configure(host: &crate::lab::Host, zone: &str, zonepath: &str, more: &str) {
    let commands = format!(
        "create -b; set zonepath={zonepath}; set brand={}; set ip-type=shared; {more}",
        profile::brand()
    );
    host.run("zonecfg", &["-z", zone, &commands]);
}

/// The zone has moved, and an operator asks for `finish`, which is refused for this reason.
#[track_caller]
fn finish_is_refused(prepare: impl FnOnce(&Lab), reason: &str) -> Lab {
    let lab = Lab::started();
    let job = lab.submit(&Request::new());
    lab.outcomes();
    let kept = lab.source.datasets();
    prepare(&lab);
    let now = lab.source.datasets();
    lab.source.ask(&["finish", &job]);
    let line = lab.source.wait_outcome(1);
    assert!(line.contains("result=failed") && line.contains(reason), "no {reason:?} in {line}");
    lab.rest();
    assert_eq!(lab.source.datasets(), now, "something was destroyed");
    assert!(kept.iter().all(|name| now.contains(name)), "{now:?}");
    assert_eq!(lab.source.calls("zonecfg -z dbbackup delete"), 0, "the configuration was deleted");
    lab
}

#[test]
fn a_zone_never_lands_in_another_zones_tree() {
    let lab = Lab::new();
    configure(&lab.target, "victim", "/export/zones/victim", "add dataset; set name=data/zones/victim; end");
    lab.target.run("zfs", &["create", "-o", "mountpoint=none", "data/zones/victim"]);
    let (before, theirs) = (Before::of(&lab.source), lab.target.datasets());
    lab.start();
    lab.migrate(&Request::new().set("target.datasets", &format!("{TOP:?}"), "\"data/zones/victim/db\""));
    assert_outcomes(&lab, "refused", &["'data/zones/victim/db' would land in the tree of zone 'victim'"]);
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.datasets(), theirs);
    assert_tidy(&lab.hosts());
}

#[test]
fn a_zone_takes_no_dataset_of_another_zone_along() {
    let lab = Lab::new();
    for dataset in ["data/zones/shared", "data/zones/shared/b"] {
        lab.source.run("zfs", &["create", "-o", "mountpoint=legacy", dataset]);
    }
    let mounts = "add fs; set dir=/d; set type=zfs; set special=data/zones/shared";
    lab.source.run("zonecfg", &["-z", ZONE, &format!("{mounts}; end")]);
    configure(&lab.source, "other", "/export/zones/other", &format!("{mounts}/b; end"));
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("'data/zones/shared/b' belongs to zone 'other'"), "{line}");
    lab.rest();
    before.assert_at_home(&lab.source);
    assert_eq!(lab.source.calls("shutdown"), 0);
    assert_eq!(lab.target.datasets(), [""; 0]);
}

#[test]
fn a_zone_leaves_no_dataset_mounted_within_it() {
    let lab = Lab::new();
    lab.source.run("zfs", &["create", "-o", &format!("mountpoint=/export/zones/{ZONE}/cores"), "data/cores"]);
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("'data/cores' is mounted at /export/zones/dbbackup/cores"), "{line}");
    lab.rest();
    before.assert_at_home(&lab.source);
    assert_eq!(lab.source.calls("shutdown"), 0);
}

#[test]
fn finish_destroys_no_dataset_of_another_zone() {
    finish_is_refused(
        |lab| {
            let more = format!("add dataset; set name={TOP}/tank/mysql; end");
            configure(&lab.source, "other", "/export/zones/other", &more);
        },
        "'data/zones/dbbackup/tank/mysql' belongs to zone 'other'",
    );
}

#[test]
fn finish_deletes_no_new_zone_of_the_same_name() {
    let lab = finish_is_refused(
        |lab| {
            lab.source.run("zonecfg", &["-z", ZONE, "delete -F"]);
            configure(&lab.source, ZONE, "/export/zones/new", "");
        },
        "it is another zone",
    );
    assert!(lab.source.export(ZONE).contains("zonepath=/export/zones/new"));
}
