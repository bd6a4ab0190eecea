//! Source, later: the old copy goes. The only place that destroys datasets which a job did not create, so
//! everything is proven first: the datasets' guids are those that were handed off, they hold no snapshot but
//! the final one, and nothing was written since.

use std::collections::BTreeSet;

use super::survey::tops;
use super::{Done, StepError};
use crate::cmd::zfs::{Zfs, argv};
use crate::cmd::zoneadm::ZoneState;
use crate::cmd::{zoneadm, zonecfg};
use crate::job::event::Event;
use crate::job::name::DatasetName;
use crate::job::record::Job;
use crate::process::Programs;

/// May the old copy go?
///
/// # Errors
/// Permanent with every reason why not.
pub fn check(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let mut reasons = Vec::new();
    match zoneadm::zone(programs, job.zone())? {
        None => {}
        Some(line) if line.state == ZoneState::Configured => {}
        Some(line) => {
            reasons.push(format!("zone '{}' is {} here, it is in use again", job.zone(), line.state))
        }
    }
    let zfs = Zfs::new(programs);
    let names = there(&zfs, job)?;
    let guids = zfs.guids_below(&tops(&names))?;
    for dataset in &job.datasets {
        if guids.get(dataset.name.as_str()).is_some_and(|guid| *guid != dataset.guid) {
            reasons.push(format!("'{}' is another dataset than the one that was handed off", dataset.name));
        }
    }
    let known: BTreeSet<String> =
        job.datasets.iter().flat_map(|d| [d.name.to_string(), d.name.at(&job.snapshot)]).collect();
    for name in guids.keys().filter(|name| !known.contains(*name)) {
        // An older snapshot, too: it did not go along, and exists nowhere else.
        reasons
            .push(format!("'{name}' is not a part of what was moved, destroy it first if nobody needs it"));
    }
    for dataset in &names {
        let snapshot = dataset.at(&job.snapshot);
        if guids.get(&snapshot) != job.guids.get(dataset) {
            reasons.push(format!("'{snapshot}' is not the snapshot that was handed off"));
            continue;
        }
        let value = |lines: &[crate::cmd::zfs::PropertyLine], property: &str| {
            lines.iter().find(|l| l.property == property).map(|l| l.value.clone())
        };
        let now = zfs.properties(&["referenced"], &[dataset.as_str()])?;
        let then = zfs.properties(&["referenced", "used"], &[snapshot.as_str()])?;
        if value(&now, "referenced") != value(&then, "referenced")
            || value(&then, "used").as_deref() != Some("0")
        {
            reasons.push(format!("'{dataset}' was written to since the handoff"));
        }
    }
    if reasons.is_empty() {
        Ok(Done::Event(Event::FinishChecked))
    } else {
        Err(StepError::permanent(reasons.join("; ")))
    }
}

/// The datasets of the migration that are still here.
fn there(zfs: &Zfs<'_>, job: &Job) -> Result<Vec<DatasetName>, StepError> {
    let names: Vec<_> = job.datasets.iter().map(|d| d.name.clone()).collect();
    let found = zfs.guids(&names)?;
    Ok(names.into_iter().filter(|name| found.contains_key(name.as_str())).collect())
}

/// The configuration goes.
///
/// # Errors
/// Permanent when the zone is in use again.
pub fn unconfigure(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    match zoneadm::zone(programs, job.zone())? {
        None => {}
        Some(line) if line.state == ZoneState::Configured => drop(programs.ok(&zonecfg::delete(job.zone()))?),
        Some(line) => {
            return Err(StepError::permanent(format!(
                "zone '{}' is {} here, it is in use again",
                job.zone(),
                line.state
            )));
        }
    }
    Ok(Done::Event(Event::Unconfigured))
}

/// The datasets go: those whose guids are still the handed-off ones, tree by tree.
///
/// # Errors
/// Transient while something is busy.
pub fn destroy(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let zfs = Zfs::new(programs);
    for top in tops(&there(&zfs, job)?) {
        let guids = zfs.guids_below(std::slice::from_ref(&top))?;
        let ours = |name: &String| {
            job.datasets.iter().any(|d| {
                guids.get(name) == Some(&d.guid) && d.name.as_str() == name
                    || d.name.at(&job.snapshot) == *name && job.guids.get(&d.name) == guids.get(name)
            })
        };
        if let Some(foreign) = guids.keys().find(|name| !ours(name)) {
            return Err(StepError::permanent(format!(
                "'{foreign}' is not what was handed off, nothing below '{top}' is destroyed"
            )));
        }
        zfs.run(&argv::destroy_tree(&top))?;
    }
    Ok(Done::Event(Event::Destroyed))
}
