//! Target: what was received, with its properties into its place, and mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Target, commands, done, zonepath_there};
use crate::cmd::zfs::property::is_carried;
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::host::effective::Effective;
use crate::host::landing::{self, Landing};
use crate::host::writing::WRITTEN_BY;
use crate::host::{Done, StepError, link, quarantine};
use crate::job::code::Code;
use crate::job::event::Event;
use crate::job::name::DatasetName;
use crate::job::step::Install;
use crate::process::Argv;

/// A dataset's values as they are now: the value, and whether it is its own.
type Now = BTreeMap<String, (String, bool)>;

impl Target<'_> {
    /// The datasets' properties, judged; or the reasons why nothing may be done with them.
    pub(super) fn effective(&self) -> Result<Result<Effective, Vec<String>>, StepError> {
        let landing = Landing::read(self.programs, &landing::parents(self.layout))?;
        let zonepaths = (zonepath_there(self.job), self.zonepath());
        Ok(Effective::new(self.layout, &self.job.datasets, &self.job.request, zonepaths, &landing))
    }

    fn judged(&self) -> Result<Effective, StepError> {
        self.effective()?.map_err(|reasons| StepError::permanent(reasons.join("; ")))
    }

    fn run_all(&self, commands: &[Argv]) -> Result<(), StepError> {
        for command in commands {
            self.programs.ok(command)?;
        }
        Ok(())
    }

    /// What is set on each dataset itself, in quarantine.
    ///
    /// # Errors
    /// What `zfs set` said.
    pub fn properties(&self) -> Result<Done, StepError> {
        self.run_all(&commands::properties(&self.judged()?, self.layout))?;
        Ok(done(Install::Properties))
    }

    /// Every root into its place.
    ///
    /// # Errors
    /// Permanent when a place is taken.
    pub fn rename(&self) -> Result<Done, StepError> {
        quarantine::lift(self.programs, self.job, self.layout)?;
        let places = self.in_place()?;
        for root in self.layout.roots() {
            if self.is_ours(root, &root.target, &places) {
                continue;
            }
            if places.contains_key(root.target.as_str()) {
                return Err(StepError::permanent(format!("dataset '{}' is in the way", root.target)));
            }
            self.programs.ok(&commands::rename(root))?;
        }
        let roots: Vec<DatasetName> = self.layout.roots().map(|root| root.target.clone()).collect();
        let found = self.in_place()?;
        let guid = |name: DatasetName| found.get(name.as_str()).copied().map(|guid| (name, guid));
        let places = roots.into_iter().filter_map(guid).collect();
        Ok(Done::Event(Event::Installed { step: Install::Rename, note: None, places }))
    }

    /// What this host's inheritance makes different, then limits, then readonly and zoned.
    ///
    /// # Errors
    /// What `zfs set` said.
    pub fn quotas(&self) -> Result<Done, StepError> {
        let effective = self.judged()?;
        // What was set while receiving, so that data is written as on the source, has done its work.
        let now = self.now()?;
        for property in WRITTEN_BY {
            let set_by_us = |&i: &usize| {
                !effective.is_set(i, property) && now[i].get(property).is_some_and(|(_, own)| *own)
            };
            let names: Vec<_> =
                (0..now.len()).filter(set_by_us).map(|i| self.layout.datasets[i].target.clone()).collect();
            self.run_all(&commands::inherits(property, &names))?;
        }
        self.run_all(&commands::quotas(&effective))?;
        Ok(done(Install::Quotas))
    }

    /// Effective values of all datasets in place, of what is carried and `mounted`, in the layout's order; one process.
    fn now(&self) -> Result<Vec<Now>, StepError> {
        let roots: Vec<_> = self.layout.roots().map(|root| root.target.clone()).collect();
        let mut now: BTreeMap<String, Now> = BTreeMap::new();
        Zfs::new(self.programs).properties_below(&roots, |line| {
            if is_carried(&line.property) || line.property == "mounted" {
                let own = line.source.is_own();
                now.entry(line.name).or_default().insert(line.property, (line.value, own));
            }
        })?;
        Ok(self.layout.datasets.iter().map(|d| now.remove(d.target.as_str()).unwrap_or_default()).collect())
    }

    /// canmount back, then mounts what was mounted when the zone was detached, outer before inner.
    ///
    /// # Errors
    /// Permanent where a directory is not empty.
    pub fn mount(&self) -> Result<Done, StepError> {
        let effective = self.judged()?;
        self.run_all(&commands::canmount(&effective))?;
        let now = self.now()?;
        let mounted: BTreeSet<&DatasetName> = (self.layout.datasets.iter().zip(&now))
            .filter(|(_, now)| now.get("mounted").is_some_and(|(value, _)| value == "yes"))
            .map(|(placed, _)| &placed.target)
            .collect();
        let mounts = effective.mounts().into_iter().filter(|(_, dataset)| !mounted.contains(dataset));
        for (mountpoint, dataset) in mounts {
            // What was received may hold a link on the way to a mountpoint.
            let link = link::on(Path::new(mountpoint)).map_err(|error| {
                StepError::transient(format!("the way to {mountpoint} can't be looked at: {error}"))
            })?;
            if let Some(link) = link {
                return Err(StepError::permanent(format!(
                    "'{dataset}' is not mounted at {mountpoint}: {} is a symbolic link",
                    link.display()
                ))
                .coded(Code::Link));
            }
            match Zfs::new(self.programs).run(&argv::mount(dataset)) {
                Err(error) if Fault::of_error(&error) == Fault::Mounted => {}
                Err(error) if Fault::of_error(&error) == Fault::DirectoryNotEmpty => {
                    let text = format!("{mountpoint} is not empty, '{dataset}' can't be mounted there");
                    return Err(StepError::permanent(text));
                }
                other => drop(other?),
            }
        }
        Ok(done(Install::Mount))
    }
}
