//! `zmigrate-lab real --hosts`: what breaks between two hosts. Each run moves the zone and breaks something on the way;
//! each must end *migrated* or *as found*, with one owner, nothing left on the scratch, and one outcome of each host at
//! the log host. The last line counts; the exit status is 1 when anything failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::alone::Stat;
use super::demo::outcomes_at_loghost;
use super::link::Change;
use super::{network, power, refusals, silence};
use crate::demo;
use crate::running::wait_for;
use crate::scene::{HOSTS, Plan, Wire};
use crate::stage::{End, Stage};

/// What it can be told.
#[derive(Debug)]
pub struct Options {
    /// Only runs whose name contains this.
    pub only: Option<String>,
    /// Megabytes of data in the zone.
    pub size: u64,
    /// Other moments for what happens at random.
    pub seed: u64,
    /// Where it is built.
    pub dir: PathBuf,
}

/// A run takes some ten seconds; this is for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(240);
const PART: u64 = 1 << 20;
/// So many are open at once from one host to the other, by its configuration.
const CONNECTIONS: u64 = 2;
const CUTS: u32 = 20;
const SCRATCH: &str = "192m";

/// Something in the way of a migration that is under way. Returns when it is out of the way again.
type Break = fn(&mut Stage, &mut Dice) -> Result<()>;

/// How a run has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Moved,
    /// Moved or as found.
    Either,
}

const RUNS: [(&str, Break, Wanted); 14] = [
    ("nothing breaks", |_, _| Ok(()), Wanted::Moved),
    ("the link is cut 20 times at random moments", cut_often, Wanted::Moved),
    ("the link goes when the handoff is journaled", cut_at_the_handoff, Wanted::Moved),
    ("the link goes when the handoff has arrived", cut_behind_the_handoff, Wanted::Moved),
    ("packets are lost", lose_packets, Wanted::Moved),
    ("sshd is restarted", restart_sshd, Wanted::Moved),
    ("a connection is half-open", half_open, Wanted::Moved),
    ("the peer's daemon is stopped", stop_daemon, Wanted::Moved),
    ("the peer is rebooted half-way", reboot_half_way, Wanted::Moved),
    ("the peer is rebooted at the handoff", reboot_at_the_handoff, Wanted::Moved),
    ("the target's scratch is full", fill_scratch, Wanted::Moved),
    ("the target's pool is full", fill_pool, Wanted::Either),
    ("the log host is down and comes back", |stage, _| silence::deaf(stage), Wanted::Moved),
    ("the log host is off and comes back", |stage, _| silence::off(stage), Wanted::Moved),
];

/// Runs them all.
pub fn run(options: &Options) -> Result<()> {
    if !demo::can_use_real_zfs() {
        bail!("real ZFS needs root, /dev/fuse and Debian's package zfs-fuse");
    }
    network::ensure_packages()?;
    let mut breaks =
        Breaks { options, built: 0, stage: None, dice: Dice(options.seed | 1), passed: 0, failed: 0 };
    breaks.refusals()?;
    for (name, act, wanted) in RUNS {
        breaks.one(name, act, wanted)?;
    }
    let (passed, failed) = (breaks.passed, breaks.failed);
    drop(breaks);
    out!("{passed} passed, {failed} failed (seed {})", options.seed);
    ensure!(failed == 0, "the lab's files are left in {}", options.dir.display());
    ensure!(passed > 0, "nothing has run");
    Ok(())
}

struct Breaks<'a> {
    options: &'a Options,
    built: u32,
    /// All hosts, as long as every run left them as it found them.
    stage: Option<Stage>,
    dice: Dice,
    passed: u32,
    failed: u32,
}

