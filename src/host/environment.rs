//! Other boot environments of this host. Each has an /etc/zones of its own, in which a zone that
//! has moved away is still installed, with autoboot as it was. After `beadm activate` and a reboot
//! such a zone boots from its old copy, while it runs on its new host.

use std::path::Path;

use crate::cmd::{CmdError, beadm, mount};
use crate::process::Programs;

/// What holds the zones' configurations.
const ZONES: &str = "/etc/zones";
/// What an operator can do before another boot environment is booted.
pub const REMEDY: &str = "destroy the boot environments that nobody needs (beadm destroy BE); before another one is booted, \
                          beadm mount BE /mnt, remove the zone's line from /mnt/etc/zones/index, beadm unmount BE";

/// The other boot environments with configurations of their own.
///
/// # Errors
/// When a command fails or says what is not understood.
pub fn with_other_zones(programs: &Programs) -> Result<Vec<String>, CmdError> {
    let others = beadm::others(programs)?;
    if others.is_empty() || !programs.has("mount") {
        return Ok(others);
    }
    let mounted = mount::all(programs)?;
    // Where it lies on a file system of its own, all boot environments share it.
    let is_shared =
        mount::holder(&mounted, Path::new(ZONES)).is_some_and(|held| beadm::holding(held).is_none());
    Ok(if is_shared { Vec::new() } else { others })
}

/// A line about this zone for `plan` and for the log of `finish`; `None` without other boot
/// environments.
pub fn warning(programs: &Programs, zone: &str) -> Option<String> {
    let others = match with_other_zones(programs) {
        Ok(others) if others.is_empty() => return None,
        Ok(others) => format!("in other boot environments ({})", others.join(", ")),
        Err(error) => format!("in other boot environments, if there are any ({error})"),
    };
    Some(format!(
        "warning: {others} zone '{zone}' stays installed here, and would boot from its old copy there: {REMEDY}"
    ))
}
