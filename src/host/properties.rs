//! Target: what each dataset's properties must be, and the few `zfs set`s that make them so. Pure.
//!
//! A value that was set on the source is set here. A value that the source's dataset inherited from outside
//! the zone, or had by default, is set only where this host's own inheritance gives another one: compression
//! from above the zone's tree counts as much as a local one, and `zfs get -s local` would not show it.

use std::collections::BTreeMap;

use crate::cmd::zfs::property::{Turn, turn};
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::request::Request;
use crate::job::survey::{Dataset, Source};

/// What the datasets of a migration are to be like, in the layout's order.
#[derive(Debug)]
pub struct Wanted<'a> {
    layout: &'a Layout,
    datasets: Vec<BTreeMap<String, Want>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Want {
    value: String,
    source: Source,
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

/// A dataset's effective values as they are now: the value, and whether it is its own.
pub type Now = BTreeMap<String, (String, bool)>;

impl<'a> Wanted<'a> {
    /// From the datasets as recaptured, in the layout's order, and the request's own properties. Mountpoints
    /// within the source's zonepath move along with it.
    pub fn new(layout: &'a Layout, datasets: &[Dataset], request: &Request, from: &str, to: &str) -> Self {
        let known: BTreeMap<&DatasetName, &Dataset> = datasets.iter().map(|d| (&d.name, d)).collect();
        let wants = layout.datasets.iter().map(|placed| {
            let found = known.get(&placed.source);
            let mut wants: BTreeMap<String, Want> = found
                .into_iter()
                .flat_map(|dataset| dataset.properties.iter())
                .map(|(name, p)| {
                    let value =
                        if name == "mountpoint" { moved(&p.value, from, to) } else { p.value.clone() };
                    (name.clone(), Want { value, source: p.source.clone() })
                })
                .collect();
            for (name, value) in request.target.properties.get(&placed.source).into_iter().flatten() {
                wants.insert(name.clone(), Want { value: value.clone(), source: Source::Local });
            }
            wants
        });
        Self { layout, datasets: wants.collect() }
    }

    /// What is set on each dataset itself, of one turn; grouped, so that one `zfs set` serves many.
    pub fn own(&self, of: Turn, name: impl Fn(usize) -> DatasetName) -> Vec<Set> {
        let mut groups: BTreeMap<(&str, &str), Vec<DatasetName>> = BTreeMap::new();
        for (i, wants) in self.datasets.iter().enumerate() {
            for (property, want) in wants {
                let limit_of_none = of == Turn::Limit && matches!(want.value.as_str(), "0" | "none");
                if turn(property) == of && want.source == Source::Local && !limit_of_none {
                    groups.entry((property, &want.value)).or_default().push(name(i));
                }
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
            let own = self.value(i, "canmount").filter(|_| self.is_own(i, "canmount"));
            groups.entry((depth, own)).or_default().push(placed.target.clone());
        }
        groups.into_iter().map(|((_, own), datasets)| (own, datasets)).collect()
    }

    /// What differs where the datasets are now, of the turns that depend on the place: each value that is not
    /// set on the dataset and comes out different from the source's. `now` is in the layout's order.
    pub fn differing(&self, now: &[Now]) -> Vec<Set> {
        let index: BTreeMap<&DatasetName, usize> =
            self.layout.datasets.iter().enumerate().map(|(i, d)| (&d.target, i)).collect();
        let mut after: Vec<BTreeMap<&str, String>> = vec![BTreeMap::new(); self.datasets.len()];
        let mut sets: Vec<Set> = Vec::new();
        for (i, wants) in self.datasets.iter().enumerate() {
            let target = &self.layout.datasets[i].target;
            let parent = target.parent().and_then(|parent| index.get(&parent).copied());
            for (property, want) in wants {
                if !matches!(turn(property), Turn::Free | Turn::Mountpoint | Turn::Share) {
                    continue;
                }
                let is = now.get(i).and_then(|now| now.get(property));
                let will_be = match (is, parent) {
                    // What this host's ZFS does not know can't differ.
                    (None, _) => continue,
                    (Some((value, true)), _) | (Some((value, _)), None) => value.clone(),
                    (Some((value, _)), Some(parent)) => match after[parent].get(property.as_str()) {
                        Some(above) if property == "mountpoint" => below(above, target.leaf()),
                        Some(above) => above.clone(),
                        None => value.clone(),
                    },
                };
                if will_be != want.value {
                    let same = |set: &&mut Set| set.property == *property && set.value == want.value;
                    match sets.iter_mut().find(same) {
                        Some(set) => set.datasets.push(target.clone()),
                        None => sets.push(Set {
                            property: property.clone(),
                            value: want.value.clone(),
                            datasets: vec![target.clone()],
                        }),
                    }
                }
                after[i].insert(property, want.value.clone());
            }
        }
        sets
    }

    /// The wanted effective value.
    pub fn value(&self, index: usize, property: &str) -> Option<&str> {
        self.datasets.get(index)?.get(property).map(|want| want.value.as_str())
    }

    /// Whether the source's dataset had this property set itself.
    pub fn is_own(&self, index: usize, property: &str) -> bool {
        self.datasets.get(index).and_then(|w| w.get(property)).is_some_and(|w| w.source == Source::Local)
    }
}

/// A mountpoint below `above`.
fn below(above: &str, leaf: &str) -> String {
    match above {
        "none" | "legacy" => above.to_owned(),
        "/" => format!("/{leaf}"),
        path => format!("{path}/{leaf}"),
    }
}

/// A path within `from` moves to `to`.
pub fn moved(path: &str, from: &str, to: &str) -> String {
    match path.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{to}{rest}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::name::{Bytes, Guid, HostName, JobId, ZoneName};
    use crate::job::survey::{Kind, Property};

    fn name(text: &str) -> DatasetName {
        DatasetName::new(text).unwrap()
    }

    fn dataset(at: &str, properties: &[(&str, &str, Source)]) -> Dataset {
        let properties: BTreeMap<_, _> = properties
            .iter()
            .map(|(n, v, s)| ((*n).to_owned(), Property { value: (*v).to_owned(), source: s.clone() }))
            .collect();
        let (guid, kind) = (Guid(1), Kind::Filesystem);
        Dataset {
            name: name(at),
            guid,
            kind,
            version: None,
            referenced: Bytes(0),
            logical: Bytes(0),
            properties: properties.into(),
        }
    }

    fn layout(names: &[&str]) -> Layout {
        let names: Vec<_> = names.iter().map(|n| name(n)).collect();
        let job = JobId::new("z-20070518T033600Z-7f3a").unwrap();
        Layout::new(&names, &BTreeMap::new(), &job, |_| Some(name("d/q"))).unwrap()
    }

    fn request() -> Request {
        Request::new(ZoneName::new("z").unwrap(), HostName::new("b").unwrap())
    }

    #[test]
    fn an_outer_mountpoint_gets_its_canmount_before_an_inner_one() {
        let local = |value| ("canmount", value, Source::Local);
        let default = ("canmount", "on", Source::Default);
        let at = |mountpoint| ("mountpoint", mountpoint, Source::Local);
        let datasets = [
            dataset("data/zones/z", &[at("/zones/z"), default.clone()]),
            dataset("data/zones/z/ROOT", &[at("legacy"), local("noauto")]),
            dataset("data/zones/z/ROOT/zbe", &[at("/zones/z/root"), local("on")]),
        ];
        let layout = layout(&["data/zones/z", "data/zones/z/ROOT", "data/zones/z/ROOT/zbe"]);
        let wanted = Wanted::new(&layout, &datasets, &request(), "/zones/z", "/zones/z");
        let target = |i: usize| vec![layout.datasets[i].target.clone()];
        assert_eq!(
            wanted.canmount(),
            [(Some("noauto"), target(1)), (None, target(0)), (Some("on"), target(2))]
        );
    }

    #[test]
    fn a_value_inherited_from_above_the_zone_is_set_only_where_it_comes_out_different() {
        let outside = || Source::Inherited(name("d"));
        let datasets = [
            dataset("d/z", &[("compression", "on", outside()), ("atime", "off", outside())]),
            dataset("d/z/a", &[("compression", "on", outside()), ("atime", "off", outside())]),
        ];
        let layout = layout(&["d/z", "d/z/a"]);
        let wanted = Wanted::new(&layout, &datasets, &request(), "/z", "/z");
        let now = Now::from([
            ("compression".into(), ("off".into(), false)),
            ("atime".into(), ("off".into(), false)),
        ]);
        let sets = wanted.differing(&[now.clone(), now]);
        // Once on the top: the child inherits it from there.
        let compression =
            Set { property: "compression".into(), value: "on".into(), datasets: vec![name("d/z")] };
        assert_eq!(sets, [compression]);
    }

    #[test]
    fn mountpoints_within_the_zonepath_move_along_with_it() {
        assert_eq!(moved("/a/z/root", "/a/z", "/b/z"), "/b/z/root");
        assert_eq!(moved("/a/zz", "/a/z", "/b/z"), "/a/zz");
        assert_eq!(moved("legacy", "/a/z", "/b/z"), "legacy");
        let local = || Source::Local;
        let datasets = [
            dataset("d/z", &[("mountpoint", "/a/z", local())]),
            dataset("d/z/r", &[("mountpoint", "/a/z/root", local())]),
        ];
        let layout = layout(&["d/z", "d/z/r"]);
        let wanted = Wanted::new(&layout, &datasets, &request(), "/a/z", "/b/z");
        let sets = wanted.own(Turn::Mountpoint, |i| layout.datasets[i].quarantine.clone());
        let values: Vec<_> = sets.iter().map(|s| s.value.as_str()).collect();
        assert_eq!(values, ["/b/z", "/b/z/root"]);
    }

    #[test]
    fn one_set_serves_all_datasets_with_the_same_value_and_a_quota_of_none_is_no_setting() {
        let local = || Source::Local;
        let datasets = [
            dataset("d/z", &[("recordsize", "8192", local()), ("quota", "0", local())]),
            dataset("d/z/a", &[("recordsize", "8192", local()), ("quota", "1048576", local())]),
        ];
        let layout = layout(&["d/z", "d/z/a"]);
        let wanted = Wanted::new(&layout, &datasets, &request(), "/z", "/z");
        let free = wanted.own(Turn::Free, |i| layout.datasets[i].target.clone());
        assert_eq!(free.len(), 1);
        assert_eq!(free[0].datasets.len(), 2);
        let limits = wanted.own(Turn::Limit, |i| layout.datasets[i].target.clone());
        assert_eq!(limits.len(), 1);
        assert_eq!(limits[0].datasets, [name("d/z/a")]);
    }
}
