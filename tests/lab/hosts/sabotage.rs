//! What is done to a migration on its way: cut links, ended daemons, full disks, hosts that go down.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::alone::Stat;
use super::link::Change;
use super::power;
use crate::running::wait_for;
use crate::scene::HOSTS;
use crate::stage::Stage;

/// A run takes some ten seconds; this is for a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(240);
const PART: u64 = 1 << 20;
/// The number of connections that one host may have open to the other, by its configuration.
pub const CONNECTIONS: u64 = 2;
const CUTS: u32 = 20;

/// The link of the target goes and comes. Every other time all connections over it have ended when it comes back; else nobody has
/// noticed, and they go on.
pub fn cut_often(stage: &mut Stage, dice: &mut Dice) -> Result<()> {
    // Slow enough for twenty cuts.
    change(stage, &Change::Slow { mbit: 16 })?;
    let before = sent(stage)?;
    for number in 0..CUTS {
        let since = sent(stage)?;
        wait_for("the copy to go on", PATIENCE, || {
            sent(stage).is_ok_and(|now| now > since + 64 * 1024) || !stage.outcomes(0).is_empty()
        })?;
        ensure!(stage.outcomes(0).is_empty(), "the migration was over after {number} cuts");
        dice.pause(300);
        change(stage, &Change::Cut)?;
        if number % 2 == 0 {
            end_sessions(stage, Signal::SIGKILL)?;
        }
        dice.pause(400);
        change(stage, &Change::Slow { mbit: 16 })?;
    }
    change(stage, &Change::Join)?;
    let end = stage.drive(PATIENCE)?;
    let images = end.bytes().context("the outcome has no bytes")?;
    let sent = sent(stage)? - before;
    // Frames, SSH's and SFTP's own: one in twenty is plenty.
    let most = images + images / 20 + u64::from(CUTS) * CONNECTIONS * PART;
    out!("        {sent} bytes were sent for {images} of images, at most {most} were allowed");
    ensure!(sent < most, "{sent} bytes were sent for {images} bytes of images, {most} were allowed");
    Ok(())
}

pub fn cut_at_the_handoff(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    wait_for("the handoff to be journaled", PATIENCE, || stage.happened(0, "\"handed-off\"").is_ok())?;
    cut_for(stage, Duration::from_secs(4))
}

pub fn cut_behind_the_handoff(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    let inbox = stage.hosts[1].scratch().join("zmigrate/dropbox").join(HOSTS[0]).join("in");
    let arrived = || {
        fs::read_dir(&inbox).into_iter().flatten().flatten().any(|job| job.path().join("handoff").exists())
    };
    wait_for("the handoff to arrive", PATIENCE, arrived)?;
    cut_for(stage, Duration::from_secs(4))
}

fn cut_for(stage: &Stage, time: Duration) -> Result<()> {
    change(stage, &Change::Cut)?;
    std::thread::sleep(time);
    change(stage, &Change::Join)
}

/// In both directions, from the offer to the ack.
pub fn lose_packets(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    change(stage, &Change::Loss { percent: 3 })?;
    stage.drive(PATIENCE).map(drop)
}

pub fn restart_sshd(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    stage.hosts[1].parts.as_mut().context("no parts")?.restart_sshd()?;
    change(stage, &Change::Join)
}

/// Nothing comes through and nobody says so, until the source has seen it by itself.
pub fn half_open(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    change(stage, &Change::Dumb)?;
    complaint(stage, 0)?;
    change(stage, &Change::Join)
}

pub fn stop_daemon(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    stage.hosts[1].stop_daemon()?;
    change(stage, &Change::Join)?;
    // The source puts what it has and waits for words that do not come.
    let images = stage.hosts[1].scratch().join("zmigrate/dropbox").join(HOSTS[0]).join("in");
    let parts = || crate::stage::files(&images).len();
    let mut last = (parts(), Instant::now());
    wait_for("the source to have put all it can", PATIENCE, || {
        let now = parts();
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(2)
    })
}

pub fn reboot_half_way(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    reboot_target(stage)
}

pub fn reboot_at_the_handoff(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    wait_for("the handoff to be journaled", PATIENCE, || stage.happened(0, "\"handed-off\"").is_ok())?;
    reboot_target(stage)
}

