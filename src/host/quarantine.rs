//! Target: the place where datasets are received, never mounted, until the zone is handed off.
//!
//! ```text
//! <quarantine>                     mountpoint=none canmount=off zmigrate:quarantine=on
//! <quarantine>/<job>               mountpoint=none canmount=off zmigrate:job=<job>      the holder
//!                                  quota=<by what was offered>, until all is received
//! <quarantine>/<job>/<n>[/child]   the zone's n-th root, as received
//! ```
//!
//! Guarantees: nothing is destroyed that does not lie below a holder which carries this job's id.
//! Never forces a receive. What can't be destroyed because it is busy is tried again by the caller.

use std::collections::BTreeMap;

use super::StepError;
use super::allowance::{self, QUOTA};
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::job::layout::Layout;
use crate::job::name::{DatasetName, Guid};
use crate::job::record::Job;
use crate::process::{Argv, Programs};

/// Marks a holder as a job's.
const JOB: &str = "zmigrate:job";
/// Marks the dataset above the holders as made by us.
const TOP: &str = "zmigrate:quarantine";

/// The properties with which this job's holder is made.
fn properties_of(job: &Job, layout: &Layout, holder: &DatasetName) -> [(&'static str, String); 4] {
    let offered = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    [
        ("mountpoint", "none".to_owned()),
        ("canmount", "off".to_owned()),
        (JOB, job.id.to_string()),
        (QUOTA, allowance::below(offered, layout, holder).0.to_string()),
    ]
}

/// The guids of all that is in quarantine, datasets and snapshots, by full name. Empty where there
/// is none.
///
/// # Errors
/// Transient when `zfs` does not answer.
pub fn found(programs: &Programs, layout: &Layout) -> Result<BTreeMap<String, Guid>, StepError> {
    let zfs = Zfs::new(programs);
    let there = zfs.guids(&layout.holders)?;
    let holders: Vec<_> = layout.holders.iter().filter(|h| there.contains_key(h.as_str())).cloned().collect();
    Ok(zfs.guids_below(&holders)?)
}

/// Whether this holder exists and is this job's.
///
/// # Errors
/// Permanent when it exists and belongs to somebody else.
fn is_ours(zfs: &Zfs<'_>, job: &Job, holder: &DatasetName) -> Result<bool, StepError> {
    Ok(quota_of_ours(zfs, job, holder)?.is_some())
}

/// The quota of this job's holder, as `zfs get -p` prints it; `None` where there is no holder yet.
fn quota_of_ours(zfs: &Zfs<'_>, job: &Job, holder: &DatasetName) -> Result<Option<String>, StepError> {
    if zfs.guid(holder.as_str())?.is_none() {
        return Ok(None);
    }
    let lines = zfs.properties(&[JOB, QUOTA], &[holder])?;
    let value = |name: &str| lines.iter().find(|line| line.property == name);
    match value(JOB) {
        Some(line) if line.value == job.id.as_str() && line.source.is_own() => {
            Ok(Some(value(QUOTA).map_or_else(String::new, |line| line.value.clone())))
        }
        _ => Err(StepError::permanent(format!(
            "dataset '{holder}' is in the way and not marked as this job's; rename or destroy it by hand"
        ))),
    }
}

/// The commands that make a holder, and the dataset above it if that does not exist.
pub fn creation(
    job: &Job,
    layout: &Layout,
    holder: &DatasetName,
    exists: impl Fn(&DatasetName) -> bool,
) -> Vec<Argv> {
    let top = holder.parent().filter(|top| !exists(top));
    let properties = properties_of(job, layout, holder);
    let above =
        top.map(|top| argv::create(&top, &[("mountpoint", "none"), ("canmount", "off"), (TOP, "on")]));
    let holder = argv::create(holder, &properties.each_ref().map(|(name, value)| (*name, value.as_str())));
    above.into_iter().chain([holder]).collect()
}

/// The commands that destroy a holder, and the dataset above it if the job made that.
pub fn removal(holder: &DatasetName, made: impl Fn(&DatasetName) -> bool) -> Vec<Argv> {
    let top = holder.parent().filter(made).map(|top| argv::destroy(&top));
    [argv::destroy_tree(holder)].into_iter().chain(top).collect()
}

/// The command that removes a holder's quota.
pub fn lifting(holder: &DatasetName) -> Argv {
    argv::set(QUOTA, "none", std::slice::from_ref(holder))
}

/// Makes the holders where they are missing; a later offer changes their quotas.
///
/// # Errors
/// Transient when `zfs` fails, permanent when a holder's name belongs to something else.
pub fn make(programs: &Programs, job: &Job, layout: &Layout) -> Result<(), StepError> {
    let zfs = Zfs::new(programs);
    for holder in &layout.holders {
        if let Some(quota) = quota_of_ours(&zfs, job, holder)? {
            // The peer may have made another offer since.
            let wanted = &properties_of(job, layout, holder)[3].1;
            if quota != *wanted {
                zfs.run(&argv::set(QUOTA, wanted, std::slice::from_ref(holder)))?;
            }
            continue;
        }
        let top = holder.parent().map(|top| zfs.guid(top.as_str())).transpose()?.flatten();
        for command in creation(job, layout, holder, |_| top.is_some()) {
            zfs.run(&command)?;
        }
    }
    Ok(())
}

/// Removes the holders' quotas: all is received, and a zone that has run may come back larger.
///
/// # Errors
/// What `zfs set` said.
pub fn lift(programs: &Programs, job: &Job, layout: &Layout) -> Result<(), StepError> {
    let zfs = Zfs::new(programs);
    for holder in &layout.holders {
        if quota_of_ours(&zfs, job, holder)?.is_some_and(|quota| quota != "0") {
            zfs.run(&lifting(holder))?;
        }
    }
    Ok(())
}

/// Destroys one received dataset with everything below it. A dataset that is gone already is fine.
///
/// # Errors
/// Transient while it is busy, as it is while an orphaned `zfs receive` still writes to it.
pub fn discard(
    programs: &Programs,
    job: &Job,
    layout: &Layout,
    dataset: &DatasetName,
) -> Result<(), StepError> {
    let zfs = Zfs::new(programs);
    if zfs.guid(dataset.as_str())?.is_none() {
        return Ok(());
    }
    for holder in layout.holders.iter().filter(|holder| dataset.is_within(holder)) {
        if is_ours(&zfs, job, holder)? {
            return gone(zfs.run(&argv::destroy_tree(dataset)).map(drop));
        }
    }
    Err(StepError::permanent(format!("dataset '{dataset}' is not in this job's quarantine")))
}

/// A destroy whose object is gone is done.
fn gone(result: Result<(), crate::process::RunError>) -> Result<(), StepError> {
    match result {
        Err(error) if Fault::of_error(&error) == Fault::Missing => Ok(()),
        other => other.map_err(StepError::from),
    }
}

/// Destroys the job's whole quarantine, and the dataset above it if it is ours and empty.
///
/// # Errors
/// As [`discard`].
pub fn clear(programs: &Programs, job: &Job, layout: &Layout) -> Result<(), StepError> {
    let zfs = Zfs::new(programs);
    for holder in &layout.holders {
        if is_ours(&zfs, job, holder)? {
            gone(zfs.run(&argv::destroy_tree(holder)).map(drop))?;
        }
        let Some(top) = holder.parent() else { continue };
        if zfs.guid(top.as_str())?.is_some()
            && zfs.properties(&[TOP], &[&top])?.first().is_some_and(|line| line.source.is_own())
        {
            // Another job may have its holder there: then it is not empty, and stays.
            match zfs.run(&argv::destroy(&top)) {
                Err(error) if matches!(Fault::of_error(&error), Fault::HasDependents | Fault::Missing) => {}
                other => drop(other?),
            }
        }
    }
    Ok(())
}
