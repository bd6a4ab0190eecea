//! How a scenario may end: moved, or as found. And what must never have been.

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use super::{Host, Lab, TOP, ZONE, tree, wait};

/// A zone's data as it can be compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Picture {
    files: BTreeMap<String, String>,
    properties: BTreeMap<String, String>,
}

pub(super) fn picture(json: &str) -> Picture {
    serde_json::from_str(json).expect("a picture")
}

impl Picture {
    /// As it would be with every dataset below `from` below `to` instead.
    pub fn mapped(self, from: &str, to: &str) -> Self {
        let rename = |map: BTreeMap<String, String>| {
            map.into_iter().map(|(key, value)| (key.replacen(from, to, 1), value.replace(from, to))).collect()
        };
        Self { files: rename(self.files), properties: rename(self.properties) }
    }

    /// With one property as wanted instead.
    pub fn with(mut self, dataset: &str, property: &str, value: &str) -> Self {
        self.properties.insert(format!("{dataset} {property}"), value.to_owned());
        self
    }

    /// A property with its source.
    pub fn property(&self, dataset: &str, property: &str) -> Option<&str> {
        self.properties.get(&format!("{dataset} {property}")).map(String::as_str)
    }

    /// Another tree beside this one.
    pub fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        self.properties.extend(other.properties);
    }

    /// Fails with the differences.
    #[track_caller]
    pub fn assert_same(&self, after: &Self) {
        let mut lines = Vec::new();
        for (a, b) in [(&self.files, &after.files), (&self.properties, &after.properties)] {
            lines.extend(a.iter().filter(|(key, value)| b.get(*key) != Some(value)).map(|(key, value)| {
                format!("{key}: {value} became {}", b.get(key).map_or("nothing", String::as_str))
            }));
            lines.extend(b.keys().filter(|key| !a.contains_key(*key)).map(|key| format!("{key} has come")));
        }
        assert!(
            !self.files.is_empty() && lines.is_empty(),
            "{} differences\n{}",
            lines.len(),
            lines.join("\n")
        );
    }
}

/// What a zone is before anything happens.
pub struct Before {
    zone: String,
    top: String,
    state: String,
    autoboot: bool,
    config: String,
    pub picture: Picture,
}

impl Before {
    /// The zone of 2007 on its host.
    pub fn of(host: &Host) -> Self {
        Self::of_zone(host, ZONE)
    }

    /// Any zone below `data/zones`.
    pub fn of_zone(host: &Host, zone: &str) -> Self {
        let top = format!("data/zones/{zone}");
        Self {
            zone: zone.to_owned(),
            state: host.state(zone).expect("the zone"),
            autoboot: host.autoboot(zone),
            config: host.export(zone),
            picture: host.picture(&top),
            top,
        }
    }

    /// The zone has gone from `from` to `to`, with all that it had.
    #[track_caller]
    pub fn assert_moved(&self, from: &Host, to: &Host) {
        let Self { zone, top, .. } = self;
        assert_eq!(to.state(zone).as_ref(), Some(&self.state), "on {}", to.name);
        assert_eq!(from.state(zone).as_deref(), Some("configured"), "on {}", from.name);
        assert_eq!(to.autoboot(zone), self.autoboot, "autoboot on {}", to.name);
        assert!(!from.autoboot(zone), "autoboot on {}", from.name);
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&to.export(zone)), sorted(&self.config), "the configuration");
        self.picture.assert_same(&to.picture(top));
        self.assert_kept(from);
        let left: Vec<_> = to.datasets().into_iter().filter(|name| is_left(name, top)).collect();
        assert!(left.is_empty(), "left on {}: {left:?}", to.name);
        assert_tidy(&[from, to]);
    }

    #[track_caller]
    fn assert_kept(&self, from: &Host) {
        let top = self.top.as_str();
        let kept: Vec<_> = from.datasets().into_iter().filter(|name| name.starts_with(top)).collect();
        assert!(kept.iter().any(|name| name.contains('@')), "the old copy with its snapshot: {kept:?}");
    }

    /// The zone is on `home` as it was found, and `other` has nothing of it.
    #[track_caller]
    pub fn assert_as_found(&self, home: &Host, other: &Host) {
        self.assert_at_home(home);
        let theirs = other.datasets();
        assert!(theirs.is_empty(), "left on {}: {theirs:?}", other.name);
        assert_eq!(other.state(&self.zone), None, "on {}", other.name);
        assert_tidy(&[home, other]);
    }

    /// The zone is on `home` as it was found.
    #[track_caller]
    pub fn assert_at_home(&self, home: &Host) {
        assert_eq!(home.state(&self.zone).as_ref(), Some(&self.state), "on {}", home.name);
        assert_eq!(home.export(&self.zone), self.config, "the configuration on {}", home.name);
        self.picture.assert_same(&home.picture(&self.top));
        let left: Vec<_> = home.datasets().into_iter().filter(|name| is_left(name, &self.top)).collect();
        assert!(left.is_empty(), "left on {}: {left:?}", home.name);
    }
}

