//! Dropboxes that somebody else than the peer could write: not looked at, told with the remedy, and used again
//! when they have been mended.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::lab::ends::{Before, assert_outcomes};
use crate::lab::{Lab, Request, wait};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_offer_in_a_dropbox_that_others_can_write_is_not_looked_at_until_that_is_mended() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let inbox = lab.target.dropbox().join("in");
    lab.target.wait_told(&["event=ready"]);
    chmod(&inbox, 0o777);
    let line = lab.target.wait_told(&["event=dropbox-refused", "peer=zhost1"]);
    // An alert of facility daemon.
    assert!(line.starts_with("<25>"), "{line}");
    assert!(line.contains("can be written by others than its owner (mode 0777)"), "{line}");
    assert!(line.contains(&format!("chmod go-w {}", inbox.display())), "{line}");
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "surveyed", "");
    wait("the offer", || inbox.join(&job).join("offer").exists().then_some(()));
    // Two more looks at everything: the second is begun behind the offer.
    for zone in ["one", "two"] {
        lab.target.drop_file(&format!("{zone}.toml"), "zone = 1\n");
        lab.target.reason(&format!("{zone}.toml"));
    }
    assert!(lab.target.jobs("active").is_empty(), "it was looked at");
    chmod(&inbox, 0o755);
    lab.target.wait_told(&["event=dropbox-accepted", "peer=zhost1"]);
    // Behind the two rejected ones.
    let there = lab.target.wait_outcome(2);
    let here = lab.source.wait_outcome(0);
    lab.rest();
    assert!(there.contains(" result=ok ") && here.contains(" result=ok "), "{there}\n{here}");
    assert_eq!(lab.target.told().matches("event=dropbox-refused").count(), 1, "told once for one reason");
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_dropbox_that_is_opened_to_others_during_a_job_holds_it_and_nothing_is_believed() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new());
    lab.target.wait_event(&job, "accepted", "");
    let outbox = lab.target.dropbox().join("out");
    chmod(&outbox, 0o777);
    lab.target.wait_told(&["event=dropbox-refused", "/out can be written by others"]);
    chmod(&outbox, 0o755);
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn one_peers_bad_dropbox_does_not_keep_the_daemon_from_the_others() {
    let lab = Lab::new();
    let before = Before::of(&lab.source);
    lab.target.configure(
        "[accept.zhost1]",
        "[accept.zhost9]\ndatasets = [\"data/zones\"]\nzonepaths = [\"/export/zones\"]\n[accept.zhost1]",
    );
    let bad = lab.target.dropbox().with_file_name("zhost9");
    fs::create_dir_all(bad.parent().unwrap()).unwrap();
    chmod(bad.parent().unwrap(), 0o755);
    symlink("/tmp", &bad).unwrap();
    lab.start();
    lab.target.wait_told(&["event=dropbox-refused", "peer=zhost9", "is not a directory"]);
    lab.submit(&Request::new());
    lab.source.wait_outcome(0);
    fs::remove_file(&bad).unwrap();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}

#[test]
fn a_scratch_that_is_elsewhere_all_at_once_is_not_taken_for_a_source_that_withdrew() {
    let lab = Lab::started();
    let before = Before::of(&lab.source);
    let job = lab.submit(&Request::new());
    lab.source.wait_event(&job, "snapshotted", "");
    lab.source.kill();
    let old = lab.target.dropbox().parent().and_then(Path::parent).expect("the scratch").to_owned();
    let new = old.with_file_name("elsewhere");
    let (was, is) = (format!("dir = {old:?}"), format!("dir = {new:?}"));
    lab.target.configure(&was, &is);
    lab.target.signal_refresh();
    let line = lab.target.wait_told(&["event=refresh-refused"]);
    assert!(line.contains(&job) && line.contains("[scratch] dir"), "{line}");
    lab.target.kill();
    lab.target.start();
    let line = lab.target.wait_told(&["event=deferred", &format!("job={job}")]);
    assert!(line.contains("[scratch] dir"), "{line}");
    assert_eq!(lab.target.jobs("active"), [&*job], "{}", lab.target.told());
    lab.target.kill();
    lab.target.configure(&is, &was);
    lab.target.start();
    lab.source.start();
    lab.outcomes();
    assert_outcomes(&lab, "ok", &[]);
    before.assert_moved(&lab.source, &lab.target);
}
