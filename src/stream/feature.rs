//! Feature flags of a stream, `versioninfo >> 2` of its BEGIN: what a receiver must know to take it.
//!
//! Owns the flags' names and which receivers know which flags. Guarantees nothing about bits that it has no
//! name for: bits 3 to 15 belong to Solaris 11 and their meaning is not public, so a stream that
//! has one can't be verified here. Pure values, can't fail.

use std::fmt;

/// A set of stream features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FeatureSet(u64);

/// Bits and their names, in OpenZFS's spelling (`include/sys/zfs_ioctl.h`, DMU_BACKUP_FEATURE_*).
const NAMES: [(FeatureSet, &str); 16] = [
    (FeatureSet::DEDUP, "DEDUP"),
    (FeatureSet::DEDUPPROPS, "DEDUPPROPS"),
    (FeatureSet::SA_SPILL, "SA_SPILL"),
    (FeatureSet::EMBED_DATA, "EMBED_DATA"),
    (FeatureSet::LZ4, "LZ4"),
    (FeatureSet::LARGE_BLOCKS, "LARGE_BLOCKS"),
    (FeatureSet::RESUMING, "RESUMING"),
    (FeatureSet::REDACTED, "REDACTED"),
    (FeatureSet::COMPRESSED, "COMPRESSED"),
    (FeatureSet::LARGE_DNODE, "LARGE_DNODE"),
    (FeatureSet::RAW, "RAW"),
    (FeatureSet::ZSTD, "ZSTD"),
    (FeatureSet::HOLDS, "HOLDS"),
    (FeatureSet::SWITCH_TO_LARGE_BLOCKS, "SWITCH_TO_LARGE_BLOCKS"),
    (FeatureSet::LONGNAME, "LONGNAME"),
    (FeatureSet::LARGE_MICROZAP, "LARGE_MICROZAP"),
];

impl FeatureSet {
    /// WRITE_BYREF records (`send -D`).
    pub const DEDUP: Self = Self(1 << 0);
    /// Deduplication by the blocks' own checksums.
    pub const DEDUPPROPS: Self = Self(1 << 1);
    /// System attributes with SPILL records: every filesystem of version 5.
    pub const SA_SPILL: Self = Self(1 << 2);
    /// WRITE_EMBEDDED records (`send -e`).
    pub const EMBED_DATA: Self = Self(1 << 16);
    /// Blocks compressed by LZ4.
    pub const LZ4: Self = Self(1 << 17);
    /// Blocks over 128 KiB (`send -L`).
    pub const LARGE_BLOCKS: Self = Self(1 << 19);
    /// A resumed stream (`send -t`).
    pub const RESUMING: Self = Self(1 << 20);
    /// A redacted stream.
    pub const REDACTED: Self = Self(1 << 21);
    /// Blocks as compressed on disk (`send -c`).
    pub const COMPRESSED: Self = Self(1 << 22);
    /// Dnodes larger than 512 bytes.
    pub const LARGE_DNODE: Self = Self(1 << 23);
    /// Blocks as encrypted on disk (`send -w`).
    pub const RAW: Self = Self(1 << 24);
    /// Blocks compressed by Zstandard.
    pub const ZSTD: Self = Self(1 << 25);
    /// User holds travel along (`send -h`).
    pub const HOLDS: Self = Self(1 << 26);
    /// Large blocks after a stream without them; set by no sender so far.
    pub const SWITCH_TO_LARGE_BLOCKS: Self = Self(1 << 27);
    /// File names over 255 bytes.
    pub const LONGNAME: Self = Self(1 << 28);
    /// Micro-ZAPs over 128 KiB.
    pub const LARGE_MICROZAP: Self = Self(1 << 29);

