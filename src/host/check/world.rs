//! A look at this host: all that an offer is compared with, in a number of processes that does not
//! depend on the zone that comes: one for each zone of this host, and a handful.

use std::collections::{BTreeMap, BTreeSet};

use super::reserved::{Reserved, zonepath};
use super::text::shown;
use super::zonepath::{ZonepathState, look};
use crate::cmd::zfs::{PropertyLine, Zfs};
use crate::cmd::zoneadm::{self, ZoneList};
use crate::config::Accept;
use crate::host::claim::{self, Claim};
use crate::host::landing::{self, Landing};
use crate::host::{StepError, os};
use crate::job::layout::Layout;
use crate::job::message::Offer;
use crate::job::name::{Bytes, DatasetName, JobId};
use crate::job::survey::OsLevel;
use crate::process::Programs;

/// The user property by which a holder in quarantine is known as a job's.
const MARK: &str = "zmigrate:job";

/// This host as it is.
#[derive(Debug, Clone)]
pub struct World {
    /// Its zones, and what zoneadm complained about.
    pub zones: ZoneList,
    /// Datasets that the zones of this host name as theirs.
    pub claims: Vec<Claim>,
    /// Every dataset with its mountpoint, as `zfs list` shows it.
    pub datasets: BTreeMap<DatasetName, String>,
    /// Bytes available to the datasets under which something would land or be received.
    pub available: BTreeMap<DatasetName, Bytes>,
    /// Bytes in the holders of this job and of those with a reservation: parts of theirs that are
    /// no longer outstanding.
    pub used: BTreeMap<DatasetName, Bytes>,
    /// Those of this job's holders that exist and carry its mark.
    pub own: Vec<DatasetName>,
    /// What arriving datasets would inherit.
    pub landing: Landing,
    /// The newest filesystem version that this host's ZFS accepts.
    pub zpl_version: u64,
    /// Its level.
    pub os: OsLevel,
    /// What is at the zonepath.
    pub zonepath: ZonepathState,
}

impl World {
    /// The nearest dataset at or above `dataset` that exists.
    pub(super) fn existing(&self, dataset: &DatasetName) -> Option<DatasetName> {
        std::iter::successors(Some(dataset.clone()), DatasetName::parent)
            .find(|dataset| self.datasets.contains_key(dataset))
    }

    /// Whether `dataset` is in a holder that carries this job's mark.
    pub(super) fn is_own(&self, dataset: &DatasetName) -> bool {
        self.own.iter().any(|holder| dataset.is_within(holder))
    }
}

/// Looks at this host. `layout` is `None` where nothing can be placed; `reserved` is what other
/// accepted jobs hold.
///
/// # Errors
/// As the commands fail; transient when the zonepath can't be looked at.
pub fn gather(
    programs: &Programs,
    job: &JobId,
    offer: &Offer,
    accept: &Accept,
    layout: Option<&Layout>,
    reserved: &[Reserved],
) -> Result<World, StepError> {
    let zfs = Zfs::new(programs);
    let mut datasets = BTreeMap::new();
    for (name, columns) in zfs.all_datasets(&["mountpoint"])? {
        datasets.insert(name, columns.into_iter().next().unwrap_or_default());
    }
    let zones = zoneadm::zones(programs)?;
    let claims = claim::gather(programs, &zones, datasets.iter().map(|(name, at)| (name, at.as_str())))?;
    let mut world = World {
        zones,
        claims,
        datasets,
        available: BTreeMap::new(),
        used: BTreeMap::new(),
        own: Vec::new(),
        landing: Landing::default(),
        zpl_version: zfs.newest_version()?,
        os: os::level(programs)?,
        zonepath: look(zonepath(offer), accept)?,
    };
    let holders = layout.map(|layout| layout.holders.as_slice()).unwrap_or_default();
    let places = places(&world, accept, layout);
    let held: BTreeSet<_> = holders.iter().chain(reserved.iter().flat_map(|other| &other.holders)).collect();
    let asked: BTreeSet<_> =
        places.iter().chain(held.iter().copied()).filter(|name| world.datasets.contains_key(*name)).collect();
    let asked: Vec<_> = asked.into_iter().cloned().collect();
    for line in zfs.properties(&["available", "used", MARK], &asked)? {
        take(&mut world, &line, job, holders, &places, &held)?;
    }
    if let Some(layout) = layout {
        let mut above = landing::parents(layout);
        above.extend(layout.holders.iter().filter_map(|holder| world.existing(&holder.parent()?)));
        world.landing = Landing::read(programs, above.iter().filter(|name| places.contains(*name)))?;
    }
    Ok(world)
}

