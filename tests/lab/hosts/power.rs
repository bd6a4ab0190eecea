//! Power failures of a zone host: what a crash leaves, and what the next boot does with it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::link::{Change, Switch};
use crate::running::Running;

/// Every process ends at once, and the link has no carrier while the host is off. Then it boots: ZFS finds its pool,
/// zones set to autoboot come up, the caller starts zmigrated.
pub fn cycle(host: &mut Running, lab: &Path, switch: &Switch) -> Result<()> {
    let name = host.host.name();
    switch.change(&name, &Change::Cut)?;
    host.power_off()?;
    forget_mounts(host)?;
    host.power_on()?;
    // zfs-fuse imports by its cache, and mounts nothing.
    host.ask("zfs", &["mount", "-a"])?;
    switch.change(&name, &Change::Join)?;
    host.lab(&["boot-zones", &name, "--dir", &lab.to_string_lossy()]).map(drop)
}

/// A killed zfs-fuse leaves mounts that answer nothing and pass for mounted; sockets of the dead are in the way, too.
fn forget_mounts(host: &Running) -> Result<()> {
    let place = &host.parts.as_ref().context("no parts")?.place;
    let table = fs::read_to_string(format!("/proc/{}/mounts", place.keeper()))?;
    let fuse: Vec<&str> = table
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| fields.get(2).is_some_and(|kind| kind.starts_with("fuse")))
        .filter_map(|fields| fields.get(1).copied())
        .collect();
    for path in fuse.into_iter().rev() {
        place.ask("umount", &["-l", path])?;
    }
    place.ask("rm", &["-f", "/dev/log", "/run/zfs/zfs_socket"]).map(drop)
}