/// It ran, or may have run, on the target: the source has it again, and the target keeps what the zone wrote to.
#[track_caller]
pub fn assert_came_back(lab: &Lab, before: &Before, job: &str) {
    let kept = format!("data/zones/zmigrate/{job}/0");
    assert_outcomes(lab, "failed", &["undone=yes", "kept on zhost2: ", &kept]);
    before.assert_at_home(&lab.source);
    assert_eq!(lab.target.state(ZONE), None);
    assert!(!has_top(&lab.target), "{:?}", lab.target.datasets());
    assert!(lab.target.datasets().contains(&kept));
    assert_tidy(&lab.hosts());
}

/// Is it something that a migration takes away at its end?
fn is_left(name: &str, top: &str) -> bool {
    name.starts_with(top) && name.contains('@') || name.starts_with("data/zones/zmigrate")
}

/// No parts and no messages are left, and nothing is going on.
#[track_caller]
pub fn assert_tidy(hosts: &[&Host]) {
    for host in hosts {
        // Our answers go when the peer has taken its side away, which is seen at the next look.
        wait(&format!("{}'s scratch to be empty", host.name), || {
            tree(&host.root.join("export/scratch")).is_empty().then_some(())
        });
        assert_eq!(host.jobs("active"), [""; 0], "active on {}", host.name);
    }
}

/// One outcome line on each side, with this result, and each of these words in both.
#[track_caller]
pub fn assert_outcomes(lab: &Lab, result: &str, words: &[&str]) {
    for host in lab.hosts() {
        let lines = host.outcomes();
        assert_eq!(lines.len(), 1, "outcomes on {}: {lines:#?}", host.name);
        for word in [&format!("result={result} ") as &str].iter().chain(words) {
            assert!(lines[0].contains(word), "no {word:?} in {}", lines[0]);
        }
    }
}

/// The zone's top dataset on a host, or none.
pub fn has_top(host: &Host) -> bool {
    host.datasets().iter().any(|name| name == TOP)
}

/// Tells the first zone that ran, or was attached, on two hosts at once.
pub(super) fn twice(hosts: &[&Host], attached_counts: bool) -> Option<String> {
    let mut events = Vec::new();
    for host in hosts {
        let text = fs::read_to_string(host.root.join(".lab/zone-events.log")).unwrap_or_default();
        for line in text.lines() {
            let [at, name, zone, what] = line.split(' ').collect::<Vec<_>>()[..] else {
                return Some(format!("a line of the zones' events can't be read: {line}"));
            };
            let at: u64 = at.parse().unwrap_or(0);
            // Of one moment, ends come first: a shutdown's end is computed, not observed.
            events.push((
                at,
                matches!(what, "boot" | "attach"),
                zone.to_owned(),
                name.to_owned(),
                what.to_owned(),
            ));
        }
    }
    events.sort();
    let (mut runs, mut attached) = (BTreeMap::new(), BTreeMap::new());
    for (at, begins, zone, host, what) in events {
        let place = if matches!(what.as_str(), "boot" | "halt") { &mut runs } else { &mut attached };
        let other: Option<String> = place.get(&zone).filter(|other| **other != host).cloned();
        match (begins, other) {
            (true, Some(other)) if attached_counts || what == "boot" => {
                return Some(format!("{what} of {zone} on {host} at {at}, before its end on {other}"));
            }
            (true, _) => drop(place.insert(zone, host)),
            (false, None) => drop(place.remove(&zone)),
            (false, Some(_)) => {}
        }
    }
    None
}
