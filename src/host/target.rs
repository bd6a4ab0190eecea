//! Target: from the handoff to the running zone, in the order that ZFS and zoneadm allow.
//!
//! Each step looks first: a rename that is done, a zone that is attached is not done again. "Ours" is a dataset
//! whose final snapshot has the journaled guid, and a zone whose zonepath is this job's; anything else
//! under these names makes the step fail for good, and the job goes back.

use std::fs;
use std::path::{Path, PathBuf};

use super::properties::{Now, Set, Wanted};
use super::{Done, StepError, attach, check, route, source};
use crate::cmd::zfs::property::{Turn, is_carried};
use crate::cmd::zfs::{Fault, Zfs, argv};
use crate::cmd::zoneadm::{ZoneFault, ZoneLine, ZoneState};
use crate::cmd::zonecfg::{Script, ZoneConfig};
use crate::cmd::{Programs, zoneadm, zonecfg};
use crate::config::Accept;
use crate::job::event::Event;
use crate::job::layout::{Layout, Placed};
use crate::job::name::{DatasetName, Guid};
use crate::job::record::Job;
use crate::job::retry::ErrorKind;
use crate::job::step::Install;

/// Datasets that one `zfs set` names at most: an argument list has an end.
const AT_ONCE: usize = 100;

/// What installing needs to know.
pub struct Target<'a> {
    /// Where commands are found.
    pub programs: &'a Programs,
    /// The job.
    pub job: &'a Job,
    /// Where everything goes.
    pub layout: &'a Layout,
    /// What the peer may.
    pub accept: &'a Accept,
    /// A directory of ours for the zonecfg script.
    pub work: &'a Path,
}

