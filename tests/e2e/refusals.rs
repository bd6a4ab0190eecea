//! What can't be moved is refused before anything is touched, and everything that is wrong is said at once.

use serde_json::json;

use crate::lab::ends::{Before, assert_outcomes, assert_tidy};
use crate::lab::{Lab, Request, TOP, ZONE, profile};

/// The target refuses for these reasons; the zone is not touched.
fn is_refused(prepare: impl FnOnce(&Lab), request: &Request, reasons: &[&str]) -> Lab {
    let lab = Lab::new();
    prepare(&lab);
    let (before, theirs) = (Before::of(&lab.source), lab.target.datasets());
    lab.start();
    lab.migrate(request);
    assert_outcomes(&lab, "refused", reasons);
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.datasets(), theirs);
    assert_tidy(&lab.hosts());
    for never in ["shutdown", "autoboot=false", "detach", "zfs snapshot"] {
        assert_eq!(lab.source.calls(never), 0, "{never} was called");
    }
    lab
}

#[test]
fn a_zone_of_that_name_on_the_target() {
    is_refused(
        |lab| {
            drop(lab.target.run(
                "zonecfg",
                &[
                    "-z",
                    ZONE,
                    &format!("create -b; set zonepath=/export/zones/other; set brand={}", profile::brand()),
                ],
            ))
        },
        &Request::new(),
        &["zone 'dbbackup' is configured on the target"],
    );
}

#[test]
fn a_zonepath_that_another_zone_has() {
    is_refused(
        |lab| {
            drop(lab.target.run(
                "zonecfg",
                &[
                    "-z",
                    "other",
                    &format!(
                        "create -b; set zonepath=/export/zones/{ZONE}; set brand={}; set ip-type=shared",
                        profile::brand()
                    ),
                ],
            ))
        },
        &Request::new(),
        &["overlaps with that of zone 'other'"],
    );
}

#[test]
fn a_dataset_in_the_way() {
    is_refused(|lab| drop(lab.target.run("zfs", &["create", TOP])), &Request::new(), &["in the way"]);
}

#[test]
fn datasets_outside_of_what_the_target_accepts() {
    let request = Request::new().set("target.datasets", &format!("{TOP:?}"), "\"data/elsewhere/db\"");
    is_refused(|_| (), &request, &["data/elsewhere/db", "data/zones"]);
}

#[test]
fn a_zonepath_outside_of_what_the_target_accepts() {
    let request = Request::new().set("target", "zonepath", "\"/opt/dbbackup\"");
    is_refused(|_| (), &request, &["zonepath /opt/dbbackup is outside"]);
}

#[test]
fn a_target_that_is_older() {
    let older = |lab: &Lab| profile::make_older(&lab.target);
    is_refused(older, &Request::new(), &["the target is older than the source"]);
}

#[test]
fn a_target_that_is_newer_unless_the_zone_is_to_be_updated() {
    let newer = |lab: &Lab| profile::make_newer(&lab.target);
    is_refused(newer, &Request::new(), &["the target is newer than the source", "attach = "]);
}

#[test]
fn what_reaches_out_of_the_zone_and_all_of_it_at_once() {
    let config = |lab: &Lab| {
        for commands in [
            "add device; set match=/dev/dsk/c0t0d0s0; end",
            "add fs; set dir=/mnt; set special=/etc; set type=lofs; end",
            "set limitpriv=\"default,sys_time\"",
        ] {
            lab.source.run("zonecfg", &["-z", ZONE, commands]);
        }
        lab.target.configure("route = true\n", "route = false\n");
    };
    let request = Request::new()
        .set("target.route", "interface", "\"nge0:99\"")
        .set("target.route", "address", "\"192.0.2.9\"")
        .set("target.route", "netmask", "\"255.255.255.0\"")
        .set("target.route", "gateway", "\"192.0.2.1\"");
    let words = ["/dev/dsk/c0t0d0s0", "mounts /etc at /mnt", "limitpriv=default,sys_time", "a default route"];
    is_refused(config, &request, &words);
}

#[test]
fn too_little_scratch_on_the_target() {
    is_refused(
        |lab| lab.target.configure("max = \"64G\"", "max = \"2M\""),
        &Request::new(),
        &["export/scratch"],
    );
}

#[test]
fn too_little_room_in_the_pool() {
    is_refused(
        |lab| drop(lab.target.run("zfs", &["set", "quota=1M", "data/zones"])),
        &Request::new(),
        &["data/zones", "datasets need"],
    );
}

#[test]
fn a_brand_that_is_not_carried() {
    is_refused(
        |lab| {
            let path = lab.source.root.join(format!("etc/zones/{ZONE}.xml"));
            let text = std::fs::read_to_string(&path).expect("the zone's document");
            std::fs::write(path, text.replace(&format!("brand=\"{}\"", profile::brand()), "brand=\"bhyve\""))
                .expect("the zone's document");
        },
        &Request::new(),
        &["brand 'bhyve'", "not carried"],
    );
}

