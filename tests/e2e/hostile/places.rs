//! No place on a host is taken from the zone that has it: by a zone that arrives, by one that is
//! sent, or by `finish`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

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

/// Moves the zone to a zonepath below the lab's directory, where this test can plant links: the
/// emulated datasets' files are elsewhere, and the daemon looks at the host's own paths. The daemon
/// on the target is killed `after` a command; the zone's root gets the link; the daemon goes on.
#[track_caller]
fn link_is_refused(after: &[&str], link: &str, said: &[&str]) {
    let lab = Lab::new();
    lab.source.run(
        "zfs",
        &["create", "-o", &format!("mountpoint=/export/zones/{ZONE}/a/b"), &format!("{TOP}/extra")],
    );
    let place = lab.dir().join("zones").to_string_lossy().into_owned();
    lab.target.run("zfs", &["create", "-o", &format!("mountpoint={place}"), "data/zones/deep"]);
    lab.target.configure("\"/export/zones\"", &format!("{place:?}"));
    let before = Before::of(&lab.source);
    let kill = json!({"do": "kill-parent", "when": "after"});
    lab.target.fault(&json!({"command": after[0], "contains": after[1..], "call": 1, "action": kill}));
    lab.start();
    let zonepath = format!("{place}/{ZONE}");
    lab.submit(&Request::new().set("target", "zonepath", &format!("{zonepath:?}")).set(
        "target.datasets",
        &format!("{TOP:?}"),
        &format!("\"data/zones/deep/{ZONE}\""),
    ));
    lab.target.wait_killed();
    let link = Path::new(&zonepath).join(link);
    fs::create_dir_all(link.parent().expect("a directory")).expect("the zone's root");
    symlink("/etc", &link).expect("a link");
    lab.target.start();
    lab.outcomes();
    assert_outcomes(&lab, "failed", &["undone=yes"]);
    let line = &lab.target.outcomes()[0];
    assert!(said.iter().all(|word| line.contains(word)), "{said:?}: {line}");
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.state(ZONE), None);
    assert_eq!(lab.target.calls("zoneadm -z dbbackup attach"), 0);
}

#[test]
fn nothing_is_mounted_through_a_link_of_the_zone() {
    link_is_refused(&["zfs", "rename"], "a", &["/a/b: ", "/a is a symbolic link"]);
}

#[test]
fn a_zone_whose_link_leaves_its_root_is_not_attached() {
    link_is_refused(
        &["zonecfg", "-f"],
        "root/etc",
        &["root/etc leads to /etc", "root/etc/resolv.conf leads to"],
    );
}

#[test]
fn more_bytes_than_offered_are_not_received() {
    let lab = Lab::with(json!({"bytes": 48 << 20}));
    // The source's own zfs says that everything is small, before the offer and after the detach.
    let small = "case \"$*\" in\n*-rHp*all*) \"$REAL\" \"$@\" | awk -F '\\t' -v OFS='\\t' \
                 '$2 == \"referenced\" || $2 == \"used\" {$3 = 4096} {print}' ;;\n*) exec \"$REAL\" \"$@\" ;;\nesac";
    lab.source.replace("zfs", small);
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(
        &lab,
        "failed",
        &["undone=yes", "more arrived than the source offered", "has a quota of"],
    );
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn a_route_in_the_global_zone_needs_the_targets_word() {
    let lab = Lab::new();
    let router = "select net physical=nge0; set defrouter=192.0.2.1; end";
    lab.source.run("zonecfg", &["-z", ZONE, router]);
    let (before, theirs) = (Before::of(&lab.source), lab.target.datasets());
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(
        &lab,
        "refused",
        &["has defrouter=192.0.2.1", "the target accepts nothing ([accept] defrouters)"],
    );
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.datasets(), theirs);
    for host in lab.hosts() {
        let job = host.jobs("failed").remove(0);
        let status = host.ask(&["status", &job, "--json"]);
        assert!(status.contains("\"code\": \"network\""), "{status}");
    }

    lab.target.configure("zonepaths =", "defrouters = [\"192.0.2.1\"]\nlinks = [\"nge0\"]\nzonepaths =");
    lab.target.refresh();
    let plan = lab.source.ask(&["plan", ZONE, "zhost2"]);
    assert!(plan.contains("network of the zone (net, shared IP): address=192.0.2.10/24"), "{plan}");
    assert!(plan.contains("defrouter=192.0.2.1"), "{plan}");
}

#[test]
fn a_link_needs_the_targets_word_unless_addresses_are_shared() {
    let lab = Lab::new();
    lab.target.configure("zonepaths =", "links = [\"web*\"]\naddresses = [\"198.51.100.0/24\"]\nzonepaths =");
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    let words = [
        "uses the link nge0; the target accepts web* ([accept] links)",
        "has the address 192.0.2.10/24; the target accepts 198.51.100.0/24 ([accept] addresses)",
    ];
    assert_outcomes(&lab, "refused", &words);
    before.assert_at_home(&lab.source);
}

#[test]
fn finish_destroys_nothing_that_a_clone_needs() {
    finish_is_refused(
        |lab| {
            let snapshot =
                lab.source.datasets().into_iter().find(|name| name.starts_with(&format!("{TOP}@")));
            lab.source.run("zfs", &["clone", &snapshot.expect("the final snapshot"), "data/zones/copy"]);
        },
        "dataset 'data/zones/copy' is a clone of 'data/zones/dbbackup@",
    );
}
