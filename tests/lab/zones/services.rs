//! The processes of a zone: real programs that its boot starts and its shutdown ends.
//! `/lib/svc/lab.json` below the zone's root names them, so the list travels with the zone. A zone
//! without this file has no processes, only a state.
//!
//! A zone with services mounts its delegated datasets, as svc:/system/filesystem/local does, and
//! they are unmounted when it leaves the kernel. `$ZONEROOT` in a program's arguments is the zone's
//! root. `.lab/services.json` records the started processes by process ID and start time; the lab
//! ends no other process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::config::Config;
use super::zfs;
use crate::disk;
use crate::hosts::alone::started;
use crate::running::wait_for;
use crate::world::Host;

/// Where a zone names its services, below its root.
pub const FILE: &str = "lib/svc/lab.json";

/// Start and stop methods get so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of a zone's services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Program and arguments; it stays in the foreground.
    pub start: Vec<String>,
    /// Succeeds when the service can be used.
    #[serde(default)]
    pub ready: Vec<String>,
    /// Run at a shutdown, before the service receives SIGTERM. Not at a halt.
    #[serde(default)]
    pub stopping: Vec<String>,
}

/// A service's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    pid: i32,
    started: u64,
}

impl Process {
    fn is_alive(self) -> bool {
        started(self.pid) == Some(self.started)
    }
}

/// By zone and service.
type Table = BTreeMap<String, BTreeMap<String, Process>>;

/// How services end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// By their stop methods.
    Orderly,
    /// By SIGKILL.
    AtOnce,
}

/// Starts what a zone that has booted runs, and waits until it can be used. A service that does not come up is said
/// on stderr; the zone runs all the same.
pub fn start(host: &Host, config: &Config) -> Result<()> {
    let root = host.path(&format!("{}/root", config.zonepath));
    let Some(services) = of(&root)? else { return Ok(()) };
    mount_all(host, config, &root)?;
    let mut table = load(host)?;
    let running = table.entry(config.name.clone()).or_default();
    running.retain(|_, process| process.is_alive());
    for service in &services {
        if running.contains_key(&service.name) {
            continue;
        }
        let name = format!("{}-{}.log", config.name, service.name.replace(['/', ':'], "-"));
        let log = fs::File::options().append(true).create(true).open(host.state_dir().join(name))?;
        let child = command(&service.start, &root)?
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // The process group is its own: a signal to zoneadm's group must not reach the zone.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", service.name))?;
        let pid = child.id() as i32;
        let started = started(pid).unwrap_or_default();
        running.insert(service.name.clone(), Process { pid, started });
    }
    store(host, &table)?;
    for service in services.iter().filter(|service| !service.ready.is_empty()) {
        let ready = wait_for("it to answer", PATIENCE, || {
            command(&service.ready, &root).is_ok_and(|mut command| succeeds(&mut command))
        });
        if let Err(why) = ready {
            err!("{}: {why:#}", service.name);
        }
    }
    Ok(())
}

/// Ends what a zone runs, and unmounts what it has mounted.
pub fn stop(host: &Host, config: &Config, how: Stop) -> Result<()> {
    let root = host.path(&format!("{}/root", config.zonepath));
    let services = of(&root)?.unwrap_or_default();
    let mut table = load(host)?;
    let Some(running) = table.remove(&config.name) else { return unmount_all(host, config, &root) };
    let alive = |name: &str| running.get(name).copied().filter(|process| process.is_alive());
    if how == Stop::Orderly {
        for service in services.iter().filter(|s| !s.stopping.is_empty() && alive(&s.name).is_some()) {
            if !succeeds(&mut command(&service.stopping, &root)?) {
                err!("{}: its stop method failed", service.name);
            }
        }
        signal_all(&running, Signal::SIGTERM);
        let _ = wait_for("services to end", PATIENCE, || !running.values().any(|p| p.is_alive()));
    }
    signal_all(&running, Signal::SIGKILL);
    wait_for("services to end", PATIENCE, || !running.values().any(|p| p.is_alive()))?;
    store(host, &table)?;
    unmount_all(host, config, &root)
}

fn signal_all(running: &BTreeMap<String, Process>, signal: Signal) {
    for process in running.values().filter(|process| process.is_alive()) {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// A zone's services; `None` where it names none.
fn of(root: &Path) -> Result<Option<Vec<Service>>> {
    let file = root.join(FILE);
    if !file.exists() {
        return Ok(None);
    }
    let text = fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(Some(serde_json::from_slice(&text).with_context(|| file.display().to_string())?))
}

fn command(argv: &[String], root: &Path) -> Result<Command> {
    let at = |part: &String| part.replace("$ZONEROOT", &root.display().to_string());
    let Some((program, args)) = argv.split_first() else { bail!("a service without a program") };
    let mut command = Command::new(at(program));
    command
        .args(args.iter().map(at))
        .current_dir(root)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("ZONEROOT", root);
    Ok(command)
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The zone's `zfs mount -a`.
fn mount_all(host: &Host, config: &Config, root: &Path) -> Result<()> {
    let mut wanted: Vec<(PathBuf, String)> = Vec::new();
    for dataset in config.datasets() {
        let canmount: BTreeMap<String, String> =
            zfs::get_below(host, dataset, "canmount")?.into_iter().collect();
        for (name, mountpoint) in zfs::get_below(host, dataset, "mountpoint")? {
            if let Some(path) = mountpoint.strip_prefix('/')
                && canmount.get(&name).is_some_and(|value| value == "on")
            {
                wanted.push((root.join(path), name));
            }
        }
    }
    wanted.sort();
    for (path, dataset) in wanted {
        if zfs::mounted_at(host, &path.display().to_string())?.is_none() {
            fs::create_dir_all(&path)?;
            zfs::mount_in_zone(host, &dataset, &path)?;
        }
    }
    Ok(())
}

/// Takes away what is mounted below the zone's root of its delegated datasets, the last mount first.
fn unmount_all(host: &Host, config: &Config, root: &Path) -> Result<()> {
    if !host.settings()?.real_zfs {
        return Ok(());
    }
    let below = |dataset: &str| {
        let is_of =
            |top: &str| dataset == top || dataset.strip_prefix(top).is_some_and(|r| r.starts_with('/'));
        config.datasets().any(is_of)
    };
    let mounts = zfs::mounts(host)?;
    for (_, path) in
        mounts.iter().rev().filter(|(dataset, path)| below(dataset) && Path::new(path).starts_with(root))
    {
        let mut umount = Command::new("/bin/umount");
        umount.arg(path);
        // zfs-fuse learns of a closed file a moment later.
        wait_for("a zone's mount to be let go", PATIENCE, || succeeds(&mut umount))
            .with_context(|| path.clone())?;
    }
    Ok(())
}

fn load(host: &Host) -> Result<Table> {
    disk::load(&host.state_dir().join("services.json"))
}

fn store(host: &Host, table: &Table) -> Result<()> {
    disk::store(&host.state_dir().join("services.json"), table)
}
