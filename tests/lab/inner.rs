//! Commands that the lab runs itself: a host's own command, without faults and without a line in
//! the calls' log, as zoneadm runs zfs; and the real program that an emulated name stands for.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::world::Host;

/// Set for a command that is a part of another one: no fault befalls it, and it isn't logged.
pub const INNER: &str = "LAB_INNER";

/// How a command of the host ended.
pub struct Answer {
    /// Its exit status, 128 + signal where it was killed.
    pub status: i32,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

/// The host's own command, not yet started.
pub fn command<S: AsRef<OsStr>>(host: &Host, name: &str, args: &[S]) -> Command {
    let mut command = Command::new(host.file("usr/sbin").join(name));
    command.args(args).env(INNER, "1");
    command
}

/// Runs a command of the host and takes its answer.
pub fn ask(host: &Host, name: &str, args: &[&str]) -> Result<Answer> {
    let output =
        command(host, name, args).stdin(Stdio::null()).output().with_context(|| format!("start {name}"))?;
    Ok(Answer {
        status: status_of(output.status),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs the real program with our own stdin, stdout and stderr. zfs-fuse's `zfs` looks for umount(8) in PATH, and
/// exits 0 where it finds none; the PATH that a daemon under test gives has the lab's commands only.
pub fn pass_through(program: &Path, args: &[String]) -> Result<i32> {
    let status = Command::new(program)
        .args(args)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .status()
        .with_context(|| format!("start {}", program.display()))?;
    Ok(status_of(status))
}

/// A status as a shell would give it.
pub fn status_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