/// The existing datasets whose free bytes count: the parents of the roots and what the holders are
/// or would be made under. Within what the peer may use: nothing is asked about others.
fn places(world: &World, accept: &Accept, layout: Option<&Layout>) -> BTreeSet<DatasetName> {
    let Some(layout) = layout else { return BTreeSet::new() };
    let parents = layout.roots().filter_map(|root| root.target.parent());
    let above = layout.holders.iter().filter_map(|holder| world.existing(holder.parent().as_ref()?));
    let accepted = |name: &DatasetName| accept.datasets.iter().any(|top| name.is_within(top));
    parents.chain(above).filter(|name| world.datasets.contains_key(name) && accepted(name)).collect()
}

fn take(
    world: &mut World,
    line: &PropertyLine,
    job: &JobId,
    holders: &[DatasetName],
    places: &BTreeSet<DatasetName>,
    held: &BTreeSet<&DatasetName>,
) -> Result<(), StepError> {
    let Some(dataset) = line.dataset() else { return Ok(()) };
    let bytes = || {
        line.value.parse().map(Bytes).map_err(|_| {
            let value = shown(&line.value);
            StepError::permanent(format!("dataset '{dataset}': zfs get says {} is '{value}'", line.property))
        })
    };
    match line.property.as_str() {
        "available" if places.contains(&dataset) => {
            world.available.insert(dataset.clone(), bytes()?);
        }
        "used" if held.contains(&dataset) => {
            world.used.insert(dataset.clone(), bytes()?);
        }
        MARK if holders.contains(&dataset) && line.source.is_own() && line.value == job.as_str() => {
            world.own.push(dataset);
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{case, name};

    #[test]
    fn free_bytes_are_asked_of_existing_places_that_the_peer_may_use() {
        let mut case = case();
        let layout = case.layout().unwrap();
        assert_eq!(places(&case.world, &case.accept, Some(&layout)), [name("data/zones")].into());
        case.accept.quarantine = name("data/zones/other/deep");
        let layout = case.layout().unwrap();
        assert_eq!(places(&case.world, &case.accept, Some(&layout)), [name("data/zones")].into());
        case.accept.datasets = vec![name("tank")];
        assert!(places(&case.world, &case.accept, Some(&layout)).is_empty());
    }

    #[test]
    fn a_holder_is_ours_by_its_own_mark_alone() {
        use crate::cmd::zfs::Source;
        let mut case = case();
        let holders = case.layout().unwrap().holders;
        let held = holders.iter().collect();
        for (value, source, ours) in [
            (case.job.as_str(), Source::Local, true),
            (case.job.as_str(), Source::Inherited(name("data")), false),
            ("web-20070518T033600Z-7f3a", Source::Local, false),
        ] {
            let property = MARK.to_owned();
            let line =
                PropertyLine { name: holders[0].to_string(), property, value: value.to_owned(), source };
            case.world.own.clear();
            take(&mut case.world, &line, &case.job, &holders, &BTreeSet::new(), &held).unwrap();
            assert_eq!(!case.world.own.is_empty(), ours, "{line:?}");
        }
        let line = PropertyLine {
            name: holders[0].to_string(),
            property: "used".to_owned(),
            value: "12".to_owned(),
            source: Source::None,
        };
        take(&mut case.world, &line, &case.job, &holders, &BTreeSet::new(), &held).unwrap();
        assert_eq!(case.world.used[&holders[0]], Bytes(12));
        assert!(
            take(
                &mut case.world,
                &PropertyLine { value: "1K".to_owned(), ..line },
                &case.job,
                &holders,
                &BTreeSet::new(),
                &held
            )
            .is_err()
        );
    }
}
