//! The level of each host's system, and what else of it a migration depends on.

use serde_json::json;

use crate::lab::{Lab, Request, ZONE};

#[test]
fn check_finds_a_spool_that_the_next_boot_environment_would_leave_behind() {
    let lab = Lab::started();
    let said = |lab: &Lab| String::from_utf8(lab.source.zmigrate(&["check"]).stdout).expect("words");
    let before = said(&lab);
    assert!(before.contains("this is the global zone") && !before.contains("boot environment"), "{before}");
    lab.source.settings("spool_dataset", json!(false));
    let after = said(&lab);
    let spool = lab.source.spool("");
    let spool = spool.to_str().expect("a path").trim_end_matches('/');
    for words in [
        &format!("warn  spool: {spool} lies in boot environment rpool/ROOT/") as &str,
        "after `beadm activate`",
        &format!("zfs create -o mountpoint={spool} rpool/zmigrate"),
    ] {
        assert!(after.contains(words), "no {words:?} in {after}");
    }
    assert!(!after.contains("scratch lies in boot environment"), "{after}");
}

#[test]
fn an_older_boot_environment_is_named_wherever_it_matters() {
    let lab = Lab::started();
    lab.source.settings("other_boot_environments", json!(["before-update"]));
    let check = String::from_utf8(lab.source.zmigrate(&["check"]).stdout).expect("words");
    assert!(
        check.contains("warn  zones: boot environments before-update have an /etc/zones of their own"),
        "{check}"
    );
    let warning = "in other boot environments (before-update) zone 'dbbackup' stays installed here";
    let plan = lab.source.ask(&["plan", ZONE, "zhost2"]);
    assert!(plan.contains(warning) && plan.contains("beadm mount BE /mnt"), "{plan}");
    let job = lab.submit(&Request::new());
    lab.outcomes();
    let finish = lab.source.ask(&["finish", &job]);
    lab.source.wait_outcome(1);
    lab.rest();
    let log = lab.source.of_job(finish.trim(), "log");
    assert!(log.contains(warning), "{log}");
}
