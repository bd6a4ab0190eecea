//! Source: the tops of a zone's datasets, and what keeps them from being moved with all below them.

use std::collections::BTreeSet;

use super::StepError;
use super::claim::{self, Claim};
use crate::cmd::zfs::Zfs;
use crate::cmd::zoneadm;
use crate::cmd::zonecfg::ZoneConfig;
use crate::job::code::Code;
use crate::job::name::{DatasetName, ZoneName};
use crate::job::path;
use crate::process::Programs;

/// A dataset of this host, as far as its place is concerned.
struct Placed {
    name: DatasetName,
    mountpoint: String,
    /// Whether the global zone mounts it, now or at its next boot.
    in_global_zone: bool,
}

/// The zonepath's dataset, the delegated ones and those of `fs` resources; none of them within
/// another.
///
/// # Errors
/// Permanent with every reason why the zone can't be moved with all that is below these datasets.
pub fn of_zone(
    programs: &Programs,
    zone: &ZoneName,
    zonepath: &str,
    config: &ZoneConfig,
) -> Result<Vec<DatasetName>, StepError> {
    let all = all(programs)?;
    let tops = own(zone, zonepath, config, &all)?;
    let zones = zoneadm::zones(programs)?;
    let mountpoints = all.iter().map(|placed| (&placed.name, placed.mountpoint.as_str()));
    let claims = claim::gather(programs, &zones, mountpoints)?;
    let reasons = obstacles(zone, zonepath, &tops, &all, &claims);
    if reasons.is_empty() {
        Ok(tops)
    } else {
        Err(StepError::permanent(reasons.join("; ")).coded(Code::Place))
    }
}

/// The tops among datasets that are known already.
pub fn tops(names: &[DatasetName]) -> Vec<DatasetName> {
    let known: BTreeSet<_> = names.iter().collect();
    names.iter().filter(|name| name.parent().is_none_or(|parent| !known.contains(&parent))).cloned().collect()
}

fn all(programs: &Programs) -> Result<Vec<Placed>, StepError> {
    let rows = Zfs::new(programs).all_datasets(&["canmount", "zoned", "mounted", "mountpoint"])?;
    let placed = rows.into_iter().map(|(name, columns)| {
        let column = |at: usize| columns.get(at).map_or("", String::as_str);
        let mounts = column(0) == "on" || column(2) == "yes";
        Placed { name, in_global_zone: mounts && column(1) != "on", mountpoint: column(3).to_owned() }
    });
    Ok(placed.collect())
}

fn own(
    zone: &ZoneName,
    zonepath: &str,
    config: &ZoneConfig,
    all: &[Placed],
) -> Result<Vec<DatasetName>, StepError> {
    let mut tops = BTreeSet::new();
    let mut at_zonepath =
        all.iter().filter(|placed| placed.mountpoint == zonepath).map(|placed| &placed.name);
    match (at_zonepath.next(), at_zonepath.next()) {
        (Some(dataset), None) => drop(tops.insert(dataset.clone())),
        (None, _) => {
            let text = format!(
                "zone '{zone}': no dataset is mounted at its zonepath {zonepath}; only zones on ZFS of their own can be sent"
            );
            return Err(StepError::permanent(text));
        }
        (Some(one), Some(other)) => {
            let text = format!("zone '{zone}': both '{one}' and '{other}' have the mountpoint {zonepath}");
            return Err(StepError::permanent(text));
        }
    }
    let delegated = config.of_kind("dataset").filter_map(|resource| resource.get("name"));
    let mounted = config.of_kind("fs").filter(|resource| resource.get("type") == Some("zfs"));
    for text in delegated.chain(mounted.filter_map(|resource| resource.get("special"))) {
        let dataset = DatasetName::new(text).map_err(|why| {
            StepError::permanent(format!("zone '{zone}' names a dataset that can't be one: {why}"))
        })?;
        if !all.iter().any(|placed| placed.name == dataset) {
            return Err(StepError::permanent(format!(
                "zone '{zone}' names dataset '{dataset}', which is not on this host"
            )));
        }
        tops.insert(dataset);
    }
    let inner = |dataset: &DatasetName| tops.iter().any(|top| top != dataset && dataset.is_within(top));
    Ok(tops.iter().filter(|dataset| !inner(dataset)).cloned().collect())
}

