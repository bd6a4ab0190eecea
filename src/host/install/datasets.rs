//! Target: what was received, with its properties into its place, and mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Target, done, zonepath_there};
use crate::cmd::zfs::property::{Turn, is_carried};
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::host::effective::{Effective, Set};
use crate::host::landing::{self, Landing};
use crate::host::{Done, StepError, link, quarantine, writing};
use crate::job::code::Code;
use crate::job::layout::Placed;
use crate::job::name::DatasetName;
use crate::job::step::Install;

/// A dataset's values as they are now: the value, and whether it is its own.
type Now = BTreeMap<String, (String, bool)>;

/// Datasets that one `zfs set` names at most: an argument list has an end.
const AT_ONCE: usize = 100;

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

    /// canmount=noauto first, then what is set on each dataset itself, mountpoint and shares last: nothing mounts.
    ///
    /// # Errors
    /// What `zfs set` said.
    pub fn properties(&self) -> Result<Done, StepError> {
        let effective = self.judged()?;
        let here = |placed: &Placed| placed.quarantine.clone();
        let all: Vec<_> = self.layout.datasets.iter().map(here).collect();
        self.set(&Set { property: "canmount".into(), value: "noauto".into(), datasets: all })?;
        // Of the guards only what is off: nothing is mounted yet, and setting zoned mounts anew what is.
        for turn in [Turn::Free, Turn::Guard, Turn::Mountpoint, Turn::Share] {
            for set in effective.sets(turn, here) {
                if turn != Turn::Guard || set.value == "off" {
                    self.set(&set)?;
                }
            }
        }
        Ok(done(Install::Properties))
    }

    fn set(&self, set: &Set) -> Result<(), StepError> {
        for datasets in set.datasets.chunks(AT_ONCE) {
            Zfs::new(self.programs).run(&argv::set(&set.property, &set.value, datasets))?;
        }
        Ok(())
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
            Zfs::new(self.programs).run(&argv::rename(&root.quarantine, &root.target))?;
        }
        Ok(done(Install::Rename))
    }

    /// What this host's inheritance makes different, then limits, then readonly and zoned.
    ///
    /// # Errors
    /// What `zfs set` said.
    pub fn quotas(&self) -> Result<Done, StepError> {
        let effective = self.judged()?;
        // What was set while receiving, so that data is written as on the source, has done its work.
        let now = self.now()?;
        for property in writing::WRITTEN_BY {
            let set_by_us = |&i: &usize| {
                !effective.is_set(i, property) && now[i].get(property).is_some_and(|(_, own)| *own)
            };
            let names: Vec<_> =
                (0..now.len()).filter(set_by_us).map(|i| self.layout.datasets[i].target.clone()).collect();
            for names in names.chunks(AT_ONCE) {
                Zfs::new(self.programs).run(&argv::inherit(property, names))?;
            }
        }
        let here = |placed: &Placed| placed.target.clone();
        // zoned before anything is mounted: setting it, even above a dataset that has its own value, mounts
        // that one anew, which fails where unmounting is asynchronous or the dataset is in use.
        let guards = effective.sets(Turn::Guard, here).into_iter().filter(|set| set.value != "off");
        for set in effective.sets(Turn::Limit, here).into_iter().chain(guards) {
            self.set(&set)?;
        }
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

    /// canmount as on the source: all is in its place, and setting it on what is mounted would mount it anew.
    fn canmount(&self, effective: &Effective) -> Result<(), StepError> {
        for (own, datasets) in effective.canmount() {
            for datasets in datasets.chunks(AT_ONCE) {
                // canmount is not inheritable, so a plain `zfs inherit` refuses it; -S takes the local value away
                // (observed on zfs-fuse; illumos zfs_do_inherit checks `received` first).
                Zfs::new(self.programs).run(&match own {
                    Some(value) => argv::set("canmount", value, datasets),
                    None => argv::inherit_received("canmount", datasets),
                })?;
            }
        }
        Ok(())
    }

    /// canmount back, then mounts what was mounted when the zone was detached, outer before inner.
    ///
    /// # Errors
    /// Permanent where a directory is not empty.
    pub fn mount(&self) -> Result<Done, StepError> {
        let effective = self.judged()?;
        self.canmount(&effective)?;
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
