//! Target: every dataset's properties as they will be on this host. Pure.
//!
//! [`Effective::new`] derives the values from the survey (with the handoff's changes), the request, the layout and what
//! the landing place gives by inheritance, and judges them. There is no other way to an [`Effective`], and what
//! `plan` prints and the install sets is its result: nothing can be set that was not judged.
//!
//! A value that is set on the source is set here. A value that the source's dataset inherits from outside the zone, or
//! has by default, is set only where this host's own inheritance gives another one: `zfs get -s local` would not show
//! it. A value that comes from a dataset of the zone is what that one has here. A user property from above the zone
//! belongs to the source host and stays there.

mod danger;
mod wanted;

use std::collections::BTreeMap;

use self::wanted::{Origin, Want, Wants, joined};
use super::check::text::{listed, shown};
use super::landing::Landing;
use crate::cmd::zfs::property::{Turn, is_carried, is_inherited, native, turn};
use crate::job::layout::{Layout, Placed};
use crate::job::name::DatasetName;
use crate::job::request::Request;
use crate::job::survey::{Dataset, Kind, Source};

/// The judged properties of a migration's datasets, in the layout's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    layout: Layout,
    landing: Landing,
    datasets: Vec<BTreeMap<String, Value>>,
    notes: Vec<String>,
}

/// One property of one dataset on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    value: String,
    /// Whether it is set on the dataset itself.
    set: bool,
}

/// `zfs set property=value` on these.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    /// The property.
    pub property: String,
    /// The value.
    pub value: String,
    /// The datasets.
    pub datasets: Vec<DatasetName>,
}

impl Effective {
    /// Derives and judges. `from` and `to` are the zonepath on the source and here.
    ///
    /// # Errors
    /// Every reason why these datasets must not come.
    pub fn new(
        layout: &Layout,
        datasets: &[Dataset],
        request: &Request,
        (from, to): (&str, &str),
        landing: &Landing,
    ) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let wants = wanted::of(layout, datasets, request, (from, to), &mut faults);
        let mut notes = left_behind(datasets, landing);
        let index: BTreeMap<&DatasetName, usize> =
            layout.datasets.iter().enumerate().map(|(i, placed)| (&placed.target, i)).collect();
        let volumes: Vec<&DatasetName> =
            datasets.iter().filter(|d| d.kind == Kind::Volume).map(|d| &d.name).collect();
        // The datasets above come first here, which on the source may be in another order.
        let mut order: Vec<usize> = (0..wants.len()).collect();
        order.sort_by_key(|&i| layout.datasets[i].target.as_str().matches('/').count());
        let mut effective = Self {
            layout: layout.clone(),
            landing: landing.clone(),
            datasets: vec![BTreeMap::new(); wants.len()],
            notes: Vec::new(),
        };
        for i in order {
            let placed = &layout.datasets[i];
            let parent = placed.target.parent();
            let given = match parent.as_ref().and_then(|parent| index.get(parent)) {
                Some(&parent) => inherited(&effective.datasets[parent], placed),
                None => {
                    parent.and_then(|parent| landing.above.get(&parent)).map_or_else(BTreeMap::new, |above| {
                        above.iter().map(|(name, value)| (name.clone(), below(name, value, placed))).collect()
                    })
                }
            };
            effective.datasets[i] = settled(&wants[i], given, landing, placed, &mut notes);
            if volumes.contains(&&placed.source) {
                // What only filesystems have says nothing about a volume, unless the peer claims it.
                effective.datasets[i].retain(|name, _| wants[i].contains_key(name));
            }
            faults.extend(danger::refusals(&placed.source, |name| effective.value(i, name), to));
        }
        effective.notes = notes;
        if faults.is_empty() { Ok(effective) } else { Err(faults) }
    }

    /// What the landing place gives.
    pub fn landing(&self) -> &Landing {
        &self.landing
    }

    /// What does not come along, a line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is set on each dataset itself, of one turn; grouped, so that one `zfs set` serves many.
    pub fn sets(&self, of: Turn, name: impl Fn(&Placed) -> DatasetName) -> Vec<Set> {
        let mut groups: BTreeMap<(&str, &str), Vec<DatasetName>> = BTreeMap::new();
        for (placed, values) in self.layout.datasets.iter().zip(&self.datasets) {
            for (property, value) in values.iter().filter(|(name, value)| value.set && turn(name) == of) {
                groups.entry((property, &value.value)).or_default().push(name(placed));
            }
        }
        let set = |((property, value), datasets): ((&str, &str), _)| Set {
            property: property.to_owned(),
            value: value.to_owned(),
            datasets,
        };
        groups.into_iter().map(set).collect()
    }

    /// canmount as on the source, where all is in its place: the value, `None` for the default, and the datasets that
    /// get it. In the order in which mountpoints lie within each other: a host that loses power between two of them
    /// mounts at its boot what has it already, and an inner one must not come to lie where an outer one goes.
    pub fn canmount(&self) -> Vec<(Option<&str>, Vec<DatasetName>)> {
        let mut groups: BTreeMap<(usize, Option<&str>), Vec<DatasetName>> = BTreeMap::new();
        for (i, placed) in self.layout.datasets.iter().enumerate() {
            let mountpoint = self.value(i, "mountpoint").unwrap_or_default();
            // Of a path within another one, the longer has more parts; what is no path does not mount itself.
            let depth = mountpoint.split('/').filter(|part| !part.is_empty()).count();
            let own = self.value(i, "canmount").filter(|_| self.is_set(i, "canmount"));
            groups.entry((depth, own)).or_default().push(placed.target.clone());
        }
        groups.into_iter().map(|((_, own), datasets)| (own, datasets)).collect()
    }

    /// The filesystems that this host mounts itself, outer before inner, with their mountpoints.
    pub fn mounts(&self) -> Vec<(&str, &DatasetName)> {
        let mut mounts: Vec<(&str, &DatasetName)> = Vec::new();
        for (i, placed) in self.layout.datasets.iter().enumerate() {
            let value = |property| self.value(i, property).unwrap_or_default();
            let mountpoint = value("mountpoint");
            if mountpoint.starts_with('/') && value("canmount") == "on" && value("zoned") != "on" {
                mounts.push((mountpoint, &placed.target));
            }
        }
        mounts.sort_by_key(|(mountpoint, _)| mountpoint.len());
        mounts
    }

    /// The effective value.
    pub fn value(&self, index: usize, property: &str) -> Option<&str> {
        self.datasets.get(index)?.get(property).map(|value| value.value.as_str())
    }

    /// Whether the property is set on the dataset itself.
    pub fn is_set(&self, index: usize, property: &str) -> bool {
        self.datasets.get(index).and_then(|values| values.get(property)).is_some_and(|value| value.set)
    }
}

