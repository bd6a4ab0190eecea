//! `zmigrate-lab real`: failures, damage and the crash loop on real ZFS. The tests do all of this
//! on emulated ZFS. Here it is repeated where real ZFS can behave differently: sends and receives
//! that continue in zfs-fuse after their client was killed, broken streams, busy datasets.
//!
//! Every run must end *migrated* or *as found*, with one owner and nothing left over. The last line
//! shows the counts. The exit status is 1 if a run failed, or if real ZFS was requested and is not
//! available.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::demo;
use crate::faults::{self, Action, Rule, Stream, When};
use crate::hosts::breaks;
use crate::running::wait_for;
use crate::scene::{HOSTS, Plan};
use crate::stage::{End, Stage};

/// Its options.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The crash loop kills at every n-th command only
    #[arg(long, default_value_t = 6, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// Only runs whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Megabytes of data in the zone
    #[arg(long, default_value_t = 12, value_name = "MB")]
    size: u64,
    /// What breaks between two hosts that share nothing but a network, instead; needs root
    #[arg(long, conflicts_with = "emulated")]
    pub hosts: bool,
    /// With --hosts: other moments for what happens at random
    #[arg(long, default_value_t = 2007, requires = "hosts", value_name = "N")]
    seed: u64,
    /// Emulated ZFS, to try the runs themselves
    #[arg(long)]
    emulated: bool,
    /// Build the lab here and leave it there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// One run takes a few seconds; this is for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a run has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Moved,
    AsFound,
    /// As found, and the target's copy is kept in quarantine.
    Returned,
    Either,
}

/// One migration with something in its way.
struct Run {
    name: String,
    /// Index of the host, and its fault.
    fault: Option<(usize, Rule)>,
    /// Of the request.
    more: &'static str,
    damage: bool,
    wanted: Wanted,
}

fn run_of(name: &str, fault: Option<(usize, Rule)>, wanted: Wanted) -> Run {
    Run { name: name.to_owned(), fault, more: "", damage: false, wanted }
}

fn rule(command: &str, contains: &[&str], call: Option<u64>, action: Action) -> Rule {
    let contains = contains.iter().map(|&part| part.to_owned()).collect();
    Rule { command: command.into(), contains, call, action, seen: 0, fired: false }
}

fn fails(text: &str) -> Action {
    Action::Fail { text: text.into(), status: 1, to: Stream::Stderr, after_effect: false }
}

const VERIFY: &str = "[verify]\ncommands = [\"/opt/mysql/bin/mysqladmin status\"]\n";
const BAD_VERIFY: &str = "[verify]\ntimeout = \"3s\"\ncommands = [\"/opt/mysql/bin/nothing-here\"]\n";

fn scenarios() -> Vec<Run> {
    const SOURCE: usize = 0;
    const TARGET: usize = 1;
    let halfway = |bytes| Action::KillParent { when: When::Halfway, bytes };
    let die = |bytes| Action::DieHalfway { bytes };
    let on =
        |host, command, contains: &[&str], call, action| Some((host, rule(command, contains, call, action)));
    use Wanted::{AsFound, Moved, Returned};
    vec![
        Run { more: VERIFY, ..run_of("nothing in the way", None, Moved) },
        run_of(
            "detach fails",
            on(SOURCE, "zoneadm", &["detach"], None, fails("zoneadm: zone 'dbbackup': detach failed")),
            AsFound,
        ),
        run_of(
            "the snapshot can't be made",
            on(SOURCE, "zfs", &["snapshot"], None, fails("cannot create snapshot: permission denied")),
            AsFound,
        ),
        run_of("zfs send dies half-way, once", on(SOURCE, "zfs", &["send"], Some(3), die(256 << 10)), Moved),
        run_of(
            "zfs receive dies half-way, once",
            on(TARGET, "zfs", &["receive"], Some(5), die(256 << 10)),
            Moved,
        ),
        run_of(
            "zfs receive refuses",
            on(TARGET, "zfs", &["receive"], None, fails("cannot receive: permission denied")),
            AsFound,
        ),
        run_of(
            "the source's daemon is killed while zfs send goes on",
            on(SOURCE, "zfs", &["send"], Some(6), halfway(256 << 10)),
            Moved,
        ),
        run_of(
            "the target's daemon is killed while zfs receive goes on",
            on(TARGET, "zfs", &["receive"], Some(6), halfway(256 << 10)),
            Moved,
        ),
        Run { damage: true, ..run_of("a byte is flipped on the way", None, Moved) },
        run_of(
            "attach fails",
            on(TARGET, "zoneadm", &["attach"], None, fails("zoneadm: zone 'dbbackup': attach failed")),
            Returned,
        ),
        Run { more: BAD_VERIFY, ..run_of("a verify command fails", None, Returned) },
    ]
}

/// Runs them all.
pub fn run(options: &Options) -> Result<()> {
    if !options.emulated && !demo::can_use_real_zfs() {
        bail!("real ZFS needs root, /dev/fuse and Debian's package zfs-fuse");
    }
    let (dir, temporary) = match &options.dir {
        Some(dir) => (dir.clone(), false),
        None => (demo::temporary_dir("zmigrate-lab-real"), true),
    };
    if options.hosts {
        breaks::run(&breaks::Options {
            only: options.only.clone(),
            size: options.size,
            seed: options.seed,
            dir: dir.clone(),
        })?;
        if temporary {
            fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        return Ok(());
    }
    let mut real = Real { options, dir: dir.clone(), built: 0, stage: None, passed: 0, failed: 0 };
    for run in scenarios() {
        real.one(&run)?;
    }
    real.crash_loop()?;
    let (passed, failed) = (real.passed, real.failed);
    drop(real);
    if temporary && failed == 0 {
        fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    out!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "the lab is left in {}", dir.display());
    ensure!(passed > 0, "nothing has run");
    Ok(())
}

struct Real<'a> {
    options: &'a Options,
    dir: PathBuf,
    built: u32,
    /// Both hosts, as long as every run left them as it found them.
    stage: Option<Stage>,
    passed: u32,
    failed: u32,
}

