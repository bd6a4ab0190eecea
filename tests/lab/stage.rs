//! Both hosts with the zone on the first one, for several migrations in a row. A request is
//! dropped, the daemons run to the end (a killed daemon is started again, as SMF does), the end is
//! judged, and everything is restored.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};

use crate::demo;
use crate::faults;
use crate::hosts::Network;
use crate::hosts::demo::without_databases;
use crate::picture::{self, Picture};
use crate::running::{Running, wait_for};
use crate::scene::{HOSTS, Plan};

/// The commands with which a host forgets a zone, and those with which another one has it again.
type Commands<'a> = &'a [(&'a str, &'a [&'a str])];

/// Two hosts, the zone, and what it looks like.
pub struct Stage {
    /// The lab's directory.
    pub dir: PathBuf,
    /// What was built.
    pub plan: Plan,
    /// Source and target.
    pub hosts: [Running; 2],
    /// What is between them, where they are on real parts.
    pub network: Option<Network>,
    /// The zone as it was built.
    pub before: Picture,
    /// Outcomes logged before the present migration.
    told: [usize; 2],
}

/// How a migration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The source's outcome line.
    pub source: String,
    /// The target's, where it took part.
    pub target: Option<String>,
    /// How often a daemon had to be started again.
    pub restarts: u32,
}

impl End {
    /// Did the zone move?
    pub fn is_ok(&self) -> bool {
        self.source.contains(" result=ok ")
    }

    /// Bytes of its images.
    pub fn bytes(&self) -> Option<u64> {
        self.source.split(' ').find_map(|field| field.strip_prefix("bytes=")?.parse().ok())
    }

    /// The job that has ended.
    pub fn job(&self) -> Option<&str> {
        self.source.split(' ').find_map(|field| field.strip_prefix("job="))
    }
}

impl Stage {
    /// Builds everything in a directory of our own; the daemons are not running yet.
    pub fn build(dir: &Path, plan: Plan) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let (hosts, network) = demo::build(&dir, &plan)?;
        let before = demo::picture(&hosts[0], &dir, &plan.zone)?;
        Ok(Self { dir, plan, hosts, network, before, told: [0, 0] })
    }

    /// Starts whichever daemon is not running, and says how many that were.
    pub fn start_daemons(&mut self) -> Result<u32> {
        let mut started = 0;
        for host in &mut self.hosts {
            if !host.is_daemon_alive() {
                host.start_daemon()?;
                started += 1;
            }
        }
        Ok(started)
    }

    /// Stops both daemons.
    pub fn stop_daemons(&mut self) -> Result<()> {
        self.hosts.iter_mut().try_for_each(Running::stop_daemon)
    }

    /// Drops a request; `more` is what it says besides zone and target.
    pub fn submit(&mut self, more: &str) -> Result<()> {
        self.told = [0, 1].map(|i| self.hosts[i].outcomes().len());
        let incoming = self.hosts[0].host.file("var/spool/zmigrate/incoming");
        fs::create_dir_all(&incoming)?;
        let dot = incoming.join(".request");
        fs::write(&dot, format!("zone = \"{}\"\nto = \"{}\"\n{more}", self.plan.zone, HOSTS[1]))?;
        // As `zmigrate submit` leaves it: whole, and not to be left to settle.
        fs::set_permissions(&dot, std::os::unix::fs::PermissionsExt::from_mode(0o400))?;
        fs::rename(&dot, incoming.join(format!("{}.toml", self.plan.zone)))?;
        Ok(())
    }

    /// Outcomes of the present migration, by host.
    pub fn outcomes(&self, index: usize) -> Vec<String> {
        self.hosts[index].outcomes().into_iter().skip(self.told[index]).collect()
    }

    /// Waits until the migration has ended on both hosts, starting killed daemons again.
    pub fn drive(&mut self, limit: Duration) -> Result<End> {
        let mut restarts = 0;
        let mut failed = None;
        let waited = wait_for("the migration to end", limit, || {
            match self.start_daemons() {
                Ok(started) => restarts += started,
                Err(why) => failed = Some(why),
            }
            failed.is_some() || (!self.outcomes(0).is_empty() && self.is_quiet())
        });
        if let Some(why) = failed {
            return Err(why);
        }
        waited?;
        let source = self.outcomes(0).pop().unwrap_or_default();
        Ok(End { source, target: self.outcomes(1).pop(), restarts })
    }

    /// No request waits and no job goes on, on either host.
    fn is_quiet(&self) -> bool {
        let empty = |index: usize, queue: &str| {
            let dir = self.hosts[index].host.file("var/spool/zmigrate").join(queue);
            let files = fs::read_dir(dir).into_iter().flatten().flatten();
            files.filter(|file| !file.file_name().to_string_lossy().starts_with('.')).count() == 0
        };
        empty(0, "incoming") && empty(0, "active") && empty(1, "active")
    }

    /// The last lines of both jobs' logs, for a report of failure.
    pub fn told_so_far(&self) -> String {
        let mut text = String::new();
        for (index, host) in self.hosts.iter().enumerate() {
            text.push_str(&format!("--- {}\n", host.host.name()));
            let log = self.log(index);
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(25)..] {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text
    }

    /// The newest job's log on a host.
    pub fn log(&self, index: usize) -> String {
        self.newest(index, "log").and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default()
    }

    /// A file of the newest job on a host.
    pub fn newest(&self, index: usize, name: &str) -> Option<PathBuf> {
        let spool = self.hosts[index].host.file("var/spool/zmigrate");
        let jobs = ["active", "done", "failed"].into_iter().flat_map(|queue| fs::read_dir(spool.join(queue)));
        let files = jobs.flatten().flatten().map(|job| job.path().join(name));
        files
            .filter(|file| file.exists())
            .max_by_key(|file| fs::metadata(file).and_then(|m| m.modified()).ok())
    }

    /// When the newest job journaled the last event whose line contains `what`.
    pub fn happened(&self, index: usize, what: &str) -> Result<DateTime<Utc>> {
        let journal = fs::read_to_string(self.newest(index, "journal").context("no journal")?)?;
        let line = journal.lines().rfind(|line| line.contains(what));
        let line: serde_json::Value =
            serde_json::from_str(line.with_context(|| format!("the journal has no {what}"))?)?;
        Ok(line["at"].as_str().context("no time")?.parse()?)
    }

    /// What is wrong with how it ended; nothing when it is *migrated* or *as found*. `kept`: a failure behind
    /// the handoff leaves the target's copy in quarantine.
    pub fn judge(&self, end: &End, kept: bool) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let [source, target] = &self.hosts;
        let top = format!("data/zones/{}", self.plan.zone);
        let state = |on: &Running| -> Result<String> {
            let all = on.ask("zoneadm", &["list", "-cp"])?;
            let line = all.lines().find(|line| line.split(':').nth(1) == Some(&self.plan.zone));
            Ok(line.and_then(|line| line.split(':').nth(2)).unwrap_or("none").to_owned())
        };
        let states = [state(source)?, state(target)?];
        let (owner, wanted) =
            if end.is_ok() { (target, ["configured", "running"]) } else { (source, ["running", "none"]) };
        if states != wanted {
            wrong.push(format!("the zone is {states:?} on source and target, not {wanted:?}"));
            return Ok(wrong);
        }
        let after = demo::picture(owner, &self.dir, &self.plan.zone)?;
        let (mut before, mut after) = (self.before.clone(), after);
        if self.plan.rows.is_some() {
            (before, after) = (without_databases(before), without_databases(after));
        }
        if !end.is_ok() {
            // The zone is mounted where it was, or it is not: both are the host's affair, as in the pictures.
            before.files.retain(|path, text| text != "mountpoint" || after.files.contains_key(path));
        }
        wrong.extend(picture::differences(&before, &after).into_iter().take(10));
        let snapshots = owner.ask("zfs", &["list", "-H", "-o", "name", "-t", "snapshot", "-r", "data"])?;
        if !snapshots.trim().is_empty() {
            wrong.push(format!("snapshots are left on {}: {}", owner.host.name(), snapshots.trim()));
        }
        let listed = target.ask("zfs", &["list", "-H", "-o", "name", "-t", "filesystem", "-r", "data"])?;
        let ours = |name: &&str| {
            !(["data", "data/zones"].contains(name)
                || end.is_ok() && name.starts_with(&top)
                || kept && name.starts_with("data/zones/zmigrate"))
        };
        wrong.extend(listed.lines().filter(ours).map(|name| format!("dataset {name} is left on the target")));
        for on in &self.hosts {
            for file in files(&on.scratch().join("zmigrate")) {
                wrong.push(format!("{} is left on the scratch", file.display()));
            }
        }
        Ok(wrong)
    }

    /// Takes faults away and brings the zone back to the source, as it was built.
    pub fn put_back(&mut self, end: &End) -> Result<()> {
        for on in &self.hosts {
            faults::set_rules(&on.host, &[])?;
        }
        let zone = self.plan.zone.clone();
        let top = format!("data/zones/{zone}");
        let on_target: Commands<'_> = &[
            ("zoneadm", &["-z", &zone, "halt"]),
            ("zoneadm", &["-z", &zone, "detach"]),
            ("zonecfg", &["-z", &zone, "delete", "-F"]),
            ("zfs", &["destroy", "-r", &top]),
        ];
        let on_source: Commands<'_> = &[
            ("zoneadm", &["-z", &zone, "attach"]),
            ("zonecfg", &["-z", &zone, "set autoboot=true"]),
            ("zoneadm", &["-z", &zone, "boot"]),
        ];
        let [source, target] = &self.hosts;
        if end.is_ok() {
            on_target.iter().try_for_each(|(command, args)| patiently(target, command, args))?;
            destroy_snapshots(source)?;
            on_source.iter().try_for_each(|(command, args)| patiently(source, command, args))?;
        }
        if target.ask("zfs", &["list", "data/zones/zmigrate"]).is_ok() {
            patiently(target, "zfs", &["destroy", "-r", "data/zones/zmigrate"])?;
        }
        Ok(())
    }
}

/// Destroys every snapshot of a host's pool.
pub fn destroy_snapshots(on: &Running) -> Result<()> {
    let listed = on.ask("zfs", &["list", "-H", "-o", "name", "-t", "snapshot", "-r", "data"])?;
    listed.lines().try_for_each(|snapshot| patiently(on, "zfs", &["destroy", snapshot]))
}

/// A command that must succeed; zfs-fuse says busy for a moment after the last file was closed.
pub fn patiently(on: &Running, command: &str, args: &[&str]) -> Result<()> {
    let mut last = String::new();
    let tried = wait_for("a command", Duration::from_secs(20), || match on.ask(command, args) {
        Ok(_) => true,
        Err(why) => {
            last = format!("{why:#}");
            false
        }
    });
    if tried.is_err() {
        bail!("{last}");
    }
    Ok(())
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
