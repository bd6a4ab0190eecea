//! A job as its journal tells it: the phase, and the facts that the events carried.

use chrono::{DateTime, Utc};

use super::code::{Code, Reason};
use super::event::{Cause, Event};
use super::handoff;
use super::message::{Failure, Handoff, Offer, Verdict};
use super::name::{Bytes, DatasetName, Guid, HostName, JobId, SnapshotName, ZoneName};
use super::phase::{Back, Ended, Phase};
use super::request::Request;
use super::role::Role;
use super::step::{Install, Round};
use super::survey::{Dataset, Survey};
use super::times::Times;
use std::collections::BTreeMap;

/// A journal that no zmigrate can have written.
#[derive(Debug, thiserror::Error)]
pub enum Impossible {
    /// It does not begin with a first line.
    #[error("the journal's first line is not one that begins a job")]
    NoBeginning,
    /// An event at a place where it can't be.
    #[error("line {line}: {event} can't follow in phase {phase:?}")]
    OutOfPlace {
        /// The line's number, from 1.
        line: u64,
        /// The event.
        event: String,
        /// The phase in which it stands.
        phase: Phase,
    },
}

/// The fold of a journal.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Its role.
    pub role: Role,
    /// This host.
    pub host: HostName,
    /// The other host.
    pub peer: HostName,
    /// The request.
    pub request: Request,
    /// Where it stands.
    pub phase: Phase,
    /// The final snapshot's name.
    pub snapshot: SnapshotName,
    /// Size of a part.
    pub part: Bytes,
    /// Target: the newest offer. Source: `None`.
    pub offer: Option<Offer>,
    /// Source: the serial of the offer that is due or was answered last.
    pub serial: u32,
    /// The facts, as surveyed last.
    pub survey: Option<Survey>,
    /// Datasets as recaptured or handed off: what counts on the target.
    pub datasets: Vec<Dataset>,
    /// Guids of the final snapshots.
    pub guids: BTreeMap<DatasetName, Guid>,
    /// Snapshots that were made, with all guids they ever had: what `tidy` may take away.
    pub made: Vec<(DatasetName, Guid)>,
    /// Whether the zone ran when the source stopped it. Until then, whether it ran at the last survey.
    pub ran: bool,
    /// How often the snapshot was taken; images begin anew with each.
    pub generation: u32,
    /// Digest over all images' digests.
    pub entries: String,
    /// Bytes of all images.
    pub bytes: Bytes,
    /// The handoff.
    pub handoff: Option<Handoff>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// What went wrong first.
    pub failure: Option<Failure>,
    /// Why the target refused.
    pub refusals: Vec<Reason>,
    /// Why the target said later.
    pub later: Option<String>,
    /// Target: the install steps that are done, with their notes.
    pub installed: BTreeMap<Install, Option<String>>,
    /// Target: guids of the roots that were renamed into their places, by name here.
    pub places: BTreeMap<DatasetName, Guid>,
    /// Target: the zone was, or may have been, booted here.
    pub booted: bool,
    /// Target: what undo kept.
    pub kept: Vec<DatasetName>,
    /// Target: bytes written since boot.
    pub written: Option<Bytes>,
    /// The operator who declared the other host gone.
    pub declared_gone_by: Option<String>,
    /// Finish: the migration that is finished.
    pub finishes: Option<JobId>,
    /// Finish: the zonepath here.
    pub zonepath: Option<String>,
    /// Was autoboot already restored (target)?
    pub reported: bool,
    /// Landmarks.
    pub times: Times,
    /// Lines folded.
    pub lines: u64,
}

