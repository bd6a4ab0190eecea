//! What the zone commands need from ZFS. They ask the host's own `zfs` command, as zoneadm and the
//! brands' hooks do, so that emulated and real ZFS answer alike. Only mounts at a place other than
//! the property says (`mount -F zfs`) depend on which of the two it is.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::inner::{self, Answer};
use crate::world::Host;

fn zfs(host: &Host, args: &[&str]) -> Result<Answer> {
    inner::ask(host, "zfs", args)
}

/// A property's value and source; `None` when there is no such dataset.
pub fn get(host: &Host, dataset: &str, property: &str) -> Result<Option<(String, String)>> {
    let answer = zfs(host, &["get", "-H", "-o", "value,source", property, dataset])?;
    if answer.status != 0 {
        return Ok(None);
    }
    let line = answer.stdout.lines().next().unwrap_or_default();
    let (value, source) = line.split_once('\t').context("zfs get printed no two columns")?;
    Ok(Some((value.to_owned(), source.to_owned())))
}

/// A property's value for a dataset and everything below it: (dataset, value), without snapshots.
pub fn get_below(host: &Host, dataset: &str, property: &str) -> Result<Vec<(String, String)>> {
    let answer = zfs(host, &["get", "-r", "-H", "-o", "name,value", property, dataset])?;
    let pairs = answer.stdout.lines().filter_map(|line| line.split_once('\t'));
    Ok(pairs
        .filter(|(name, _)| !name.contains('@'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// Whether there is such a filesystem or volume.
pub fn exists(host: &Host, dataset: &str) -> Result<bool> {
    Ok(get(host, dataset, "type")?.is_some())
}

/// Sets `name=value`; false when zfs refuses, which it says itself on our stderr.
pub fn set(host: &Host, setting: &str, dataset: &str) -> Result<bool> {
    let (property, value) = setting.split_once('=').unwrap_or((setting, ""));
    let is_so =
        || Ok(get(host, dataset, property)?.is_some_and(|(is, source)| is == value && source == "local"));
    change(host, dataset, &["set", setting, dataset], is_so)
}

/// Gives a property back to what it inherits.
pub fn inherit(host: &Host, property: &str, dataset: &str) -> Result<bool> {
    let is_so = || Ok(get(host, dataset, property)?.is_some_and(|(_, source)| source != "local"));
    change(host, dataset, &["inherit", property, dataset], is_so)
}

/// A change of a property that may mount anew. zfs-fuse unmounts asynchronously, so that the mount behind it can
/// find the old one still there (`directory is not empty`, `busy`) although the property is set: a kernel
/// does not, so there the lab tries the mount again until it is as it was.
fn change(host: &Host, dataset: &str, args: &[&str], is_so: impl Fn() -> Result<bool>) -> Result<bool> {
    if !host.settings()?.real_zfs {
        return said(zfs(host, args)?);
    }
    if is_so()? {
        return Ok(true);
    }
    let was_mounted = is_mounted(host, dataset)?;
    let mut answer = zfs(host, args)?;
    for _ in 0..TRIES {
        if answer.status == 0 || is_so()? {
            break;
        }
        std::thread::park_timeout(PAUSE);
        answer = zfs(host, args)?;
    }
    if !is_so()? {
        return said(answer);
    }
    let wanted = |property: &str| {
        Ok::<_, anyhow::Error>(get(host, dataset, property)?.map_or(String::new(), |(value, _)| value))
    };
    let mounts = was_mounted
        && wanted("mountpoint")?.starts_with('/')
        && wanted("canmount")? != "off"
        && wanted("zoned")? != "on";
    if mounts { mount_again(host, dataset) } else { Ok(true) }
}

/// Tries of what zfs-fuse can't do just now.
const TRIES: u32 = 50;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

fn is_mounted(host: &Host, dataset: &str) -> Result<bool> {
    Ok(get(host, dataset, "mounted")?.is_some_and(|(value, _)| value == "yes"))
}

fn mount_again(host: &Host, dataset: &str) -> Result<bool> {
    let mut last = None;
    for _ in 0..TRIES {
        if is_mounted(host, dataset)? {
            return Ok(true);
        }
        last = Some(zfs(host, &["mount", dataset])?);
        std::thread::park_timeout(PAUSE);
    }
    last.map_or(Ok(true), said)
}

/// Unmounts a filesystem, wherever it is mounted: `umount`, which also takes what a zone's brand has mounted.
pub fn unmount(host: &Host, dataset: &str) -> Result<bool> {
    if !host.settings()?.real_zfs {
        return said_io(crate::zfs::unmount_one(host, dataset));
    }
    // zfs-fuse says busy for a moment after the last file was closed.
    let mut answer = zfs(host, &["unmount", dataset])?;
    for _ in 0..TRIES {
        if answer.status == 0 || !is_mounted(host, dataset)? {
            return Ok(true);
        }
        std::thread::park_timeout(PAUSE);
        answer = zfs(host, &["unmount", dataset])?;
    }
    said(answer)
}

fn said_io(done: std::io::Result<()>) -> Result<bool> {
    if let Err(why) = &done {
        err!("{why}");
    }
    Ok(done.is_ok())
}

/// Destroys a dataset with all that is below it.
pub fn destroy(host: &Host, dataset: &str) -> Result<bool> {
    said(zfs(host, &["destroy", "-r", dataset])?)
}

fn said(answer: Answer) -> Result<bool> {
    if answer.status != 0 && !answer.stderr.is_empty() {
        err!("{}", answer.stderr.trim_end());
    }
    Ok(answer.status == 0)
}

/// The filesystem whose `mountpoint` property is exactly this path, mounted or not.
pub fn with_mountpoint(host: &Host, path: &str) -> Result<Option<String>> {
    let answer = zfs(host, &["list", "-H", "-t", "filesystem", "-o", "name,mountpoint"])?;
    let mut pairs = answer.stdout.lines().filter_map(|line| line.split_once('\t'));
    Ok(pairs.find(|(_, mountpoint)| *mountpoint == path).map(|(name, _)| name.to_owned()))
}

/// What is mounted where, (dataset, path), however it came there.
pub fn mounts(host: &Host) -> Result<Vec<(String, String)>> {
    if !host.settings()?.real_zfs {
        return Ok(crate::zfs::mounts(host)?);
    }
    let table = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    let fields = table.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((unescaped(fields.next()?), unescaped(fields.next()?)))
    });
    Ok(fields.filter(|(source, _)| !source.starts_with('/')).collect())
}

/// The mount table's `\040` and its like.
fn unescaped(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        match rest.get(at + 1..at + 4).and_then(|octal| u8::from_str_radix(octal, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                text.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    text + rest
}

/// The dataset mounted at a path. Where mounts lie upon each other, the topmost one.
pub fn mounted_at(host: &Host, path: &str) -> Result<Option<String>> {
    Ok(mounts(host)?.into_iter().rev().find(|(_, at)| at == path).map(|(dataset, _)| dataset))
}

/// `mount -F zfs DATASET PATH`: works for legacy datasets and, other than `zfs mount`, for zoned ones.
pub fn mount_at(host: &Host, dataset: &str, path: &str) -> Result<()> {
    if !host.settings()?.real_zfs {
        return Ok(crate::zfs::mount_at(host, dataset, path)?);
    }
    // zfs-fuse mounts by the property only, and unmounts as soon as that changes. So there a zone's root
    // keeps a mountpoint of its own, and zoned=off, also while the zone is attached.
    let mounted = set(host, "zoned=off", dataset)?
        && set(host, &format!("mountpoint={path}"), dataset)?
        && (mounted_at(host, path)?.is_some() || mount_again(host, dataset)?);
    if !mounted {
        bail!("{dataset} could not be mounted at {path}");
    }
    Ok(())
}

/// Mounts a dataset somewhere in a zone, by the zone's own right: `zfs mount` of the global zone refuses a zoned one.
/// With zfs-fuse that refusal is the client's, so the lab asks the daemon itself.
pub fn mount_in_zone(host: &Host, dataset: &str, path: &Path) -> Result<()> {
    if !host.settings()?.real_zfs {
        return Ok(crate::zfs::mount_at(host, dataset, &path.display().to_string())?);
    }
    // zfs-fuse 0.7, zfsfuse_cmd_t as seen on the socket: MOUNT_REQ (6), the two lengths, flags, options' length;
    // then the two texts; the answer is an errno.
    let dir = path.display().to_string();
    let mut request = [0u8; 32];
    for (at, number) in [(0, 6), (8, dataset.len()), (12, dir.len())] {
        request[at..at + 4].copy_from_slice(&u32::try_from(number)?.to_ne_bytes());
    }
    let mut socket = UnixStream::connect("/run/zfs/zfs_socket").context("zfs-fuse's socket")?;
    socket.write_all(&request)?;
    socket.write_all(dataset.as_bytes())?;
    socket.write_all(dir.as_bytes())?;
    let mut answer = [0u8; 4];
    socket.read_exact(&mut answer)?;
    match i32::from_ne_bytes(answer) {
        0 => Ok(()),
        errno => {
            bail!("{dataset} could not be mounted at {dir}: {}", std::io::Error::from_raw_os_error(errno))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_tables_octal_escapes_are_read() {
        assert_eq!(unescaped("data/a\\040b"), "data/a b");
        assert_eq!(unescaped("a\\134x\\"), "a\\x\\");
    }
}
