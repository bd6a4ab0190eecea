//! Zones: what a host knows about them, and the commands that change them.
//!
//! `/etc/zones/index` and `/etc/zones/Z.xml` hold what survives a reboot, as on Solaris;
//! `.lab/kernel.json` holds what the kernel knows. One lock, held briefly, protects both. The lock
//! that a second zoneadm waits for is another one, for each zone, and is held for the whole
//! command. Each boot, halt, attach and detach writes a line to `.lab/zone-events.log`, so that a
//! test can prove that a zone never ran on two hosts.

pub mod attach;
pub mod attach_log;
pub mod brand;
pub mod build;
pub mod config;
pub mod detach;
pub mod index;
pub mod kernel;
pub mod life;
pub mod list;
pub mod mount;
pub mod services;
pub mod solaris;
pub mod verify;
pub mod xml;
pub mod zfs;
pub mod zlogin;
pub mod zoneadm;
pub mod zonecfg;

use std::fs;
use std::io::{self, Read};

use anyhow::{Context, Result};

use crate::disk::{self, Lock};
use crate::world::{Host, Profile};
use config::Config;
use index::{Entry, Stored};
use kernel::{Alive, Kernel, Phase, State, knobs};

/// Everything that a host knows about its zones except their configurations.
#[derive(Debug, Default)]
pub struct Zones {
    /// The index.
    pub index: Vec<Entry>,
    /// The kernel.
    pub kernel: Kernel,
    /// Lines to append to the log of events.
    events: Vec<String>,
}

impl Zones {
    /// Reads the state, after everything that time has brought about since the last reading.
    pub fn look(host: &Host) -> Result<Self> {
        change(host, |_| Ok(())).map(|((), zones)| zones)
    }

    /// A zone's line in the index.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.index.iter().find(|entry| entry.name == name)
    }

    /// The same, to be changed.
    pub fn entry_mut(&mut self, name: &str) -> Option<&mut Entry> {
        self.index.iter_mut().find(|entry| entry.name == name)
    }

    /// A zone in the kernel.
    pub fn alive(&self, name: &str) -> Option<&Alive> {
        self.kernel.zones.iter().find(|alive| alive.name == name)
    }

    /// A zone's state, or `None` for one that isn't configured.
    pub fn state(&self, host: &Host, name: &str) -> Result<Option<State>> {
        let Some(entry) = self.entry(name) else { return Ok(None) };
        if let Some(alive) = self.alive(name)
            && let Some(state) = alive.state(disk::now_ms(), &knobs(host, name)?)
        {
            return Ok(Some(state));
        }
        Ok(Some(match entry.state {
            Stored::Configured => State::Configured,
            Stored::Incomplete => State::Incomplete,
            Stored::Installed => State::Installed,
        }))
    }

    /// Notes a line for the log of events.
    pub fn event(&mut self, host: &Host, at: u64, zone: &str, what: &str) {
        self.events.push(format!("{at} {} {zone} {what}", host.name()));
    }

    /// Removes zones that are down from the kernel, and reboots those that were to reboot.
    fn settle(&mut self, host: &Host) -> Result<()> {
        let now = disk::now_ms();
        let mut kept = Vec::new();
        for mut alive in std::mem::take(&mut self.kernel.zones) {
            let knobs = knobs(host, &alive.name)?;
            let ends = alive.since.saturating_add(knobs.shutdown_ms);
            if alive.state(now, &knobs).is_none() {
                self.event(host, ends, &alive.name, "halt");
                continue;
            }
            if alive.phase == Phase::Rebooting && now >= ends {
                self.event(host, ends, &alive.name, "halt");
                self.event(host, ends, &alive.name, "boot");
                alive.phase = Phase::Running;
                alive.since = ends;
            }
            kept.push(alive);
        }
        self.kernel.zones = kept;
        Ok(())
    }
}

