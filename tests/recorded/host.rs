//! A host of the lab, with what the recordings began with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The zone that the recordings began with.
pub const BASE: &str = include_str!("../samples/real/base.cfg");

/// A host of the lab in a directory of its own.
pub struct Host {
    /// The lab's directory.
    pub dir: tempfile::TempDir,
}

impl Host {
    /// OmniOS, without pool and zone.
    pub fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap() };
        host.lab(&["host", "zhost1"]);
        host
    }

    /// Runs `zmigrate-lab`.
    pub fn lab(&self, args: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zmigrate-lab"));
        command.args(args).arg("--dir").arg(self.dir.path());
        let done = command.output().unwrap();
        assert!(done.status.success(), "zmigrate-lab {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Where the host's path lies, unless a dataset holds it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("zhost1").join(path.trim_start_matches('/'))
    }

    /// Runs a command of the host.
    pub fn try_run(&self, command: &str, args: &[String]) -> Output {
        let mut child = Command::new(self.path("usr/sbin").join(command));
        child.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        child.output().unwrap()
    }

    /// Runs one that must succeed.
    pub fn run(&self, line: &str) {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let done = self.try_run(&words[0], &words[1..]);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Configures the zone that the recordings began with.
    pub fn configure(&self) {
        self.configure_as(BASE);
    }

    fn configure_as(&self, commands: &str) {
        fs::write(self.dir.path().join("base.cfg"), commands).unwrap();
        self.run("zonecfg -z web -f base.cfg");
    }

    /// The zones' lines of `/etc/zones/index`.
    pub fn index(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("etc/zones/index")).unwrap_or_default();
        let zone = |line: &&str| !line.starts_with('#') && !line.starts_with("global:");
        text.lines().filter(zone).map(str::to_owned).collect()
    }

    /// Puts that zone into a state.
    pub fn set_index(&self, state: &str) {
        let line = format!("web:{state}:/zones/web:e6d67a3b-0ab2-6f5d-a5a3-ac6b4b4a8f11\n");
        fs::write(self.path("etc/zones/index"), format!("global:installed:/\n{line}")).unwrap();
    }

    /// Its export without quotes.
    pub fn export(&self, zone: &str) -> String {
        let done = self.try_run("zonecfg", &["-z", zone, "export"].map(str::to_owned));
        String::from_utf8(done.stdout).unwrap().replace('"', "")
    }

    /// Makes the pool `tank` and installs that zone on it.
    pub fn install(&self) {
        self.install_as(BASE);
    }

    /// The same of a zone that these commands configure.
    pub fn install_as(&self, commands: &str) {
        fs::File::create(self.path("var/tmp/disk")).unwrap().set_len(256 << 20).unwrap();
        fs::create_dir_all(self.path("export/data")).unwrap();
        for line in [
            "zpool create tank /var/tmp/disk",
            // Not mounted, so that /zones/web is a link to the dataset's files.
            "zfs create -o mountpoint=/zones -o canmount=off tank/zones",
            "zfs create tank/zones/web",
            "zfs create -o mountpoint=legacy tank/zones/web/ROOT",
            "zfs create -o mountpoint=/zones/web/root tank/zones/web/ROOT/zbe",
            "zfs create tank/d1",
            "zfs create tank/d2",
        ] {
            self.run(line);
        }
        fs::set_permissions(self.path("zones/web"), Permissions::from_mode(0o700)).unwrap();
        self.configure_as(commands);
        self.lab(&["install", "zhost1", "web"]);
    }
}
