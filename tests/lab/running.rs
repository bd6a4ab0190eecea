//! A running host: its namespaces and real ZFS, if it has them, and its daemon.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::hosts::parts::Parts;
use crate::scene::configuration;
use crate::world::Host;

/// A mount namespace with a zfs-fuse of its own. The tmpfs over /export takes the mountpoints, which else would be
/// made in the root filesystem that all hosts share.
const OWN_ZFS: &str = "mount --make-rprivate / && \
for d in /run/zfs /run/lock/zfs /var/lib/zfs /export; do mkdir -p $d && mount -t tmpfs tmpfs $d || exit 1; done && \
exec zfs-fuse --no-daemon --no-kstat-mount";

/// One host, alive.
pub struct Running {
    /// Its directory.
    pub host: Host,
    zfs: Option<Child>,
    daemon: Option<Child>,
    /// Its namespaces, sshd and rsyslogd, where it is more than a directory.
    pub parts: Option<Parts>,
}

impl Running {
    /// Starts the host's ZFS, if it is real.
    pub fn start(host: Host) -> Result<Self> {
        let mut running = Self { host, zfs: None, daemon: None, parts: None };
        if running.host.settings()?.real_zfs {
            let log = File::create(running.host.file("zfs-fuse.log"))?;
            let child = Command::new("unshare")
                .args(["-m", "sh", "-c", OWN_ZFS])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .context("start zfs-fuse")?;
            running.zfs = Some(child);
            running.wait_for_zfs()?;
        }
        Ok(running)
    }

    /// Starts a host on real parts: ZFS, rsyslogd, sshd.
    pub fn start_on(host: Host, parts: Parts) -> Result<Self> {
        let mut running = Self::of_parts(host, parts);
        running.power_on()?;
        Ok(running)
    }

    /// A host on real parts of which nothing is started here.
    pub fn of_parts(host: Host, parts: Parts) -> Self {
        Self { host, zfs: None, daemon: None, parts: Some(parts) }
    }

    /// The power goes: every process ends at once.
    pub fn power_off(&mut self) -> Result<()> {
        self.parts.as_mut().context("a directory has no power")?.kill()?;
        for mut child in [self.daemon.take(), self.zfs.take()].into_iter().flatten() {
            child.wait()?;
        }
        Ok(())
    }

    /// Starts what a host on real parts runs, but for its zones and zmigrated.
    pub fn power_on(&mut self) -> Result<()> {
        let log = File::options().append(true).create(true).open(self.host.file("zfs-fuse.log"))?;
        let child = self
            .command("zfs-fuse")
            .args(["--no-daemon", "--no-kstat-mount"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start zfs-fuse")?;
        self.zfs = Some(child);
        self.wait_for_zfs()?;
        self.parts.as_mut().context("no parts")?.start()
    }

    fn wait_for_zfs(&self) -> Result<()> {
        let ready = || {
            let status =
                self.command("zpool").arg("list").stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        wait_for("zfs-fuse to answer", Duration::from_secs(60), ready)
    }

    /// A path of the host as a process outside of it sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        match &self.parts {
            Some(parts) => parts.place.path(path),
            None => self.host.path(path),
        }
    }

    /// The host's scratch.
    pub fn scratch(&self) -> PathBuf {
        match &self.parts {
            Some(parts) => parts.place.path("/export/scratch"),
            None => self.host.file("export/scratch"),
        }
    }

    /// A program, run where the host is.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        if let Some(parts) = &self.parts {
            return parts.place.command(program);
        }
        match &self.zfs {
            Some(zfs) => {
                let mut command = Command::new("nsenter");
                command.args(["-t", &zfs.id().to_string(), "-m", "--"]).arg(program.as_ref());
                command
            }
            None => Command::new(program.as_ref()),
        }
    }

    /// One of the host's own commands, without faults and without a line in the calls' log.
    pub fn own(&self, name: &str) -> Command {
        let mut command = self.command(self.host.file("usr/sbin").join(name));
        command.env(crate::inner::INNER, "1");
        command
    }

    /// What one of the host's own commands prints.
    pub fn ask(&self, name: &str, args: &[&str]) -> Result<String> {
        let output = self.own(name).args(args).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!(
                "{name} {} on {}: {}{}",
                args.join(" "),
                self.host.name(),
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(&output.stdout)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The lab itself, on this host.
    pub fn lab(&self, args: &[&str]) -> Result<String> {
        let program = std::env::current_exe()?;
        let output =
            self.command(program).args(args).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("zmigrate-lab {} failed", args.join(" "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A program of the product, with this host's configuration.
    pub fn product(&self, name: &str) -> Command {
        let mut command = self.command(self.host.file("opt/zmigrate/bin").join(name));
        command.arg("-c").arg(configuration(&self.host));
        command
    }

    /// Where the daemon's stderr goes.
    pub fn daemon_log(&self) -> PathBuf {
        self.host.file("var/zmigrated.stderr")
    }

    /// Starts the daemon in the foreground, as a child.
    pub fn start_daemon(&mut self) -> Result<()> {
        let log = File::options().append(true).create(true).open(self.daemon_log())?;
        let child =
            self.product("zmigrated").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        self.daemon = Some(child);
        let lock = self.host.file("var/spool/zmigrate/lock");
        wait_for("zmigrated to open its spool", Duration::from_secs(60), || lock.exists())
    }

    /// The daemon's process id.
    pub fn daemon_pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// Does the daemon run? One that has ended is forgotten.
    pub fn is_daemon_alive(&mut self) -> bool {
        let alive = self.daemon.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !alive {
            self.daemon = None;
        }
        alive
    }

    /// Ends the daemon as SMF does.
    pub fn stop_daemon(&mut self) -> Result<()> {
        let Some(mut child) = self.daemon.take() else { return Ok(()) };
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM)?;
        let status = child.wait()?;
        if !status.success() {
            bail!("zmigrated on {} ended with {status}", self.host.name());
        }
        Ok(())
    }

    /// Lines of the daemon's log that are outcomes.
    pub fn outcomes(&self) -> Vec<String> {
        let mut text = String::new();
        if let Ok(mut file) = File::open(self.daemon_log()) {
            let _ = file.read_to_string(&mut text);
        }
        text.lines().filter(|line| line.contains(" result=")).map(str::to_owned).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // On real parts all of it goes at once.
        drop(self.parts.take());
        for child in [self.daemon.take(), self.zfs.take()].into_iter().flatten() {
            let mut child = child;
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a state, with a deadline.
pub fn wait_for(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let until = Instant::now() + limit;
    while !is_so() {
        if Instant::now() > until {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}