impl Job {
    /// The job that a first line begins.
    ///
    /// # Errors
    /// [`Impossible::NoBeginning`].
    pub fn begin(at: DateTime<Utc>, event: &Event) -> Result<Job, Impossible> {
        let (id, role, host, peer, request, snapshot, part, phase) = match event {
            Event::Admitted { job, host, request, snapshot, part } => {
                let peer = request.to.clone();
                let phase = Phase::Survey(Round::First);
                (job, Role::Source, host, peer, (**request).clone(), snapshot.clone(), *part, phase)
            }
            Event::Taken { job, host, peer, offer } => {
                let request = offer.request.clone();
                (
                    job,
                    Role::Target,
                    host,
                    peer.clone(),
                    request,
                    offer.snapshot.clone(),
                    offer.part,
                    Phase::Check,
                )
            }
            Event::FinishAsked { job, host, request, snapshot, .. } => {
                let phase = Phase::FinishCheck;
                let peer = request.to.clone();
                (job, Role::Finish, host, peer, (**request).clone(), snapshot.clone(), Bytes(0), phase)
            }
            _ => return Err(Impossible::NoBeginning),
        };
        let times = Times { begun: Some(at), phase: Some(at), ..Times::default() };
        let mut job = Job {
            id: id.clone(),
            role,
            host: host.clone(),
            peer,
            request,
            phase,
            snapshot,
            part,
            offer: None,
            serial: 1,
            survey: None,
            datasets: Vec::new(),
            guids: BTreeMap::new(),
            made: Vec::new(),
            ran: false,
            generation: 0,
            entries: String::new(),
            bytes: Bytes(0),
            handoff: None,
            verdict: None,
            failure: None,
            refusals: Vec::new(),
            later: None,
            installed: BTreeMap::new(),
            places: BTreeMap::new(),
            booted: false,
            kept: Vec::new(),
            written: None,
            declared_gone_by: None,
            finishes: None,
            zonepath: None,
            reported: false,
            times,
            lines: 1,
        };
        match event {
            Event::Taken { offer, .. } => job.take_offer(offer),
            Event::FinishAsked { of, datasets, guids, zonepath, .. } => {
                job.finishes = Some(of.clone());
                job.datasets = datasets.clone();
                job.guids = guids.clone();
                job.zonepath = Some(zonepath.clone());
            }
            _ => {}
        }
        Ok(job)
    }

    /// Folds one more line in.
    ///
    /// # Errors
    /// [`Impossible::OutOfPlace`]; the job is then as before.
    pub fn apply(&mut self, at: DateTime<Utc>, event: &Event) -> Result<(), Impossible> {
        let phase = self.after(event)?;
        self.remember(at, event);
        self.mark(at, phase);
        self.phase = phase;
        self.lines += 1;
        Ok(())
    }

    /// The phase that one more line would lead to.
    ///
    /// # Errors
    /// [`Impossible::OutOfPlace`].
    pub fn after(&self, event: &Event) -> Result<Phase, Impossible> {
        event.kind().and_then(|kind| self.phase.apply(kind)).ok_or_else(|| Impossible::OutOfPlace {
            line: self.lines + 1,
            event: format!("{:?}", event.kind()),
            phase: self.phase,
        })
    }

    /// The zone.
    pub fn zone(&self) -> &ZoneName {
        &self.request.zone
    }

    /// The source's and the target's name.
    pub fn from_to(&self) -> (&HostName, &HostName) {
        match self.role {
            Role::Source | Role::Finish => (&self.host, &self.peer),
            Role::Target => (&self.peer, &self.host),
        }
    }

    /// The zone's datasets by name, as surveyed.
    pub fn dataset_names(&self) -> Vec<DatasetName> {
        let surveyed = self.survey.as_ref().map(|s| s.datasets.as_slice()).unwrap_or_default();
        let known = if surveyed.is_empty() { &self.datasets[..] } else { surveyed };
        known.iter().map(|d| d.name.clone()).collect()
    }

    /// Is the zone to run on the target?
    pub fn is_to_run(&self) -> bool {
        self.request.target.boot.unwrap_or(self.ran)
    }

    /// How it ended, once that is certain.
    pub fn ended(&self) -> Option<Ended> {
        self.phase.verdict()
    }

    fn take_offer(&mut self, offer: &Offer) {
        self.serial = offer.serial;
        self.ran = offer.survey.zone.running;
        self.survey = Some(offer.survey.clone());
        self.datasets = offer.survey.datasets.clone();
        self.request = offer.request.clone();
        self.snapshot = offer.snapshot.clone();
        self.part = offer.part;
        self.offer = Some(offer.clone());
    }