/// What a dataset inherits from another one of the zone.
fn inherited(above: &BTreeMap<String, Value>, placed: &Placed) -> BTreeMap<String, String> {
    let given = above.iter().filter(|(name, _)| is_inherited(name));
    given.map(|(name, value)| (name.clone(), below(name, &value.value, placed))).collect()
}

/// A value as the dataset below gets it.
fn below(name: &str, value: &str, placed: &Placed) -> String {
    if name == "mountpoint" { joined(value, Some(placed.target.leaf())) } else { value.to_owned() }
}

/// One dataset's values: as wanted where this host knows the property, else as inherited.
fn settled(
    wants: &Wants,
    given: BTreeMap<String, String>,
    landing: &Landing,
    placed: &Placed,
    notes: &mut Vec<String>,
) -> BTreeMap<String, Value> {
    let is_zoned = wants.get("zoned").is_some_and(|want| want.value == "on");
    let mut values: BTreeMap<String, Value> = BTreeMap::new();
    for (name, Want { value, origin }) in wants.iter().filter(|(name, _)| landing.knows(name)) {
        let given = given.get(name);
        let set = match (origin, turn(name)) {
            (Origin::Own, Turn::Limit) => !matches!(value.as_str(), "0" | "none"),
            (Origin::Own, _) => true,
            (_, Turn::Limit | Turn::Canmount) => false,
            (Origin::Outside, _) if native(name).is_none() => {
                if placed.root && given != Some(value) {
                    notes.push(format!(
                        "user property {name}={} of dataset '{}' comes from above the zone and does not come along",
                        shown(value),
                        placed.source
                    ));
                }
                continue;
            }
            // zoneadm refuses a delegated dataset whose mountpoint is inherited.
            (_, Turn::Mountpoint) if placed.root && is_zoned => true,
            (Origin::Zone, _) => given != Some(value),
            (Origin::Outside, _) => given.is_some_and(|given| given != value),
        };
        values.insert(name.clone(), Value { value: value.clone(), set });
    }
    for (name, value) in given {
        values.entry(name).or_insert(Value { value, set: false });
    }
    values
}

/// The properties that are set on the source and do not come along.
fn left_behind(datasets: &[Dataset], landing: &Landing) -> Vec<String> {
    let mut left: BTreeMap<&str, Vec<&DatasetName>> = BTreeMap::new();
    for dataset in datasets {
        let own = dataset.properties.iter().filter(|(_, set)| set.source == Source::Local);
        for (property, _) in own.filter(|(name, _)| !is_carried(name) || !landing.knows(name)) {
            left.entry(property).or_default().push(&dataset.name);
        }
    }
    let line = |(property, datasets): (&str, Vec<_>)| {
        format!("property '{}' does not come along: {}", shown(property), listed(&datasets))
    };
    left.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests;
