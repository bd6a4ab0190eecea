//! The hooks of brand `solaris`: the root is `P-ds/rpool/ROOT/<zbe>`, in a dataset that the zone
//! sees as its pool `rpool`.
//!
//! These hooks follow documents alone (docs.oracle.com "File Systems Mounted in Zones",
//! README.dsconvert, use-zones of 11.4): the layout, the choice of the boot environment by the
//! libbe properties, that an attach clones the boot environment of another host unless it has `-x
//! deny-zbe-clone`, the name of the log. Unverified: the words of a failure, what detach does to
//! properties and mounts (here: it unmounts), and whether the root of a halted zone stays mounted
//! (here: it does). The lab refuses by name an attach that would make a clone.

use std::fs;

use anyhow::Result;

use super::attach::Options;
use super::attach_log::AttachLog;
use super::brand::{self, ACTIVE, Hook, PARENT, Refused, configure, fatal, hook};
use super::config::Config;
use super::zfs;
use crate::world::Host;

/// Where the zone's boot environments are.
pub fn root_dataset(zone_dataset: &str) -> String {
    format!("{zone_dataset}/rpool/ROOT")
}

fn children(host: &Host, root: &str) -> Result<Vec<String>> {
    let child = |name: &String| {
        name.strip_prefix(root)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|rest| !rest.contains('/'))
    };
    Ok(zfs::get_below(host, root, "type")?.into_iter().map(|(name, _)| name).filter(child).collect())
}

/// The boot environment at P/root, its `var` below.
fn mount(host: &Host, config: &Config, zbe: &str) -> Hook<()> {
    let root = format!("{}/root", config.zonepath);
    for (dataset, path) in [(zbe.to_owned(), root.clone()), (format!("{zbe}/var"), format!("{root}/var"))] {
        if !zfs::exists(host, &dataset)? || zfs::mounted_at(host, &path)?.as_deref() == Some(&*dataset) {
            continue;
        }
        fs::create_dir_all(host.path(&path))?;
        if let Err(why) = zfs::mount_at(host, &dataset, &path) {
            err!("mount: {why:#}");
            return fatal(&format!("Unable to mount the zone's ZFS dataset: {dataset}"));
        }
    }
    Ok(Ok(()))
}

/// Mounts the zone's root of this host's boot environment.
pub fn ensure_root_mounted(host: &Host, config: &Config) -> Hook<()> {
    let zone_dataset = hook!(brand::zonepath_dataset(host, &config.zonepath));
    let settings = host.settings()?;
    let zbe = hook!(brand::active_dataset(host, &settings, &root_dataset(&zone_dataset)));
    mount(host, config, &zbe)
}

/// detach: nothing of the zone is mounted any more.
pub fn detach(host: &Host, config: &Config) -> Hook<()> {
    let document = host.file("etc/zones").join(format!("{}.xml", config.name));
    fs::copy(document, host.path(&config.zonepath).join("SUNWdetached.xml"))?;
    let root = format!("{}/root", config.zonepath);
    for path in [format!("{root}/var"), root] {
        if let Some(dataset) = zfs::mounted_at(host, &path)?
            && !zfs::unmount(host, &dataset)?
        {
            return fatal(&format!("Unable to unmount the zone's ZFS dataset: {dataset}"));
        }
    }
    Ok(Ok(()))
}

/// attach: the boot environment of this host, or the zone's only one.
pub fn attach(host: &Host, config: &Config, options: &Options) -> Hook<()> {
    let time = chrono::Utc::now().format("%Y%m%dT%H%M%SZ");
    // [captured] for an install; for an attach by analogy.
    let path = AttachLog::open(host, &format!("var/log/zones/zoneadm.{time}.{}.attach", config.name))?;
    AttachLog::say(&format!("Progress being logged to {path}"))?;
    let done = attach_zbe(host, config, options)?;
    let result = if done.is_ok() { "Attach Succeeded." } else { "Attach Failed." };
    AttachLog::say(&format!("                    Result: {result}"))?;
    Ok(done)
}

fn attach_zbe(host: &Host, config: &Config, options: &Options) -> Hook<()> {
    let settings = host.settings()?;
    let zone_dataset = hook!(brand::zonepath_dataset(host, &config.zonepath));
    let root = root_dataset(&zone_dataset);
    let zbe = match children(host, &root)?.as_slice() {
        [zbe] => zbe.clone(),
        [] => return fatal("no zone boot environment was found."),
        _ => return fatal("the lab takes a zone with one boot environment, this one has more."),
    };
    let belongs = zfs::get(host, &zbe, PARENT)?.is_some_and(|(be, _)| be == settings.boot_environment);
    if !belongs && !options.deny_clone {
        return fatal(
            "zmigrate-lab: this attach would clone the zone boot environment; see -x deny-zbe-clone",
        );
    }
    hook!(mount(host, config, &zbe));
    AttachLog::say(&format!("        Attach ZFS Dataset: {zbe}"))?;
    let image = host.path(&format!("{}/root/var/pkg/pkg5.image", config.zonepath));
    let text = fs::read_to_string(&image).unwrap_or_default();
    let entire = text.lines().find_map(|line| line.strip_prefix("entire=")).unwrap_or_default();
    if entire != settings.entire {
        if !options.update {
            AttachLog::note(&format!("{entire} in the zone, {} in the global zone", settings.entire))?;
            AttachLog::say("The zone's packages are out of sync with the global zone; see -u and -U.")?;
            return Ok(Err(Refused));
        }
        if !hook!(brand::install_entire(&image, &settings, entire)) {
            return fatal("Could not update attaching zone");
        }
        AttachLog::say("Updating non-global zone: Zone updated.")?;
    }
    hook!(configure(host, &zbe, &format!("{PARENT}={}", settings.boot_environment)));
    configure(host, &zbe, &format!("{ACTIVE}=on"))
}