impl Breaks<'_> {
    fn stage(&mut self) -> Result<&mut Stage> {
        if self.stage.is_none() {
            self.built += 1;
            let plan = Plan {
                bytes: self.options.size << 20,
                part: "1M".into(),
                real_zfs: demo::real_zfs(),
                network: Some(Wire {
                    scratch: Some(SCRATCH.into()),
                    peer: format!("connections = {CONNECTIONS}\n"),
                    log: "tcp".into(),
                }),
                ..Plan::default()
            };
            let dir = self.options.dir.join(self.built.to_string());
            self.stage = Some(Stage::build(&dir, plan).context("build the hosts")?);
        }
        self.stage.as_mut().context("no stage")
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.options.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    fn count(&mut self, name: &str, begun: Instant, result: Result<String>) {
        let took = begun.elapsed().as_secs_f64();
        match result {
            Ok(how) => {
                out!("ok      {name} ({how}, {took:.1} s)");
                self.passed += 1;
            }
            Err(why) => {
                out!("FAILED  {name} ({took:.1} s): {why:#}");
                if let Some(stage) = &self.stage {
                    out!("{}", stage.told_so_far());
                }
                self.failed += 1;
                // These hosts are evidence now.
                self.stage = None;
            }
        }
    }

    fn refusals(&mut self) -> Result<()> {
        for (name, refused) in refusals::ALL {
            if self.is_wanted(name) {
                let begun = Instant::now();
                let result = refused(self.stage()?).map(|()| "refused".to_owned());
                self.count(name, begun, result);
            }
        }
        Ok(())
    }

    fn one(&mut self, name: &str, act: Break, wanted: Wanted) -> Result<()> {
        if !self.is_wanted(name) {
            return Ok(());
        }
        let begun = Instant::now();
        self.stage()?;
        let mut stage = self.stage.take().context("no stage")?;
        let result = attempt(&mut stage, &mut self.dice, act, wanted);
        self.stage = Some(stage);
        let ended = |end: End| if end.is_ok() { "moved" } else { "as found" }.to_owned();
        self.count(name, begun, result.map(ended));
        Ok(())
    }
}

fn attempt(stage: &mut Stage, dice: &mut Dice, act: Break, wanted: Wanted) -> Result<End> {
    stage.start_daemons()?;
    // Slow enough to break something half-way.
    change(stage, &Change::Slow { mbit: 32 })?;
    stage.submit("")?;
    act(stage, dice)?;
    let end = stage.drive(PATIENCE)?;
    change(stage, &Change::Join)?;
    ensure!(wanted == Wanted::Either || end.is_ok(), "it ended otherwise: {}", end.source);
    let wrong = stage.judge(&end, wanted == Wanted::Either)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    outcomes_at_loghost(stage, &end)?;
    stage.put_back(&end)?;
    Ok(end)
}

/// The link of the target goes and comes. Every other time all connections over it have ended when it comes back; else nobody has
/// noticed, and they go on.
fn cut_often(stage: &mut Stage, dice: &mut Dice) -> Result<()> {
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

fn cut_at_the_handoff(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    wait_for("the handoff to be journaled", PATIENCE, || stage.happened(0, "\"handed-off\"").is_ok())?;
    cut_for(stage, Duration::from_secs(4))
}

fn cut_behind_the_handoff(stage: &mut Stage, _: &mut Dice) -> Result<()> {
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
fn lose_packets(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    change(stage, &Change::Loss { percent: 3 })?;
    stage.drive(PATIENCE).map(drop)
}

fn restart_sshd(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    stage.hosts[1].parts.as_mut().context("no parts")?.restart_sshd()?;
    change(stage, &Change::Join)
}

/// Nothing comes through and nobody says so, until the source has seen it by itself.
fn half_open(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    change(stage, &Change::Dumb)?;
    complaint(stage, 0)?;
    change(stage, &Change::Join)
}

fn stop_daemon(stage: &mut Stage, _: &mut Dice) -> Result<()> {
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

fn reboot_half_way(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    half_way(stage)?;
    reboot_target(stage)
}

fn reboot_at_the_handoff(stage: &mut Stage, _: &mut Dice) -> Result<()> {
    wait_for("the handoff to be journaled", PATIENCE, || stage.happened(0, "\"handed-off\"").is_ok())?;
    reboot_target(stage)
}

fn reboot_target(stage: &mut Stage) -> Result<()> {
    let switch = &stage.network.as_ref().context("no network")?.switch;
    power::cycle(&mut stage.hosts[1], &stage.dir, switch)
}

/// The scratch is filled with something else, until somebody complains.
fn fill_scratch(stage: &mut Stage, _: &mut Dice) -> Result<()> {
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
fn fill_pool(stage: &mut Stage, _: &mut Dice) -> Result<()> {
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

fn change(stage: &Stage, change: &Change) -> Result<()> {
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
struct Dice(u64);

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
