use std::collections::BTreeMap;

use super::*;
use crate::job::name::{Bytes, Guid, HostName, JobId, ZoneName};
use crate::job::survey::{Kind, Property};

fn name(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

fn from(text: &str) -> Source {
    Source::Inherited(name(text))
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

/// A migration of some datasets.
struct Move {
    datasets: Vec<Dataset>,
    request: Request,
    zonepaths: (&'static str, &'static str),
    landing: Landing,
}

/// To a host where `d` has these properties.
fn to(given: &[(&str, &str)], datasets: impl Into<Vec<Dataset>>) -> Move {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let landing = Landing { above: [(name("d"), given.collect())].into(), known: None };
    let request = Request::new(ZoneName::new("z").unwrap(), HostName::new("b").unwrap());
    Move { datasets: datasets.into(), request, zonepaths: ("/z", "/z"), landing }
}

impl Move {
    fn layout(&self) -> Layout {
        let names: Vec<_> = self.datasets.iter().map(|dataset| dataset.name.clone()).collect();
        let job = JobId::new("z-20070518T033600Z-7f3a").unwrap();
        Layout::new(&names, &self.request.target.datasets, &job, |_| Some(name("d/q"))).unwrap()
    }

    fn judge(&self) -> Result<Effective, String> {
        let judged =
            Effective::new(&self.layout(), &self.datasets, &self.request, self.zonepaths, &self.landing);
        judged.map_err(|reasons| reasons.join("\n"))
    }

    /// What is set, as `property=value names`.
    fn sets(&self) -> Vec<String> {
        let effective = self.judge().unwrap();
        let turns = [Turn::Free, Turn::Mountpoint, Turn::Share, Turn::Limit, Turn::Guard, Turn::Canmount];
        let sets = turns.into_iter().flat_map(|turn| effective.sets(turn, |placed| placed.target.clone()));
        sets.map(|set| format!("{}={} {}", set.property, set.value, listed(&set.datasets))).collect()
    }

    #[track_caller]
    fn assert_refused(&self, why: &str) {
        let said = self.judge().unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn an_outer_mountpoint_gets_its_canmount_first() {
    let at = |mountpoint| ("mountpoint", mountpoint, Source::Local);
    let canmount = |value| ("canmount", value, Source::Local);
    let z = Move {
        zonepaths: ("/zones/z", "/zones/z"),
        ..to(
            &[],
            [
                dataset("d/z", &[at("/zones/z"), ("canmount", "on", Source::Default)]),
                dataset("d/z/ROOT", &[at("legacy"), canmount("noauto")]),
                dataset("d/z/ROOT/zbe", &[at("/zones/z/root"), canmount("on")]),
            ],
        )
    };
    let target = |text: &str| vec![name(text)];
    assert_eq!(
        z.judge().unwrap().canmount(),
        [(Some("noauto"), target("d/z/ROOT")), (None, target("d/z")), (Some("on"), target("d/z/ROOT/zbe"))]
    );
}

#[test]
fn a_value_from_above_the_zone_is_set_where_it_differs() {
    let outside =
        [("compression", "on", from("d")), ("readonly", "off", from("d")), ("atime", "off", from("d"))];
    let z = to(
        &[("compression", "off"), ("readonly", "on"), ("atime", "off")],
        [dataset("d/z", &outside), dataset("d/z/a", &outside)],
    );
    // Once on the top: the child inherits it from there.
    assert_eq!(z.sets(), ["compression=on d/z", "readonly=off d/z"]);
}

#[test]
fn a_user_property_from_above_the_zone_stays_there() {
    let z = to(&[], [dataset("d/z", &[("com.sun:auto-snapshot", "true", from("d"))])]);
    assert_eq!(z.sets(), [""; 0]);
    assert_eq!(
        z.judge().unwrap().notes(),
        [
            "user property com.sun:auto-snapshot=true of dataset 'd/z' comes from above the zone and does not come along"
        ]
    );
}

#[test]
fn a_value_within_the_zone_is_derived_not_claimed() {
    let on = [("mountpoint", "/z", Source::Local)];
    let z = to(&[], [dataset("d/z", &on), dataset("d/z/a", &[("mountpoint", "/z/a", from("d/z"))])]);
    assert_eq!(z.sets(), ["mountpoint=/z d/z"]);
    for claimed in ["/root/.ssh", "none", "/z/b"] {
        to(&[], [dataset("d/z", &on), dataset("d/z/a", &[("mountpoint", claimed, from("d/z"))])])
            .assert_refused(&format!(
                "says that it inherits mountpoint={claimed} from 'd/z', which would give it /z/a"
            ));
    }
    to(&[], [dataset("d/z", &[("mountpoint", "/z", from("d/z/a"))])]).assert_refused("which is not above it");
}

#[test]
fn a_split_tree_keeps_what_was_inherited_within_it() {
    let top = [("mountpoint", "/z", Source::Local), ("my:note", "x", Source::Local)];
    let below = [("mountpoint", "/z/a", from("d/z")), ("my:note", "x", from("d/z"))];
    let mut z = to(&[("mountpoint", "/d")], [dataset("d/z", &top), dataset("d/z/a", &below)]);
    z.request.target.datasets = [(name("d/z/a"), name("d/other"))].into();
    assert_eq!(z.sets(), ["my:note=x d/z, d/other", "mountpoint=/z d/z", "mountpoint=/z/a d/other"]);
}

#[test]
fn a_default_is_the_one_of_zfs() {
    for (property, value) in
        [("canmount", "noauto"), ("zoned", "on"), ("sharenfs", "rw"), ("sharesmb", "name=x")]
    {
        to(&[], [dataset("d/z", &[(property, value, Source::Default)])])
            .assert_refused(&format!("says that {property}={value} is the default"));
    }
    to(&[], [dataset("d/z", &[("canmount", "off", from("d"))])]).assert_refused("inherits canmount");
}

#[test]
fn volumes_are_judged_like_filesystems() {
    let set = [("mountpoint", "/root/.ssh", Source::Local), ("sharenfs", "rw", Source::Local)];
    let volume = Dataset { kind: Kind::Volume, ..dataset("d/z", &set) };
    let z = to(&[("mountpoint", "/d")], [volume]);
    z.assert_refused("has the mountpoint /root/.ssh outside of the zonepath");
    z.assert_refused("(sharenfs=rw)");
    let honest = Dataset { kind: Kind::Volume, ..dataset("d/z", &[("copies", "2", Source::Local)]) };
    assert_eq!(to(&[("mountpoint", "/d"), ("sharenfs", "on")], [honest]).sets(), ["copies=2 d/z"]);
}

#[test]
fn what_the_landing_place_shares_is_refused() {
    for share in ["sharenfs", "share.nfs", "share.smb"] {
        to(&[(share, "on")], [dataset("d/z", &[])]).assert_refused(&format!("({share}=on)"));
    }
    let mut z = to(&[("share.nfs", "on")], [dataset("d/z", &[])]);
    z.request.target.properties = [(name("d/z"), [("share.nfs".to_owned(), "off".to_owned())].into())].into();
    assert_eq!(z.sets(), ["share.nfs=off d/z"]);
}

#[test]
fn zoned_from_above_the_zone_is_set_before_it_counts() {
    let set = [("mountpoint", "/var/x", Source::Local), ("zoned", "on", from("d"))];
    assert_eq!(
        to(&[("zoned", "off")], [dataset("d/z", &set)]).sets(),
        ["mountpoint=/var/x d/z", "zoned=on d/z"]
    );
    to(&[("zoned", "off")], [dataset("d/z", &set[..1])]).assert_refused("outside of the zonepath");
}

#[test]
fn a_delegated_dataset_has_a_mountpoint_of_its_own() {
    let of = |name| dataset(name, &[("mountpoint", "/d/z", Source::Default), ("zoned", "on", Source::Local)]);
    assert_eq!(to(&[("mountpoint", "/d")], [of("d/z")]).sets(), ["mountpoint=/d/z d/z", "zoned=on d/z"]);
}

#[test]
fn odd_names_and_values_are_refused() {
    let long = "x".repeat(8192);
    for (property, value, why) in [
        ("-a:b", "x", "which is no name"),
        ("mountpoint=/x", "x", "which is no name"),
        ("a:b=c", "x", "which is no name"),
        ("at\u{7}ime", "x", "which is no name"),
        ("", "x", "which is no name"),
        ("quota", "1\n2", "can't be set"),
        ("a:b", &long, "can't be set"),
        ("a:b", "x\0y", "can't be set"),
    ] {
        to(&[], [dataset("d/z", &[(property, value, Source::Local)])]).assert_refused(why);
    }
}

#[test]
fn mountpoints_within_the_zonepath_move_along_with_it() {
    let at = |path| [("mountpoint", path, Source::Local)];
    let z = Move {
        zonepaths: ("/a/z", "/b/z"),
        ..to(
            &[],
            [
                dataset("d/z", &at("/a/z")),
                dataset("d/z/r", &at("/a/z/root")),
                dataset("d/z/l", &at("legacy")),
            ],
        )
    };
    assert_eq!(z.sets(), ["mountpoint=/b/z d/z", "mountpoint=/b/z/root d/z/r", "mountpoint=legacy d/z/l"]);
    Move { zonepaths: ("/a/z", "/b/z"), ..to(&[], [dataset("d/z", &at("/a/zz"))]) }
        .assert_refused("/a/zz outside of the zonepath");
}

#[test]
fn one_set_serves_many_and_no_limit_is_not_set() {
    let local = |name, value| (name, value, Source::Local);
    let z = to(
        &[],
        [
            dataset("d/z", &[local("recordsize", "8192"), local("quota", "0")]),
            dataset("d/z/a", &[local("recordsize", "8192"), local("quota", "1048576")]),
        ],
    );
    assert_eq!(z.sets(), ["recordsize=8192 d/z, d/z/a", "quota=1048576 d/z/a"]);
}
