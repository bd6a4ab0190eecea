//! `zmigrate-lab up`, `shell`, `down`: two hosts to play with, on emulated ZFS, with both daemons
//! running. They run until `down`; a person can do every step of the demo by hand.

use std::fs;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::demo;
use crate::hosts::link::Switch;
use crate::hosts::parts::Parts;
use crate::hosts::{alone, network, power};
use crate::running::{Running, wait_for};
use crate::scene::{self, HOSTS, Plan, Wire};
use crate::stage::Stage;
use crate::world::{Host, Lab};

/// Which lab.
#[derive(Debug, clap::Args)]
pub struct Where {
    /// The lab's directory
    #[arg(long, value_name = "DIR", default_value_os_t = default_dir())]
    pub dir: PathBuf,
}

/// The directory of a lab for which none was named.
pub fn default_dir() -> PathBuf {
    std::env::temp_dir().join(format!("zmigrate-lab-of-{}", nix::unistd::getuid()))
}

/// Builds both hosts and starts their daemons.
pub fn up(at: &Where, plan: &Plan) -> Result<()> {
    if at.dir.exists() {
        bail!("{} is there already: `zmigrate-lab down` takes it away", at.dir.display());
    }
    fs::create_dir_all(&at.dir)?;
    let dir = at.dir.canonicalize()?;
    for index in 0..HOSTS.len() {
        let host = scene::make_host(&dir, index, plan)?;
        scene::make_pool(&host, plan)?;
        if index == 0 {
            scene::make_zone(&host, plan)?;
        }
        start_daemon(&host)?;
    }
    println!("Two hosts are up in {}; zone '{}' runs on {}. Try:", dir.display(), plan.zone, HOSTS[0]);
    println!("  cargo lab shell {}          then: zoneadm list -cv; zfs list -r data/zones", HOSTS[0]);
    println!(
        "  zmigrate plan {} {}; zmigrate submit {} {}; zmigrate watch",
        plan.zone, HOSTS[1], plan.zone, HOSTS[1]
    );
    println!("  cargo lab reboot {} --dir {}", HOSTS[1], dir.display());
    println!("  cargo lab down");
    Ok(())
}

/// The same on real parts. Outside, the lab is started in a namespace of its own; in there it is built, and stays.
pub fn up_on_real_parts(at: &Where, plan: Plan) -> Result<()> {
    if alone::is_inside() {
        let mut plan = plan;
        plan.real_zfs = demo::real_zfs();
        plan.network = Some(Wire::default());
        plan.rows = Some(20_000);
        let mut stage = Stage::build(&at.dir, plan)?;
        stage.start_daemons()?;
        return alone::is_up(&at.dir);
    }
    if !demo::can_use_real_zfs() {
        bail!("real ZFS needs root, /dev/fuse and Debian's package zfs-fuse");
    }
    network::ensure_packages()?;
    if at.dir.exists() {
        bail!("{} is there already: `zmigrate-lab down` takes it away", at.dir.display());
    }
    fs::create_dir_all(&at.dir)?;
    let dir = at.dir.canonicalize()?;
    let size = (plan.bytes >> 20).to_string();
    let args = ["up", "--real", "--dir", &dir.to_string_lossy(), "--size", &size, "--brand", &plan.brand]
        .map(str::to_owned);
    alone::stay_inside(&dir, &args)?;
    println!("Three hosts are up in {}; zone '{}' runs on {}. Try:", dir.display(), plan.zone, HOSTS[0]);
    println!(
        "  cargo lab shell {}          then: zmigrate check; zmigrate submit {} {}",
        HOSTS[0], plan.zone, HOSTS[1]
    );
    println!("  cargo lab net cut; cargo lab net join; cargo lab net slow 10; cargo lab net loss 5");
    println!("  tail -f {}", dir.join("loghost/sys/log/messages").display());
    println!("  cargo lab down");
    Ok(())
}

fn start_daemon(host: &Host) -> Result<()> {
    let log = fs::File::options().append(true).create(true).open(host.file("var/zmigrated.stderr"))?;
    let status = Command::new(host.file("opt/zmigrate/bin/zmigrated"))
        .arg("--detach")
        .stdin(Stdio::null())
        .stderr(log)
        .status()?;
    if !status.success() {
        bail!("zmigrated on {} did not start: {status}; see var/zmigrated.stderr there", host.name());
    }
    Ok(())
}

/// The power of a host on real parts goes and comes, of a lab that stays. What is started here outlives us.
pub fn reboot(dir: &Path, name: &str) -> Result<()> {
    let lab = Lab::open(dir)?;
    let host = lab.host(name)?.clone();
    let peer = HOSTS.iter().find(|peer| **peer != name).context("no peer")?;
    let parts = Parts::at(network::place(dir, name)?, &host.root, peer);
    // A process that has not made a host does not end it.
    let mut running = ManuallyDrop::new(Running::of_parts(host, parts));
    let switch = Switch::of(network::place(dir, "switch")?);
    power::cycle(&mut running, dir, &switch)?;
    running.start_daemon()
}

/// A shell on one host: its commands come first.
pub fn shell(at: &Where, host: &str) -> Result<()> {
    let lab = Lab::open(&at.dir)?;
    let host = lab.host(host)?;
    let ours = [host.file("usr/sbin"), host.file("opt/zmigrate/bin")];
    let theirs = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(ours.into_iter().chain(std::env::split_paths(&theirs)))?;
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    println!("{}: {}; its commands are first in PATH. Leave with exit.", host.name(), host.root.display());
    let mut command = match network::place(&at.dir, &host.name()) {
        Ok(place) => place.command(&shell),
        Err(_) => Command::new(&shell),
    };
    let status = command
        .env("PATH", path)
        .env("PS1", format!("{}# ", host.name()))
        .current_dir(&host.root)
        .status()
        .context("start a shell")?;
    if !status.success() {
        println!("(the shell ended with {status})");
    }
    Ok(())
}

/// Ends both daemons and takes the lab away.
pub fn down(at: &Where) -> Result<()> {
    let lab = Lab::open(&at.dir)?;
    if alone::stays(&at.dir) {
        alone::end(&at.dir)?;
    } else {
        lab.hosts.iter().try_for_each(stop_daemon)?;
    }
    fs::remove_dir_all(&lab.dir).with_context(|| format!("remove {}", lab.dir.display()))
}

fn stop_daemon(host: &Host) -> Result<()> {
    let spool = host.file("var/spool/zmigrate");
    let running = || zmigrate::spool::Spool::at(Path::new(&spool)).daemon().ok().flatten();
    let Some(pid) = running() else { return Ok(()) };
    kill(Pid::from_raw(pid), Signal::SIGTERM).with_context(|| format!("end zmigrated on {}", host.name()))?;
    wait_for("zmigrated to end", Duration::from_secs(30), || running().is_none())
}
