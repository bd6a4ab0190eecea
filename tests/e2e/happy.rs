//! Migrations that end well, each with a wish of its own.

use serde_json::json;

use crate::lab::ends::{Before, assert_outcomes, assert_tidy};
use crate::lab::{Lab, Request, TOP, ZONE, profile};

fn a_zone_of_brand_moves(brand: &str) {
    let lab = Lab::with(json!({"brand": brand}));
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(&lab, "ok", &["ticket=OPS-1138", "zone=dbbackup from=zhost1 to=zhost2"]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_sparse_zone_moves_with_everything_it_has() {
    a_zone_of_brand_moves("sparse");
}

#[test]
fn an_ipkg_zone_moves_with_its_boot_environment() {
    a_zone_of_brand_moves("ipkg");
}

#[test]
fn a_solaris_zone_moves_with_its_rpool_and_is_not_cloned() {
    a_zone_of_brand_moves("solaris");
}

#[test]
fn zoneadms_fields_of_every_release_of_solaris_11_are_read() {
    // Nine fields, ten and eleven; both hosts are of one release.
    for kernel in ["11.1", "11.4.42.111.0", "11.4.69.170.2"] {
        eprintln!("-- {kernel}");
        let lab = Lab::with(json!({"brand": "solaris"}));
        lab.hosts().iter().for_each(|host| host.settings("kernel", json!(kernel)));
        let before = Before::of(&lab.source);
        lab.start();
        lab.migrate(&Request::new());
        let sent = if kernel == "11.1" { "zfs send data" } else { "zfs send -s nocheck data" };
        assert!(lab.source.calls(sent) > 0, "{sent}");
        assert_outcomes(&lab, "ok", &[]);
        before.assert_moved(&lab.source, &lab.target);
    }
}

#[test]
fn the_native_zone_of_2007_moves_between_solaris_10_hosts() {
    a_zone_of_brand_moves("native");
}

#[test]
fn a_zone_that_is_not_running_moves_and_stays_down() {
    let lab = Lab::new();
    lab.source.run("zoneadm", &["-z", ZONE, "halt"]);
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("installed"));
}

#[test]
fn boot_false_leaves_a_zone_down_that_ran() {
    let lab = Lab::started();
    lab.migrate(&Request::new().set("target", "boot", "false"));
    assert_outcomes(&lab, "ok", &[]);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("installed"));
    assert!(lab.target.autoboot(ZONE), "it boots with the host, as it was found");
}

#[test]
fn a_zone_moves_to_another_zonepath() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new().set("target", "zonepath", "\"/export/zones/elsewhere\""));
    assert_outcomes(&lab, "ok", &[]);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    assert!(lab.target.export(ZONE).contains("set zonepath=/export/zones/elsewhere"));
    let wanted = before.picture.with(TOP, "mountpoint", "/export/zones/elsewhere (local)");
    let root = profile::root();
    let found = lab.target.picture(TOP);
    assert!(
        found.property(&root, "mountpoint").is_some_and(|value| !value.contains(ZONE))
            || found.property(&root, "mountpoint") == wanted.property(&root, "mountpoint")
    );
    assert_eq!(found.property(TOP, "mountpoint"), wanted.property(TOP, "mountpoint"));
}

#[test]
fn datasets_land_where_they_are_mapped_and_the_configuration_follows() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    let (from, to) = (format!("{TOP}/tank"), "data/zones/tanks/db");
    lab.target.run("zfs", &["create", "data/zones/tanks"]);
    lab.migrate(&Request::new().set("target.datasets", &format!("{from:?}"), &format!("{to:?}")));
    assert_outcomes(&lab, "ok", &[]);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
    // illumos's export quotes it, Solaris's does not.
    assert!(lab.target.export(ZONE).replace('"', "").contains("set name=data/zones/tanks/db"));
    let wanted = before.picture.mapped(&from, to);
    let mut found = lab.target.picture(TOP);
    found.add(lab.target.picture(to));
    wanted.assert_same(&found);
    assert_tidy(&lab.hosts());
}

#[test]
fn only_some_of_the_delegated_datasets_get_new_names() {
    let lab = Lab::new();
    let logs = format!("{TOP}/logs");
    lab.source.run("zfs", &["create", "-o", "mountpoint=none", "-o", "zoned=on", &logs]);
    lab.source.run("zonecfg", &["-z", ZONE, &format!("add dataset; set name={logs}; end")]);
    lab.start();
    lab.target.run("zfs", &["create", "data/zones/tanks"]);
    let from = format!("{TOP}/tank");
    lab.migrate(&Request::new().set("target.datasets", &format!("{from:?}"), "\"data/zones/tanks/db\""));
    assert_outcomes(&lab, "ok", &[]);
    // zonecfg has moved the renamed one to the end.
    let export = lab.target.export(ZONE);
    let at = |name: &str| export.find(name).unwrap_or_else(|| panic!("no {name} in {export}"));
    assert!(at("data/zones/dbbackup/logs") < at("data/zones/tanks/db"), "{export}");
}

#[test]
fn properties_of_the_request_go_on_top_of_those_carried() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    let pkgsrc = format!("{TOP}/pkgsrc");
    lab.migrate(&Request::new().set("target.properties", &format!("{pkgsrc:?}"), "{ atime = \"off\" }"));
    assert_outcomes(&lab, "ok", &[]);
    let wanted = before.picture.with(&pkgsrc, "atime", "off (local)");
    wanted.assert_same(&lab.target.picture(TOP));
}

