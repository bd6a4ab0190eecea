//! What the emulated ZFS remembers between commands: pools, datasets, snapshots, bookmarks and
//! keys, in `state.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Everything that is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Pools by name.
    pub pools: BTreeMap<String, Pool>,
    /// Filesystems by full name; byte order is the order that `zfs list` shows.
    pub datasets: BTreeMap<String, Dataset>,
    last_id: u64,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Bytes that `zpool list` shows as SIZE.
    pub size: u64,
    /// 64 random bits.
    pub guid: u64,
    /// The transaction group counter.
    pub txg: u64,
    /// Feature flags that it does not have.
    #[serde(default)]
    pub disabled: BTreeSet<String>,
    /// The filesystem version of new datasets: 5 (illumos) or 3 (Solaris 10 10/08).
    pub zpl: u32,
}

/// A filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Names its data directory; never used again.
    pub id: u64,
    /// 64 random bits.
    pub guid: u64,
    /// Transaction group of its creation.
    pub createtxg: u64,
    /// Seconds since 1970.
    pub creation: u64,
    /// Filesystem version.
    pub version: u32,
    /// Properties set here, in the form that `get -p` prints.
    #[serde(default)]
    pub local: BTreeMap<String, String>,
    /// The host's path at which it is mounted.
    #[serde(default)]
    pub mounted: Option<String>,
    /// Oldest first.
    #[serde(default)]
    pub snapshots: Vec<Snapshot>,
    /// How its data is encrypted; children, clones and received filesystems inherit it.
    #[serde(default)]
    pub crypt: Option<Crypt>,
    /// The key that wraps this one's, where it is an encryption root.
    #[serde(default)]
    pub key: Option<Key>,
    /// The `id` of the snapshot that this is a clone of.
    #[serde(default)]
    pub origin: Option<u64>,
    /// Marks of `zfs bookmark`, by name. A stream carries none.
    #[serde(default)]
    pub bookmarks: BTreeMap<String, Bookmark>,
    /// The `zfs receive` that is filling it or its next snapshot.
    #[serde(default)]
    pub incoming: Option<Incoming>,
}

/// A bookmark: what remains of a snapshot's identity when the snapshot itself is destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// The snapshot's.
    pub guid: u64,
    /// The snapshot's.
    pub createtxg: u64,
    /// The snapshot's.
    pub creation: u64,
}

/// How a filesystem is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crypt {
    /// `aes-256-gcm`
    pub cipher: String,
    /// The encryption root's `id`.
    pub root: u64,
}

/// An encryption root's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `raw`, `hex` or `passphrase`
    pub format: String,
    /// `file:///etc/web.key`
    pub location: String,
    /// The key itself, in hexadecimal.
    pub material: String,
    /// Whether the kernel has it.
    pub loaded: bool,
}

/// A receive in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The receiving process, which holds the dataset's lock for as long as it lives.
    pub pid: u32,
    /// An incremental receive writes here; a full one into the dataset itself.
    pub staged: Option<u64>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The part after the `@`.
    pub name: String,
    /// Names its directory inside the dataset's.
    pub id: u64,
    /// What streams carry as `toguid`; a received snapshot has the sender's.
    pub guid: u64,
    /// Transaction group of its creation.
    pub createtxg: u64,
    /// Seconds since 1970; a received snapshot has the sender's.
    pub creation: u64,
    /// Bytes.
    pub referenced: u64,
    /// User properties set on it.
    #[serde(default)]
    pub local: BTreeMap<String, String>,
    /// Tags of `zfs hold`, with the time of each.
    #[serde(default)]
    pub holds: BTreeMap<String, u64>,
}

impl State {
    /// A number for a new directory.
    pub fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Opens the next transaction group of a dataset's pool.
    pub fn next_txg(&mut self, dataset: &str) -> u64 {
        self.pools.get_mut(pool_of(dataset)).map_or(0, |pool| {
            pool.txg += 3;
            pool.txg
        })
    }

    /// A dataset that exists.
    pub fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.get(name)
    }

    /// The snapshot that a clone began as, and the dataset that has it.
    pub fn origin(&self, clone: &Dataset) -> Option<(&str, &Dataset, &Snapshot)> {
        let id = clone.origin?;
        self.datasets.iter().find_map(|(name, dataset)| {
            let snapshot = dataset.snapshots.iter().find(|snapshot| snapshot.id == id)?;
            Some((name.as_str(), dataset, snapshot))
        })
    }

    /// The clones of a snapshot, by name.
    pub fn clones<'a>(&'a self, of: &'a Snapshot) -> impl Iterator<Item = &'a String> {
        self.datasets.iter().filter(|(_, clone)| clone.origin == Some(of.id)).map(|(name, _)| name)
    }

    /// The dataset and its descendants, parents first.
    pub fn tree(&self, top: &str) -> Vec<String> {
        let below = format!("{top}/");
        let top = self.datasets.contains_key(top).then(|| top.to_owned());
        top.into_iter().chain(self.below(&below).cloned()).collect()
    }

    /// Its children.
    pub fn children<'a>(&'a self, of: &str) -> impl Iterator<Item = &'a String> {
        let below = format!("{of}/");
        let skip = below.len();
        self.below_owned(below).filter(move |name| !name[skip..].contains('/'))
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.datasets
            .range(prefix.to_owned()..)
            .map(|(name, _)| name)
            .take_while(move |name| name.starts_with(prefix))
    }

    fn below_owned(&self, prefix: String) -> impl Iterator<Item = &String> {
        self.datasets
            .range(prefix.clone()..)
            .map(|(name, _)| name)
            .take_while(move |name| name.starts_with(&prefix))
    }

    /// A new dataset with a guid and a creation of now; it is not in the table yet.
    pub fn new_dataset(&mut self, name: &str) -> io::Result<Dataset> {
        let version = self.pools.get(pool_of(name)).map_or(5, |pool| pool.zpl);
        let parent = parent_of(name).and_then(|parent| self.dataset(parent));
        let crypt = parent.and_then(|parent| parent.crypt.clone());
        Ok(Dataset {
            id: self.fresh_id(),
            guid: random()?,
            createtxg: self.next_txg(name),
            creation: now(),
            version,
            local: BTreeMap::new(),
            mounted: None,
            snapshots: Vec::new(),
            crypt,
            key: None,
            origin: None,
            bookmarks: BTreeMap::new(),
            incoming: None,
        })
    }
}

impl Dataset {
    /// The snapshot of this name.
    pub fn snapshot(&self, name: &str) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }
}

/// `a` of `a/b/c`.
pub fn pool_of(dataset: &str) -> &str {
    dataset.split(['/', '@']).next().unwrap_or(dataset)
}

/// `a/b` of `a/b/c`; nothing above a pool.
pub fn parent_of(dataset: &str) -> Option<&str> {
    dataset.rsplit_once('/').map(|(parent, _)| parent)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

/// 64 random bits, never 0.
pub fn random() -> io::Result<u64> {
    let mut bits = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bits)?;
    Ok(u64::from_le_bytes(bits).max(1))
}