fn reboot_target(stage: &mut Stage) -> Result<()> {
    let switch = &stage.network.as_ref().context("no network")?.switch;
    power::cycle(&mut stage.hosts[1], &stage.dir, switch)
}

/// The scratch is filled with something else, until somebody complains.
pub fn fill_scratch(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    let ballast = stage.hosts[1].scratch().join("ballast");
    fill(&ballast)?;
    change(stage, &Change::Join)?;
    let complained = complaint(stage, 0);
    fs::remove_file(&ballast)?;
    complained
}

fn fill(file: &Path) -> Result<()> {
    let mut to = fs::File::create(file)?;
    match std::io::copy(&mut std::io::repeat(7), &mut to) {
        Ok(_) => bail!("an endless file has ended"),
        Err(why) if why.raw_os_error() == Some(nix::libc::ENOSPC) => Ok(()),
        Err(why) => Err(why).context("fill the scratch"),
    }
}

/// The target's pool takes one megabyte more, until somebody complains or the job has ended. By a quota on the pool's
/// top: a reservation for something else races with what is still being written.
pub fn fill_pool(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    // What is used grows by whole transaction groups, also between the two commands: then the quota is too small to be taken.
    let target = &stage.hosts[1];
    let limit = || -> Result<()> {
        let used: u64 = target.ask("zfs", &["get", "-Hp", "-o", "value", "used", "data"])?.trim().parse()?;
        target.ask("zfs", &["set", &format!("quota={}", used + (1 << 20)), "data"]).map(drop)
    };
    wait_for("the pool to take a quota", PATIENCE, || limit().is_ok())?;
    change(stage, &Change::Join)?;
    let complained = complaint(stage, 1);
    stage.hosts[1].ask("zfs", &["set", "quota=none", "data"])?;
    complained
}

/// Waits until half of the zone has come over the link.
fn half_way(stage: &Stage) -> Result<()> {
    let half = sent(stage)? + stage.plan.bytes / 2;
    wait_for("half of the zone to be sent", PATIENCE, || sent(stage).is_ok_and(|now| now > half))
}

/// Waits until a host's daemon says that something does not go on, and shows its words. A zone that has moved without a word was
/// never in the way of what was done to it.
fn complaint(stage: &Stage, index: usize) -> Result<()> {
    let said = || -> Vec<String> {
        let log = fs::read_to_string(stage.hosts[index].daemon_log()).unwrap_or_default();
        let complaints = |line: &&str| line.contains("event=deferred") || line.contains("event=held");
        log.lines().filter(complaints).map(str::to_owned).collect()
    };
    let before = said().len();
    wait_for("a complaint", PATIENCE, || said().len() > before || !stage.outcomes(0).is_empty())?;
    let said = said();
    said.iter().skip(before).for_each(|line| out!("        {line}"));
    let moved = stage.outcomes(0).iter().any(|line| line.contains(" result=ok "));
    ensure!(said.len() > before || !moved, "it has moved, and nobody complained");
    Ok(())
}

/// Changes the network on the way to the target.
pub fn change(stage: &Stage, change: &Change) -> Result<()> {
    stage.network.as_ref().context("no network")?.switch.change(HOSTS[1], change)
}

/// Bytes that have come from the source so far.
fn sent(stage: &Stage) -> Result<u64> {
    stage.network.as_ref().context("no network")?.switch.bytes_from(HOSTS[0])
}

/// Ends the target's side of every connection; sshd itself goes on.
fn end_sessions(stage: &Stage, signal: Signal) -> Result<()> {
    let parts = stage.hosts[1].parts.as_ref().context("no parts")?;
    let daemon = parts.sshd_pid().map(|pid| pid as i32);
    let is_session =
        |pid: &i32| Some(*pid) != daemon && Stat::of(*pid).is_some_and(|stat| stat.name.starts_with("sshd"));
    for pid in parts.place.processes().into_iter().filter(is_session) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
    Ok(())
}

/// Numbers that look like chance, the same for the same seed (xorshift).
pub struct Dice(pub u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A moment later: the time itself is what is tried here.
    fn pause(&mut self, most_ms: u64) {
        std::thread::sleep(Duration::from_millis(self.below(most_ms)));
    }
}
