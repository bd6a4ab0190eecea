//! A dataset that arrives is never mounted over a directory of the target, never shared by it, and never gets a
//! property that was not judged, whatever the peer claims in its offer or in its handoff.

use zmigrate::job::message::Handoff;
use zmigrate::job::name::DatasetName;
use zmigrate::job::survey::{Property, Source};

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Lies, Request, TOP, ZONE, failing, profile, wait};

/// Where a thief wants to be.
const LOOT: &str = "/root/.ssh";

/// The peer's `zfs` lies; the zone ends where and as it was found, and nothing of the lie was set on the target.
#[track_caller]
fn lied(when: Lies, lies: &[(&str, &str, &str, &str)], reason: &str) {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.source.lie(when, lies);
    lab.start();
    lab.migrate(&Request::new());
    if when == Lies::Always {
        assert_outcomes(&lab, "refused", &[reason]);
    } else {
        // The source's own daemon sees it, and withdraws.
        let line = &lab.source.outcomes()[0];
        assert!(line.contains("result=failed ") && line.contains(reason), "no {reason:?} in {line}");
        assert!(line.contains("step=recapture undone=yes"), "{line}");
    }
    before.assert_as_found(&lab.source, &lab.target);
    assert_nothing_done(&lab);
}

/// The target set none of the claims and mounted nothing.
#[track_caller]
fn assert_nothing_done(lab: &Lab) {
    for call in [LOOT, "sharenfs", "my:", "zfs mount", "zfs rename", "canmount=on"] {
        assert_eq!(lab.target.calls(call), 0, "the target ran {call}");
    }
}

#[test]
fn a_mountpoint_claimed_as_inherited_is_refused() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let from = format!("inherited from {TOP}");
    let reason = "says that it inherits mountpoint=/root/.ssh";
    lied(Lies::Always, &[(&pkgsrc, "mountpoint", LOOT, &from)], reason);
}

#[test]
fn a_canmount_claimed_as_default_is_refused() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let lies = [(&*pkgsrc, "mountpoint", LOOT, "local"), (&*pkgsrc, "canmount", "noauto", "default")];
    lied(Lies::Always, &lies, "says that canmount=noauto is the default");
}

#[test]
fn a_name_with_an_equals_sign_is_refused() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let lies = [(&*pkgsrc, "mountpoint=/root/.ssh", "on", "local")];
    lied(Lies::Always, &lies, "has a property 'mountpoint=/root/.ssh', which is no name");
}

#[test]
fn a_filesystem_that_becomes_a_volume_is_not_handed_off() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let lies = [
        (&*pkgsrc, "type", "volume", "-"),
        (&*pkgsrc, "mountpoint", LOOT, "local"),
        (&*pkgsrc, "sharenfs", "rw", "local"),
    ];
    lied(
        Lies::AfterDetach,
        &lies,
        "dataset 'data/zones/dbbackup/pkgsrc' is no longer the one that was offered",
    );
}

#[test]
fn a_user_property_that_comes_late_is_not_handed_off() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let reason = "property 'my:note' of dataset 'data/zones/dbbackup/pkgsrc' is no longer as it was offered";
    lied(Lies::AfterDetach, &[(&pkgsrc, "my:note", "x", "local")], reason);
}

/// The peer's handoff is forged; the target keeps nothing of it, and the zone ends where and as it was found.
#[track_caller]
fn forged(property: &str, value: &str, reason: &str) {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.start();
    let job = lab.submit(&Request::new());
    lab.kill_before_handoff(&job);
    let pkgsrc = DatasetName::new(format!("{TOP}/pkgsrc")).expect("a dataset");
    let set = Property { value: value.to_owned(), source: Source::Local };
    let changed = [(pkgsrc, [(property.to_owned(), set)].into())].into();
    lab.forge(&job, Handoff { guids: lab.sent_guids(&job), changed, entries: String::new(), ran: true });
    lab.target.wait_outcome(0);
    lab.source.start();
    lab.outcomes();
    assert_outcomes(&lab, "failed", &[reason]);
    before.assert_as_found(&lab.source, &lab.target);
    assert_nothing_done(&lab);
}

#[test]
fn a_share_in_the_handoff_is_refused() {
    forged("sharenfs", "rw", "the handoff changes property 'sharenfs'");
}

#[test]
fn a_user_property_in_the_handoff_is_refused() {
    forged("my:note", "x", "the handoff changes property 'my:note'");
}

#[test]
fn a_name_with_an_equals_sign_in_the_handoff_is_refused() {
    forged("mountpoint=/root/.ssh", "x", "the handoff changes property 'mountpoint=/root/.ssh'");
}

#[test]
fn a_mountpoint_in_the_handoff_is_judged() {
    forged("mountpoint", LOOT, "has the mountpoint /root/.ssh outside of the zonepath");
}

#[test]
fn an_encrypted_dataset_never_leaves_its_host() {
    // The lab knows OpenZFS's encryption, not Oracle's.
    if profile::is_solaris() {
        return;
    }
    let lab = Lab::new();
    let key = lab.source.root.join("web.key");
    std::fs::write(&key, [7; 32]).expect("a key");
    let (dataset, location) = (format!("{TOP}/tank/secret"), "keylocation=file:///web.key");
    lab.source
        .run("zfs", &["create", "-o", "encryption=on", "-o", "keyformat=raw", "-o", location, &dataset]);
    let before = Before::of(&lab.source);
    lab.start();
    lab.submit(&Request::new());
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("'data/zones/dbbackup/tank/secret' is encrypted (aes-256-gcm)"), "{line}");
    lab.rest();
    before.assert_at_home(&lab.source);
    assert_eq!(lab.source.calls("shutdown") + lab.source.calls("autoboot"), 0);
    assert_eq!(lab.target.datasets(), [""; 0]);
}

#[test]
fn a_setting_that_stays_behind_is_named() {
    let lab = Lab::new();
    lab.source.lie(Lies::Always, &[(TOP, "mlslabel", "public", "local")]);
    lab.start();
    wait("the dropbox", || lab.target.told().contains("event=ready").then_some(()));
    let said = lab.source.ask(&["plan", ZONE, "zhost2"]);
    assert!(said.contains(&format!("property 'mlslabel' does not come along: {TOP}")), "{said}");
}

#[test]
fn the_target_destroys_its_own_snapshots_and_no_others() {
    let lab = Lab::new();
    lab.target.fault(&failing("zlogin", &["mysqladmin"], "not yet"));
    lab.start();
    let request = Request::new().set("", "snapshot", "\"migrate\"").set("verify", "timeout", "\"60s\"");
    let job = lab.submit(&request);
    lab.target.wait_event(&job, "installed", "boot");
    // The zone's administrator makes a dataset with a snapshot of that name, and destroys another one.
    let new = format!("{TOP}/tank/new");
    lab.target.run("zfs", &["create", &new]);
    lab.target.run("zfs", &["snapshot", &format!("{new}@migrate")]);
    lab.target.run("zfs", &["destroy", "-r", &format!("{TOP}/tank/mysql/db2")]);
    lab.target.no_faults();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    let left = lab.target.datasets();
    let snapshots: Vec<_> = left.iter().filter(|name| name.contains('@')).collect();
    assert_eq!(snapshots, [&format!("{new}@migrate")]);
}