fn obstacles(
    zone: &ZoneName,
    zonepath: &str,
    tops: &[DatasetName],
    all: &[Placed],
    claims: &[Claim],
) -> Vec<String> {
    let mut reasons = Vec::new();
    for top in tops {
        if let Some(Claim { zone: other, dataset }) = claim::of_another(claims, zone, top) {
            let with = if dataset == top {
                String::new()
            } else {
                format!(", but '{top}' would move with zone '{zone}'")
            };
            reasons.push(format!(
                "dataset '{dataset}' belongs to zone '{other}'{with}; move the data apart, or remove it from one of the zones"
            ));
        }
    }
    let foreign = all.iter().filter(|placed| !tops.iter().any(|top| placed.name.is_within(top)));
    for placed in
        foreign.filter(|placed| placed.in_global_zone && path::is_within(&placed.mountpoint, zonepath))
    {
        reasons.push(format!(
            "dataset '{}' is mounted at {}, within zone '{zone}', and would stay behind; give it to the zone by zonecfg \
             (add dataset, or add fs), or give it another mountpoint",
            placed.name, placed.mountpoint
        ));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::sample::sample;

    fn dataset(text: &str) -> DatasetName {
        DatasetName::new(text).unwrap()
    }

    fn placed(text: &str) -> Vec<Placed> {
        let row = |line: &str| {
            let (name, rest) = line.split_once(' ')?;
            let (mountpoint, in_global_zone) =
                rest.split_once(' ').map_or((rest, true), |(at, _)| (at, false));
            Some(Placed { name: dataset(name), mountpoint: mountpoint.to_owned(), in_global_zone })
        };
        text.lines().filter_map(row).collect()
    }

    #[test]
    fn tops_are_the_zonepaths_the_delegated_and_the_mounted_dataset() {
        let zone = ZoneName::new("dbbackup").unwrap();
        let config = ZoneConfig::parse(sample!("zonecfg/export-s10.txt")).unwrap();
        let all = placed(
            "data/zones/dbbackup /export/zones/dbbackup\ndata/zones/dbbackup/tank none\ndata/zones/dbbackup/pkgsrc legacy\n",
        );
        assert_eq!(
            own(&zone, "/export/zones/dbbackup", &config, &all).unwrap(),
            [dataset("data/zones/dbbackup")]
        );
        let lacks = own(&zone, "/export/zones/dbbackup", &config, &all[..2]).unwrap_err();
        assert!(lacks.text.contains("which is not on this host"), "{lacks}");
    }

    #[test]
    fn a_dataset_of_another_zone_keeps_the_zone_here() {
        let web = ZoneName::new("web").unwrap();
        let tops = [dataset("data/shared"), dataset("data/zones/web")];
        for (theirs, why) in [
            ("data/shared/b", "'data/shared/b' belongs to zone 'other', but 'data/shared' would move"),
            ("data/shared", "'data/shared' belongs to zone 'other'; move"),
            ("data/zones", "'data/zones' belongs to zone 'other', but 'data/zones/web' would move"),
        ] {
            let claims = [Claim { zone: "other".to_owned(), dataset: dataset(theirs) }];
            let said = obstacles(&web, "/export/zones/web", &tops, &[], &claims);
            assert!(said.len() == 1 && said[0].contains(why), "{theirs}: {said:?}");
        }
    }

    #[test]
    fn a_foreign_dataset_mounted_within_the_zone_keeps_it_here() {
        let web = ZoneName::new("web").unwrap();
        let tops = [dataset("data/zones/web")];
        let all = placed(
            "data/cores /export/zones/web/cores\ndata/off /export/zones/web/off no\ndata/web2 /export/zones/web2\n\
             data/zones/web/x /export/zones/web/x\n",
        );
        let said = obstacles(&web, "/export/zones/web", &tops, &all, &[]);
        assert!(said.len() == 1 && said[0].contains("'data/cores' is mounted at"), "{said:?}");
    }
}
