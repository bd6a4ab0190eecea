//! The datasets' properties as they would be on this host, and those that the request sets.

use std::collections::BTreeMap;

use super::input::Check;
use super::judgement::Judgement;
use super::reserved::zonepath;
use crate::host::effective::Effective;
use crate::job::code::{Code, Reason};
use crate::job::name::Bytes;
use crate::job::units;

/// Judges what comes with the survey and the request.
pub(super) fn judge(check: &Check<'_>, judgement: &mut Judgement) {
    requested(check, judgement);
    let Ok(layout) = check.layout else { return };
    let survey = &check.offer.survey;
    let zonepaths = (survey.zone.zonepath.as_str(), zonepath(check.offer));
    let landing = &check.world.landing;
    match Effective::new(layout, &survey.datasets, &check.offer.request, zonepaths, landing) {
        Ok(effective) => {
            judgement.findings.extend_from_slice(effective.notes());
            judgement.effective = Some(effective);
        }
        Err(reasons) => {
            judgement.refusals.extend(reasons.into_iter().map(|why| Reason::new(Code::Property, why)));
        }
    }
}

/// `[target.properties]`: on the zone's datasets, known to this host's ZFS, limits that leave room
/// for the data.
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
            if !check.world.landing.knows(property) {
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

/// Bytes as `zfs get -p` or a person writes them; `None` where there is no limit.
pub(super) fn size(value: &str) -> Option<Bytes> {
    value.parse().map(Bytes).ok().or_else(|| units::size(value).ok())
}

#[cfg(test)]
mod tests {
    use crate::host::check::fixture::{Case, case, local, name};
    use crate::job::survey::{Property, Source};

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
    fn an_inherited_value_is_judged_by_its_origin() {
        let inherits = |c: &mut Case, property: &str, value: &str| {
            let source = Source::Inherited(name("data/zones/dbbackup"));
            let set = Property { value: value.to_owned(), source };
            std::sync::Arc::make_mut(&mut c.offer.survey.datasets[1].properties)
                .insert(property.to_owned(), set);
        };
        refused("says that it inherits mountpoint=/root/.ssh", |c| inherits(c, "mountpoint", "/root/.ssh"));
        refused("has the mountpoint /elsewhere/pkgsrc", |c| {
            inherits(c, "mountpoint", "/export/zones/dbbackup/pkgsrc");
            request(c, "data/zones/dbbackup", "mountpoint", "/elsewhere");
        });
        refused("says that it inherits zoned=on", |c| {
            inherits(c, "zoned", "on");
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
