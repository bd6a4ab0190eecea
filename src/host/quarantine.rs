//! Target: the place where datasets are received, never mounted, until the zone is handed off.
//!
//! ```text
//! <quarantine>                     mountpoint=none canmount=off zmigrate:quarantine=on
//! <quarantine>/<job>               mountpoint=none canmount=off zmigrate:job=<job>      the holder
//!                                  quota=<by what was offered>, until all is received
//! <quarantine>/<job>/<n>[/child]   the zone's n-th root, as received
//! ```
//!
//! Guarantees: nothing is destroyed that does not lie below a holder which carries this job's id. Never
//! forces a receive. What can't be destroyed because it is busy is tried again by the caller.

use std::collections::BTreeMap;

use super::StepError;
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::job::code::Code;
use crate::job::layout::Layout;
use crate::job::name::{Bytes, DatasetName, Guid};
use crate::job::record::Job;
use crate::job::survey::Dataset;
use crate::process::Programs;

/// Marks a holder as a job's.
const JOB: &str = "zmigrate:job";
/// Bounds what is received below a holder.
const QUOTA: &str = "quota";
/// Marks the dataset above the holders as made by us.
const TOP: &str = "zmigrate:quarantine";

/// What decides how received data is written: by the effective values of the destination, not by the
/// stream's (the fact sheet of ZFS, 4.1).
pub(super) const WRITTEN_BY: [&str; 3] = ["compression", "checksum", "copies"];

/// How much more than offered a holder takes. A pool with RAID-Z and large sectors writes blocks of
/// 8 KiB three times as large as a mirror does, and ZFS tells no host of that beforehand.
const FACTOR: u64 = 4;
/// What a dataset takes up without data, and the holder without datasets, by far.
const EMPTY: u64 = 1 << 20;
const BARE: u64 = 4 << 20;

/// The properties with which this job's holder is made.
pub fn properties_of(job: &Job, layout: &Layout, holder: &DatasetName) -> [(&'static str, String); 4] {
    let offered = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    [
        ("mountpoint", "none".to_owned()),
        ("canmount", "off".to_owned()),
        (JOB, job.id.to_string()),
        (QUOTA, allowance(offered, layout, holder).0.to_string()),
    ]
}

/// What may be received below a holder: a peer that sends more than it offered fills nothing but this.
fn allowance(offered: &[Dataset], layout: &Layout, holder: &DatasetName) -> Bytes {
    let here = layout.datasets.iter().zip(offered).filter(|(placed, _)| placed.quarantine.is_within(holder));
    let all = here.map(|(_, dataset)| dataset.stored().0.saturating_mul(FACTOR).saturating_add(EMPTY));
    Bytes(all.fold(BARE, u64::saturating_add))
}

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

/// Removes the holders' quotas: all is received, and a zone that has run may come back larger.
///
/// # Errors
/// What `zfs set` said.
pub fn lift(programs: &Programs, job: &Job, layout: &Layout) -> Result<(), StepError> {
    let zfs = Zfs::new(programs);
    for holder in &layout.holders {
        if quota_of_ours(&zfs, job, holder)?.is_some_and(|quota| quota != "0") {
            zfs.run(&argv::set(QUOTA, "none", std::slice::from_ref(holder)))?;
        }
    }
    Ok(())
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
            let properties = properties_of(job, layout, holder);
            if let Some(quota) = quota_of_ours(&zfs, job, holder)? {
                // The peer may have made another offer since.
                let wanted = &properties[3].1;
                if quota != *wanted {
                    zfs.run(&argv::set(QUOTA, wanted, std::slice::from_ref(holder)))?;
                }
                continue;
            }
            if let Some(top) = holder.parent()
                && zfs.guid(top.as_str())?.is_none()
            {
                let options = [("mountpoint", "none"), ("canmount", "off"), (TOP, "on")];
                zfs.run(&argv::create(&top, &options))?;
            }
            zfs.run(&argv::create(
                holder,
                &properties.each_ref().map(|(name, value)| (*name, value.as_str())),
            ))?;
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

/// A receive that did not bring its snapshot.
pub struct Broken<'a> {
    /// Where everything goes.
    pub layout: &'a Layout,
    /// What was received.
    pub place: &'a DatasetName,
    /// Its image.
    pub stem: &'a str,
    /// Bytes of the stream that were fed.
    pub fed: u64,
}

impl Broken<'_> {
    /// What `zfs` said, and whether another try can help.
    pub fn means(&self, programs: &Programs, stderr: &str) -> StepError {
        let said = stderr.trim().replace('\n', " ");
        let said: String = said.chars().take(300).flat_map(char::escape_debug).collect();
        let text = format!("zfs receive of {}: {said}", self.stem);
        match Fault::of(stderr) {
            Fault::NoSpace => match self.excess(&Zfs::new(programs)) {
                Some(why) => StepError::permanent(format!("{text}; {why}")).coded(Code::Excess),
                None => StepError::transient(text).coded(Code::Space),
            },
            Fault::StreamUnsupported
            | Fault::Permission
            | Fault::NoSuchPool
            | Fault::BadProperty
            | Fault::Usage => StepError::permanent(text),
            _ => StepError::transient(text),
        }
    }

    /// Why the space ran out, if it was the holder's quota: what was fed could fill it, and less is
    /// left in it than around it. What this receive had written is gone when `zfs` has failed.
    fn excess(&self, zfs: &Zfs<'_>) -> Option<String> {
        let holder = self.layout.holders.iter().find(|holder| self.place.is_within(holder))?;
        let top = holder.parent()?;
        let lines = zfs.properties(&[QUOTA, "used", "available"], &[holder, &top]).ok()?;
        let value = |name: &DatasetName, property: &str| -> Option<u64> {
            let mut of_name = lines.iter().filter(|line| line.name == name.as_str());
            of_name.find(|line| line.property == property)?.value.parse().ok()
        };
        let (quota, used) = (value(holder, QUOTA)?, value(holder, "used")?);
        let could_fill = used.saturating_add(self.fed.saturating_mul(FACTOR)) >= quota;
        let is_tighter = quota.saturating_sub(used) < value(&top, "available")?;
        (quota > 0 && could_fill && is_tighter).then(|| {
            format!(
                "more arrived than the source offered: '{holder}' has a quota of {}, {FACTOR} times what was offered and some more",
                Bytes(quota)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::check::fixture::{Case, GIB, case, local};

    fn quota(case: &Case) -> u64 {
        let layout = case.layout().unwrap();
        allowance(&case.offer.survey.datasets, &layout, &layout.holders[0]).0
    }

    #[test]
    fn a_holder_takes_what_was_offered_and_some_more() {
        let mut case = case();
        assert_eq!(quota(&case), 4 * 40 * GIB + 4 * EMPTY + BARE);
        // Compressed once, and written in full from now on.
        case.offer.survey.datasets[3].logical = Bytes(60 * GIB);
        assert_eq!(quota(&case), 4 * 40 * GIB + 4 * EMPTY + BARE);
        local(&mut case.offer.survey.datasets[3], "compression", "off");
        assert_eq!(quota(&case), 4 * 63 * GIB + 4 * EMPTY + BARE);
    }

    #[test]
    fn an_offer_of_next_to_nothing_gives_room_for_next_to_nothing() {
        let mut case = case();
        for dataset in &mut case.offer.survey.datasets {
            (dataset.referenced, dataset.logical) = (Bytes(9 << 10), Bytes(9 << 10));
        }
        assert!(quota(&case) < 16 << 20, "{}", quota(&case));
    }
}
