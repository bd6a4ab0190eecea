//! boot, ready, halt, shutdown, reboot, and what a reboot of the host does to its zones.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use super::config::Config;
use super::kernel::{Alive, Phase, State, knobs};
use super::services::{self, Stop};
use super::zoneadm::Call;
use super::{Zones, brand, change, configuration, configure, index::Stored, lock_zone, verify, zfs};
use crate::disk;
use crate::net;
use crate::world::{Host, Profile};

/// The stop timeout of svc:/system/zones:default, by which `zoneadm shutdown` gives up.
const STOP_TIMEOUT: Duration = Duration::from_secs(100);

/// `zoneadm boot` and `zoneadm ready`.
pub fn boot(call: &Call, config: &Config, to: State) -> Result<i32> {
    let host = call.host;
    if !verify::details(host, config, verify::For::Other)? {
        return Ok(1);
    }
    match Zones::look(host)?.state(host, call.zone)? {
        Some(State::Ready) if to == State::Ready => {
            call.daemon_says("zone is already ready");
            return Ok(0);
        }
        Some(State::Running | State::ShuttingDown | State::Down) if to == State::Running => {
            // Said even of a zone that is about to go down, with status 0.
            call.daemon_says("zone is already booted");
            return Ok(0);
        }
        Some(state) if to == State::Ready && state.in_kernel() => leave_kernel(host, call.zone)?,
        _ => {}
    }
    if !set_up(call, config)? {
        return call.daemon_failed(None);
    }
    let ready = Zones::look(host)?.alive(call.zone).map(|alive| alive.id);
    let (addresses, warnings) = net::bring_up(host, config)?;
    for warning in warnings {
        call.daemon_says(&warning);
    }
    let Some(addresses) = addresses else { return call.daemon_failed(None) };
    if let Some(with_macs) = net::dladm::with_macs(call.profile, config)? {
        configure(host, &with_macs)?;
    }
    write_to_the_zone(host, config)?;
    let mounts =
        config.all("fs").map(|fs| (fs.get("special").to_owned(), fs.get("dir").to_owned())).collect();
    change(host, |zones| {
        zones.kernel.zones.retain(|alive| alive.name != call.zone);
        let id = ready.unwrap_or(zones.kernel.last_id + 1);
        zones.kernel.last_id = zones.kernel.last_id.max(id);
        let now = disk::now_ms();
        zones.kernel.zones.push(Alive {
            name: call.zone.to_owned(),
            id,
            phase: if to == State::Ready { Phase::Ready } else { Phase::Running },
            since: now,
            addresses,
            mounts,
        });
        zones.event(host, now, call.zone, if to == State::Ready { "ready" } else { "boot" });
        Ok(())
    })?;
    if to == State::Running {
        services::start(host, config)?;
    }
    Ok(0)
}

/// What comes before the first process: the root's mount, the delegated datasets.
fn set_up(call: &Call, config: &Config) -> Result<bool> {
    let host = call.host;
    if config.has_boot_environments() && brand::ensure_root_mounted(host, config)?.is_err() {
        return Ok(false);
    }
    if !host.path(&format!("{}/root", config.zonepath)).is_dir() {
        call.daemon_says(&format!("could not mount {}/root: No such file or directory", config.zonepath));
        return Ok(false);
    }
    for dataset in config.datasets() {
        let Some((zoned, _)) = zfs::get(host, dataset, "zoned")? else {
            call.daemon_says(&format!("cannot open ZFS dataset '{dataset}'"));
            return Ok(false);
        };
        // Filesystems only: a volume has no such property ("-"). Nothing ever turns it off again.
        if zoned == "off" && !zfs::set(host, "zoned=on", dataset)? {
            call.daemon_says(&format!("cannot set 'zoned' property for ZFS dataset '{dataset}'"));
            return Ok(false);
        }
    }
    Ok(true)
}

/// A booting system writes to its disk: what comes back after a failed migration is not what was sent.
fn write_to_the_zone(host: &Host, config: &Config) -> Result<()> {
    let log = host.path(&format!("{}/root/var/log", config.zonepath));
    let readonly = crate::zfs::is_readonly(host, &format!("{}/root/var/log", config.zonepath))?;
    if knobs(host, &config.name)?.writes_on_boot && log.is_dir() && !readonly {
        let mut file = OpenOptions::new().create(true).append(true).open(log.join("boots"))?;
        writeln!(file, "booted on {}", host.name())?;
    }
    Ok(())
}