#[test]
fn commands_of_the_request_edit_the_configuration() {
    let lab = Lab::started();
    let commands = r#"["select net physical=nge0", "set address=192.0.2.77/24", "end"]"#;
    lab.migrate(&Request::new().set("target.zonecfg", "commands", commands));
    assert_outcomes(&lab, "ok", &[]);
    let export = lab.target.export(ZONE);
    assert!(export.contains("192.0.2.77/24") && !export.contains("192.0.2.10/24"), "{export}");
}

#[test]
fn the_snapshot_can_be_named_as_in_2007() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new().set("", "snapshot", "\"migrate\""));
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
    assert!(lab.source.datasets().contains(&format!("{TOP}@migrate")));
}

#[test]
fn a_request_for_later_is_offered_now_and_waits_with_the_zone_up() {
    let lab = Lab::started();
    let at = (chrono::Utc::now() + chrono::TimeDelta::seconds(4))
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let job = lab.submit(&Request::new().set("", "not_before", &at));
    lab.source.wait_event(&job, "accepted", "");
    assert_eq!(lab.source.state(ZONE).as_deref(), Some("running"));
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    let started = lab.source.of_job(&job, "journal");
    let line = started.lines().find(|line| line.contains("\"started\"")).expect("a start");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert!(line["at"].as_str().expect("a time").as_bytes() >= at.trim_end_matches('Z').as_bytes());
}

#[test]
fn a_request_by_the_command_line_is_a_request() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    let said = lab.source.ask(&["submit", ZONE, "zhost2", "--ticket", "OPS-7"]);
    assert!(said.contains("dbbackup-"), "{said}");
    lab.outcomes();
    assert_outcomes(&lab, "ok", &["ticket=OPS-7"]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_zone_moves_back_once_the_old_copy_is_finished() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.outcomes();
    before.assert_moved(&lab.source, &lab.target);

    let back = Request::of(ZONE, "zhost1");
    lab.target.submit(&back);
    let refusal = lab.target.wait_outcome(1);
    assert!(refusal.contains("result=refused") && refusal.contains("zmigrate finish"), "{refusal}");
    assert!(refusal.contains("in the way"), "{refusal}");
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));

    let known = lab.source.outcomes().len();
    lab.source.ask(&["finish", &job]);
    let finished = lab.source.wait_outcome(known);
    assert!(finished.contains("result=ok") && finished.contains("zone=dbbackup"), "{finished}");
    assert_eq!(lab.source.state(ZONE), None);
    assert_eq!(lab.source.datasets(), [""; 0]);

    let known = lab.target.outcomes().len();
    lab.target.submit(&back);
    let line = lab.target.wait_outcome(known);
    assert!(line.contains("result=ok role=source host=zhost2"), "{line}");
    lab.rest();
    before.assert_moved(&lab.target, &lab.source);
}

/// Moves the zone and starts the source anew when the old copy's term is over: what is kept is looked at once a minute, and at the
/// start. What came `before` that is done while no daemon runs.
fn kept_for_a_second(lab: &Lab, before: impl FnOnce()) -> String {
    let job = lab.submit(&Request::new().set("source", "keep", "\"1s\""));
    lab.outcomes();
    lab.source.stop();
    crate::lab::wait("the term to be over", || {
        let line = lab.source.outcomes()[0].clone();
        let at =
            line.split(" ts=").nth(1)?.split(' ').next()?.parse::<chrono::DateTime<chrono::Utc>>().ok()?;
        (chrono::Utc::now() - at > chrono::TimeDelta::seconds(2)).then_some(())
    });
    before();
    lab.source.start();
    job
}

#[test]
fn an_old_copy_with_a_term_is_finished_by_itself() {
    let lab = Lab::started();
    kept_for_a_second(&lab, || {});
    let line = lab.source.wait_outcome(1);
    assert!(line.contains("result=ok"), "{line}");
    assert_eq!(lab.source.state(ZONE), None);
    assert_eq!(lab.source.datasets(), [""; 0]);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
}

#[test]
fn an_old_copy_that_cannot_go_is_tried_once_and_then_left_to_the_operator() {
    let lab = Lab::new();
    // From before: it did not go along.
    let older = "data/zones/dbbackup/tank/mysql@older";
    lab.source.run("zfs", &["snapshot", older]);
    lab.start();
    let younger = "data/zones/dbbackup/tank/mysql@younger";
    let job = kept_for_a_second(&lab, || drop(lab.source.run("zfs", &["snapshot", younger])));
    let line = lab.source.wait_outcome(1);
    assert!(
        line.contains("result=failed") && line.contains("@younger' is not a part of what was moved"),
        "{line}"
    );
    lab.rest();
    // The next start looks again; the operator's word comes behind that look, or before it.
    lab.source.stop();
    lab.source.start();
    lab.source.ask(&["finish", &job]);
    lab.source.wait_outcome(2);
    lab.rest();
    assert_eq!(lab.source.jobs("failed").len(), 2, "one by itself, one by the operator");
    lab.source.run("zfs", &["destroy", younger]);
    lab.source.run("zfs", &["destroy", older]);
    lab.source.ask(&["finish", &job]);
    let line = lab.source.wait_outcome(3);
    assert!(line.contains("result=ok"), "{line}");
    assert_eq!(lab.source.datasets(), [""; 0]);
}
