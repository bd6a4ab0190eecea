//! The value of a property for one dataset, snapshot or bookmark, and its source.

use super::crypt;
use super::property::{self, Native};
use super::space::Space;
use super::state::{Bookmark, Dataset, Snapshot, State, parent_of};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Set here.
    Local,
    /// Nobody set it.
    Default,
    /// Set on this ancestor.
    Inherited(String),
    /// It is a fact, not a setting.
    None,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Default => f.write_str("default"),
            Self::Inherited(from) => write!(f, "inherited from {from}"),
            Self::None => f.write_str("-"),
        }
    }
}

/// A filesystem, one of its snapshots, or one of its bookmarks.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// The filesystem's name.
    pub name: &'a str,
    /// The filesystem.
    pub dataset: &'a Dataset,
    /// The snapshot, when it is one.
    pub snapshot: Option<&'a Snapshot>,
    /// The bookmark and its name, when it is one.
    pub bookmark: Option<(&'a str, &'a Bookmark)>,
}

impl<'a> Item<'a> {
    /// The item of this full name, if it exists.
    pub fn find(state: &'a State, name: &str) -> Option<Self> {
        if let Some((dataset, mark)) = name.split_once('#') {
            let (name, dataset) = state.datasets.get_key_value(dataset)?;
            let (mark, bookmark) = dataset.bookmarks.get_key_value(mark)?;
            return Some(Self { name, dataset, snapshot: None, bookmark: Some((mark, bookmark)) });
        }
        let (dataset, snapshot) = match name.split_once('@') {
            Some((dataset, snapshot)) => (dataset, Some(snapshot)),
            None => (name, None),
        };
        let (name, dataset) = state.datasets.get_key_value(dataset)?;
        let snapshot = match snapshot {
            Some(snapshot) => Some(dataset.snapshot(snapshot)?),
            None => None,
        };
        Some(Self { name, dataset, snapshot, bookmark: None })
    }

    /// `pool/fs`, `pool/fs@snapshot` or `pool/fs#bookmark`.
    pub fn full_name(&self) -> String {
        match (self.snapshot, self.bookmark) {
            (Some(snapshot), _) => format!("{}@{}", self.name, snapshot.name),
            (None, Some((mark, _))) => format!("{}#{mark}", self.name),
            (None, None) => self.name.to_owned(),
        }
    }

    /// Whether it has this property (`zfs_prop.c`: the types of each property).
    pub fn has(&self, native: &Native) -> bool {
        match (self.snapshot, self.bookmark) {
            (Some(_), _) => native.snapshots,
            (None, Some(_)) => {
                matches!(native.name, "name" | "type" | "creation" | "createtxg" | "guid")
            }
            (None, None) => native.filesystems,
        }
    }
}

/// A settable native property's kept value on a filesystem.
pub fn setting(state: &State, dataset: &str, property: &str) -> (String, Source) {
    if property == "mountpoint" {
        return mountpoint(state, dataset);
    }
    let Some(native) = property::any(property) else { return inherited(state, dataset, property) };
    if native.inherits {
        let (value, source) = inherited(state, dataset, property);
        return if source == Source::None {
            (native.default.into(), Source::Default)
        } else {
            (value, source)
        };
    }
    match state.dataset(dataset).and_then(|dataset| dataset.local.get(property)) {
        Some(value) => (value.clone(), Source::Local),
        None => (native.default.into(), Source::Default),
    }
}

/// A property's value, raw and shorter to ask for.
pub fn value(state: &State, dataset: &str, property: &str) -> String {
    setting(state, dataset, property).0
}

