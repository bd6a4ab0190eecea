//! What the datasets' properties would do on this host.
//!
//! The danger is a filesystem of the zone that mounts over a directory of the global zone, or is shared from it. A
//! dataset that the zone administers itself (`zoned=on`) can do neither: its mountpoint is a path inside the zone.

use std::collections::BTreeMap;

use super::input::{Check, zonepath};
use super::judgement::Judgement;
use super::text::{listed, shown};
use crate::cmd::zfs::property;
use crate::job::code::Code;
use crate::job::name::{Bytes, DatasetName};
use crate::job::path;
use crate::job::request::Properties;
use crate::job::survey::{Dataset, Kind, Source};
use crate::job::units;

/// Judges what comes with the survey and the request.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    let survey = &check.offer.survey;
    let overrides = &check.offer.request.target.properties;
    let refusals =
        judge_properties(&survey.datasets, overrides, &survey.zone.zonepath, zonepath(check.offer));
    refusals.into_iter().for_each(|why| judgement.refuse(Code::Property, why));
    requested(check, judgement);
    left_behind(check, judgement);
}

/// Why these datasets, with the request's properties on top, must not be mounted on this host. To be asked again with
/// what the handoff brings. `from` and `to` are the zonepath on the source and here: a mountpoint below the one
/// is taken to be set anew below the other.
pub fn judge_properties(datasets: &[Dataset], overrides: &Properties, from: &str, to: &str) -> Vec<String> {
    let mut refusals = Vec::new();
    let mut known: BTreeMap<&DatasetName, Effective> = BTreeMap::new();
    for dataset in datasets.iter().filter(|dataset| dataset.kind == Kind::Filesystem) {
        let own = overrides.get(&dataset.name);
        let effective = Effective::of(dataset, own, &known);
        let name = &dataset.name;
        if !effective.zoned {
            refusals.extend(effective.mountpoint_refusal(name, from, to));
            for share in ["sharenfs", "sharesmb"] {
                let value = own.and_then(|own| own.get(share)).map(String::as_str).or(dataset.value(share));
                if let Some(value) = value.filter(|value| !matches!(*value, "off" | "-")) {
                    let value = shown(value);
                    refusals.push(format!(
                        "dataset '{name}' would be shared by the target itself ({share}={value}); set {share}=off in [target.properties]"
                    ));
                }
            }
        }
        known.insert(name, effective);
    }
    refusals
}

/// What decides where a filesystem gets mounted.
struct Effective {
    mountpoint: String,
    /// Was it the request that gave the path, here or above?
    requested: bool,
    canmount: String,
    zoned: bool,
}

impl Effective {
    /// Follows the sources as they will be set, not the values as they are claimed: what is said to be inherited
    /// from a dataset of the zone is whatever that one has.
    fn of(
        dataset: &Dataset,
        own: Option<&BTreeMap<String, String>>,
        above: &BTreeMap<&DatasetName, Effective>,
    ) -> Self {
        let own = |property: &str| own.and_then(|own| own.get(property)).cloned();
        let inherited = |property: &str| match &dataset.properties.get(property)?.source {
            Source::Inherited(from) => above.get(from).map(|effective| (from, effective)),
            Source::Local | Source::Default => None,
        };
        let (mountpoint, requested) = match (own("mountpoint"), inherited("mountpoint")) {
            (Some(path), _) => (path, true),
            (None, Some((from, effective))) => {
                let below = dataset.name.below(from).unwrap_or_default();
                (joined(&effective.mountpoint, below), effective.requested)
            }
            (None, None) => (dataset.value("mountpoint").unwrap_or("none").to_owned(), false),
        };
        let zoned = match (dataset.properties.get("zoned"), inherited("zoned")) {
            (_, Some((_, effective))) => effective.zoned,
            // By default nothing is zoned, whatever a peer says; and what comes from above the zone's datasets stays there.
            (Some(set), None) => set.value == "on" && set.source == Source::Local,
            (None, None) => false,
        };
        let canmount = own("canmount").or_else(|| dataset.value("canmount").map(str::to_owned));
        Self { mountpoint, requested, canmount: canmount.unwrap_or_else(|| "on".to_owned()), zoned }
    }

