//! A step that fails for good: the zone ends where it was found, and both outcome lines say why.

use serde_json::{Value, json};

use crate::lab::ends::{Before, assert_came_back, assert_outcomes};
use crate::lab::{Host, Lab, Request, ZONE, failing, profile, wait};

fn failing_once(command: &str, contains: &[&str], text: &str) -> Value {
    json!({"command": command, "contains": contains, "call": 1, "action": {"do": "fail", "text": text, "status": 1}})
}

/// Something on one side never works: as found, and the target says why as well, if it ever heard of the job.
fn ends_as_found(prepare: impl FnOnce(&Lab), request: &Request, words: &[&str]) {
    let lab = Lab::new();
    prepare(&lab);
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(request);
    let line = &lab.source.outcomes()[0];
    for word in ["result=failed ", "undone=yes"].iter().chain(words) {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    assert_eq!([lab.source.outcomes().len(), lab.target.outcomes().len()], [1, 1]);
    let line = &lab.target.outcomes()[0];
    assert!(line.contains("result=failed ") || line.contains("result=cancelled "), "{line}");
    for word in words.iter().filter(|word| !word.starts_with("step=")) {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    before.assert_as_found(&lab.source, &lab.target);
}

fn source_fails(rule: &Value, words: &[&str]) {
    ends_as_found(|lab| lab.source.fault(rule), &Request::new(), words);
}

/// The target fails for good behind the handoff: it goes back and both lines say the same.
fn target_fails(rule: &Value, words: &[&str]) {
    let lab = Lab::new();
    lab.target.fault(rule);
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(&lab, "failed", &["undone=yes"]);
    assert_outcomes(&lab, "failed", words);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn autoboot_cannot_be_cleared() {
    source_fails(&failing("zonecfg", &["autoboot=false"], "zonecfg: no such luck"), &["step=autoboot"]);
}

#[test]
fn a_shutdown_hangs_in_the_zone() {
    ends_as_found(
        |lab| lab.source.manners(ZONE, json!({"stuck": "running", "writes_on_boot": false})),
        &Request::new().set("shutdown", "timeout", "\"1s\""),
        &["step=shutdown", "is still running"],
    );
}

#[test]
fn a_shutdown_that_hangs_is_forced_if_the_request_says_so() {
    let lab = Lab::new();
    lab.source.manners(ZONE, json!({"stuck": "shutting_down", "writes_on_boot": false}));
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new().set("shutdown", "timeout", "\"1s\"").set("shutdown", "force", "true"));
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_zone_that_nobody_has_asked_has_the_whole_time_for_its_shutdown() {
    let lab = Lab::new();
    let kill = json!({"do": "kill-parent", "when": "before"});
    lab.source.fault(&json!({"command": "zlogin", "contains": ["shutdown"], "call": 1, "action": kill}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new().set("shutdown", "timeout", "\"4s\""));
    lab.source.wait_killed();
    wait_for_age(&lab.source, &job, "autoboot-cleared", 5);
    lab.source.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_zone_has_the_whole_time_for_its_boot_after_its_host_was_down() {
    let lab = Lab::new();
    lab.target.manners(ZONE, json!({"boot_ms": 1000, "writes_on_boot": false}));
    let kill = json!({"do": "kill-parent", "when": "before"});
    lab.target.fault(&json!({"command": "zlogin", "contains": ["svcs"], "call": 1, "action": kill}));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new().set("verify", "timeout", "\"8s\""));
    lab.target.wait_killed();
    wait_for_age(&lab.target, &job, "installed\",\"step\":\"boot", 9);
    lab.target.reboot();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

/// Waits until a line of a job's journal is so many seconds old.
fn wait_for_age(host: &Host, job: &str, event: &str, seconds: i64) {
    let event = format!("\"event\":\"{event}\"");
    wait(&format!("{event} to be {seconds} s old"), || {
        let journal = host.of_job(job, "journal");
        let line = journal.lines().rfind(|line| line.contains(&event))?;
        let at = line.split("\"at\":\"").nth(1)?.split('"').next()?;
        let at = at.parse::<chrono::DateTime<chrono::Utc>>().ok()?;
        (chrono::Utc::now() - at > chrono::TimeDelta::seconds(seconds)).then_some(())
    });
}

#[test]
fn the_detach_fails() {
    source_fails(&failing("zoneadm", &["detach"], "detach: no way"), &["step=detach", "detach: no way"]);
}

#[test]
fn the_survey_fails_before_the_target_has_heard_of_it() {
    let lab = Lab::new();
    lab.source.fault(&failing("zonecfg", &["export"], "zonecfg: no such luck"));
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    let line = lab.source.wait_outcome(0);
    for word in ["result=failed ", "undone=yes", "step=survey", "no such luck"] {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    lab.rest();
    assert_eq!(lab.target.outcomes(), [""; 0]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn the_target_cannot_check() {
    let rule = failing("zfs", &["upgrade"], "cannot open /dev/zfs: permission denied");
    ends_as_found(|lab| lab.target.fault(&rule), &Request::new(), &[]);
}

#[test]
fn the_properties_cannot_be_read_again() {
    // Behind the two surveys, and each time that it is tried again.
    let lab = Lab::new();
    for call in 3..20 {
        let fail = json!({"do": "fail", "text": "cannot open: permission denied", "status": 1});
        lab.source
            .fault(&json!({"command": "zfs", "contains": ["get", "all"], "call": call, "action": fail}));
    }
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    let line = &lab.source.outcomes()[0];
    assert!(line.contains("step=recapture") && line.contains("permission denied"), "{line}");
    lab.source.no_faults();
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn a_snapshot_that_somebody_destroys_is_not_handed_off() {
    let lab = Lab::new();
    lab.target.fault(&failing("zfs", &["receive"], "cannot receive: out of space"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new().set("", "give_up", "\"10s\""));
    lab.source.wait_event(&job, "snapshotted", "");
    let [pkgsrc, snapshot] = ["data/zones/dbbackup/pkgsrc", &format!("@zmigrate-{job}")];
    wait("the send to be over", || {
        // Busy until then.
        lab.source.output("zfs", &["destroy", &format!("{pkgsrc}{snapshot}")]).status.success().then_some(())
    });
    lab.target.no_faults();
    lab.outcomes();
    let line = &lab.source.outcomes()[0];
    assert!(line.contains("result=failed ") && line.contains("undone=yes"), "{line}");
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn what_may_pass_is_tried_until_the_requests_time_is_over() {
    ends_as_found(
        |lab| lab.source.fault(&failing("zfs", &["snapshot"], "cannot create snapshot: out of space")),
        &Request::new().set("", "give_up", "\"8s\""),
        &["step=snapshot", "give_up of 8 s is over", "out of space"],
    );
}

#[test]
fn every_send_fails() {
    source_fails(
        &failing("zfs", &["send"], "warning: cannot send 'data/zones/dbbackup': I/O error"),
        &["step=send", "I/O error"],
    );
}

#[test]
fn every_send_dies_half_way() {
    source_fails(
        &json!({"command": "zfs", "contains": ["send"], "action": {"do": "die-halfway"}}),
        &["step=send"],
    );
}

#[test]
fn every_receive_fails() {
    ends_as_found(
        |lab| lab.target.fault(&failing("zfs", &["receive"], "cannot receive: permission denied")),
        &Request::new().set("", "give_up", "\"6s\""),
        &[],
    );
}

#[test]
fn a_property_cannot_be_set() {
    target_fails(
        &failing("zfs", &["set", "org.example:replica"], "cannot set property: permission denied"),
        &["step=properties", "permission denied"],
    );
}

#[test]
fn the_rename_into_place_fails() {
    target_fails(
        &failing("zfs", &["rename"], "cannot rename 'data': permission denied"),
        &["step=rename", "permission denied"],
    );
}

#[test]
fn a_quota_cannot_be_set() {
    target_fails(
        &failing("zfs", &["set", "quota=42949672960"], "cannot set property: permission denied"),
        &["step=quotas"],
    );
}

#[test]
fn the_zones_root_cannot_be_mounted() {
    target_fails(
        &failing("zfs", profile::mounting(), "cannot mount: permission denied"),
        &["step=mount", "permission denied"],
    );
}

#[test]
fn the_target_can_no_longer_look_when_it_is_handed_off() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "snapshotted", "");
    lab.target.fault(&failing("zoneadm", &["list"], "zoneadm: no such luck"));
    lab.target.wait_event(&job, "turned-back", "recheck");
    lab.target.no_faults();
    lab.outcomes();
    assert_outcomes(&lab, "failed", &["undone=yes", "step=recheck", "no such luck"]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn the_route_cannot_be_added() {
    let lab = Lab::new();
    lab.target.fault(&failing(
        "route",
        &["add"],
        "add net default: gateway 192.0.2.1: insufficient privileges",
    ));
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&crate::routes::with_route(Request::new()));
    assert_outcomes(&lab, "failed", &["undone=yes", "step=route"]);
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn the_configuration_fails() {
    target_fails(&failing("zonecfg", &["-f"], "zonecfg: invalid"), &["step=configure"]);
}

#[test]
fn the_attach_fails() {
    target_fails(
        &failing("zoneadm", &["attach"], "attach: the package level differs"),
        &["step=attach", "differs"],
    );
}

#[test]
fn why_pkg_refused_stands_in_the_brands_log_and_so_in_both_outcomes() {
    let lab = Lab::new();
    profile::make_newer(&lab.target);
    lab.target.settings("missing_package", json!("driver/network/cxgbe"));
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new().set("target", "attach", "\"update\""));
    lab.outcomes();
    let words =
        ["step=attach", "No version matching 'require' dependency driver/network/cxgbe can be installed"];
    assert_outcomes(&lab, "failed", &words);
    for line in lab.hosts().iter().map(|host| host.outcomes()[0].clone()) {
        assert!(line.len() < 1000 && line.contains("attach log "), "{line}");
    }
    let log = lab.target.of_job(&job, "log");
    let told: Vec<_> = log.lines().filter(|line| line.contains(" attach log: ")).collect();
    assert!(told.len() > 5, "{told:#?}");
    for word in ["Attach ZFS Dataset: data/zones/dbbackup/", "pkg install: No matching version of entire"] {
        assert!(told.iter().any(|line| line.contains(word)), "no {word:?} in {told:#?}");
    }
    before.assert_as_found(&lab.source, &lab.target);
}

#[test]
fn the_zone_does_not_boot_and_what_was_received_is_kept() {
    let lab = Lab::new();
    lab.target.fault(&failing("zoneadm", &["boot"], "zoneadm: zone 'dbbackup': call to zoneadmd failed"));
    came_back(lab, &Request::new(), &["step=boot", "call to zoneadmd failed"]);
}

#[test]
fn a_zone_that_fails_its_verify_command_runs_on_the_source_again() {
    let request = Request::new().set("verify", "timeout", "\"1s\"").set(
        "verify",
        "commands",
        "[\"/opt/mysql/bin/nosuch\"]",
    );
    came_back(Lab::new(), &request, &["step=verify", "did not come up within 1 s", "nosuch"]);
}

#[test]
fn a_zone_with_a_service_in_maintenance_comes_back() {
    let lab = Lab::new();
    lab.target.manners(ZONE, json!({"maintenance": ["svc:/network/ssh:default"], "writes_on_boot": false}));
    let request = Request::new().set("verify", "timeout", "\"1s\"");
    came_back(lab, &request, &["step=verify", "svc:/network/ssh:default is in maintenance"]);
}

/// It ran, or may have run, on the target: the source has it again, and the target keeps what the zone wrote to.
fn came_back(lab: Lab, request: &Request, words: &[&str]) {
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(request);
    lab.outcomes();
    assert_outcomes(&lab, "failed", words);
    assert_came_back(&lab, &before, &job);
}

#[test]
fn on_failure_stay_leaves_it_running_on_the_target_and_says_so() {
    let lab = Lab::started();
    let request = Request::new()
        .set("verify", "timeout", "\"1s\"")
        .set("verify", "commands", "[\"/opt/mysql/bin/nosuch\"]")
        .set("verify", "on_failure", "\"stay\"");
    lab.migrate(&request);
    assert_outcomes(&lab, "ok", &["nosuch"]);
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
}

/// What fails once, and not for good, is tried again.
fn once(on: fn(&Lab) -> &Host, rule: &Value) {
    let lab = Lab::new();
    on(&lab).fault(rule);
    let before = Before::of(&lab.source);
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_send_that_dies_once_is_sent_again() {
    let rule = json!({"command": "zfs", "contains": ["send", "db2"], "call": 1, "action": {"do": "die-halfway", "bytes": 300_000}});
    once(|lab| &lab.source, &rule);
}

#[test]
fn a_receive_that_dies_once_is_fed_again_from_the_parts() {
    let rule = json!({"command": "zfs", "contains": ["receive"], "call": 5, "action": {"do": "die-halfway", "bytes": 300_000}});
    once(|lab| &lab.target, &rule);
}

#[test]
fn a_detach_that_fails_once_is_tried_again() {
    once(|lab| &lab.source, &failing_once("zoneadm", &["detach"], "detach: busy"));
}

#[test]
fn a_busy_dataset_is_renamed_later() {
    once(|lab| &lab.target, &failing_once("zfs", &["rename"], "cannot rename 'data': dataset is busy"));
}

#[test]
fn what_is_left_to_do_behind_the_result_is_done_later() {
    for (on, command, verb) in [(1, "zonecfg", "autoboot=true"), (1, "zfs", "destroy")] {
        eprintln!("-- {command} {verb}");
        let lab = Lab::new();
        let host = lab.hosts()[on];
        host.fault(&failing(command, &[verb], "cannot do it now: permission denied"));
        let before = Before::of(&lab.source);
        lab.start();
        lab.submit(&Request::new());
        wait("an alert", || host.told().contains("event=held").then_some(()));
        host.no_faults();
        lab.outcomes();
        assert_outcomes(&lab, "ok", &[]);
        before.assert_moved(&lab.source, &lab.target);
    }
}

#[test]
fn commands_that_lie_are_not_believed() {
    for (on, command, verb) in
        [(0, "zonecfg", "autoboot=false"), (1, "zonecfg", "-f"), (1, "zoneadm", "boot")]
    {
        let lie = json!({"command": command, "contains": [verb], "call": 1, "action": {"do": "lie"}});
        let lab = Lab::new();
        lab.hosts()[on].fault(&lie);
        let before = Before::of(&lab.source);
        lab.start();
        lab.migrate(&Request::new());
        // Tried again or gone back from, but never believed.
        if lab.source.outcomes()[0].contains("result=ok ") {
            before.assert_moved(&lab.source, &lab.target);
        } else {
            before.assert_at_home(&lab.source);
        }
    }
}