    /// Nothing: receivers from before 2009-11 demand a versioninfo of exactly 1 or 2 (illumos-gate
    /// history, `dmu_send.c` before ON's deduplicated streams). Solaris 10 to 9/10 is **unverified**:
    /// its pools have no deduplication, its code is not public.
    pub const NONE: Self = Self(0);
    /// Receivers of ON from 2009-11 on, and zfs-fuse 0.7.0, which refuses any other bit with
    /// `unsupported feature, feature flags = 4` (observed).
    pub const ON_2009: Self = Self::of(&[Self::DEDUP, Self::DEDUPPROPS]);
    /// Receivers of ON from 2010-03 on, those that have filesystem version 5. Solaris 10 8/11 and 1/13
    /// have that version; that they know no more flags is **unverified**.
    pub const ON_2010: Self = Self::of(&[Self::ON_2009, Self::SA_SPILL]);
    /// illumos in 2024 (`usr/src/uts/common/fs/zfs/sys/zfs_ioctl.h`, DMU_BACKUP_FEATURE_MASK).
    pub const ILLUMOS: Self = Self::of(&[
        Self::ON_2010,
        Self::EMBED_DATA,
        Self::LZ4,
        Self::LARGE_BLOCKS,
        Self::RESUMING,
        Self::COMPRESSED,
        Self::LARGE_DNODE,
        Self::RAW,
        Self::HOLDS,
    ]);
    /// OpenZFS from 2.3 on (`include/sys/zfs_ioctl.h`, DMU_BACKUP_FEATURE_MASK). Deduplicated streams
    /// are gone since 2.0; LONGNAME and LARGE_MICROZAP are new in 2.3.
    pub const OPENZFS: Self = Self::of(&[
        Self::SA_SPILL,
        Self::EMBED_DATA,
        Self::LZ4,
        Self::LARGE_BLOCKS,
        Self::RESUMING,
        Self::REDACTED,
        Self::COMPRESSED,
        Self::LARGE_DNODE,
        Self::RAW,
        Self::ZSTD,
        Self::HOLDS,
        Self::SWITCH_TO_LARGE_BLOCKS,
        Self::LONGNAME,
        Self::LARGE_MICROZAP,
    ]);

    const fn of(sets: &[Self]) -> Self {
        let mut bits = 0;
        let mut n = 0;
        while n < sets.len() {
            bits |= sets[n].0;
            n += 1;
        }
        Self(bits)
    }

    /// The features in a BEGIN's versioninfo; every bit above the header type is taken for one.
    pub fn from_versioninfo(versioninfo: u64) -> Self {
        Self(versioninfo >> 2)
    }

    /// Both sets together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        other.without(self).is_empty()
    }

    /// Whether anything of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in this set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits whose meaning is not public.
    pub fn unknown(self) -> Self {
        NAMES.iter().fold(self, |left, (known, _)| left.without(*known))
    }

    /// The features by name, lowest bit first; one without a name is `bit N`.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..u64::BITS).map(|n| Self(1 << n)).filter(move |bit| self.contains(*bit)).map(|bit| {
            match NAMES.iter().find(|(known, _)| *known == bit) {
                Some((_, name)) => (*name).to_owned(),
                None => format!("bit {}", bit.0.trailing_zeros()),
            }
        })
    }
}

impl fmt::Display for FeatureSet {
    /// The names with commas between, `none` for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (n, name) in self.names().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(set: FeatureSet) -> Vec<u32> {
        (0..64).filter(|n| set.0 & (1 << n) != 0).collect()
    }

    #[test]
    fn the_masks_are_those_of_the_receivers() {
        assert_eq!(bits(FeatureSet::ON_2009), [0, 1]);
        assert_eq!(bits(FeatureSet::ON_2010), [0, 1, 2]);
        assert_eq!(bits(FeatureSet::ILLUMOS), [0, 1, 2, 16, 17, 19, 20, 22, 23, 24, 26]);
        assert_eq!(bits(FeatureSet::OPENZFS), [2, 16, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
        assert!(FeatureSet::ILLUMOS.with(FeatureSet::OPENZFS).unknown().is_empty());
    }

    #[test]
    fn names_are_read_from_the_lowest_bit_and_unknown_bits_are_numbered() {
        let set = FeatureSet::from_versioninfo(((1 << 19) | (1 << 5) | (1 << 2)) << 2 | 1);
        assert_eq!(set.to_string(), "SA_SPILL, bit 5, LARGE_BLOCKS");
        assert_eq!(set.unknown().to_string(), "bit 5");
        assert_eq!(FeatureSet::NONE.to_string(), "none");
    }

    #[test]
    fn every_bit_without_a_public_meaning_is_unknown() {
        let all = FeatureSet::from_versioninfo(u64::MAX);
        let expected: Vec<u32> = (3..=15).chain([18]).chain(30..62).collect();
        assert_eq!(bits(all.unknown()), expected);
    }
}
