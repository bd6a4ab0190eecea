//! A dataset that arrives is never mounted over a directory of the target, never shared by it, and never gets a
//! property that was not judged, whatever the peer claims in its offer or in its handoff.

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Lies, Request, TOP};

/// Where a thief wants to be.
const LOOT: &str = "/root/.ssh";

/// The peer's `zfs` lies; the zone ends where and as it was found, and nothing of the lie was set on the target.
#[track_caller]
fn lied(when: Lies, lies: &[(&str, &str, &str, &str)], result: &str, reason: &str) {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.source.lie(when, lies);
    lab.start();
    lab.migrate(&Request::new());
    assert_outcomes(&lab, result, &[reason]);
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
fn a_mountpoint_outside_the_zonepath_is_refused() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let reason = "has the mountpoint /root/.ssh outside of the zonepath";
    lied(Lies::Always, &[(&pkgsrc, "mountpoint", LOOT, "local")], "refused", reason);
}

#[test]
fn a_mountpoint_of_the_handoff_is_judged_too() {
    let pkgsrc = format!("{TOP}/pkgsrc");
    let reason = "has the mountpoint /root/.ssh outside of the zonepath";
    lied(Lies::AfterDetach, &[(&pkgsrc, "mountpoint", LOOT, "local")], "failed", reason);
}
