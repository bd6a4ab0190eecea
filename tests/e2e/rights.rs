//! Who may submit: a request's owner, if he is root or auths(1) says that he holds the right. Files are given to others, which
//! only root can: `.ci/run` runs these as root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::lab::profile::is_solaris;
use crate::lab::{Host, Lab, Request, ZONE, wait};

const JOE: u32 = 1001;
const JIM: u32 = 1002;
const GROUP: u32 = 1100;
const SUBMIT: &str = "solaris.zmigrate.submit";

/// A lab whose source knows joe, with these authorizations, and jim, who has none; `None` where nobody can be joe.
fn lab(joe: &[&str]) -> Option<Lab> {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "only root can give a file away, and CI skips nothing");
        eprintln!("skipped: only root can give a file away");
        return None;
    }
    let lab = Lab::new();
    users(&lab.source, joe);
    Some(lab)
}

fn users(host: &Host, joe: &[&str]) {
    host.settings("users", json!([{"uid": JOE, "name": "joe", "auths": joe}, {"uid": JIM, "name": "jim"}]));
}

/// Drops a request that belongs to somebody.
fn drop_of(host: &Host, uid: u32, name: &str) {
    let dot = host.spool("incoming").join(format!(".{name}"));
    fs::write(&dot, Request::new().text()).expect("a request");
    chown(&dot, Some(uid), None).expect("its owner");
    fs::rename(&dot, host.spool("incoming").join(name)).expect("its name");
}

fn assert_moves(lab: &Lab) {
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("result=ok"), "{line}");
    lab.rest();
    assert_eq!(lab.target.state(ZONE).as_deref(), Some("running"));
}

fn warnings(host: &Host) -> usize {
    host.told().matches("event=right-unknown").count()
}

#[test]
fn an_operator_who_holds_the_right_moves_a_zone() {
    let Some(lab) = lab(&[SUBMIT]) else { return };
    lab.start();
    drop_of(&lab.source, JOE, "a.toml");
    assert_moves(&lab);
    assert!(lab.source.told().contains("event=taken-up user=1001 request=a.toml"));
}

#[test]
fn an_operator_without_it_is_told_what_would_grant_it_and_then_it_is_enough() {
    let Some(lab) = lab(&["solaris.zone.manage", "solaris.smf.manage.zmigrate"]) else { return };
    lab.start();
    drop_of(&lab.source, JOE, "a.toml");
    let reason = lab.source.reason("a.toml");
    let plus = if is_solaris() { "+" } else { "" };
    let said = format!(
        "a.toml: belongs to user joe, who does not hold {SUBMIT}; to grant it: usermod -A {plus}{SUBMIT} joe"
    );
    assert!(reason.starts_with(&said), "{reason}");
    let line = lab.source.wait_outcome(0);
    assert!(line.contains("result=rejected") && line.contains("request=a.toml"), "{line}");

    users(&lab.source, &["solaris.zone.manage", "solaris.zmigrate.*"]);
    drop_of(&lab.source, JOE, "b.toml");
    let line = lab.source.wait_outcome(1);
    assert!(line.contains("result=ok"), "{line}");
    lab.rest();
}

#[test]
fn nobody_who_is_unknown_may_and_nobody_who_is_called_like_a_word_of_auths() {
    let Some(lab) = lab(&[]) else { return };
    lab.source.settings("users", json!([{"uid": JOE, "name": "info"}, {"uid": JIM, "name": "1003"}]));
    lab.source.start();
    // 1003 is nobody's id, but a user's name.
    for (name, uid, said) in [
        ("a.toml", 1003, "belongs to user 1003, who is not known on this host"),
        ("b.toml", JOE, "belongs to user info, and auths(1) may take that name"),
    ] {
        drop_of(&lab.source, uid, name);
        let reason = lab.source.reason(name);
        assert!(reason.contains(said), "{reason}");
    }
    assert_eq!(lab.source.calls("auths"), 0);
}

#[test]
fn on_a_host_without_auths_only_root_may() {
    let Some(lab) = lab(&[SUBMIT]) else { return };
    fs::remove_file(lab.source.root.join("usr/sbin/auths")).expect("no auths");
    lab.start();
    drop_of(&lab.source, JOE, "a.toml");
    let reason = lab.source.reason("a.toml");
    assert!(reason.contains("on a host without the program `auths` only root may submit"), "{reason}");
    lab.migrate_after(1, &Request::new());
}

#[test]
fn while_auths_fails_the_request_waits_and_others_do_not() {
    let Some(lab) = lab(&[SUBMIT]) else { return };
    lab.source.fault(&json!({"command": "auths", "action":
        {"do": "fail", "text": "ld.so.1: auths: fatal: libsecdb.so.1: open failed", "status": 1}}));
    lab.start();
    drop_of(&lab.source, JOE, "a.toml");
    wait("auths to be asked again", || (lab.source.calls("auths") >= 3).then_some(()));
    assert!(lab.source.spool("incoming/a.toml").exists());
    lab.source.drop_file("b.toml", "zone = 1");
    lab.source.reason("b.toml");
    assert_eq!(warnings(&lab.source), 1, "one warning");
    assert!(lab.source.told().contains("libsecdb.so.1: open failed"));
    lab.source.no_faults();
    let line = lab.source.wait_outcome(1);
    assert!(line.contains("result=ok"), "{line}");
    lab.rest();
}