    fn mountpoint_refusal(&self, name: &DatasetName, from: &str, to: &str) -> Option<String> {
        if matches!(self.mountpoint.as_str(), "none" | "legacy" | "-") {
            return None;
        }
        let mountpoint = shown(&self.mountpoint);
        if path::absolute(&self.mountpoint).is_err() {
            return Some(format!("dataset '{name}' has the mountpoint {mountpoint}, which is no path"));
        }
        let zonepath = if self.requested { to } else { from };
        let mounts = !matches!(self.canmount.as_str(), "off" | "noauto");
        (mounts && !path::is_within(&self.mountpoint, zonepath)).then(|| {
            format!(
                "dataset '{name}' has the mountpoint {mountpoint} outside of the zonepath and would be mounted over the \
                 target's own directory; set its mountpoint to legacy or canmount to noauto in [target.properties]"
            )
        })
    }
}

fn joined(mountpoint: &str, below: &str) -> String {
    if mountpoint.starts_with('/') && !below.is_empty() {
        format!("{}/{below}", mountpoint.trim_end_matches('/'))
    } else {
        mountpoint.to_owned()
    }
}

/// `[target.properties]`: on the zone's datasets, known to this host's ZFS, limits that leave room for the data.
fn requested(check: &Check<'_>, judgement: &mut Judgement) {
    let datasets: BTreeMap<_, _> = check.offer.survey.datasets.iter().map(|d| (&d.name, d)).collect();
    for (name, wanted) in &check.offer.request.target.properties {
        let Some(dataset) = datasets.get(name) else {
            judgement.refuse(
                Code::Property,
                format!("[target.properties] names dataset '{name}', which is not one of the zone's"),
            );
            continue;
        };
        for (property, value) in wanted {
            if !is_known(check, property) {
                judgement.refuse(Code::Property, format!(
                    "[target.properties] sets '{property}' of dataset '{name}', which the target's ZFS does not know"
                ));
            }
            let limit = matches!(property.as_str(), "quota" | "refquota").then(|| size(value)).flatten();
            if let Some(limit) = limit.filter(|limit| limit.0 > 0 && *limit < dataset.referenced) {
                judgement.refuse(Code::Property, format!(
                    "[target.properties] sets a {property} of {limit} for dataset '{name}', which refers to {}",
                    dataset.referenced
                ));
            }
        }
    }
}

/// Says which local properties do not come along.
fn left_behind(check: &Check<'_>, judgement: &mut Judgement) {
    let mut left: BTreeMap<&str, Vec<&DatasetName>> = BTreeMap::new();
    for dataset in &check.offer.survey.datasets {
        let own = dataset.properties.iter().filter(|(_, set)| set.source == Source::Local);
        for (property, _) in own.filter(|(name, _)| !property::is_carried(name) || !is_known(check, name)) {
            left.entry(property).or_default().push(&dataset.name);
        }
    }
    for (property, datasets) in left {
        let property = shown(property);
        judgement.note(format!("property '{property}' does not come along: {}", listed(&datasets)));
    }
}

/// Whether this host's ZFS knows a property. User properties it takes as they are.
fn is_known(check: &Check<'_>, property: &str) -> bool {
    property.contains(':') || check.world.known.as_ref().is_none_or(|known| known.contains(property))
}

