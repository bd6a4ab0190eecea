//! Feature flags of pools (illumos `zfeature_common.c`): which a pool has, and what needs one.
//!
//! A pool is made with all of them, as `zpool create` does; `-d` and `-o feature@…=disabled` leave some out. The order
//! in which `zpool get all` shows them is unverified.

use super::command::{Fail, Outcome, Session, cannot_open};
use super::options;
use super::state::{Pool, State, pool_of};

/// All features of illumos in 2024.
pub const FEATURES: &[&str] = &[
    "async_destroy",
    "empty_bpobj",
    "lz4_compress",
    "multi_vdev_crash_dump",
    "spacemap_histogram",
    "enabled_txg",
    "hole_birth",
    "extensible_dataset",
    "embedded_data",
    "bookmarks",
    "filesystem_limits",
    "large_blocks",
    "large_dnode",
    "sha512",
    "skein",
    "edonr",
    "device_removal",
    "obsolete_counts",
    "zpool_checkpoint",
    "spacemap_v2",
    "allocation_classes",
    "resilver_defer",
    "encryption",
    "bookmark_v2",
    "userobj_accounting",
    "project_quota",
    "log_spacemap",
];

/// Those that are in use from the moment at which they are enabled.
const ALWAYS: &[&str] = &[
    "lz4_compress",
    "spacemap_histogram",
    "enabled_txg",
    "hole_birth",
    "extensible_dataset",
    "embedded_data",
];

/// What refuses a value that the pool has no feature for.
pub const UPGRADE: &str = "pool and or dataset must be upgraded to set this property or value";

/// Whether a pool of a dataset can use a feature.
pub fn is_enabled(state: &State, dataset: &str, feature: &str) -> bool {
    state.pools.get(pool_of(dataset)).is_some_and(|pool| !pool.disabled.contains(feature))
}

/// `active`, `enabled` or `disabled`; `None` where there is no such feature.
pub fn value(state: &State, name: &str, pool: &Pool, feature: &str) -> Option<&'static str> {
    if !FEATURES.contains(&feature) {
        return None;
    }
    if pool.disabled.contains(feature) {
        return Some("disabled");
    }
    let mut members = state.datasets.iter().filter(|(dataset, _)| pool_of(dataset) == name);
    let used = members.any(|(_, dataset)| match feature {
        "bookmarks" => !dataset.bookmarks.is_empty(),
        "encryption" => dataset.crypt.is_some(),
        _ => dataset.local.iter().any(|(property, value)| needed(property, value) == Some(feature)),
    });
    Some(if used || ALWAYS.contains(&feature) { "active" } else { "enabled" })
}

/// The feature that a property's value needs.
pub fn needed(property: &str, value: &str) -> Option<&'static str> {
    match (property, value) {
        ("compression", "lz4") => Some("lz4_compress"),
        ("checksum", "sha512") => Some("sha512"),
        ("checksum", "skein") => Some("skein"),
        ("checksum", "edonr") => Some("edonr"),
        ("recordsize", bytes) if bytes.parse::<u64>().is_ok_and(|bytes| bytes > 131_072) => {
            Some("large_blocks")
        }
        ("filesystem_limit" | "snapshot_limit", _) => Some("filesystem_limits"),
        _ => None,
    }
}

/// Why the pool does not take a value; `upgrade` is the command's own text.
pub fn allows(state: &State, name: &str, property: &str, value: &str, upgrade: &str) -> Result<(), String> {
    match needed(property, value) {
        Some(feature) if !is_enabled(state, name, feature) => Err(match feature {
            "large_blocks" => format!("'{property}' must be power of 2 from 512B to 128KB"),
            _ => upgrade.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// `-o feature@NAME=STATE` of `zpool create`; `None` for another property.
pub fn given(assignment: &str) -> Option<Result<(&str, bool), Fail>> {
    let (name, value) = assignment.strip_prefix("feature@")?.split_once('=')?;
    Some(match (FEATURES.contains(&name), value) {
        (true, "enabled") => Ok((name, true)),
        (true, "disabled") => Ok((name, false)),
        (true, _) => {
            let reason = "property can only be set to 'enabled' or 'disabled'";
            Err(Fail::Text(format!("property 'feature@{name}' {reason}")))
        }
        (false, _) => Err(Fail::Text(format!("invalid feature '{name}'"))),
    })
}

/// `zpool set feature@NAME=enabled pool`
pub fn set(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, "")?;
    let [assignment, pool] = parsed.operands else {
        return Err(Fail::Usage("missing property=value or pool argument".into()));
    };
    let Some(Ok((feature, true))) = given(assignment) else {
        return Err(Fail::Text(format!("zpool set {assignment} is not emulated in this lab")));
    };
    session.store.change(|state| match state.pools.get_mut(pool) {
        Some(pool) => {
            pool.disabled.remove(feature);
            Ok(0)
        }
        None => Err(cannot_open(pool)),
    })?
}
