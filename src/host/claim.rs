//! Which datasets of this host belong to which zone, by the zones' configurations and zonepaths.
//!
//! A peer's zone must not land in another zone's tree, a survey must not take another zone's
//! dataset along, and `finish` must not destroy one.

use super::StepError;
use crate::cmd::zoneadm::ZoneList;
use crate::cmd::zonecfg;
use crate::job::name::{DatasetName, ZoneName};
use crate::process::Programs;

/// A dataset that a zone names, or that is mounted at its zonepath.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The zone's name.
    pub zone: String,
    /// The dataset; everything below it belongs to the zone, too.
    pub dataset: DatasetName,
}

/// Reads the configurations of all these zones, one process for each. `mountpoints` are those of
/// all datasets of this host.
///
/// # Errors
/// When a configuration can't be read: it may name any dataset.
pub fn gather<'a>(
    programs: &Programs,
    zones: &ZoneList,
    mountpoints: impl Iterator<Item = (&'a DatasetName, &'a str)> + Clone,
) -> Result<Vec<Claim>, StepError> {
    let mut claims = Vec::new();
    for line in zones.zones.iter().filter(|line| line.name != "global") {
        let name = ZoneName::new(&line.name).map_err(|why| {
            StepError::permanent(format!(
                "the configuration of zone '{}' can't be read: {why}",
                line.name.escape_debug()
            ))
        })?;
        let zonepath = line.zonepath.to_string_lossy();
        let at_zonepath =
            mountpoints.clone().filter(|(_, at)| *at == zonepath).map(|(dataset, _)| dataset.clone());
        let named = zonecfg::named_datasets(programs, &name).map_err(|error| {
            StepError::from(error).during(format!("the datasets of zone '{name}' are not known"))
        })?;
        claims.extend(at_zonepath.chain(named).map(|dataset| Claim { zone: line.name.clone(), dataset }));
    }
    Ok(claims)
}

/// The first claim of a zone other than `zone` that `dataset` is at, below or above.
pub fn of_another<'a>(claims: &'a [Claim], zone: &ZoneName, dataset: &DatasetName) -> Option<&'a Claim> {
    claims.iter().find(|claim| {
        claim.zone != zone.as_str() && (dataset.is_within(&claim.dataset) || claim.dataset.is_within(dataset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_covers_all_below_and_all_above_it() {
        let dataset = |text: &str| DatasetName::new(text).unwrap();
        let claims = [Claim { zone: "other".to_owned(), dataset: dataset("data/shared/b") }];
        for (name, zone, found) in [
            ("data/shared/b", "web", true),
            ("data/shared/b/deep", "web", true),
            ("data/shared", "web", true),
            ("data/shared/b2", "web", false),
            ("data/shared/b", "other", false),
        ] {
            let zone = ZoneName::new(zone).unwrap();
            assert_eq!(of_another(&claims, &zone, &dataset(name)).is_some(), found, "{name} {zone}");
        }
    }
}
