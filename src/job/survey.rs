//! What the source must tell the target about a zone: facts, gathered once, sent in the offer.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::{Bytes, DatasetName, Guid, ZoneName};

/// Everything the target needs to answer, before anything is touched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// The source's operating system and its level.
    pub os: OsLevel,
    /// The zone.
    pub zone: Zone,
    /// Its datasets, parents before children.
    pub datasets: Vec<Dataset>,
    /// Services that were in maintenance before the move: the gate asks only for no new ones.
    #[serde(default)]
    pub maintenance: Vec<String>,
}

/// What can be compared between two hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsLevel {
    /// `uname -s`
    pub system: String,
    /// `uname -r`
    pub release: String,
    /// `uname -v`: kernel patch (Solaris 10), SRU (11), distribution and release (illumos).
    pub version: String,
    /// `uname -p`
    pub processor: String,
    /// `pkg list -Hv entire`, where the command exists and the package is installed.
    #[serde(default)]
    pub entire: Option<String>,
    /// The version of Tribblix's package of zone brands, by `pkginfo -l`.
    #[serde(default)]
    pub brands: Option<String>,
    /// Solaris 10's patches, `showrev -p`: the newest revision of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub patches: BTreeMap<u32, u32>,
}

/// The zone as zoneadm and zonecfg tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Its name.
    pub name: ZoneName,
    /// Its brand, as `zoneadm list -p` says it.
    pub brand: String,
    /// Its zonepath.
    pub zonepath: String,
    /// Was it running? It is to run on the target exactly then, unless the request says otherwise.
    pub running: bool,
    /// autoboot as it was found.
    pub autoboot: bool,
    /// `zonecfg export`.
    pub config: String,
}

/// One dataset of the zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name on the source.
    pub name: DatasetName,
    /// Its guid: proof that the name still means this dataset.
    pub guid: Guid,
    /// `filesystem` or `volume`.
    pub kind: Kind,
    /// ZPL version of a filesystem.
    #[serde(default)]
    pub version: Option<u64>,
    /// Bytes that it refers to.
    pub referenced: Bytes,
    /// The same before compression: about what `zfs send` will give.
    #[serde(default)]
    pub logical: Bytes,
    /// Effective values with their source: of all properties that a migration carries, of all others that are set on the
    /// dataset itself, so that the target can say what it leaves out, and of `encryption`.
    /// Shared: a job knows its datasets as offered, as recaptured and as handed off, and a zone may have hundreds.
    pub properties: Arc<BTreeMap<String, Property>>,
}

/// What sort of dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A filesystem.
    Filesystem,
    /// A volume.
    Volume,
}

/// An effective value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// The value, numbers as decimal digits.
    pub value: String,
    /// Its source.
    pub source: Source,
}

/// Where a property's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Set here (or received here): carried as a local value.
    Local,
    /// ZFS's own default.
    Default,
    /// From the dataset named.
    Inherited(DatasetName),
}

impl Dataset {
    /// A property's effective value.
    pub fn value(&self, property: &str) -> Option<&str> {
        self.properties.get(property).map(|p| p.value.as_str())
    }

    /// The cipher of ZFS's own encryption, if the dataset is encrypted.
    pub fn cipher(&self) -> Option<&str> {
        self.value("encryption").filter(|cipher| !matches!(*cipher, "off" | "-"))
    }

    /// What its data takes up when it is written anew by the dataset's own properties. What was
    /// compressed earlier is written in full where `compression` is off by now.
    pub fn stored(&self) -> Bytes {
        let is_off = self.value("compression") == Some("off");
        if is_off { self.referenced.max(self.logical) } else { self.referenced }
    }

    /// A rough size of this dataset's image: its data uncompressed, and a header of 312 bytes for each block,
    /// which is 4 % where blocks have 8 KiB.
    pub fn estimate(&self) -> Bytes {
        let data = self.referenced.max(self.logical).0;
        Bytes(data + data / 25 + (64 << 10))
    }
}