/// `zoneadm halt`: no shutdown scripts, down at once.
pub fn halt(call: &Call, state: State) -> Result<i32> {
    match state {
        State::Configured => {
            if call.profile == Profile::Solaris10 {
                return call.refuse("must be installed before halt.");
            }
            err!("cannot manage a zone which is in state 'configured'");
            call.daemon_says("could not start zoneadmd");
            Ok(1)
        }
        State::Incomplete => {
            call.daemon_says("halt operation is invalid for zones in state 'incomplete'");
            Ok(1)
        }
        State::Installed => {
            call.daemon_says("zone is already halted");
            Ok(0)
        }
        _ => {
            leave_kernel(call.host, call.zone)?;
            Ok(0)
        }
    }
}

fn leave_kernel(host: &Host, zone: &str) -> Result<()> {
    if let Some(config) = configuration(host, zone)? {
        services::stop(host, &config, Stop::AtOnce)?;
    }
    change(host, |zones| {
        zones.kernel.zones.retain(|alive| alive.name != zone);
        zones.event(host, disk::now_ms(), zone, "halt");
        Ok(())
    })
    .map(drop)
}

/// Asks a zone's init to shut down; returns when its services have ended.
pub fn begin_shutdown(host: &Host, zone: &str, phase: Phase) -> Result<()> {
    if let Some(config) = configuration(host, zone)?
        && Zones::look(host)?.alive(zone).is_some_and(|alive| alive.phase == Phase::Running)
    {
        services::stop(host, &config, Stop::Orderly)?;
        if phase == Phase::Rebooting {
            services::start(host, &config)?;
        }
    }
    change(host, |zones| {
        if let Some(alive) = zones.kernel.zones.iter_mut().find(|alive| alive.name == zone)
            && alive.phase == Phase::Running
        {
            alive.phase = phase;
            alive.since = disk::now_ms();
        }
        Ok(())
    })
    .map(drop)
}

/// `zoneadm shutdown [-r]`: waits for the zone to be down, and gives up after a while.
pub fn shutdown(call: &Call, state: State, args: &[String]) -> Result<i32> {
    if state == State::Ready {
        call.daemon_says("shutdown operation is invalid for zones in state 'ready'");
        return Ok(1);
    }
    let again = args.first().is_some_and(|arg| arg == "-r");
    begin_shutdown(call.host, call.zone, if again { Phase::Rebooting } else { Phase::Halting })?;
    let mut waited = Duration::ZERO;
    let poll = Duration::from_millis(20);
    while waited < STOP_TIMEOUT {
        let zones = Zones::look(call.host)?;
        match zones.alive(call.zone) {
            None => return Ok(0),
            Some(alive) if again && alive.phase == Phase::Running => return Ok(0),
            Some(_) => {}
        }
        std::thread::sleep(poll);
        waited += poll;
    }
    call.daemon_says("unable to shutdown zone");
    Ok(1)
}

/// `zoneadm reboot`: halt and boot, unclean.
pub fn reboot(call: &Call, config: &Config, state: State) -> Result<i32> {
    if state == State::Ready {
        call.daemon_says("reboot operation is invalid for zones in state 'ready'");
        return Ok(1);
    }
    if !verify::details(call.host, config, verify::For::Other)? {
        return Ok(1);
    }
    leave_kernel(call.host, call.zone)?;
    boot(call, config, State::Running)
}

/// The power goes and comes: all zones stop without a shutdown, mounts and addresses are made again as
/// the properties and files say, and what is installed with autoboot set boots. What else runs on
/// the host (the daemon) is the caller's to end and to start.
pub fn reboot_host(host: &Host) -> Result<()> {
    // No zoneadm outlives the power: one that a killed daemon left behind would go on in the host that comes up.
    let names: Vec<String> = Zones::look(host)?.index.iter().map(|entry| entry.name.clone()).collect();
    let ended: Vec<_> = names.iter().map(|name| lock_zone(host, name)).collect::<Result<_>>()?;
    change(host, |zones| {
        let now = disk::now_ms();
        for alive in std::mem::take(&mut zones.kernel).zones {
            zones.event(host, now, &alive.name, "halt");
        }
        Ok(())
    })?;
    let settings = host.settings()?;
    if !settings.real_zfs {
        crate::zfs::reboot(host)?;
    }
    drop(ended);
    net::boot(host)?;
    // svc:/system/zones:default, one after the other.
    for entry in Zones::look(host)?.index.iter().filter(|entry| entry.state == Stored::Installed) {
        let Some(config) = configuration(host, &entry.name)? else { continue };
        if config.autoboot {
            let call = Call { host, zone: &entry.name, profile: settings.profile };
            let _lock = lock_zone(host, &entry.name)?;
            boot(&call, &config, State::Running)?;
        }
    }
    Ok(())
}