#[test]
fn a_snapshot_name_that_is_taken_on_the_source() {
    let lab = Lab::new();
    lab.source.run("zfs", &["snapshot", &format!("{TOP}/tank@migrate")]);
    let state = lab.source.datasets();
    lab.start();
    lab.submit(&Request::new().set("", "snapshot", "\"migrate\""));
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("@migrate"), "{line}");
    assert!(!line.contains("result=ok"), "{line}");
    assert_eq!(lab.source.calls("shutdown"), 0, "the zone was shut down for nothing");
    lab.rest();
    assert_eq!(lab.source.datasets(), state, "the operator's own snapshot stays");
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("running"));
    assert!(lab.source.autoboot(ZONE));
}

#[test]
fn a_snapshot_name_that_is_taken_at_the_last_moment_stays_the_operators() {
    let lab = Lab::new();
    let mine = format!("{TOP}/tank@migrate");
    // The detach that fails holds the job between its look and its snapshot.
    lab.source
        .fault(&json!({"command": "zoneadm", "contains": ["detach"], "action": {"do": "fail", "status": 1}}));
    lab.start();
    let job = lab.submit(&Request::new().set("", "snapshot", "\"migrate\""));
    lab.source.wait_event(&job, "shut-down", "");
    lab.source.run("zfs", &["snapshot", &mine]);
    lab.source.no_faults();
    let line = lab.source.wait_outcome(0);
    assert!(
        line.contains("result=failed") && line.contains("undone=yes") && line.contains("@migrate"),
        "{line}"
    );
    lab.rest();
    let left: Vec<_> = lab.source.datasets().into_iter().filter(|name| name.contains('@')).collect();
    assert_eq!(left, [mine]);
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("running"));
    assert!(lab.source.autoboot(ZONE));
    assert_eq!(lab.target.datasets(), [""; 0]);
}

#[test]
fn a_peer_that_accepts_nothing_keeps_the_zone_up_until_it_is_cancelled() {
    let lab = Lab::new();
    lab.target.configure("[accept.zhost1]", "[accept.zhost3]");
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "surveyed", "");
    lab.source.ask(&["cancel", &job]);
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("result=cancelled"), "{line}");
    before.assert_at_home(&lab.source);
}

mod requests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_zone_a_peer_and_a_key_that_do_not_exist_are_named() {
        let lab = Lab::new();
        lab.source.start();
        lab.source.drop_file("a.toml", &Request::of("nosuch", "zhost9").text());
        let reason = lab.source.reason("a.toml");
        assert!(reason.contains("zone 'nosuch' is not on this host"), "{reason}");
        assert!(reason.contains("'zhost9' is not a peer of this host: known are zhost2"), "{reason}");
        lab.source.drop_file("b.toml", "zone = 'dbbackup'\nto = 'zhost2'\ntraget = 1\nmode = 'warm'\n");
        let reason = lab.source.reason("b.toml");
        assert!(reason.contains("b.toml:3:1") && reason.contains("traget"), "{reason}");
        assert!(reason.contains("b.toml:4:") && reason.contains("not in this version"), "{reason}");
        lab.source.wait_outcome(1);
        let outcomes = lab.source.outcomes();
        assert_eq!(outcomes.len(), 2, "{outcomes:?}");
        assert!(outcomes.iter().all(|line| line.contains("result=rejected") && line.contains("request=")));
    }

    #[test]
    fn a_second_request_for_one_zone_is_rejected_by_the_first_ones_name() {
        let lab = Lab::new();
        lab.source.start();
        let job = lab.submit(&Request::new());
        lab.source.drop_file("again.toml", &Request::new().text());
        let reason = lab.source.reason("again.toml");
        assert!(reason.contains(&job), "{reason}");
        lab.target.start();
        lab.rest();
        assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    }

    #[test]
    fn what_is_no_request_never_stops_the_daemon() {
        let lab = Lab::new();
        lab.source.start();
        let incoming = lab.source.spool("incoming");
        symlink("/etc/passwd", incoming.join("link.toml")).expect("a link");
        std::fs::create_dir(incoming.join("dir.toml")).expect("a directory");
        nix::unistd::mkfifo(&incoming.join("fifo.toml"), nix::sys::stat::Mode::S_IRUSR).expect("a FIFO");
        lab.source.drop_file("huge.toml", &"# so long\n".repeat(10_000));
        lab.source.drop_file("empty.toml", "");
        std::fs::write(incoming.join(".half"), "zone =").expect("a file");
        for name in ["link.toml", "dir.toml", "fifo.toml", "huge.toml", "empty.toml"] {
            let reason = lab.source.reason(name);
            assert!(!reason.trim().is_empty(), "{name}");
        }
        assert!(incoming.join(".half").exists());
        lab.target.start();
        lab.migrate_after(5, &Request::new());
        assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    }
}
