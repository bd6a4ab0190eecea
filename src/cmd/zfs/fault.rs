//! What `zfs` means by its complaints: from the text of stderr to one of a few cases.
//!
//! The texts are those of zfs-fuse (observed), illumos and OpenZFS (their sources), in the C locale. Quoted
//! names are taken out first: a dataset may be called `dataset is busy`. What isn't known is
//! [`Fault::Other`], never a guess.

use std::fmt;

use crate::process::RunError;

/// Why a `zfs` command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The dataset or snapshot does not exist.
    Missing,
    /// The dataset above does not exist.
    ParentMissing,
    /// The pool does not exist.
    NoSuchPool,
    /// The name is taken.
    Exists,
    /// Mounted and in use, held, or a transfer is on its way.
    Busy,
    /// The pool is full, or a quota or reservation stands against it.
    NoSpace,
    /// Not allowed to this user.
    Permission,
    /// It has children, snapshots or clones.
    HasDependents,
    /// `zoned` is on: not possible from the global zone.
    Zoned,
    /// It is mounted already.
    Mounted,
    /// It isn't mounted.
    NotMounted,
    /// Its mountpoint is `legacy`, so only umount(8) unmounts it.
    LegacyMount,
    /// The directory to mount on holds something. The property that led to the mount may have been set.
    DirectoryNotEmpty,
    /// The stream is damaged or was cut off.
    StreamDamaged,
    /// The stream needs something that this software or pool does not have.
    StreamUnsupported,
    /// The destination was changed since the snapshot that the increment is based on, or has another newest
    /// one.
    NotTheBase,
    /// The source snapshots don't fit together.
    NoBase,
    /// The reader of a stream went away.
    BrokenPipe,
    /// The two names are in different pools.
    OtherPool,
    /// A value that isn't legal, or a property that can't be set.
    BadProperty,
    /// An option or form that this release does not know.
    Usage,
    /// The ZFS of this host does not answer (zfs-fuse: its daemon is gone).
    Unreachable,
    /// None of these.
    Other,
}

/// Texts in order: the first that occurs decides. Longer and more special ones come first.
const TEXTS: &[(&str, Fault)] = &[
    ("failed to initialize ZFS library", Fault::Unreachable),
    ("file descriptor closed", Fault::Unreachable),
    ("parent does not exist", Fault::ParentMissing),
    ("no such pool", Fault::NoSuchPool),
    ("most recent snapshot of", Fault::NotTheBase),
    ("has been modified", Fault::NotTheBase),
    ("incremental source", Fault::NoBase),
    ("not an earlier snapshot from the same fs", Fault::NoBase),
    ("local origin for clone", Fault::NoBase),
    ("destination has snapshots", Fault::Exists),
    ("destination already exists", Fault::Exists),
    ("must specify -F to overwrite it", Fault::Exists),
    ("contains partially-complete state", Fault::Busy),
    ("filesystem has children", Fault::HasDependents),
    ("volume has children", Fault::HasDependents),
    ("has dependent clones", Fault::HasDependents),
    ("snapshot is cloned", Fault::HasDependents),
    ("dataset already exists", Fault::Exists),
    ("is busy", Fault::Busy),
    // EBUSY of an unmount, in Solaris's and Linux's words
    ("Device busy", Fault::Busy),
    ("Device or resource busy", Fault::Busy),
    ("exported to a local zone", Fault::Zoned),
    ("in a non-global zone", Fault::Zoned),
    ("filesystem already mounted", Fault::Mounted),
    ("not currently mounted", Fault::NotMounted),
    ("legacy mountpoint", Fault::LegacyMount),
    ("directory is not empty", Fault::DirectoryNotEmpty),
    ("checksum mismatch", Fault::StreamDamaged),
    ("incorrect header checksum", Fault::StreamDamaged),
    ("incomplete stream", Fault::StreamDamaged),
    ("invalid backup stream", Fault::StreamDamaged),
    ("failed to read from stream", Fault::StreamDamaged),
    ("invalid stream", Fault::StreamDamaged),
    ("unsupported feature", Fault::StreamUnsupported),
    ("deprecated feature", Fault::StreamUnsupported),
    ("must be upgraded to receive this stream", Fault::StreamUnsupported),
    ("out of space", Fault::NoSpace),
    ("space quota exceeded", Fault::NoSpace),
    ("No space left on device", Fault::NoSpace),
    ("less than current used or reserved space", Fault::NoSpace),
    ("greater than available space", Fault::NoSpace),
    ("permission denied", Fault::Permission),
    ("Permission denied", Fault::Permission),
    ("Broken pipe", Fault::BrokenPipe),
    ("must be within same pool", Fault::OtherPool),
    ("must be one of", Fault::BadProperty),
    ("is readonly", Fault::BadProperty),
    ("invalid property", Fault::BadProperty),
    ("does not exist", Fault::Missing),
    ("could not find any snapshots to destroy", Fault::Missing),
    ("invalid option", Fault::Usage),
    ("missing argument", Fault::Usage),
    ("too many arguments", Fault::Usage),
    ("usage:", Fault::Usage),
];

impl Fault {
    /// What the text of stderr says.
    pub fn of(stderr: &str) -> Fault {
        // zfs-fuse as an ordinary user: the library's failure is only the consequence.
        if stderr.starts_with("connect: Permission denied") {
            return Fault::Permission;
        }
        let text = unquoted(stderr);
        // A destination that exists is told by two lines: `destination 'X' exists` and the `must specify` of
        // the table.
        TEXTS.iter().find(|(piece, _)| text.contains(piece)).map_or(Fault::Other, |&(_, fault)| fault)
    }