impl Target<'_> {
    /// The zonepath here.
    pub fn zonepath(&self) -> &str {
        zonepath(self.job)
    }

    fn wanted(&self) -> Wanted<'_> {
        let from = self.job.survey.as_ref().map(|s| s.zone.zonepath.as_str()).unwrap_or_default();
        Wanted::new(self.layout, &self.job.datasets, &self.job.request, from, self.zonepath())
    }

    /// The zone here, if it is this job's.
    ///
    /// # Errors
    /// Permanent when the name belongs to another zone.
    pub fn zone(&self) -> Result<Option<ZoneLine>, StepError> {
        let zone = self.job.zone();
        match zoneadm::zone(self.programs, zone)? {
            Some(line) if line.zonepath != Path::new(self.zonepath()) => Err(StepError::permanent(format!(
                "zone '{zone}' is on this host already, with the zonepath {}",
                line.zonepath.display()
            ))),
            found => Ok(found),
        }
    }

    /// Guids of what is at the roots' places and below, by full name.
    fn in_place(&self) -> Result<std::collections::BTreeMap<String, Guid>, StepError> {
        let zfs = Zfs::new(self.programs);
        let roots: Vec<DatasetName> = self.layout.roots().map(|root| root.target.clone()).collect();
        let there = zfs.guids(&roots)?;
        let there: Vec<_> = roots.into_iter().filter(|root| there.contains_key(root.as_str())).collect();
        Ok(zfs.guids_below(&there)?)
    }

    fn is_ours(
        &self,
        placed: &Placed,
        name: &DatasetName,
        guids: &std::collections::BTreeMap<String, Guid>,
    ) -> bool {
        let wanted = self.job.guids.get(&placed.source);
        wanted.is_some() && guids.get(&name.at(&self.job.snapshot)) == wanted
    }

    /// Are the names still free, and is what was received still what was handed off?
    ///
    /// # Errors
    /// Permanent with every reason.
    pub fn recheck(&self) -> Result<Done, StepError> {
        let mut reasons = Vec::new();
        match zoneadm::zone(self.programs, self.job.zone())? {
            None => {}
            Some(_) => reasons.push(format!("zone '{}' has come to be on this host", self.job.zone())),
        }
        let zones = zoneadm::zones(self.programs)?;
        if let Some(other) = zones.zones.iter().find(|z| z.zonepath == Path::new(self.zonepath())) {
            reasons.push(format!("zonepath {} has become that of zone '{}'", self.zonepath(), other.name));
        }
        let places = self.in_place()?;
        let received = super::quarantine::found(self.programs, self.layout)?;
        for placed in &self.layout.datasets {
            if places.contains_key(placed.target.as_str()) {
                reasons.push(format!("dataset '{}' has come to be on this host", placed.target));
            }
            if !self.is_ours(placed, &placed.quarantine, &received) {
                reasons.push(format!("what was received of '{}' is not what was handed off", placed.source));
            }
        }
        // The handoff's properties are a peer's word too, and not those of the offer.
        let from = self.job.survey.as_ref().map(|s| s.zone.zonepath.as_str()).unwrap_or_default();
        let overrides = &self.job.request.target.properties;
        reasons.extend(check::judge_properties(&self.job.datasets, overrides, from, self.zonepath()));
        if !reasons.is_empty() {
            return Err(StepError::permanent(reasons.join("; ")));
        }
        let note = route::look(self.programs, self.job.request.target.route.as_ref())?;
        Ok(Done::Event(Event::Installed { step: Install::Recheck, note }))
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
    fn known(&self) -> Result<std::collections::BTreeSet<String>, StepError> {
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
        for property in super::quarantine::WRITTEN_BY {
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
        let mut now: std::collections::BTreeMap<String, Now> = std::collections::BTreeMap::new();
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
            // What was received may hold a link where a mountpoint is to be: nothing mounts through one.
            if let Ok(real) = fs::canonicalize(mountpoint)
                && real != Path::new(mountpoint)
            {
                let text =
                    format!("{mountpoint} is {} in truth: nothing is mounted through a link", real.display());
                return Err(StepError::permanent(text));
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

    /// `zonecfg create -a`, datasets under their names here, the request's commands; autoboot stays false until
    /// the source has acked.
    ///
    /// # Errors
    /// Permanent when what came out is not what was offered, or not what the peer may.
    pub fn configure(&self) -> Result<Done, StepError> {
        let zone = self.job.zone();
        if let Some(line) = self.zone()? {
            if line.state != ZoneState::Configured {
                return Err(StepError::permanent(format!("zone '{zone}' is {} already", line.state)));
            }
            // Half of a configuration, perhaps: zonecfg commits what came before an error.
            self.programs.ok(&zonecfg::delete(zone))?;
        }
        let offered = self.offered()?;
        let script = self.script(&offered).map_err(|why| StepError::permanent(why.to_string()))?;
        let file: PathBuf = self.work.join("zonecfg");
        fs::write(&file, script.text())
            .map_err(|e| StepError::transient(format!("{}: {e}", file.display())))?;
        let argv = zonecfg::run_file(zone, &file);
        let output = self.programs.run(&argv)?;
        let configured = zonecfg::export(self.programs, zone)?;
        let Some(mut configured) = configured.filter(|_| output.status.is_ok()) else {
            // `create -a` exits 0 when there is nothing to create from.
            let said = format!("{} {}", output.stderr, output.stdout);
            let said: String = said.trim().chars().take(300).flat_map(char::escape_debug).collect();
            return Err(StepError::permanent(format!("`{argv}` did not configure zone '{zone}': {said}")));
        };
        if let Some(line) = self.zone()? {
            configured.complete(&line);
        }
        if self.job.request.target.zonecfg.is_empty() && configured != self.expected(offered) {
            let text = format!(
                "zone '{zone}' was configured from {}/SUNWdetached.xml otherwise than offered",
                self.zonepath()
            );
            return Err(StepError::permanent(text));
        }
        let names: Vec<DatasetName> = self.layout.datasets.iter().map(|d| d.target.clone()).collect();
        let faults = check::judge_config(&configured, self.accept, &names);
        if !faults.is_empty() {
            return Err(StepError::permanent(faults.join("; ")));
        }
        Ok(done(Install::Configure))
    }

    fn offered(&self) -> Result<ZoneConfig, StepError> {
        let text = self.job.survey.as_ref().map(|s| s.zone.config.as_str()).unwrap_or_default();
        ZoneConfig::parse(text)
            .map_err(|why| StepError::permanent(format!("the offered configuration: {why}")))
    }

    /// The offered configuration as it must be here.
    fn expected(&self, mut config: ZoneConfig) -> ZoneConfig {
        config.globals.insert("zonepath".into(), self.zonepath().to_owned());
        config.globals.insert("autoboot".into(), "false".into());
        for resource in &mut config.resources {
            let renamed = match resource.kind.as_str() {
                "dataset" => "name",
                "fs" if resource.get("type") == Some("zfs") => "special",
                _ => continue,
            };
            for property in resource.properties.iter_mut().filter(|p| p.name == renamed) {
                property.value = self.name_here(&property.value);
            }
        }
        config
    }

    fn name_here(&self, name: &str) -> String {
        let placed = self.layout.datasets.iter().find(|d| d.source.as_str() == name);
        placed.map_or_else(|| name.to_owned(), |d| d.target.to_string())
    }

    /// The zonecfg script that makes the zone here.
    ///
    /// # Errors
    /// When a value can't be written in zonecfg's language.
    pub fn script(&self, offered: &ZoneConfig) -> Result<Script, zonecfg::ScriptError> {
        let mut script =
            Script::new().create_attached(Path::new(self.zonepath()))?.set("autoboot", "false")?;
        for resource in offered.of_kind("dataset") {
            let Some(name) = resource.get("name") else { continue };
            let here = self.name_here(name);
            if here != name {
                script = script.select("dataset", "name", name)?.set("name", &here)?.end();
            }
        }
        for resource in offered.of_kind("fs").filter(|r| r.get("type") == Some("zfs")) {
            let (Some(dir), Some(special)) = (resource.get("dir"), resource.get("special")) else { continue };
            let here = self.name_here(special);
            if here != special {
                script = script.select("fs", "dir", dir)?.set("special", &here)?.end();
            }
        }
        for command in &self.job.request.target.zonecfg {
            script = script.command(command)?;
        }
        Ok(script.commit())
    }

    /// `zoneadm attach`.
    ///
    /// # Errors
    /// Permanent for what attach refuses for good; what the brand's log ends with is told.
    pub fn attach(&self) -> Result<Done, StepError> {
        let zone = self.job.zone();
        let state = |target: &Self| Ok::<_, StepError>(target.zone()?.map(|line| line.state));
        match state(self)? {
            Some(ZoneState::Configured) => {}
            Some(ZoneState::Installed | ZoneState::Running) => return Ok(done(Install::Attach)),
            other => {
                let is = other.map_or("gone".to_owned(), |state| state.to_string());
                return Err(StepError::permanent(format!("zone '{zone}' is {is}, it can't be attached")));
            }
        }
        let argv = attach::on_target(self.job);
        let attempt = attach::attempt(self.programs, zone, &argv)?;
        if state(self)? == Some(ZoneState::Installed) {
            return Ok(done(Install::Attach));
        }
        let fault = attempt.fault();
        let error = attempt.failed(self.programs, |argv| {
            StepError::permanent(format!("`{argv}` exited 0, but zone '{zone}' is not installed"))
        });
        let kind = if fault == ZoneFault::Other { error.kind } else { ErrorKind::Permanent };
        Err(StepError { kind, ..error })
    }

    /// `zoneadm boot`, if the zone is to run.
    ///
    /// # Errors
    /// What zoneadm said.
    pub fn boot(&self) -> Result<Done, StepError> {
        self.run_zone()?;
        Ok(done(Install::Boot))
    }

    /// Ensures that the zone runs, if it is to.
    ///
    /// # Errors
    /// As [`Target::boot`].
    pub fn run_zone(&self) -> Result<(), StepError> {
        if !self.job.is_to_run() {
            return Ok(());
        }
        match self.zone()?.map(|line| line.state) {
            Some(ZoneState::Running) => Ok(()),
            Some(ZoneState::Installed | ZoneState::Ready) => source::boot(self.programs, self.job.zone()),
            Some(state) => Err(StepError::transient(format!("zone '{}' is {state}", self.job.zone()))),
            None => Err(StepError::permanent(format!("zone '{}' is gone", self.job.zone()))),
        }
    }

    /// autoboot as it was on the source, and the zone running if it is to: a reboot of this host before the ack
    /// left it down.
    ///
    /// # Errors
    /// What zonecfg or zoneadm said.
    pub fn set_autoboot(&self) -> Result<Done, StepError> {
        if self.job.survey.as_ref().is_some_and(|survey| survey.zone.autoboot) {
            source::set_autoboot(self.programs, self.job.zone(), true)?;
        }
        self.run_zone()?;
        Ok(Done::Event(Event::AutobootSet))
    }

    /// Takes away the final snapshots, by guid, and the empty quarantine.
    ///
    /// # Errors
    /// Transient while something is busy.
    pub fn clean(&self) -> Result<(), StepError> {
        let places = self.in_place()?;
        let zfs = Zfs::new(self.programs);
        let ours = self.layout.datasets.iter().filter(|d| self.is_ours(d, &d.target, &places)).count();
        for root in self.layout.roots().filter(|root| self.is_ours(root, &root.target, &places)) {
            if ours == self.layout.datasets.len() {
                match zfs.run(&argv::destroy_snapshot_tree(&root.target, &self.job.snapshot)) {
                    Err(error) if Fault::of_error(&error) == Fault::Missing => {}
                    other => drop(other?),
                }
            }
        }
        super::quarantine::clear(self.programs, self.job, self.layout)
    }
}

/// The zonepath on the target.
pub fn zonepath(job: &Job) -> &str {
    let found = job.survey.as_ref().map(|s| s.zone.zonepath.as_str()).unwrap_or_default();
    job.request.target.zonepath.as_deref().unwrap_or(found)
}

pub(super) fn done(step: Install) -> Done {
    Done::Event(Event::Installed { step, note: None })
}