impl Real<'_> {
    fn stage(&mut self) -> Result<&mut Stage> {
        if self.stage.is_none() {
            self.built += 1;
            let plan = Plan {
                bytes: self.options.size << 20,
                part: "1M".into(),
                real_zfs: if self.options.emulated { None } else { demo::real_zfs() },
                ..Plan::default()
            };
            let dir = self.dir.join(self.built.to_string());
            self.stage = Some(Stage::build(&dir, plan).context("build the hosts")?);
        }
        self.stage.as_mut().context("no stage")
    }

    /// Kills at the n-th command, before its effect and after it, until a run survives; on both sides.
    fn crash_loop(&mut self) -> Result<()> {
        for (host, name) in HOSTS.iter().enumerate() {
            for when in [When::Before, When::After] {
                for n in (1..).step_by(self.options.stride as usize) {
                    let action = Action::KillParent { when, bytes: 64 << 10 };
                    let fault = Some((host, rule("*", &[], Some(n), action)));
                    let moment = if when == When::Before { "before" } else { "after" };
                    let name = format!("{name}: killed {moment} its command {n}");
                    let run = Run { more: VERIFY, ..run_of(&name, fault, Wanted::Either) };
                    if self.one(&run)? != Some(true) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// One run; whether its fault has struck, or `None` where it was not asked for or went wrong.
    fn one(&mut self, run: &Run) -> Result<Option<bool>> {
        if self.options.only.as_ref().is_some_and(|only| !run.name.contains(only.as_str())) {
            return Ok(None);
        }
        let begun = Instant::now();
        let stage = self.stage()?;
        let result = attempt(stage, run);
        let took = begun.elapsed().as_secs_f64();
        match result {
            Ok((struck, end)) => {
                let ended = if end.is_ok() { "moved" } else { "as found" };
                out!("ok      {} ({ended}, {took:.1} s)", run.name);
                self.passed += 1;
                Ok(Some(struck))
            }
            Err(why) => {
                out!("FAILED  {} ({took:.1} s): {why:#}", run.name);
                out!("{}", stage.told_so_far());
                self.failed += 1;
                // These hosts are evidence now.
                self.stage = None;
                // A crash loop goes on with the next command all the same.
                Ok(run.fault.as_ref().map(|_| true).filter(|_| self.failed < 10))
            }
        }
    }
}

fn attempt(stage: &mut Stage, run: &Run) -> Result<(bool, End)> {
    stage.start_daemons()?;
    if let Some((host, rule)) = &run.fault {
        faults::set_rules(&stage.hosts[*host].host, std::slice::from_ref(rule))?;
    }
    stage.submit(run.more)?;
    if run.damage {
        flip_a_byte(stage)?;
    }
    let end = stage.drive(PATIENCE)?;
    let struck = match &run.fault {
        Some((host, _)) => faults::rules(&stage.hosts[*host].host)?.iter().any(|rule| rule.fired),
        None => false,
    };
    ensure!(run.wanted == Wanted::Either || struck == run.fault.is_some(), "the fault has not struck");
    let as_wanted = match run.wanted {
        Wanted::Either => true,
        Wanted::Moved => end.is_ok(),
        Wanted::AsFound | Wanted::Returned => !end.is_ok(),
    };
    ensure!(as_wanted, "it ended otherwise: {}", end.source);
    let wrong = stage.judge(&end, matches!(run.wanted, Wanted::Returned | Wanted::Either))?;
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    if run.damage {
        ensure!(
            stage.log(1).contains("is damaged, asking for it again"),
            "the target has not seen the damage"
        );
        let again = stage.log(0).matches("arrived damaged, copying it again").count();
        ensure!(again == 1, "{again} parts were copied again, not one");
    }
    stage.put_back(&end)?;
    Ok((struck, end))
}

/// Flips a byte in the last part that has come, while the target does not look.
fn flip_a_byte(stage: &mut Stage) -> Result<()> {
    let inbox = stage.hosts[1].host.file("export/scratch/zmigrate/dropbox").join(HOSTS[0]).join("in");
    let entries = || {
        let mut entries: Vec<PathBuf> = crate::stage::files(&inbox)
            .into_iter()
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.ends_with(".entry") && !name.starts_with('.')
            })
            .collect();
        entries.sort();
        entries
    };
    wait_for("the first part", PATIENCE, || !entries().is_empty())?;
    let target = stage.hosts[1].daemon_pid().context("the target's daemon")?;
    let signal = |signal| kill(Pid::from_raw(target as i32), signal).context("signal the target's daemon");
    signal(Signal::SIGSTOP)?;
    // What lies there now may be in its memory already; what comes from now on is not.
    let old = entries();
    let news = || entries().into_iter().rfind(|entry| !old.contains(entry));
    let flipped = wait_for("one part more", PATIENCE, || news().is_some()).and_then(|()| {
        let entry = news().context("a part")?;
        let part = entry.with_extension("");
        let file = fs::File::options().read(true).write(true).open(&part)?;
        let mut byte = [0];
        let middle = file.metadata()?.len() / 2;
        file.read_exact_at(&mut byte, middle)?;
        file.write_all_at(&[byte[0] ^ 0x10], middle)?;
        Ok(())
    });
    signal(Signal::SIGCONT)?;
    flipped
}
