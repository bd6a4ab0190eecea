//! What the dataset steps run, known before they run it. Pure: `plan` prints these lists and the steps run them.

use crate::cmd::zfs::argv;
use crate::cmd::zfs::property::Turn;
use crate::host::effective::{Effective, Set};
use crate::job::layout::{Layout, Placed};
use crate::job::name::{DatasetName, SnapshotName};
use crate::process::Argv;

/// Datasets that one `zfs set` names at most: an argument list has an end.
const AT_ONCE: usize = 100;

fn set(set: &Set) -> impl Iterator<Item = Argv> {
    set.datasets.chunks(AT_ONCE).map(|datasets| argv::set(&set.property, &set.value, datasets))
}

/// In quarantine: canmount=noauto first, then what is set on each dataset itself, mountpoint and shares last.
/// Nothing mounts.
pub fn properties(effective: &Effective, layout: &Layout) -> Vec<Argv> {
    let here = |placed: &Placed| placed.quarantine.clone();
    let all = layout.datasets.iter().map(here).collect();
    let first = Set { property: "canmount".into(), value: "noauto".into(), datasets: all };
    let mut sets = vec![first];
    for turn in [Turn::Free, Turn::Guard, Turn::Mountpoint, Turn::Share] {
        // Of the guards only what is off: setting zoned mounts again what is mounted.
        let due = |set: &Set| turn != Turn::Guard || set.value == "off";
        sets.extend(effective.sets(turn, here).into_iter().filter(due));
    }
    sets.iter().flat_map(set).collect()
}

/// A root into its place.
pub fn rename(root: &Placed) -> Argv {
    argv::rename(&root.quarantine, &root.target)
}

/// In place: datasets inherit again what was set on them to receive others, by property.
pub fn inherits(property: &str, datasets: &[DatasetName]) -> Vec<Argv> {
    datasets.chunks(AT_ONCE).map(|datasets| argv::inherit(property, datasets)).collect()
}

/// In place: limits, then readonly and zoned. zoned is set before anything is mounted: setting it, even above a dataset
/// that has its own value, mounts that one again, which fails where unmounting is asynchronous.
pub fn quotas(effective: &Effective) -> Vec<Argv> {
    let here = |placed: &Placed| placed.target.clone();
    let guards = effective.sets(Turn::Guard, here).into_iter().filter(|set| set.value != "off");
    let sets: Vec<Set> = effective.sets(Turn::Limit, here).into_iter().chain(guards).collect();
    sets.iter().flat_map(set).collect()
}

/// In place: canmount as on the source.
pub fn canmount(effective: &Effective) -> Vec<Argv> {
    let mut commands = Vec::new();
    for (own, datasets) in effective.canmount() {
        // canmount is not inheritable, so a plain `zfs inherit` refuses it; -S removes the local value
        // (observed on zfs-fuse; illumos zfs_do_inherit checks `received` first).
        commands.extend(datasets.chunks(AT_ONCE).map(|datasets| match own {
            Some(value) => argv::set("canmount", value, datasets),
            None => argv::inherit_received("canmount", datasets),
        }));
    }
    commands
}

/// The end: this job's final snapshot of a dataset.
pub fn destroy(placed: &Placed, snapshot: &SnapshotName) -> Argv {
    argv::destroy_snapshot(&placed.target, snapshot)
}
