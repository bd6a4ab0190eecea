//! `zoneadm detach`.

use std::path::Path;

use anyhow::Result;

use super::config::Config;
use super::index::Stored;
use super::xml::{self, Inventory, Purpose};
use super::zoneadm::Call;
use super::{brand, set_stored, verify, zfs};
use crate::disk;
use crate::world::Profile;

/// Detaches a zone that is installed.
pub fn main(call: &Call, config: &Config, args: &[String]) -> Result<i32> {
    if let Some(option) = args.first() {
        err!("zoneadm: detach: the lab knows no option '{option}' here");
        err!("usage:\tzoneadm -z <zone> detach [-n]");
        return Ok(2);
    }
    let host = call.host;
    if !verify::details(host, config, verify::For::Other)? {
        return Ok(1);
    }
    if config.has_boot_environments() {
        if brand::detach(host, config)?.is_err() {
            return Ok(1);
        }
    } else {
        if mounts_in_the_way(call, config)? {
            return Ok(1);
        }
        let text = document(call, config)?;
        disk::replace(&host.path(&config.zonepath).join("SUNWdetached.xml"), text.as_bytes())?;
    }
    set_stored(host, call.zone, Stored::Configured, Some("detach"))?;
    Ok(0)
}

/// `detach -n`: prints what would be written, in any state, and changes nothing.
pub fn dry_run(call: &Call, config: &Config) -> Result<i32> {
    let text = if config.has_boot_environments() {
        xml::write(config, Purpose::Configured, &Inventory::default())
    } else {
        document(call, config)?
    };
    out!("{}", text.trim_end());
    Ok(0)
}

fn document(call: &Call, config: &Config) -> Result<String> {
    Ok(xml::write(config, Purpose::Detached, &inventory(call, config)?))
}

/// The packages and patches that the native brand compares.
pub fn inventory(call: &Call, config: &Config) -> Result<Inventory> {
    let settings = call.host.settings()?;
    if settings.profile != Profile::Solaris10 || config.brand != "native" {
        return Ok(Inventory::default());
    }
    Ok(Inventory { packages: settings.packages, patches: settings.patches })
}

/// The built-in detach looks for mounts strictly below the zonepath.
fn mounts_in_the_way(call: &Call, config: &Config) -> Result<bool> {
    let below = |path: &str| path != config.zonepath && Path::new(path).starts_with(&config.zonepath);
    let found: Vec<String> =
        zfs::mounts(call.host)?.into_iter().map(|(_, path)| path).filter(|path| below(path)).collect();
    if found.is_empty() {
        return Ok(false);
    }
    let first = format!("These file systems are mounted on subdirectories of {}.", config.zonepath);
    if call.profile == Profile::Solaris10 {
        err!("zoneadm: zone '{}': {first}\n", call.zone);
        for path in found {
            err!("zoneadm: zone '{}':   {path}\n", call.zone);
        }
    } else {
        err!("{first}");
        for path in found {
            err!("  {path}");
        }
    }
    Ok(true)
}