#[test]
fn while_auths_hangs_the_daemon_works_and_stops_and_the_request_waits() {
    let Some(lab) = lab(&[SUBMIT]) else { return };
    lab.source.fault(&json!({"command": "auths", "action": {"do": "hang"}}));
    lab.start();
    drop_of(&lab.source, JOE, "a.toml");
    wait("auths to be asked", || (lab.source.calls("auths") >= 1).then_some(()));
    lab.source.drop_file("b.toml", "zone = 1");
    lab.source.reason("b.toml");
    wait("the deadline", || (warnings(&lab.source) == 1).then_some(()));
    assert!(lab.source.told().contains("was not done after 3 s and was killed"));
    wait("auths to be asked again", || (lab.source.calls("auths") >= 2).then_some(()));
    let began = Instant::now();
    lab.source.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    assert!(lab.source.spool("incoming/a.toml").exists());

    lab.source.no_faults();
    lab.source.start();
    let line = lab.source.wait_outcome(1);
    assert!(line.contains("result=ok"), "{line}");
    lab.rest();
}

#[test]
fn a_request_that_changes_hands_is_its_new_owners() {
    let Some(lab) = lab(&[SUBMIT]) else { return };
    lab.source.fault(&json!({"command": "auths", "action": {"do": "fail", "status": 1}}));
    lab.source.start();
    drop_of(&lab.source, JOE, "a.toml");
    wait("joe to be asked about", || (lab.source.calls("auths joe") >= 1).then_some(()));
    chown(lab.source.spool("incoming/a.toml"), Some(JIM), None).expect("a new owner");
    lab.source.no_faults();
    let reason = lab.source.reason("a.toml");
    assert!(reason.contains("belongs to user jim, who does not hold"), "{reason}");
}

#[test]
fn a_door_without_the_sticky_bit_is_not_looked_through() {
    let Some(lab) = lab(&[SUBMIT]) else { return };
    lab.start();
    let incoming = lab.source.spool("incoming");
    let chmod = |mode| fs::set_permissions(&incoming, Permissions::from_mode(mode)).expect("a mode");
    chmod(0o770);
    drop_of(&lab.source, 0, "a.toml");
    wait("the alert", || {
        let told = lab.source.told();
        (told.contains("event=held what=incoming")
            && told.contains(&format!("chmod +t {}", incoming.display())))
        .then_some(())
    });
    assert!(lab.source.spool("incoming/a.toml").exists());
    chmod(0o1770);
    assert_moves(&lab);
}

/// A host's `zmigrate`, as somebody else than root would run it.
fn zmigrate_as(lab: &Lab, uid: u32, args: &[&str]) -> Output {
    let mut command = Command::new(lab.dir().join("programs/zmigrate"));
    command.arg("-c").arg(lab.source.root.join("etc/opt/zmigrate/zmigrate.toml")).args(args);
    command.uid(uid).gid(GROUP).current_dir("/").stdin(Stdio::null());
    command.output().expect("zmigrate starts")
}

/// Lets others than root reach the lab: programs that they can run, and the state of its commands.
fn open_to_all(lab: &Lab) {
    let chmod = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("a mode");
    let programs = lab.dir().join("programs");
    fs::create_dir(&programs).expect("a directory");
    for program in [env!("CARGO_BIN_EXE_zmigrate"), env!("CARGO_BIN_EXE_zmigrate-lab")] {
        let name = Path::new(program).file_name().expect("a name");
        fs::copy(program, programs.join(name)).expect("a copy");
    }
    for command in ["auths", "getent", "uname"] {
        let link = lab.source.root.join("usr/sbin").join(command);
        fs::remove_file(&link).expect("the old link");
        symlink(programs.join("zmigrate-lab"), link).expect("a link");
    }
    chmod(lab.dir(), 0o755);
    let state = lab.source.root.join(".lab");
    chmod(&state, 0o777);
    for file in fs::read_dir(&state).expect("the state").flatten().filter(|file| file.path().is_file()) {
        chmod(&file.path(), 0o666);
    }
    let incoming = lab.source.spool("incoming");
    chown(&incoming, None, Some(GROUP)).expect("a group");
    chmod(&incoming, 0o1770);
}

#[test]
fn an_operator_submits_by_the_command_and_sees_what_he_may() {
    let Some(lab) = lab(&[]) else { return };
    lab.start();
    open_to_all(&lab);
    let said = |output: &Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let dropped = || lab.source.jobs("incoming").len() + lab.source.jobs("rejected").len();

    let refused = zmigrate_as(&lab, JOE, &["submit", ZONE, "zhost2"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let words =
        format!("zmigrate: cannot submit: what you drop belongs to user joe, who does not hold {SUBMIT}");
    assert!(said(&refused).starts_with(&words), "{}", said(&refused));
    assert_eq!(dropped(), 0, "nothing was dropped");

    let seen = zmigrate_as(&lab, JOE, &["status"]);
    assert_eq!(seen.status.code(), Some(1), "{}", said(&seen));
    assert!(said(&seen).contains("try it as root or by pfexec"), "{}", said(&seen));

    users(&lab.source, &[SUBMIT]);
    let taken = zmigrate_as(&lab, JOE, &["submit", ZONE, "zhost2"]);
    assert!(taken.status.success(), "{}", said(&taken));
    assert!(said(&taken).contains("only root can see (pfexec zmigrate status)"), "{}", said(&taken));
    assert_moves(&lab);
    assert!(lab.source.told().contains("event=taken-up user=1001"));
}