/// Bytes as `zfs get -p` or a person writes them; `None` where there is no limit.
pub(super) fn size(value: &str) -> Option<Bytes> {
    value.parse().map(Bytes).ok().or_else(|| units::size(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, case, local, name};
    use crate::job::survey::Property;

    fn refused(why: &str, spoil: impl Fn(&mut Case)) {
        let mut case = case();
        spoil(&mut case);
        let said = case.refusals();
        assert!(said.contains(why), "{why}: {said}");
    }

    fn accepted(spoil: impl Fn(&mut Case)) {
        let mut case = case();
        spoil(&mut case);
        assert_eq!(case.refusals(), "");
    }

    fn request(case: &mut Case, dataset: &str, property: &str, value: &str) {
        let properties = &mut case.offer.request.target.properties;
        properties.entry(name(dataset)).or_default().insert(property.to_owned(), value.to_owned());
    }

    const PKGSRC: &str = "data/zones/dbbackup/pkgsrc";
    const MYSQL: &str = "data/zones/dbbackup/tank/mysql";

    #[test]
    fn a_dataset_of_the_global_zone_mounts_within_the_zonepath_only() {
        for outside in ["/etc", "/export/zones/dbbackup2", "/export/zones/dbbackup/../../etc", "etc"] {
            refused(&format!("has the mountpoint {outside}"), |c| {
                local(&mut c.offer.survey.datasets[1], "mountpoint", outside);
            });
        }
        for inside in ["/export/zones/dbbackup/root/opt", "none", "legacy"] {
            accepted(|c| local(&mut c.offer.survey.datasets[1], "mountpoint", inside));
        }
        accepted(|c| {
            local(&mut c.offer.survey.datasets[1], "mountpoint", "/etc");
            local(&mut c.offer.survey.datasets[1], "canmount", "noauto");
        });
        refused("has the mountpoint /etc", |c| {
            local(&mut c.offer.survey.datasets[1], "mountpoint", "/etc");
            local(&mut c.offer.survey.datasets[1], "canmount", "noauto");
            request(c, PKGSRC, "canmount", "on");
        });
    }

    #[test]
    fn what_is_inherited_is_judged_by_where_it_comes_from() {
        let inherits = |c: &mut Case, property: &str, value: &str| {
            let source = Source::Inherited(name("data/zones/dbbackup"));
            let set = Property { value: value.to_owned(), source };
            std::sync::Arc::make_mut(&mut c.offer.survey.datasets[1].properties)
                .insert(property.to_owned(), set);
        };
        // Said to be none; but what it will inherit is its parent's.
        accepted(|c| inherits(c, "mountpoint", "none"));
        refused("has the mountpoint /elsewhere/pkgsrc", |c| {
            inherits(c, "mountpoint", "none");
            request(c, "data/zones/dbbackup", "mountpoint", "/elsewhere");
        });
        refused("has the mountpoint /etc", |c| {
            inherits(c, "zoned", "on");
            local(&mut c.offer.survey.datasets[1], "mountpoint", "/etc");
        });
        refused("has the mountpoint /etc", |c| {
            let set = Property { value: "on".to_owned(), source: Source::Default };
            std::sync::Arc::make_mut(&mut c.offer.survey.datasets[1].properties)
                .insert("zoned".to_owned(), set);
            local(&mut c.offer.survey.datasets[1], "mountpoint", "/etc");
        });
        refused("has the mountpoint /etc", |c| {
            let set = Property { value: "on".to_owned(), source: Source::Inherited(name("data")) };
            std::sync::Arc::make_mut(&mut c.offer.survey.datasets[1].properties)
                .insert("zoned".to_owned(), set);
            local(&mut c.offer.survey.datasets[1], "mountpoint", "/etc");
        });
    }

    #[test]
    fn the_requests_mountpoints_are_paths_of_the_target() {
        let moved = |c: &mut Case| c.offer.request.target.zonepath = Some("/export/zones/db".to_owned());
        accepted(|c| {
            moved(c);
            request(c, PKGSRC, "mountpoint", "/export/zones/db/root/opt");
        });
        refused("outside of the zonepath", |c| {
            moved(c);
            request(c, PKGSRC, "mountpoint", "/export/zones/dbbackup/root/opt");
        });
        accepted(|c| request(c, MYSQL, "mountpoint", "/opt/mysql"));
    }

    #[test]
    fn nothing_of_a_zone_is_shared_by_the_global_zone() {
        for share in ["sharenfs", "sharesmb"] {
            refused("would be shared by the target", |c| local(&mut c.offer.survey.datasets[1], share, "rw"));
            accepted(|c| local(&mut c.offer.survey.datasets[3], share, "rw"));
        }
        refused("(sharenfs=on)", |c| request(c, PKGSRC, "sharenfs", "on"));
        accepted(|c| {
            local(&mut c.offer.survey.datasets[1], "sharenfs", "rw");
            request(c, PKGSRC, "sharenfs", "off");
        });
    }

    #[test]
    fn requested_properties_must_be_possible_here() {
        refused("which is not one of the zone's", |c| request(c, "data/zones/x", "atime", "off"));
        refused("which the target's ZFS does not know", |c| request(c, PKGSRC, "dnodesize", "auto"));
        refused("sets a quota of 1.0 GiB", |c| request(c, PKGSRC, "quota", "1G"));
        accepted(|c| {
            request(c, PKGSRC, "quota", "10G");
            request(c, PKGSRC, "my:note", "x");
            request(c, MYSQL, "quota", "none");
        });
    }

    #[test]
    fn properties_that_do_not_come_along_are_said() {
        let mut case = case();
        local(&mut case.offer.survey.datasets[1], "share.nfs", "on");
        local(&mut case.offer.survey.datasets[3], "dnodesize", "auto");
        local(&mut case.offer.survey.datasets[3], "my:note", "x");
        let said = case.findings();
        assert!(said.contains("'share.nfs' does not come along: data/zones/dbbackup/pkgsrc"), "{said}");
        assert!(said.contains("'dnodesize' does not come along") && !said.contains("my:note"), "{said}");
        assert_eq!(case.refusals(), "");
    }
}
