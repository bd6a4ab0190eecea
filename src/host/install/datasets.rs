//! Target: what was received, with its properties into its place, and mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Target, done, zonepath_there};
use crate::cmd::zfs::property::{Turn, is_carried};
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::host::properties::{Now, Set, Wanted};
use crate::host::{Done, StepError, link, quarantine};
use crate::job::code::Code;
use crate::job::name::DatasetName;
use crate::job::step::Install;

/// Datasets that one `zfs set` names at most: an argument list has an end.
const AT_ONCE: usize = 100;

impl Target<'_> {
    fn wanted(&self) -> Wanted<'_> {
        let from = zonepath_there(self.job);
        Wanted::new(self.layout, &self.job.datasets, &self.job.request, from, self.zonepath())
    }

    /// canmount=noauto first, then what is set on each dataset itself, mountpoint and shares last: nothing mounts.
    ///
    /// # Errors
    /// What `zfs set` said.
    pub fn properties(&self) -> Result<Done, StepError> {
        let here = |i: usize| self.layout.datasets[i].quarantine.clone();
        let all: Vec<_> = (0..self.layout.datasets.len()).map(here).collect();
        self.set(&Set { property: "canmount".into(), value: "noauto".into(), datasets: all })?;
        let wanted = self.wanted();
        let known = self.known()?;
        // Of the guards only what is off: nothing is mounted yet, and setting zoned mounts anew what is.
        for turn in [Turn::Free, Turn::Guard, Turn::Mountpoint, Turn::Share] {
            for set in wanted.own(turn, here) {
                let is_known = set.property.contains(':') || known.contains(&set.property);
                if is_known && (turn != Turn::Guard || set.value == "off") {
                    self.set(&set)?;
                }
            }
        }
        Ok(done(Install::Properties))
    }

    /// The native properties that this host's ZFS knows: others do not come along, as `plan` says.
    fn known(&self) -> Result<BTreeSet<String>, StepError> {
        let first: Vec<_> = self.layout.holders.iter().take(1).cloned().collect();
        Ok(Zfs::new(self.programs)
            .properties(&["all"], &first)?
            .into_iter()
            .map(|line| line.property)
            .collect())
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
        let wanted = self.wanted();
        let mut now = self.now()?;
        // What was set while receiving, so that data is written as on the source, has done its work.
        let mut done_with = false;
        for property in quarantine::WRITTEN_BY {
            let set_by_us =
                |&i: &usize| !wanted.is_own(i, property) && now[i].get(property).is_some_and(|(_, own)| *own);
            let names: Vec<_> =
                (0..now.len()).filter(set_by_us).map(|i| self.layout.datasets[i].target.clone()).collect();
            for names in names.chunks(AT_ONCE) {
                Zfs::new(self.programs).run(&argv::inherit(property, names))?;
                done_with = true;
            }
        }
        if done_with {
            now = self.now()?;
        }
        for set in wanted.differing(&now) {
            self.set(&set)?;
        }
        let here = |i: usize| self.layout.datasets[i].target.clone();
        // zoned before anything is mounted: setting it, even above a dataset that has its own value, mounts
        // that one anew, which fails where unmounting is asynchronous or the dataset is in use.
        let guards = wanted.own(Turn::Guard, here).into_iter().filter(|set| set.value != "off");
        for set in wanted.own(Turn::Limit, here).into_iter().chain(guards) {
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
    fn canmount(&self, wanted: &Wanted<'_>) -> Result<(), StepError> {
        for (own, datasets) in wanted.canmount() {
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
        let wanted = self.wanted();
        self.canmount(&wanted)?;
        let now = self.now()?;
        let mut mounts: Vec<(&str, &DatasetName)> = Vec::new();
        for (i, placed) in self.layout.datasets.iter().enumerate() {
            let value = |property| wanted.value(i, property).unwrap_or_default();
            let mountpoint = value("mountpoint");
            let mounted = now[i].get("mounted").is_some_and(|(value, _)| value == "yes");
            let is_path = mountpoint.starts_with('/');
            if is_path && value("canmount") == "on" && value("zoned") != "on" && !mounted {
                mounts.push((mountpoint, &placed.target));
            }
        }
        mounts.sort_by_key(|(mountpoint, _)| mountpoint.len());
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
