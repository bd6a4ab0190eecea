//! The ways that log in to the other host as root by SSH: one pipe with either cipher, and syncoid.
//! None of them moves a zone.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::Measured;
use super::cpu::Account;
use crate::scene::HOSTS;
use crate::stage::{Stage, destroy_snapshots, patiently};

const ZFS: &str = "/usr/sbin/zfs";
/// A cipher that costs less where the CPU has AES.
const GCM: &str = "aes128-gcm@openssh.com";
const SYNCOID: &str = "/usr/sbin/syncoid";

/// Debian's package sanoid has it.
pub fn ensure_syncoid() -> Result<()> {
    ensure!(Path::new(SYNCOID).exists(), "the benchmark over SSH needs Debian's package sanoid");
    Ok(())
}

/// (b) `zfs send -R | ssh zhost2 zfs receive -d`, with whatever cipher the two agree on.
pub fn by_pipe(stage: &mut Stage) -> Result<Measured> {
    pipe(stage, "pipe", &[])
}

/// The same with a cipher that costs less where the CPU has AES.
pub fn by_pipe_gcm(stage: &mut Stage) -> Result<Measured> {
    pipe(stage, "pipe_gcm", &["-c", GCM])
}

fn pipe(stage: &Stage, way: &'static str, options: &[&str]) -> Result<Measured> {
    let top = format!("data/zones/{}", stage.plan.zone);
    let [source, target] = &stage.hosts;
    target.ask("zfs", &["create", "-o", "mountpoint=none", "-o", "canmount=off", "data/pipe"])?;
    let account = Account::open(stage)?;
    let begun = Instant::now();
    source.ask("zfs", &["snapshot", "-r", &format!("{top}@pipe")])?;
    let mut sender = source
        .command(ZFS)
        .args(["send", "-R", &format!("{top}@pipe")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stream = sender.stdout.take().context("zfs send has no stdout")?;
    let mut ssh = source.command("/usr/bin/ssh");
    ssh.args(["-o", "BatchMode=yes"]).args(options).args([HOSTS[1], ZFS, "receive", "-d", "-u", "data/pipe"]);
    let received = ssh.stdin(Stdio::from(stream)).status()?;
    let sent = sender.wait()?;
    let total = begun.elapsed().as_secs_f64();
    let cost = account.close(stage)?;
    ensure!(sent.success() && received.success(), "zfs send -R | ssh zfs receive -d: {sent}, {received}");
    patiently(target, "zfs", &["destroy", "-r", "data/pipe"])?;
    destroy_snapshots(source)?;
    Ok(Measured { cost, ..Measured::of(way, total) })
}

/// (c) `syncoid -r`, as Debian has it.
pub fn by_syncoid(stage: &mut Stage) -> Result<Measured> {
    let top = format!("data/zones/{}", stage.plan.zone);
    let [source, target] = &stage.hosts;
    target.ask("zfs", &["create", "-o", "mountpoint=none", "-o", "canmount=off", "data/syncoid"])?;
    let account = Account::open(stage)?;
    let begun = Instant::now();
    let to = format!("root@{}:data/syncoid/zone", HOSTS[1]);
    let output = source
        .command(SYNCOID)
        .args(["-r", "--quiet", &top, &to])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()?;
    let total = begun.elapsed().as_secs_f64();
    let cost = account.close(stage)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "syncoid: {}, {said}", output.status);
    let datasets = |of: &str, on: &crate::running::Running| -> Result<usize> {
        Ok(on.ask("zfs", &["list", "-H", "-o", "name", "-t", "filesystem", "-r", of])?.lines().count())
    };
    let (sent, came) = (datasets(&top, source)?, datasets("data/syncoid/zone", target)?);
    ensure!(sent == came, "syncoid has brought {came} of {sent} datasets: {said}");
    patiently(target, "zfs", &["destroy", "-r", "data/syncoid"])?;
    destroy_snapshots(source)?;
    Ok(Measured { cost, ..Measured::of("syncoid", total) })
}

/// scp of images as one would in 2007: all of them, to the same place on the other host.
pub fn scp(stage: &Stage, from: &str, to: &str) -> Result<()> {
    let command = format!("scp -q -o BatchMode=yes {from}/* {}:{to}/", HOSTS[1]);
    let copied = stage.hosts[0].command("/bin/sh").args(["-c", &command]).stdin(Stdio::null()).status()?;
    ensure!(copied.success(), "scp: {copied}");
    Ok(())
}
