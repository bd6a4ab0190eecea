//! What a dataset's properties must not do on this host.
//!
//! The danger is a filesystem of the zone that mounts over a directory of the global zone, or is shared from it. A
//! dataset that the zone administers itself (`zoned=on`) can do neither: its mountpoint is a path inside the zone.

use crate::cmd::zfs::property::SHARES;
use crate::host::check::text::shown;
use crate::job::name::DatasetName;
use crate::job::path;

/// Why a dataset with these effective values must not come. `zonepath` is the zone's on this host.
pub fn refusals<'v>(
    name: &DatasetName,
    value: impl Fn(&str) -> Option<&'v str>,
    zonepath: &str,
) -> Vec<String> {
    if value("zoned") == Some("on") {
        return Vec::new();
    }
    let mut refusals = Vec::new();
    let mountpoint = value("mountpoint").unwrap_or("none");
    if !matches!(mountpoint, "none" | "legacy" | "-") {
        let mounts = !matches!(value("canmount"), Some("off" | "noauto"));
        let shown = shown(mountpoint);
        if path::absolute(mountpoint).is_err() {
            refusals.push(format!("dataset '{name}' has the mountpoint {shown}, which is no path"));
        } else if mounts && !path::is_within(mountpoint, zonepath) {
            refusals.push(format!(
                "dataset '{name}' has the mountpoint {shown} outside of the zonepath and would be mounted over the \
                 target's own directory; set its mountpoint to legacy or canmount to noauto in [target.properties]"
            ));
        }
    }
    for share in SHARES {
        if let Some(value) = value(share).filter(|value| !matches!(*value, "off" | "-" | "")) {
            let value = shown(value);
            refusals.push(format!(
                "dataset '{name}' would be shared by the target itself ({share}={value}); set {share}=off in [target.properties]"
            ));
        }
    }
    refusals
}
