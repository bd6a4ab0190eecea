//! `zmigrate-lab real --hosts`: what breaks between two hosts. Each run moves the zone and breaks
//! something on the way. Each run must end *migrated* or *as found*, with one owner, an empty
//! scratch, and one outcome of each host at the log host. The last line shows the counts; the exit
//! status is 1 if a run failed.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::demo::outcomes_at_loghost;
use super::link::Change;
use super::sabotage::{
    CONNECTIONS, Dice, PATIENCE, change, cut_at_the_handoff, cut_behind_the_handoff, cut_often, fill_pool,
    fill_scratch, half_open, lose_packets, reboot_at_the_handoff, reboot_half_way, restart_sshd, stop_daemon,
};
use super::{network, refusals, silence};
use crate::demo;
use crate::scene::{Plan, Wire};
use crate::stage::{End, Stage};

/// Its options.
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