    fn remember(&mut self, at: DateTime<Utc>, event: &Event) {
        match event {
            Event::Surveyed { survey } => {
                self.datasets = survey.datasets.clone();
                self.ran = survey.zone.running;
                self.survey = Some((**survey).clone());
            }
            Event::Accepted { .. } if self.role == Role::Source => {
                self.serial += 1;
                self.later = None;
            }
            Event::ToldLater { reason, .. } => {
                self.serial += 1;
                self.later = Some(reason.clone());
            }
            Event::Refused { reasons, .. } => self.refusals = reasons.clone(),
            Event::Reoffered { offer } => self.take_offer(offer),
            Event::ZoneRuns { .. } => self.ran = true,
            Event::Recaptured { datasets } => self.datasets = datasets.clone(),
            Event::Snapshotted { guids } => {
                self.generation += 1;
                self.guids = guids.clone();
                self.made.extend(guids.iter().map(|(name, guid)| (name.clone(), *guid)));
            }
            Event::Delivered { bytes, entries, took } => {
                self.bytes = *bytes;
                self.entries = entries.clone();
                for (step, seconds) in took {
                    self.times.took.insert(step.clone(), seconds * 1000);
                }
            }
            Event::HandedOff { handoff } => {
                self.times.handed_off = Some(at);
                self.handoff = Some((**handoff).clone());
            }
            Event::HandoffTaken { handoff } => {
                self.times.handed_off = Some(at);
                let offered = self.survey.as_ref().map(|survey| survey.datasets.clone()).unwrap_or_default();
                // The target compared the handoff with its offer before it journaled this line.
                self.datasets = handoff::applied(&offered, &handoff.changed).unwrap_or(offered);
                self.guids = handoff.guids.clone();
                self.entries = handoff.entries.clone();
                self.ran = handoff.ran;
                self.handoff = Some((**handoff).clone());
            }
            Event::ResultOk { verdict } | Event::ResultFailed { verdict } => {
                if self.role == Role::Source && verdict.ok {
                    self.times.up = Some(at);
                }
                if self.failure.is_none() {
                    self.failure = verdict.error.clone();
                }
                self.verdict = Some((**verdict).clone());
            }
            Event::TurnedBack { failure, .. } => self.failure = Some(failure.clone()),
            Event::PeerDeclaredGone { by } if self.role != Role::Source => {
                self.declared_gone_by = Some(by.clone());
            }
            Event::PeerDeclaredGone { by } => {
                self.declared_gone_by = Some(by.clone());
                let error = format!("{by} declared {} gone", self.peer);
                self.failure = Some(Failure::new("await", Code::Other, error));
            }
            Event::RevokedSeen { by } => {
                let error = format!("revoked on {} by {by}", self.peer);
                self.failure = Some(Failure::new("result", Code::Other, error));
            }
            Event::PutBack => self.times.up = Some(at),
            Event::Installed { step, note, places } => {
                self.installed.insert(*step, note.clone());
                self.places.extend(places.iter().map(|(name, guid)| (name.clone(), *guid)));
            }
            Event::Undone { kept, written, .. } => {
                self.kept.extend(kept.iter().cloned());
                self.written = self.written.or(*written);
            }
            Event::Reported => self.reported = true,
            _ => {}
        }
    }

    fn mark(&mut self, at: DateTime<Utc>, next: Phase) {
        if next == self.phase {
            return;
        }
        self.times.mark(at, self.role, self.phase, next);
        if next == Phase::Install(Install::Boot) {
            // From here on the zone may have run here, whatever happened to the line that would say so.
            self.booted = true;
        }
    }

    /// Whether what was received must be kept when going back.
    pub fn keeps_received(&self) -> bool {
        self.booted && self.is_to_run()
    }

    /// The cause of a way back, if the job is on one.
    pub fn cause(&self) -> Option<Cause> {
        match self.phase {
            Phase::Undo(_, cause) | Phase::Returned(cause) | Phase::CleanBack(cause) => Some(cause),
            _ => None,
        }
    }

    /// Source, going back: is the zone's state as found still to be ensured?
    pub fn back(&self) -> Option<Back> {
        match self.phase {
            Phase::PutBack(back) | Phase::Tidy(back) | Phase::Release(back) => Some(back),
            _ => None,
        }
    }
}
