//! Source, later: the old copy is destroyed. This is the only place that destroys datasets which a
//! job did not create, so everything is proven before anything is deleted: the datasets are those
//! that were handed off, they hold no snapshot but the final one, nothing was written since, no
//! dataset is a clone of one, and no zone of this host has one.

use std::collections::BTreeSet;

use super::claim::{self, Claim};
use super::roots::tops;
use super::{Done, StepError, environment};
use crate::cmd::zfs::{PropertyLine, Zfs, argv};
use crate::cmd::zoneadm::{ZoneList, ZoneState};
use crate::cmd::{zoneadm, zonecfg};
use crate::job::code::Code;
use crate::job::event::Event;
use crate::job::name::DatasetName;
use crate::job::record::Job;
use crate::process::Programs;

/// Whether the old copy may be destroyed.
///
/// # Errors
/// Permanent with every reason why not.
pub fn check(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let zones = zoneadm::zones(programs)?;
    let zfs = Zfs::new(programs);
    let names = there(&zfs, job)?;
    let mut reasons: Vec<String> = in_use(&zones, job).into_iter().collect();
    reasons.extend(strangers(&zfs, job, &names)?);
    reasons.extend(dependents(programs, &zones, job, &names)?);
    reasons.extend(written(&zfs, job, &names)?);
    proven(&reasons)?;
    if let Some(warning) = environment::warning(programs, job.zone().as_str()) {
        programs.note(&warning);
    }
    Ok(Done::Event(Event::FinishChecked))
}

/// Deletes the configuration.
///
/// # Errors
/// Permanent when the zone is in use again, or is another one.
pub fn unconfigure(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let zones = zoneadm::zones(programs)?;
    proven(in_use(&zones, job).as_slice())?;
    if zones.find(job.zone().as_str()).is_some() {
        programs.ok(&zonecfg::delete(job.zone()))?;
    }
    Ok(Done::Event(Event::Unconfigured))
}

/// Destroys the datasets, tree by tree, after another look at all of them.
///
/// # Errors
/// Transient while something is busy.
pub fn destroy(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let zfs = Zfs::new(programs);
    let names = there(&zfs, job)?;
    let mut reasons = strangers(&zfs, job, &names)?;
    reasons.extend(dependents(programs, &zoneadm::zones(programs)?, job, &names)?);
    proven(&reasons)?;
    for top in tops(&names) {
        zfs.run(&argv::destroy_tree(&top))?;
    }
    Ok(Done::Event(Event::Destroyed))
}

fn proven(reasons: &[String]) -> Result<(), StepError> {
    if reasons.is_empty() {
        Ok(())
    } else {
        Err(StepError::permanent(reasons.join("; ")).coded(Code::Needed))
    }
}

/// The datasets of the migration that are still on this host.
fn there(zfs: &Zfs<'_>, job: &Job) -> Result<Vec<DatasetName>, StepError> {
    let names: Vec<_> = job.datasets.iter().map(|d| d.name.clone()).collect();
    let found = zfs.guids(&names)?;
    Ok(names.into_iter().filter(|name| found.contains_key(name.as_str())).collect())
}

/// Why the configuration is not the one that the moved zone left.
fn in_use(zones: &ZoneList, job: &Job) -> Option<String> {
    let zone = job.zone();
    let line = zones.find(zone.as_str())?;
    let (here, moved) = (line.zonepath.to_string_lossy(), job.zonepath.as_deref().unwrap_or_default());
    if here != moved {
        return Some(format!(
            "zone '{zone}' on this host has the zonepath {here}, the zone that was moved had {moved}: it is another zone; \
             destroy the old datasets by hand"
        ));
    }
    (line.state != ZoneState::Configured)
        .then(|| format!("zone '{zone}' is {} on this host, it is in use again", line.state))
}

/// What is at or below the datasets and is not what was handed off.
fn strangers(zfs: &Zfs<'_>, job: &Job, names: &[DatasetName]) -> Result<Vec<String>, StepError> {
    let mut reasons = Vec::new();
    let guids = zfs.guids_below(&tops(names))?;
    for dataset in &job.datasets {
        if guids.get(dataset.name.as_str()).is_some_and(|guid| *guid != dataset.guid) {
            reasons.push(format!("'{}' is another dataset than the one that was handed off", dataset.name));
        }
    }
    let known: BTreeSet<String> =
        job.datasets.iter().flat_map(|d| [d.name.to_string(), d.name.at(&job.snapshot)]).collect();
    for name in guids.keys().filter(|name| !known.contains(*name)) {
        // An older snapshot, too: it did not travel, and exists nowhere else.
        reasons
            .push(format!("'{name}' is not a part of what was moved, destroy it first if nobody needs it"));
    }
    for dataset in names {
        let snapshot = dataset.at(&job.snapshot);
        if guids.get(&snapshot) != job.guids.get(dataset) {
            reasons.push(format!("'{snapshot}' is not the snapshot that was handed off"));
        }
    }
    Ok(reasons)
}

/// What on this host needs the datasets: clones of them, and other zones.
fn dependents(
    programs: &Programs,
    zones: &ZoneList,
    job: &Job,
    names: &[DatasetName],
) -> Result<Vec<String>, StepError> {
    let mut reasons = Vec::new();
    if !zones.is_complete() {
        reasons.push(format!(
            "zoneadm could not list every zone of this host, and a zone that is missing may have these datasets: {}; \
             fix that zone first",
            zones.complaint()
        ));
    }
    let all = Zfs::new(programs).all_datasets(&["origin", "mountpoint"])?;
    let column = |columns: &[String], at: usize| columns.get(at).cloned().unwrap_or_default();
    let inside = |name: &DatasetName| names.iter().any(|ours| name.is_within(ours));
    for (clone, columns) in all.iter().filter(|(name, _)| !inside(name)) {
        let origin = column(columns, 0);
        if origin.split_once('@').is_some_and(|(of, _)| names.iter().any(|name| name.as_str() == of)) {
            reasons.push(format!(
                "dataset '{clone}' is a clone of '{origin}': destroy it, or send it elsewhere, first"
            ));
        }
    }
    let mountpoints = all.iter().map(|(name, columns)| (name, columns.get(1).map_or("", String::as_str)));
    let claims = claim::gather(programs, zones, mountpoints)?;
    for top in tops(names) {
        if let Some(Claim { zone, dataset }) = claim::of_another(&claims, job.zone(), &top) {
            reasons.push(format!(
                "dataset '{dataset}' belongs to zone '{zone}', and '{top}' would be destroyed"
            ));
        }
    }
    Ok(reasons)
}

/// The datasets to which something was written since the final snapshot.
fn written(zfs: &Zfs<'_>, job: &Job, names: &[DatasetName]) -> Result<Vec<String>, StepError> {
    let value = |lines: &[PropertyLine], property: &str| {
        lines.iter().find(|line| line.property == property).map(|line| line.value.clone())
    };
    let mut reasons = Vec::new();
    let snapshots: Vec<_> = names.iter().map(|dataset| dataset.at(&job.snapshot)).collect();
    let known = zfs.guids(&snapshots)?;
    for (dataset, snapshot) in
        names.iter().zip(&snapshots).filter(|(_, snapshot)| known.contains_key(*snapshot))
    {
        let now = zfs.properties(&["referenced"], &[dataset.as_str()])?;
        let then = zfs.properties(&["referenced", "used"], &[snapshot.as_str()])?;
        if value(&now, "referenced") != value(&then, "referenced")
            || value(&then, "used").as_deref() != Some("0")
        {
            reasons.push(format!("'{dataset}' was written to since the handoff"));
        }
    }
    Ok(reasons)
}
