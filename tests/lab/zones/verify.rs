//! The checks that boot, ready, reboot, verify, attach and detach make before they begin: zoneadm's
//! verify_details. All findings go to stderr without a prefix; warnings are not failures.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::Result;

use super::config::{Config, Resource};
use super::{index, zfs};
use crate::world::{Host, Profile, Settings};

/// Which of zoneadm's commands is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// attach: the zonepath comes later.
    Attach,
    /// All others.
    Other,
}

/// Whether the zone may go on. Says what is wrong, the concluding line included.
pub fn details(host: &Host, config: &Config, by: For) -> Result<bool> {
    let settings = host.settings()?;
    let mut good = true;
    if by == For::Other && !zonepath(host, config, by)? {
        err!("could not verify zonepath {} because of the above errors.", config.zonepath);
        good = false;
    }
    for fs in config.all("fs") {
        good &= filesystem(host, fs)?;
    }
    for dataset in config.datasets() {
        good &= delegated(host, dataset)?;
    }
    for net in config.all("net") {
        good &= network(&settings, config, net);
    }
    if !good {
        err!("zoneadm: zone {} failed to verify", config.name);
    }
    Ok(good)
}

/// The zonepath's own checks.
pub fn zonepath(host: &Host, config: &Config, by: For) -> Result<bool> {
    let path = &config.zonepath;
    if !path.starts_with('/') {
        err!("{path} is not an absolute path.");
        return Ok(false);
    }
    for other in index::load(host)?.iter().filter(|entry| entry.name != config.name) {
        let within = |a: &str, b: &str| Path::new(a).starts_with(b);
        if within(path, &other.zonepath) || within(&other.zonepath, path) {
            err!(
                "{} zonepath ({path}) and {} zonepath ({}) overlap.",
                config.name,
                other.name,
                other.zonepath
            );
            return Ok(false);
        }
    }
    let real = host.path(path);
    let meta = match fs::metadata(&real) {
        Ok(meta) => meta,
        Err(why) if why.kind() == ErrorKind::NotFound => {
            err!("WARNING: {path} does not exist, so it could not be verified.");
            err!("When 'zoneadm install' is run, 'install' will try to create");
            err!("{path}, and 'verify' will be tried again,");
            err!("but the 'verify' may fail if:");
            err!("the parent directory of {path} is group- or other-writable");
            err!("or");
            err!("{path} overlaps with any other installed zones.");
            return Ok(true);
        }
        Err(why) => return Err(why.into()),
    };
    if !meta.is_dir() {
        err!("{path} is not a directory.");
        return Ok(false);
    }
    owner_and_mode(host, path, &real, &meta, by)
}

/// root's, 0700. illumos complains, and at an attach repairs it (recorded; issue 5432); Solaris 11 complains and repairs it
/// (captured at an install), Solaris 10 refuses. The owner is not looked at for a lab of an ordinary user, where nothing can be root's.
fn owner_and_mode(host: &Host, path: &str, real: &Path, meta: &fs::Metadata, by: For) -> Result<bool> {
    let profile = host.profile()?;
    let repairs = match profile {
        Profile::Solaris10 => false,
        Profile::Solaris11 => true,
        Profile::Omnios => by == For::Attach,
    };
    let mut good = true;
    if nix::unistd::geteuid().is_root() && meta.uid() != 0 {
        if repairs {
            err!("{path}: changing owner to root.");
            std::os::unix::fs::chown(real, Some(0), None)?;
        } else {
            err!("{path} is not owned by root.");
            good = false;
        }
    }
    let mode = meta.mode() & 0o777;
    if mode == 0o700 {
        return Ok(good);
    }
    let owner = [(0o400, "readable"), (0o200, "writable"), (0o100, "executable")];
    for (_, word) in owner.into_iter().filter(|(bit, _)| mode & bit == 0) {
        err!("{path} must be owner {word}.");
    }
    for (shift, who) in [(3, "group"), (6, "world")] {
        for (_, word) in owner.into_iter().filter(|(bit, _)| mode & (bit >> shift) != 0) {
            err!("{path} must not be {who} {word}.");
        }
    }
    if repairs {
        let whose =
            if profile == Profile::Omnios { format!("{path}: changing") } else { "changing zonepath".into() };
        err!("{whose} permissions to 0700.");
        fs::set_permissions(real, fs::Permissions::from_mode(0o700))?;
        return Ok(good);
    }
    Ok(false)
}

fn filesystem(host: &Host, fs: &Resource) -> Result<bool> {
    let (dir, special) = (fs.get("dir"), fs.get("special"));
    match fs.get("type") {
        "zfs" => match zfs::get(host, special, "mountpoint")? {
            None => {
                err!("could not verify fs {dir}: could not access zfs dataset '{special}'");
                return Ok(false);
            }
            Some((mountpoint, _)) if mountpoint != "legacy" => {
                err!("could not verify fs {dir}: zfs '{special}' mountpoint is not \"legacy\"");
                return Ok(false);
            }
            Some(_) => {}
        },
        "proc" | "mntfs" | "autofs" | "cachefs" => {
            err!("could not verify fs {dir}: type {} is not allowed.", fs.get("type"));
            return Ok(false);
        }
        "lofs" if !host.path(special).exists() => {
            err!("could not verify fs {dir}: could not access {special}: No such file or directory");
            return Ok(false);
        }
        _ => {}
    }
    Ok(true)
}

fn delegated(host: &Host, dataset: &str) -> Result<bool> {
    match zfs::get(host, dataset, "mountpoint")? {
        None => {
            err!("could not verify zfs dataset {dataset}: dataset does not exist");
            Ok(false)
        }
        Some((_, source)) if source.starts_with("inherited") => {
            err!("could not verify zfs dataset {dataset}: mountpoint cannot be inherited");
            Ok(false)
        }
        Some(_) => Ok(true),
    }
}

fn network(settings: &Settings, config: &Config, net: &Resource) -> bool {
    let physical = net.get("physical");
    let nic = settings.nics.iter().find(|nic| nic.name == physical);
    if config.shared_ip() {
        let address = net.get("address");
        if crate::net::address::parse(address).is_none() {
            err!("could not verify net address={address} physical={physical}\n\tbogus address");
            return false;
        }
        if nic.is_none() {
            err!(
                "WARNING: skipping network interface '{physical}' which may not be present/plumbed in the \
                 global zone."
            );
        }
    } else if nic.is_some_and(|nic| nic.address.is_some()) {
        err!("WARNING: skipping network interface '{physical}' which is used in the global zone.");
    }
    // The missing VNIC of an exclusive-IP zone is made by the brand at boot (OmniOS).
    true
}
