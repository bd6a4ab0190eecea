//! Target: how received data is written: by the effective values of the dataset above, not by the stream's (the fact
//! sheet of ZFS, 4.1). So each image needs its source's values on the dataset above it.

use std::collections::BTreeMap;

use super::landing::Landing;
use super::{StepError, quarantine};
use crate::cmd::zfs::{PropertyLine, Zfs, argv};
use crate::job::layout::Layout;
use crate::job::name::DatasetName;
use crate::job::record::Job;
use crate::job::survey::Dataset;
use crate::process::{Argv, Programs};

/// What decides how received data is written.
pub const WRITTEN_BY: [&str; 3] = ["compression", "checksum", "copies"];

/// The values as they were last set below the holders.
#[derive(Debug, Default)]
pub struct Writing {
    set: BTreeMap<DatasetName, BTreeMap<&'static str, String>>,
}

impl Writing {
    /// Before anything is received, as `plan` sees it: the holders inherit from what exists above them.
    pub fn planned(layout: &Layout, landing: &Landing) -> Self {
        let mut writing = Self::default();
        for holder in &layout.holders {
            let given = ancestors(holder).find_map(|above| landing.above.get(&above));
            for property in WRITTEN_BY {
                if let Some(value) = given.and_then(|given| given.get(property)) {
                    writing.set.entry(holder.clone()).or_default().insert(property, value.clone());
                }
            }
        }
        writing
    }

    /// Makes the holders where they are missing, and learns what was set below them before.
    ///
    /// # Errors
    /// Transient when `zfs` fails, permanent when a holder's name belongs to something else.
    pub fn begin(programs: &Programs, job: &Job, layout: &Layout) -> Result<Self, StepError> {
        quarantine::make(programs, job, layout)?;
        let mut writing = Self::default();
        Zfs::new(programs).properties_below(&layout.holders, |line| writing.learn(layout, &line))?;
        Ok(writing)
    }

    /// Learns what a line of `zfs get` about the quarantine says. A holder's own values count even where they are
    /// inherited: the search ends there.
    fn learn(&mut self, layout: &Layout, line: &PropertyLine) {
        let Some(property) = WRITTEN_BY.iter().find(|name| **name == line.property) else { return };
        if let Some(dataset) = line.dataset()
            && (line.source.is_own() || layout.holders.contains(&dataset))
        {
            self.set.entry(dataset).or_default().insert(property, line.value.clone());
        }
    }

    /// The commands after which what is received at `place` is written as on the source; they count as run.
    pub fn commands(&mut self, place: &DatasetName, dataset: &Dataset) -> Vec<Argv> {
        let Some(parent) = place.parent() else { return Vec::new() };
        let mut commands = Vec::new();
        for property in WRITTEN_BY {
            let Some(wanted) = dataset.value(property) else { continue };
            let is = std::iter::once(parent.clone()).chain(ancestors(&parent));
            let is = is.filter_map(|above| self.set.get(&above)?.get(property)).next();
            if is.map(String::as_str) != Some(wanted) {
                commands.push(argv::set(property, wanted, std::slice::from_ref(&parent)));
                self.set.entry(parent.clone()).or_default().insert(property, wanted.to_owned());
            }
        }
        commands
    }

    /// Whether a property was set on a dataset to receive another one below it.
    pub fn is_set(&self, dataset: &DatasetName, property: &str) -> bool {
        self.set.get(dataset).is_some_and(|values| values.contains_key(property))
    }
}

fn ancestors(dataset: &DatasetName) -> impl Iterator<Item = DatasetName> {
    std::iter::successors(dataset.parent(), DatasetName::parent)
}