/// A size property's bytes; 0 where none is set.
pub fn bytes(state: &State, dataset: &str, property: &str) -> u64 {
    let local = state.dataset(dataset).and_then(|dataset| dataset.local.get(property));
    local.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Whether it is delegated to a zone.
pub fn is_zoned(state: &State, dataset: &str) -> bool {
    value(state, dataset, "zoned") == "on"
}

fn inherited(state: &State, dataset: &str, property: &str) -> (String, Source) {
    let mut from = Some(dataset);
    while let Some(name) = from {
        if let Some(value) = state.dataset(name).and_then(|dataset| dataset.local.get(property)) {
            let source = if name == dataset { Source::Local } else { Source::Inherited(name.into()) };
            return (value.clone(), source);
        }
        from = parent_of(name);
    }
    ("-".into(), Source::None)
}

/// An inherited path is followed by the rest of the name; `none` and `legacy` are inherited as they are.
fn mountpoint(state: &State, dataset: &str) -> (String, Source) {
    let (value, source) = inherited(state, dataset, "mountpoint");
    match &source {
        Source::Inherited(from) if value.starts_with('/') => {
            (format!("{}{}", value.trim_end_matches('/'), &dataset[from.len()..]), source)
        }
        Source::None => (format!("/{dataset}"), Source::Default),
        _ => (value, source),
    }
}

/// Any property of an item, kept form: what `zfs get` shows.
pub fn get(space: &Space, item: Item, property: &str) -> (String, Source) {
    let state = space.state;
    if let Some(since) = property::written_since(property) {
        let since = since.rsplit('@').next().unwrap_or(since);
        let base = item.dataset.snapshot(since).filter(|_| item.bookmark.is_none());
        let bytes = base.map(|base| space.written_since(item, Some(base)));
        return (bytes.map_or_else(|| "-".into(), |bytes| bytes.to_string()), Source::None);
    }
    let Some(native) = property::any(property) else { return user(state, item, property) };
    if !item.has(native) {
        return ("-".into(), Source::None);
    }
    if let Some(found) = crypt::get(state, item.dataset, native.name) {
        return found;
    }
    if native.is_readonly() || native.name == "version" {
        return (fact(space, item, native), Source::None);
    }
    let (value, source) = setting(state, item.name, native.name);
    let settled =
        matches!(native.values, property::Values::Once(_)) || native.name == "mlslabel" && value == "none";
    match (item.snapshot, source) {
        _ if settled => (value, Source::None),
        (Some(_), Source::Local) => (value, Source::Inherited(item.name.into())),
        (_, source) => (value, source),
    }
}

fn user(state: &State, item: Item, property: &str) -> (String, Source) {
    if item.bookmark.is_some() {
        return ("-".into(), Source::None);
    }
    if let Some(value) = item.snapshot.and_then(|snapshot| snapshot.local.get(property)) {
        return (value.clone(), Source::Local);
    }
    match (inherited(state, item.name, property), item.snapshot) {
        ((value, Source::Local), Some(_)) => (value, Source::Inherited(item.name.into())),
        (found, _) => found,
    }
}

fn fact(space: &Space, item: Item, native: &Native) -> String {
    let Item { name, dataset, snapshot, bookmark } = item;
    if let Some((_, bookmark)) = bookmark {
        return match native.name {
            "type" => "bookmark".into(),
            "creation" => bookmark.creation.to_string(),
            "createtxg" => bookmark.createtxg.to_string(),
            "guid" => bookmark.guid.to_string(),
            _ => item.full_name(),
        };
    }
    let number = match native.name {
        "name" => return item.full_name(),
        "type" => return if snapshot.is_some() { "snapshot" } else { "filesystem" }.into(),
        "mounted" => return if dataset.mounted.is_some() { "yes" } else { "no" }.into(),
        "compressratio" | "refcompressratio" => return "1.00x".into(),
        "defer_destroy" => return "off".into(),
        "filesystem_count" | "snapshot_count" => return property::UNLIMITED.into(),
        "clones" => {
            let clones = snapshot.into_iter().flat_map(|snapshot| space.state.clones(snapshot));
            return clones.map(String::as_str).collect::<Vec<_>>().join(",");
        }
        "origin" => {
            let origin = space.state.origin(dataset);
            return origin.map_or_else(|| "-".into(), |(name, _, of)| format!("{name}@{}", of.name));
        }
        "version" => dataset.version.into(),
        "creation" => snapshot.map_or(dataset.creation, |snapshot| snapshot.creation),
        "createtxg" => snapshot.map_or(dataset.createtxg, |snapshot| snapshot.createtxg),
        "guid" => snapshot.map_or(dataset.guid, |snapshot| snapshot.guid),
        "userrefs" => snapshot.map_or(0, |snapshot| snapshot.holds.len() as u64),
        "used" | "logicalused" => match snapshot {
            Some(snapshot) => space.held_by(dataset, snapshot),
            None => space.used(name),
        },
        "referenced" | "logicalreferenced" => space.referenced(item),
        "available" => space.available(name),
        "usedbydataset" => space.referenced(item),
        "usedbysnapshots" => space.used_by_snapshots(dataset),
        "usedbychildren" => space.used_by_children(name),
        "usedbyrefreservation" => space.used_by_refreservation(name),
        "written" => space.written_since(item, space.before(item)),
        _ => return "-".into(),
    };
    number.to_string()
}
