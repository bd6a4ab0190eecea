//! What the datasets are to be like by the peer's word and the request. The peer must not contradict itself: a value
//! that is said to be inherited from a dataset of the zone is that one's, and a default is ZFS's.

use std::collections::BTreeMap;

use crate::cmd::zfs::property;
use crate::host::check::text::shown;
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::request::Request;
use crate::job::survey::{Dataset, Property, Source};

/// Longer than any release's values (ZAP_MAXVALUELEN, illumos `sys/fs/zfs.h`: 8192; unverified).
const LONGEST_VALUE: usize = 8191;

/// The defaults that decide what a host does with a dataset, the same in every release.
const DEFAULTS: [(&str, &str); 4] =
    [("canmount", "on"), ("sharenfs", "off"), ("sharesmb", "off"), ("zoned", "off")];

/// Where a wanted value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Set on the dataset itself, on the source or by the request.
    Own,
    /// Inherited from a dataset of the zone.
    Zone,
    /// Inherited from above the zone, or ZFS's default.
    Outside,
}

/// A property as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The value, paths as they are on the target.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// One dataset's properties.
pub type Wants = BTreeMap<String, Want>;

/// The wants of all datasets in the layout's order, and every contradiction. `from` and `to` are the zonepath on
/// the source and here: mountpoints within it move along.
pub fn of(
    layout: &Layout,
    datasets: &[Dataset],
    request: &Request,
    (from, to): (&str, &str),
    faults: &mut Vec<String>,
) -> Vec<Wants> {
    let offered: BTreeMap<&DatasetName, &Dataset> = datasets.iter().map(|d| (&d.name, d)).collect();
    let mut done: BTreeMap<&DatasetName, Wants> = BTreeMap::new();
    for placed in &layout.datasets {
        let mut wants = Wants::new();
        if let Some(dataset) = offered.get(&placed.source) {
            for (name, claimed) in dataset.properties.iter() {
                let why =
                    form(name, &claimed.value).or_else(|| contradiction(dataset, name, claimed, &offered));
                if let Some(why) = why {
                    faults.push(format!("dataset '{}' {why}", dataset.name));
                } else if property::is_carried(name) {
                    wants.insert(name.clone(), want(dataset, name, claimed, &done, (from, to)));
                }
            }
        }
        for (name, value) in request.target.properties.get(&placed.source).into_iter().flatten() {
            wants.insert(name.clone(), Want { value: value.clone(), origin: Origin::Own });
        }
        done.insert(&placed.source, wants);
    }
    layout.datasets.iter().map(|placed| done.remove(&placed.source).unwrap_or_default()).collect()
}

/// Why no honest host's ZFS has such a property.
fn form(name: &str, value: &str) -> Option<String> {
    let user = property::is_user(name);
    let native = name.bytes().all(|b| b.is_ascii_graphic() && b != b'=');
    if name.is_empty() || name.len() > 255 || name.starts_with('-') || !(user || native) {
        return Some(format!("has a property '{}', which is no name", shown(name)));
    }
    let one_line = user || !value.chars().any(char::is_control);
    let settable = value.len() <= LONGEST_VALUE && !value.contains('\0') && one_line;
    (!settable).then(|| format!("has a value of property '{name}' that can't be set"))
}

/// Why a claim can't be true beside the others.
fn contradiction(
    dataset: &Dataset,
    name: &str,
    claimed: &Property,
    offered: &BTreeMap<&DatasetName, &Dataset>,
) -> Option<String> {
    let value = &claimed.value;
    match &claimed.source {
        Source::Local => None,
        Source::Default => {
            let (_, default) = DEFAULTS.iter().find(|(property, _)| *property == name)?;
            let why = || format!("says that {name}={} is the default, which is {default}", shown(value));
            (value != default).then(why)
        }
        Source::Inherited(_) if name == "canmount" => {
            Some("says that it inherits canmount, which no dataset does".to_owned())
        }
        Source::Inherited(from) => {
            let says = format!("says that it inherits {name}={} from '{from}'", shown(value));
            if from == &dataset.name || !dataset.name.is_within(from) {
                return Some(format!("{says}, which is not above it"));
            }
            let Some(theirs) = offered.get(from)?.value(name) else {
                // A mount option may hide any other property of that one.
                let is_known = name == "mountpoint" || name == "zoned" || property::SHARES.contains(&name);
                return is_known.then(|| format!("{says}, which does not have it"));
            };
            let given = if name == "mountpoint" {
                joined(theirs, dataset.name.below(from))
            } else {
                theirs.to_owned()
            };
            (given != *value).then(|| format!("{says}, which would give it {}", shown(&given)))
        }
    }
}

fn want(
    dataset: &Dataset,
    name: &str,
    claimed: &Property,
    above: &BTreeMap<&DatasetName, Wants>,
    (from, to): (&str, &str),
) -> Want {
    let is_path = name == "mountpoint";
    let claim = || if is_path { moved(&claimed.value, from, to) } else { claimed.value.clone() };
    match &claimed.source {
        Source::Local => Want { value: claim(), origin: Origin::Own },
        Source::Inherited(giver) if let Some(theirs) = above.get(giver).and_then(|wants| wants.get(name)) => {
            let value =
                if is_path { joined(&theirs.value, dataset.name.below(giver)) } else { theirs.value.clone() };
            // What that one inherits from outside the zone, this one does, too.
            let origin = if theirs.origin == Origin::Own { Origin::Zone } else { theirs.origin };
            Want { value, origin }
        }
        Source::Inherited(_) | Source::Default => Want { value: claim(), origin: Origin::Outside },
    }
}

/// The mountpoint that a dataset inherits; `below` is its name below the one that has `mountpoint`.
pub fn joined(mountpoint: &str, below: Option<&str>) -> String {
    match below {
        Some(below) if mountpoint.starts_with('/') && !below.is_empty() => {
            format!("{}/{below}", mountpoint.trim_end_matches('/'))
        }
        _ => mountpoint.to_owned(),
    }
}

/// A path within `from` moves to `to`.
fn moved(path: &str, from: &str, to: &str) -> String {
    match path.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => path.to_owned(),
    }
}
