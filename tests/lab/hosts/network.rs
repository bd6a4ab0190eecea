//! The switch and the log host, and how both zone hosts are connected to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result, ensure};

use super::link::Switch;
use super::loghost::{self, Takes};
use super::machine::{self, Scratch};
use super::parts::Parts;
use super::place::Place;
use super::sshd;
use crate::disk;
use crate::scene::HOSTS;
use crate::world::Host;

/// What is between the zone hosts, and beside them.
#[derive(Debug)]
pub struct Network {
    /// The bridge.
    pub switch: Switch,
    log_daemon: Option<Child>,
    loghost: Place,
    dir: PathBuf,
}

impl Network {
    /// Makes everything that a zone host is connected to, and the real parts of both hosts; the log host takes
    /// messages, the zone hosts are not started yet.
    pub fn make(dir: &Path, hosts: &[Host; 2], scratch: Option<&str>) -> Result<(Self, [Parts; 2])> {
        ensure!(super::alone::is_inside(), "hosts on real parts run in a namespace of their own");
        let switch = Switch::make()?;
        let log_root = dir.join("loghost");
        let loghost = machine::make(&log_root, "loghost", &Scratch::Memory("1m".into()))?;
        switch.connect(&loghost)?;
        let mut network = Self { switch, log_daemon: None, loghost, dir: dir.to_owned() };
        network.start_log()?;
        let mut parts = Vec::new();
        let mut places = BTreeMap::from([
            ("switch".to_owned(), network.switch.place.keeper()),
            ("loghost".to_owned(), network.loghost.keeper()),
        ]);
        for (index, host) in hosts.iter().enumerate() {
            let on = match scratch {
                Some(size) => Scratch::Memory(size.to_owned()),
                None => Scratch::Dir(host.file("export/scratch")),
            };
            let place = machine::make(&host.root, HOSTS[index], &on)?;
            network.switch.connect(&place)?;
            places.insert(place.name.clone(), place.keeper());
            parts.push(Parts::at(place, &host.root, HOSTS[1 - index]));
        }
        let parts: [Parts; 2] = parts.try_into().map_err(|_| anyhow::anyhow!("two hosts"))?;
        sshd::configure(hosts, &parts)?;
        disk::store(&dir.join("places.json"), &places)?;
        Ok((network, parts))
    }

    /// Starts the log host's daemon.
    pub fn start_log(&mut self) -> Result<()> {
        self.log_daemon = Some(loghost::start(&self.loghost, &self.log_dir(), Takes::Network)?);
        Ok(())
    }

    /// Ends the log host's daemon: nobody listens there any more.
    pub fn stop_log(&mut self) {
        if let Some(mut daemon) = self.log_daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Outcome lines of a job that have come to the log host.
    pub fn outcomes(&self, job: &str) -> Vec<String> {
        loghost::outcomes(&self.log_dir(), job)
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.join("loghost/sys/log")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.stop_log();
    }
}

/// A place of the lab in this directory, made by another process of the lab.
pub fn place(dir: &Path, name: &str) -> Result<Place> {
    let file = dir.join("places.json");
    ensure!(file.exists(), "the lab in {} has no network", dir.display());
    let places: BTreeMap<String, i32> = disk::load(&file)?;
    let keeper = places.get(name).with_context(|| format!("the lab has no host '{name}'"))?;
    Place::kept_by(name, *keeper)
}

/// Fails where one of Debian's packages is missing, and names it.
pub fn ensure_packages() -> Result<()> {
    let needed = [
        ("zfs-fuse", "zfs-fuse"),
        ("sshd", "openssh-server"),
        ("rsyslogd", "rsyslog"),
        ("mariadbd", "mariadb-server"),
        ("tc", "iproute2"),
    ];
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let is_there = |program: &str| dirs.iter().any(|dir| Path::new(dir).join(program).exists());
    let missing: Vec<&str> =
        needed.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    ensure!(missing.is_empty(), "hosts on real parts need Debian's packages {}", missing.join(", "));
    Ok(())
}