    /// What a failed `zfs` command said; [`Fault::Other`] for failures of another kind.
    pub fn of_error(error: &RunError) -> Fault {
        match error {
            RunError::Failed { output, .. } => Fault::of(&output.stderr),
            _ => Fault::Other,
        }
    }
}

impl fmt::Display for Fault {
    /// The variant's name, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The number of names that stderr says are missing, or `None` when it says anything else.
pub(super) fn missing_names(stderr: &str) -> Option<usize> {
    // cannot open 'data/nope': dataset does not exist
    let missing = |line: &&str| {
        let line = unquoted(line);
        line.starts_with("cannot open") && line.ends_with("does not exist")
    };
    let lines: Vec<_> = stderr.lines().filter(|line| !line.is_empty()).collect();
    lines.iter().all(missing).then_some(lines.len())
}

/// The text without what stands between quotes. No name holds a quote.
fn unquoted(text: &str) -> String {
    text.lines()
        .flat_map(|line| line.split('\'').step_by(2).chain(["\n"]))
        .collect::<String>()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn complaints_are_told_apart() {
        // [captured] zfs-fuse 0.7.0, and texts of illumos's and OpenZFS's libzfs, as the fact sheet gives
        // them
        for (text, fault) in [
            ("cannot open 'src/nope': dataset does not exist", Fault::Missing),
            ("cannot create 'nopool/x': no such pool 'nopool'", Fault::NoSuchPool),
            ("cannot create 'src/nope/x': parent does not exist", Fault::ParentMissing),
            ("cannot create 'src/zones': dataset already exists", Fault::Exists),
            (
                "cannot create snapshot 's/w@m1': dataset already exists\nno snapshots were created",
                Fault::Exists,
            ),
            ("cannot destroy 'dst/t/x': dataset is busy", Fault::Busy),
            ("cannot unmount '/export/zones/web': Device busy", Fault::Busy),
            (
                "cannot destroy 's/w': filesystem has children\nuse '-r' to destroy the following datasets:\ns/w/a",
                Fault::HasDependents,
            ),
            ("cannot destroy 'p1/z@s1': snapshot has dependent clones", Fault::HasDependents),
            ("cannot destroy 'p1/z': filesystem has dependent clones", Fault::HasDependents),
            ("cannot destroy snapshot p1/z@s1: snapshot is cloned", Fault::HasDependents),
            ("cannot rename to 'dst/db': datasets must be within same pool", Fault::OtherPool),
            (
                "cannot set property for 'dst/t/x': size is less than current used or reserved space",
                Fault::NoSpace,
            ),
            ("cannot set property for 'dst/t/x': size is greater than available space", Fault::NoSpace),
            (
                "cannot set property for 'p2/ap': 'compression' must be one of 'on | off | lzjb'",
                Fault::BadProperty,
            ),
            ("cannot mount 'dst/t/z': dataset is exported to a local zone", Fault::Zoned),
            ("cannot rename 'bp/q/x': dataset is used in a non-global zone", Fault::Zoned),
            ("cannot mount '/mnt/t/n': directory is not empty", Fault::DirectoryNotEmpty),
            ("cannot mount 'dst/r/web': filesystem already mounted", Fault::Mounted),
            ("cannot unmount 'data/zones': not currently mounted", Fault::NotMounted),
            ("invalid option 'n'\nusage:\n", Fault::Usage),
            (
                "connect: Permission denied\ninternal error: failed to initialize ZFS library",
                Fault::Permission,
            ),
            (
                "connect: Connection refused\nPlease make sure that the zfs-fuse daemon is running.\ninternal error: failed to initialize ZFS library",
                Fault::Unreachable,
            ),
            ("WARNING: could not send src/zones/web@nope: does not exist", Fault::Missing),
            ("warning: cannot send 's/w@m2': incremental source (@nope) does not exist", Fault::NoBase),
            ("warning: cannot send 'src/zones/web@m1': Broken pipe", Fault::BrokenPipe),
            (
                "cannot receive new filesystem stream: destination 'dst/r/web' exists\nmust specify -F to overwrite it",
                Fault::Exists,
            ),
            (
                "cannot receive incremental stream: most recent snapshot of dst/r/web does not\nmatch incremental source",
                Fault::NotTheBase,
            ),
            (
                "cannot receive incremental stream: destination dst/r/web has been modified\nsince most recent snapshot",
                Fault::NotTheBase,
            ),
            ("cannot receive: stream has unsupported feature, feature flags = 4", Fault::StreamUnsupported),
            (
                "cannot receive new filesystem stream: invalid stream (checksum mismatch)",
                Fault::StreamDamaged,
            ),
            ("cannot receive new filesystem stream: invalid backup stream", Fault::StreamDamaged),
            ("cannot receive new filesystem stream: out of space", Fault::NoSpace),
            ("cannot receive new filesystem stream: dataset is busy", Fault::Busy),
            ("cannot open 'data/dataset is busy': dataset does not exist", Fault::Missing),
            ("", Fault::Other),
        ] {
            assert_eq!(Fault::of(text), fault, "{text}");
        }
    }

    #[test]
    fn only_missing_names_are_counted_and_anything_else_is_no_count() {
        assert_eq!(missing_names(""), Some(0));
        let two = "cannot open 'a/b': dataset does not exist\ncannot open 'a@b': dataset does not exist\n";
        assert_eq!(missing_names(two), Some(2));
        assert_eq!(missing_names(&format!("{two}cannot open 'c': I/O error\n")), None);
        assert_eq!(missing_names("connect: Connection refused\n"), None);
    }
}
