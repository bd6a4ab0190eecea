//! `zmigrate plan` between two hosts of the lab (emulated ZFS), with their daemons: what it tells, and that it leaves
//! both hosts byte for byte as they were. And an ask that a daemon refuses.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use zmigrate::job::name::JobId;
use zmigrate::spool::Spool;

/// Both hosts, with the zone of 2007 running on the first.
struct Lab {
    tmp: tempfile::TempDir,
}

/// A daemon in the foreground; killed with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Lab {
    fn new() -> Self {
        let lab = Self { tmp: tempfile::tempdir().unwrap() };
        let plan = format!("{{\"bytes\":{}}}", 2 << 20);
        let output = Command::new(env!("CARGO_BIN_EXE_zmigrate-lab"))
            .args(["scene", "--plan", &plan, "--dir"])
            .arg(lab.tmp.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lab
    }

    fn at(&self, path: &str) -> PathBuf {
        self.tmp.path().join(path)
    }

    fn product(&self, program: &str, host: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.at(host).join("etc/opt/zmigrate/zmigrate.toml")).stdin(Stdio::null());
        command
    }

    /// Starts a host's daemon, and waits until it has taken its spool and made its directories.
    fn daemon(&self, host: &str) -> Daemon {
        let log = fs::File::create(self.at(host).join("daemon.stderr")).unwrap();
        let mut command = self.product(env!("CARGO_BIN_EXE_zmigrated"), host);
        let daemon = Daemon(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let log = self.at(host).join("daemon.stderr");
        until("the daemon to be ready", || fs::read_to_string(&log).unwrap().contains("event=ready"));
        daemon
    }

    fn zmigrate(&self, host: &str, args: &[&str]) -> Output {
        self.product(env!("CARGO_BIN_EXE_zmigrate"), host).args(args).output().unwrap()
    }

    /// Every file of both hosts with its mode, owner, time and bytes. Not the lab's own record of calls, nor locks.
    fn picture(&self) -> BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)> {
        let mut picture = BTreeMap::new();
        for host in ["zhost1", "zhost2"] {
            walk(&self.at(host), &mut picture);
        }
        picture
    }
}

fn walk(dir: &Path, picture: &mut BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "calls.log" || name == "calls.json" || name == "daemon.stderr" || name.ends_with("lock") {
            continue;
        }
        let meta = fs::symlink_metadata(&path).unwrap();
        let (bytes, mtime) = if meta.is_dir() {
            walk(&path, picture);
            (Vec::new(), 0)
        } else if meta.is_symlink() {
            (fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(), meta.mtime())
        } else if meta.is_file() {
            (fs::read(&path).unwrap(), meta.mtime())
        } else {
            (Vec::new(), meta.mtime())
        };
        picture.insert(path, (meta.permissions().mode(), meta.uid(), mtime, bytes));
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < limit, "waited for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[track_caller]
fn same(
    before: &BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)>,
    after: &BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)>,
) {
    let paths = before.keys().chain(after.keys());
    let changed: Vec<_> = paths.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
}

#[test]
fn a_plan_shows_both_hosts_and_leaves_them_byte_for_byte_as_they_were() {
    let lab = Lab::new();
    let _daemons = [lab.daemon("zhost1"), lab.daemon("zhost2")];
    let before = lab.picture();

    let output = lab.zmigrate("zhost1", &["plan", "dbbackup", "zhost2"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{text}");
    for wanted in [
        "zone 'dbbackup' from zhost1 to zhost2",
        "is running, of brand sparse",
        "commands on zhost1, in this order",
        "zoneadm -z dbbackup detach",
        "commands on zhost2, in this order",
        "zfs receive",
        "zoneadm -z dbbackup attach",
        "nothing stands in the way; nothing has been touched",
    ] {
        assert!(text.contains(wanted), "wanted {wanted:?} in: {text}");
    }
    same(&before, &lab.picture());

    // A plan that would be refused, as JSON: every reason, and again no trace.
    let output =
        lab.zmigrate("zhost1", &["plan", "dbbackup", "zhost2", "--zonepath", "/etc/dbbackup", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let refusals = plan["refusals"].to_string();
    assert!(refusals.contains("/etc/dbbackup"), "{refusals}");
    assert_eq!(plan["datasets"].as_array().unwrap().len(), 8, "{plan:#}");
    same(&before, &lab.picture());
}

#[test]
fn a_peer_that_does_not_answer_is_a_reason_and_what_was_found_here_is_shown() {
    let lab = Lab::new();
    let here = lab.daemon("zhost1");
    drop(lab.daemon("zhost2"));
    let before = lab.picture();
    let output = lab.zmigrate("zhost1", &["plan", "dbbackup", "zhost2", "--wait", "1s"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("zhost2 has not answered within 1 s"), "{text}");
    assert!(text.contains("zoneadm -z dbbackup detach"), "{text}");
    drop(here);
    same(&before, &lab.picture());

    let output = lab.zmigrate("zhost1", &["plan", "nosuch", "zhost2", "--wait", "1s"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("zone 'nosuch' is not on this host"));
}

#[test]
fn what_the_daemon_can_not_do_is_refused_where_the_asker_looks() {
    let lab = Lab::new();
    let _daemon = lab.daemon("zhost1");
    let dir = lab.at("zhost1/var/spool/zmigrate");
    let job = JobId::new("dbbackup-20070518T033600Z-7f3a").unwrap();
    let at = "2007-05-18T04:00:00Z".parse().unwrap();
    Spool::at(&dir).ask("cancel", &job, at, BTreeMap::new()).unwrap();
    let reason = dir.join(format!("rejected/cancel.{job}.reason"));
    until("the reason", || reason.exists());
    until("the ask to be gone", || !dir.join(format!("asks/cancel.{job}")).exists());
    assert_eq!(fs::read_to_string(reason).unwrap(), format!("cancel.{job}: there is no such job\n"));
}
