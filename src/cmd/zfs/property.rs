//! The native properties that can be set: what a migration carries, and in which turn the target sets it.
//!
//! From illumos's `common/zfs/zfs_prop.c` and zfs(8), with the later ones of OpenZFS's zfsprops(7). A
//! property that isn't here is not carried: read-only, fixed when the dataset is made (`casesensitivity`,
//! `volblocksize`, … travel in the stream), bound to the host (`version`, `mlslabel`), a Solaris 11 share
//! pseudo-property, or not known.

/// A native property that `zfs set` takes on an existing dataset and that means the same on another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Native {
    /// Its name.
    pub name: &'static str,
    /// Whether datasets below take it over. For one that isn't, the value's source is never another dataset.
    pub inherited: bool,
    /// Whether `get -p` prints a number that can be set back as it is; `0` stands for `none` in the limits.
    pub number: bool,
    /// Whether a filesystem has it.
    pub filesystem: bool,
    /// Whether a volume has it.
    pub volume: bool,
    /// When the target sets it.
    pub turn: Turn,
}

/// In which order a received dataset gets its properties. Each turn is done for all datasets before the next
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// In no special order, once canmount is noauto.
    Free,
    /// `mountpoint`: with canmount=on it would mount at once, with zoned=on it can't be set.
    Mountpoint,
    /// `sharenfs`, `sharesmb`: not possible once zoned is on.
    Share,
    /// Quotas and reservations: behind the last receive, which they could make fail.
    Limit,
    /// `readonly` and `zoned`: from then on the global zone can't mount, rename or set a mountpoint.
    Guard,
    /// `canmount`: back to the source's value, last of all.
    Canmount,
}

const FS: (bool, bool) = (true, false);
const VOL: (bool, bool) = (false, true);
const BOTH: (bool, bool) = (true, true);

const fn flag(name: &'static str, (filesystem, volume): (bool, bool)) -> Native {
    Native { name, inherited: true, number: false, filesystem, volume, turn: Turn::Free }
}

const fn limit(name: &'static str, (filesystem, volume): (bool, bool)) -> Native {
    Native { name, inherited: false, number: true, filesystem, volume, turn: Turn::Limit }
}

const fn at(turn: Turn, native: Native) -> Native {
    Native { turn, ..native }
}

/// The table.
pub const NATIVE: &[Native] = &[
    flag("aclinherit", FS),
    flag("aclmode", FS),
    // OpenZFS
    flag("acltype", FS),
    flag("atime", FS),
    flag("checksum", BOTH),
    flag("compression", BOTH),
    flag("copies", BOTH),
    flag("dedup", BOTH),
    flag("devices", FS),
    // illumos 2019, OpenZFS 0.7
    flag("dnodesize", FS),
    flag("exec", FS),
    flag("logbias", BOTH),
    flag("nbmand", FS),
    // OpenZFS
    flag("overlay", FS),
    flag("primarycache", BOTH),
    Native { number: true, ..flag("recordsize", FS) },
    flag("redundant_metadata", BOTH),
    // OpenZFS
    flag("relatime", FS),
    flag("secondarycache", BOTH),
    flag("setuid", FS),
    // OpenZFS
    flag("snapdev", VOL),
    flag("snapdir", FS),
    Native { number: true, ..flag("special_small_blocks", FS) },
    flag("sync", BOTH),
    // OpenZFS
    flag("volmode", VOL),
    flag("vscan", FS),
    flag("xattr", FS),
    at(Turn::Mountpoint, flag("mountpoint", FS)),
    at(Turn::Share, flag("sharenfs", FS)),
    at(Turn::Share, flag("sharesmb", FS)),
    limit("filesystem_limit", FS),
    limit("quota", FS),
    limit("refquota", FS),
    limit("refreservation", BOTH),
    limit("reservation", BOTH),
    limit("snapshot_limit", BOTH),
    at(Turn::Guard, flag("readonly", BOTH)),
    at(Turn::Guard, flag("zoned", FS)),
    Native { inherited: false, ..at(Turn::Canmount, flag("canmount", FS)) },
];

/// The properties by which a host shares a filesystem itself: those of all releases, and those that only Solaris 11 has.
pub const SHARES: [&str; 5] = ["share", "share.nfs", "share.smb", "sharenfs", "sharesmb"];

/// The entry of a native property that is carried.
pub fn native(name: &str) -> Option<&'static Native> {
    NATIVE.iter().find(|native| native.name == name)
}

/// Whether this is a user property's name: lower-case letters, digits and `-_.:` with a colon among them
/// (`zfs_prop_user`), at most 255 bytes.
pub fn is_user(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.:".contains(&b);
    name.len() < 256 && name.contains(':') && name.bytes().all(legal)
}

/// Whether a migration carries this property. User properties all are, but those that mark what a job made.
pub fn is_carried(name: &str) -> bool {
    native(name).is_some() || (is_user(name) && !name.starts_with("zmigrate:"))
}

/// Whether datasets below inherit this property.
pub fn is_inherited(name: &str) -> bool {
    native(name).is_some_and(|native| native.inherited) || SHARES.contains(&name) || is_user(name)
}

/// The turn of a carried property, or of one that a request sets.
pub fn turn(name: &str) -> Turn {
    let usual = if SHARES.contains(&name) { Turn::Share } else { Turn::Free };
    native(name).map_or(usual, |native| native.turn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;
    use crate::cmd::zfs::{Source, parse};

    #[test]
    fn what_is_bound_to_the_host_or_to_the_stream_is_not_carried() {
        for carried in ["quota", "zoned", "canmount", "org.opensolaris.libbe:parentbe", "my:note"] {
            assert!(is_carried(carried), "{carried}");
        }
        for left in [
            "version",
            "volsize",
            "volblocksize",
            "mlslabel",
            "mounted",
            "casesensitivity",
            "guid",
            "share.nfs",
            "Not:user",
            "zmigrate:job",
            "type",
            "",
            "origin",
        ] {
            assert!(!is_carried(left), "{left}");
        }
    }

    #[test]
    fn every_setting_of_a_real_dataset_is_in_the_table() {
        let lines = parse::properties(sample!("zfs/get-all.txt")).unwrap();
        for line in lines.iter().filter(|line| line.dataset().is_some()) {
            let settable = line.source != Source::None;
            assert_eq!(native(&line.property).is_some(), settable, "{}", line.property);
        }
    }

    #[test]
    fn the_turns_are_those_that_zfs_allows() {
        let order = ["atime", "mountpoint", "sharenfs", "quota", "zoned", "canmount"];
        assert!(order.windows(2).all(|pair| turn(pair[0]) < turn(pair[1])));
        assert!(NATIVE.iter().all(|native| native.filesystem || native.volume));
    }
}
