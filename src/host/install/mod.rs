//! Target: from the handoff to the running zone, in the order that ZFS and zoneadm allow.
//!
//! Each step looks first: a rename that is done, a zone that is attached is not done again. "Ours" is a dataset
//! whose final snapshot has the journaled guid, and a zone whose zonepath is this job's; anything else
//! under these names makes the step fail for good, and the job goes back. First the datasets (`datasets`), then the
//! zone (`zone`).

pub mod commands;
mod datasets;
mod zone;

pub use zone::script;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Done, StepError, quarantine, route};
use crate::cmd::zfs::{Fault, Zfs};
use crate::cmd::zoneadm;
use crate::cmd::zoneadm::ZoneLine;
use crate::config::Accept;
use crate::job::event::Event;
use crate::job::layout::{Layout, Placed};
use crate::job::name::{DatasetName, Guid};
use crate::job::record::Job;
use crate::job::step::Install;
use crate::process::Programs;

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
    /// Is the daemon to end? Then no command of a request is begun.
    pub ending: &'a dyn Fn() -> bool,
}

/// Whose a zone of the job's name is on this host.
pub enum Found {
    /// There is none.
    None,
    /// This job's: it has its zonepath.
    Ours(ZoneLine),
    /// Somebody else's.
    Another(ZoneLine),
}

impl Target<'_> {
    /// The zonepath here.
    pub fn zonepath(&self) -> &str {
        zonepath(self.job)
    }

    /// Which zone has the name here.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn found(&self) -> Result<Found, StepError> {
        Ok(match zoneadm::zone(self.programs, self.job.zone())? {
            None => Found::None,
            Some(line) if line.zonepath == Path::new(self.zonepath()) => Found::Ours(line),
            Some(line) => Found::Another(line),
        })
    }

    /// The zone here, if it is this job's.
    ///
    /// # Errors
    /// Permanent when the name belongs to another zone.
    pub fn zone(&self) -> Result<Option<ZoneLine>, StepError> {
        match self.found()? {
            Found::None => Ok(None),
            Found::Ours(line) => Ok(Some(line)),
            Found::Another(line) => Err(StepError::permanent(format!(
                "zone '{}' is on this host already, with the zonepath {}",
                line.name,
                line.zonepath.display()
            ))),
        }
    }

    /// Guids of what is at the roots' places and below, by full name.
    fn in_place(&self) -> Result<BTreeMap<String, Guid>, StepError> {
        let zfs = Zfs::new(self.programs);
        let roots: Vec<DatasetName> = self.layout.roots().map(|root| root.target.clone()).collect();
        let there = zfs.guids(&roots)?;
        let there: Vec<_> = roots.into_iter().filter(|root| there.contains_key(root.as_str())).collect();
        Ok(zfs.guids_below(&there)?)
    }

    fn is_ours(&self, placed: &Placed, name: &DatasetName, guids: &BTreeMap<String, Guid>) -> bool {
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
        let received = quarantine::found(self.programs, self.layout)?;
        for placed in &self.layout.datasets {
            if places.contains_key(placed.target.as_str()) {
                reasons.push(format!("dataset '{}' has come to be on this host", placed.target));
            }
            if !self.is_ours(placed, &placed.quarantine, &received) {
                reasons.push(format!("what was received of '{}' is not what was handed off", placed.source));
            }
        }
        // The handoff's values are a peer's word, too.
        reasons.extend(self.effective()?.err().into_iter().flatten());
        if !reasons.is_empty() {
            return Err(StepError::permanent(reasons.join("; ")));
        }
        let note = route::look(self.programs, self.job.request.target.route.as_ref())?;
        Ok(Done::Event(Event::installed(Install::Recheck, note)))
    }

    /// Destroys this job's final snapshots, known by guid, and the empty quarantine. A snapshot of the same name that
    /// the zone made stays, also on a dataset that the zone made.
    ///
    /// # Errors
    /// Transient while something is busy; all other snapshots are destroyed by then.
    pub fn clean(&self) -> Result<(), StepError> {
        let places = self.in_place()?;
        let mut failed = None;
        for placed in
            self.layout.datasets.iter().filter(|placed| self.is_ours(placed, &placed.target, &places))
        {
            match self.programs.ok(&commands::destroy(placed, &self.job.snapshot)) {
                Err(error) if Fault::of_error(&error) == Fault::Missing => {}
                other => failed = failed.or(other.err()),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        quarantine::clear(self.programs, self.job, self.layout)
    }
}

/// The zonepath on the target.
pub fn zonepath(job: &Job) -> &str {
    job.request.target.zonepath.as_deref().unwrap_or_else(|| zonepath_there(job))
}

/// The zonepath on the source, as it was surveyed.
pub fn zonepath_there(job: &Job) -> &str {
    job.survey.as_ref().map(|s| s.zone.zonepath.as_str()).unwrap_or_default()
}

pub(super) fn done(step: Install) -> Done {
    Done::Event(Event::installed(step, None))
}
