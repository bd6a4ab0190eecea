//! Target: the place where datasets are received, never mounted, until the zone is handed off.
//!
//! ```text
//! <quarantine>                     mountpoint=none canmount=off zmigrate:quarantine=on
//! <quarantine>/<job>               mountpoint=none canmount=off zmigrate:job=<job>      the holder
//! <quarantine>/<job>/<n>[/child]   the zone's n-th root, as received
//! ```
//!
//! Guarantees: nothing is destroyed that does not lie below a holder which carries this job's id. Never
//! forces a receive. What can't be destroyed because it is busy is tried again by the caller.

use std::collections::BTreeMap;

use super::StepError;
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::job::layout::Layout;
use crate::job::name::{DatasetName, Guid};
use crate::job::record::Job;
use crate::job::survey::Dataset;
use crate::process::Programs;

/// Marks a holder as a job's.
const JOB: &str = "zmigrate:job";
/// Marks the dataset above the holders as made by us.
const TOP: &str = "zmigrate:quarantine";

/// What decides how received data is written: by the effective values of the destination, not by the
/// stream's (the fact sheet of ZFS, 4.1).
pub(super) const WRITTEN_BY: [&str; 3] = ["compression", "checksum", "copies"];

/// The guids of all that is in quarantine, datasets and snapshots, by full name. Empty where there is none.
///
/// # Errors
/// Transient when `zfs` does not answer.
pub fn found(programs: &Programs, layout: &Layout) -> Result<BTreeMap<String, Guid>, StepError> {
    let zfs = Zfs::new(programs);
    let there = zfs.guids(&layout.holders)?;
    let holders: Vec<_> = layout.holders.iter().filter(|h| there.contains_key(h.as_str())).cloned().collect();
    Ok(zfs.guids_below(&holders)?)
}

/// Is this holder there, and this job's?
///
/// # Errors
/// Permanent when it is there and somebody else's.
fn is_ours(zfs: &Zfs<'_>, job: &Job, holder: &DatasetName) -> Result<bool, StepError> {
    if zfs.guid(holder.as_str())?.is_none() {
        return Ok(false);
    }
    let lines = zfs.properties(&[JOB], &[holder])?;
    match lines.first() {
        Some(line) if line.value == job.id.as_str() && line.source.is_own() => Ok(true),
        _ => Err(StepError::permanent(format!(
            "dataset '{holder}' is in the way and not marked as this job's; rename or destroy it by hand"
        ))),
    }
}

/// Takes away one received dataset with everything below it. That it is gone already is no fault.
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

/// Takes away the job's whole quarantine, and the dataset above it when that is ours and empty.
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

/// How received data would be written, as it was last set; asked for once, then followed.
pub struct Writing<'a> {
    programs: &'a Programs,
    set: BTreeMap<DatasetName, Values>,
}

type Values = [String; WRITTEN_BY.len()];

impl<'a> Writing<'a> {
    /// Makes the holders where they are missing, and learns what was set below them before.
    ///
    /// # Errors
    /// Transient when `zfs` fails, permanent when a holder's name is taken by something else.
    pub fn begin(programs: &'a Programs, job: &Job, layout: &Layout) -> Result<Self, StepError> {
        let zfs = Zfs::new(programs);
        let mut writing = Self { programs, set: BTreeMap::new() };
        for holder in &layout.holders {
            if is_ours(&zfs, job, holder)? {
                continue;
            }
            if let Some(top) = holder.parent()
                && zfs.guid(top.as_str())?.is_none()
            {
                let options = [("mountpoint", "none"), ("canmount", "off"), (TOP, "on")];
                zfs.run(&argv::create(&top, &options))?;
            }
            let options = [("mountpoint", "none"), ("canmount", "off"), (JOB, job.id.as_str())];
            zfs.run(&argv::create(holder, &options))?;
        }
        zfs.properties_below(&layout.holders, |line| {
            let Some(at) = WRITTEN_BY.iter().position(|name| *name == line.property) else { return };
            // A holder's own values count even where they are inherited: it is where the search ends.
            if let Some(dataset) = line.dataset()
                && (line.source.is_own() || layout.holders.contains(&dataset))
            {
                writing.set.entry(dataset).or_default()[at] = line.value;
            }
        })?;
        Ok(writing)
    }

    /// Makes the parent of `place` such that what is received there is written as it was on the source.
    ///
    /// # Errors
    /// When `zfs set` fails.
    pub fn as_on_source(&mut self, place: &DatasetName, dataset: &Dataset) -> Result<(), StepError> {
        let Some(parent) = place.parent() else { return Ok(()) };
        let zfs = Zfs::new(self.programs);
        for (at, property) in WRITTEN_BY.iter().enumerate() {
            let Some(wanted) = dataset.value(property) else { continue };
            if self.effective(&parent, at) == Some(wanted) {
                continue;
            }
            zfs.run(&argv::set(property, wanted, std::slice::from_ref(&parent)))?;
            self.set.entry(parent.clone()).or_default()[at] = wanted.to_owned();
        }
        Ok(())
    }

    fn effective(&self, dataset: &DatasetName, at: usize) -> Option<&str> {
        let mut dataset = Some(dataset.clone());
        while let Some(here) = dataset {
            if let Some(values) = self.set.get(&here)
                && !values[at].is_empty()
            {
                return self.set.get(&here).map(|values| values[at].as_str());
            }
            dataset = here.parent();
        }
        None
    }
}

/// What a receive that did not bring its snapshot means.
pub fn broken(stem: &str, stderr: &str) -> StepError {
    let said = stderr.trim().replace('\n', " ");
    let said: String = said.chars().take(300).flat_map(char::escape_debug).collect();
    let text = format!("zfs receive of {stem}: {said}");
    match Fault::of(stderr) {
        Fault::StreamUnsupported
        | Fault::Permission
        | Fault::NoSuchPool
        | Fault::BadProperty
        | Fault::Usage => StepError::permanent(text),
        _ => StepError::transient(text),
    }
}
