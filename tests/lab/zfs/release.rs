//! Which ZFS a host has: this decides which properties and options exist. What no source gives to a
//! release, the lab does not give it either.

use crate::world::Profile;

/// A host's ZFS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Solaris 10 10/08.
    Solaris10,
    /// Oracle Solaris 11.4: ON of 2010 and what its documents name besides.
    Solaris11,
    /// illumos of 2024.
    Illumos,
}

impl Release {
    /// That of a system.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Solaris10 => Self::Solaris10,
            Profile::Solaris11 => Self::Solaris11,
            Profile::Omnios => Self::Illumos,
        }
    }

    /// Whether it is illumos.
    pub fn is_illumos(self) -> bool {
        self == Self::Illumos
    }

    /// The newest filesystem version. 11.4 has 7 from SRU 45 and 8 from SRU 51 ("ZFS File System Versions", 11.4); the lab's is SRU 42.
    pub fn newest_version(self) -> u32 {
        match self {
            Self::Solaris10 => 3,
            Self::Illumos => 5,
            Self::Solaris11 => 6,
        }
    }

    /// Options of `zfs send`. Of 11.4, `-c`, `-w` and `-s` mean something else than of illumos, and two of them take a value.
    pub fn send_options(self) -> &'static str {
        match self {
            Self::Solaris10 => "i:I:RDpv",
            Self::Solaris11 => "i:I:RrcpbDvnw:s:C",
            Self::Illumos => "i:I:RDpvnPLecw",
        }
    }

    /// Options of `zfs receive`. illumos's `-s`, `-o` and `-x` are not here: nobody has needed them.
    pub fn receive_options(self) -> &'static str {
        match self {
            Self::Solaris10 | Self::Illumos => "vnFude",
            Self::Solaris11 => "vnFudeo:x:C",
        }
    }

    /// Options of `zfs get`.
    pub fn get_options(self) -> &'static str {
        match self {
            Self::Solaris10 => "rHpd:o:s:",
            Self::Solaris11 => "rHpd:o:s:e",
            Self::Illumos => "rHpd:o:s:t:",
        }
    }
}
