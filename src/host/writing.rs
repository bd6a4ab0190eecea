//! Target: received data is written as it was on the source. `zfs receive` writes by the properties
//! that its destination inherits, so the parent of each destination has the values of the offer.

use std::collections::BTreeMap;

use super::{StepError, quarantine};
use crate::cmd::zfs::{Zfs, argv};
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::record::Job;
use crate::job::survey::Dataset;
use crate::process::Programs;

/// What decides how received data is written: by the effective values of the destination, not by
/// the stream's (the fact sheet of ZFS, 4.1).
pub(super) const WRITTEN_BY: [&str; 3] = ["compression", "checksum", "copies"];

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
    /// Transient when `zfs` fails, permanent when a holder's name belongs to something else.
    pub fn begin(programs: &'a Programs, job: &Job, layout: &Layout) -> Result<Self, StepError> {
        quarantine::make(programs, job, layout)?;
        let mut writing = Self { programs, set: BTreeMap::new() };
        Zfs::new(programs).properties_below(&layout.holders, |line| {
            let Some(at) = WRITTEN_BY.iter().position(|name| *name == line.property) else { return };
            // A holder's own values count even where they are inherited: it is where the search
            // ends.
            if let Some(dataset) = line.dataset()
                && (line.source.is_own() || layout.holders.contains(&dataset))
            {
                writing.set.entry(dataset).or_default()[at] = line.value;
            }
        })?;
        Ok(writing)
    }

    /// Makes the parent of `place` such that what is received there is written as it was on the
    /// source.
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