/// Changes what a host knows of its zones, in one piece. `by` must neither look nor change by itself,
/// nor run a command of the host: the lock is held.
pub fn change<T>(host: &Host, by: impl FnOnce(&mut Zones) -> Result<T>) -> Result<(T, Zones)> {
    let dir = host.state_dir();
    let _lock = disk::lock(&dir.join("zones.lock"))?;
    let kernel: Kernel = disk::load(&dir.join("kernel.json"))?;
    let mut zones = Zones { index: index::load(host)?, kernel: kernel.clone(), events: Vec::new() };
    let before = zones.index.clone();
    zones.settle(host)?;
    let done = by(&mut zones)?;
    if zones.index != before {
        index::store(host, &zones.index)?;
    }
    if zones.kernel != kernel {
        disk::store(&dir.join("kernel.json"), &zones.kernel)?;
    }
    for event in std::mem::take(&mut zones.events) {
        disk::append(&dir.join("zone-events.log"), &event)?;
    }
    Ok((done, zones))
}

/// The lock of `/var/run/zones/Z.zoneadm.lock`: a second zoneadm on the zone waits here.
pub fn lock_zone(host: &Host, zone: &str) -> Result<Lock> {
    disk::lock(&host.file("var/run/zones").join(format!("{zone}.zoneadm.lock")))
}

/// A zone's configuration; `None` where the document is missing or no document.
pub fn configuration(host: &Host, zone: &str) -> Result<Option<Config>> {
    let path = host.file("etc/zones").join(format!("{zone}.xml"));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(xml::read(&text).ok().map(|(config, _)| config)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why).with_context(|| path.display().to_string()),
    }
}

/// Writes a zone's configuration and its line in the index; a new zone is `configured`.
pub fn configure(host: &Host, config: &Config) -> Result<()> {
    let mut config = config.clone();
    if config.debug_id.is_empty() && host.profile()? == Profile::Omnios {
        config.debug_id = next_debug_id(host)?;
    }
    let text = xml::write(&config, xml::Purpose::Configured, &xml::Inventory::default());
    disk::replace(&host.file("etc/zones").join(format!("{}.xml", config.name)), text.as_bytes())?;
    change(host, |zones| {
        match zones.entry_mut(&config.name) {
            Some(entry) => entry.zonepath.clone_from(&config.zonepath),
            None => zones.index.push(Entry {
                name: config.name.clone(),
                state: Stored::Configured,
                zonepath: config.zonepath.clone(),
                uuid: String::new(),
            }),
        }
        Ok(())
    })
    .map(drop)
}

/// Gives a zone that is only configured another name; its document follows with the next [`configure`].
pub fn rename(host: &Host, from: &str, to: &str) -> Result<()> {
    change(host, |zones| {
        zones.entry_mut(from).into_iter().for_each(|entry| to.clone_into(&mut entry.name));
        Ok(())
    })?;
    let document = host.file("etc/zones").join(format!("{from}.xml"));
    fs::remove_file(&document).with_context(|| document.display().to_string())
}

/// `/etc/zones/did.txt` counts the debug IDs.
fn next_debug_id(host: &Host) -> Result<String> {
    let dir = host.state_dir();
    let _lock = disk::lock(&dir.join("did.lock"))?;
    let path = host.file("etc/zones/did.txt");
    let last = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let id = (last.unwrap_or(0) + 1).to_string();
    disk::replace(&path, format!("{id}\n").as_bytes())?;
    Ok(id)
}

/// Sets the state that outlives a reboot. The UUID is made at the first state above `configured` and
/// wiped by each change back to it, so it does not identify a zone.
pub fn set_stored(host: &Host, zone: &str, state: Stored, event: Option<&str>) -> Result<()> {
    let fresh = new_uuid()?;
    change(host, |zones| {
        if let Some(entry) = zones.entry_mut(zone) {
            entry.state = state;
            match state {
                Stored::Configured => entry.uuid.clear(),
                _ if entry.uuid.is_empty() => entry.uuid = fresh,
                _ => {}
            }
        }
        if let Some(event) = event {
            zones.event(host, disk::now_ms(), zone, event);
        }
        Ok(())
    })
    .map(drop)
}

fn new_uuid() -> Result<String> {
    let mut bytes = [0u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
