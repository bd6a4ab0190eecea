//! How a step ended, or what an operator or the peer decided: the lines of a job's journal.
//!
//! The names and fields here *are* the format on disk (`zmigrate-spool(5)`): a change of one is a change
//! of format and needs a new journal version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::code::Reason;
use super::message::{Failure, Handoff, Offer, Verdict};
use super::name::{Bytes, DatasetName, Guid, HostName, JobId, NameError, SnapshotName};
use super::request::Request;
use super::step::{Install, Undo};
use super::survey::{Dataset, Survey};

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Source, first line: a request was taken up.
    Admitted {
        /// The job.
        job: JobId,
        /// This host.
        host: HostName,
        /// The request, normalised.
        request: Box<Request>,
        /// The final snapshot's name.
        snapshot: SnapshotName,
        /// Size of a part, fixed for the whole job.
        part: Bytes,
    },
    /// Target, first line: a peer's offer was taken up.
    Taken {
        /// The job.
        job: JobId,
        /// This host.
        host: HostName,
        /// The peer, as the dropbox says.
        peer: HostName,
        /// The offer.
        offer: Box<Offer>,
    },
    /// Finish, first line.
    FinishAsked {
        /// This job.
        job: JobId,
        /// This host.
        host: HostName,
        /// The migration that is finished.
        of: JobId,
        /// Its request.
        request: Box<Request>,
        /// Its datasets as handed off.
        datasets: Vec<Dataset>,
        /// Its snapshots' guids.
        guids: BTreeMap<DatasetName, Guid>,
        /// Its snapshot's name.
        snapshot: SnapshotName,
        /// The zone's zonepath here.
        zonepath: String,
    },

    /// The facts.
    Surveyed {
        /// The facts.
        survey: Box<Survey>,
    },
    /// Source: the target's yes. Target: its own yes.
    Accepted {
        /// Which offer.
        serial: u32,
    },
    /// The target's no.
    Refused {
        /// Which offer.
        serial: u32,
        /// Every reason.
        reasons: Vec<Reason>,
    },
    /// The target said `later`.
    ToldLater {
        /// Which offer.
        serial: u32,
        /// Why.
        reason: String,
    },
    /// Its time has come.
    Started,
    /// autoboot is false.
    AutobootCleared,
    /// The zone is down.
    ShutDown,
    /// The zone is detached.
    Detached,
    /// Somebody booted the zone, after the survey or after the shutdown: it is shut down (again), and it counts as a zone that
    /// ran.
    ZoneRuns {
        /// The state that was found.
        state: String,
    },
    /// Properties after the detach.
    Recaptured {
        /// The datasets.
        datasets: Vec<Dataset>,
    },
    /// The snapshot is there.
    Snapshotted {
        /// Each snapshot's guid.
        guids: BTreeMap<DatasetName, Guid>,
    },
    /// Every image is received on the target.
    Delivered {
        /// Bytes of all images.
        bytes: Bytes,
        /// Digest over all images' digests.
        entries: String,
        /// Seconds in `zfs send`, copying and receiving.
        took: BTreeMap<String, u64>,
    },
    /// **Source's one-way door.** Journaled before the file appears.
    HandedOff {
        /// The file's body.
        handoff: Box<Handoff>,
    },
    /// Source: the target's verdict is ok. Target: **the one-way door**, journaled before the file appears.
    ResultOk {
        /// The verdict.
        verdict: Box<Verdict>,
    },
    /// The verdict is that the zone goes back.
    ResultFailed {
        /// The verdict.
        verdict: Box<Verdict>,
    },
    /// Source: the target has read the ack.
    AckConfirmed,
    /// An operator declared the other host gone for good. The source takes the zone back; the target goes on without the
    /// source's word, which it would wait for otherwise.
    PeerDeclaredGone {
        /// Who.
        by: String,
    },
    /// Source: `revoked` was left, or could not be.
    RevokedLeft {
        /// Did the file reach the dropbox?
        delivered: bool,
    },
    /// On the way back from here.
    TurnedBack {
        /// By what sort of cause.
        cause: Cause,
        /// The step that was due and the reason.
        failure: Failure,
    },
    /// Source: the zone is as it was found.
    PutBack,
    /// Source: snapshots and parts are gone.
    Tidied,
    /// Source: the target has been told.
    Released,

    /// Target: the refusal is put.
    RefusalPut,
    /// Target: another offer for the same job.
    Reoffered {
        /// The offer.
        offer: Box<Offer>,
    },
    /// Target: the handoff has come and fits what was received.
    HandoffTaken {
        /// Its body.
        handoff: Box<Handoff>,
    },
    /// Target: the receipt is put.
    ReceiptPut,
    /// Target: an install step is done.
    Installed {
        /// Which.
        step: Install,
        /// What is worth remembering of it (a route that was added, say).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// After the rename: the guids of the roots at their places. Their snapshots may go while the zone runs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        places: BTreeMap<DatasetName, Guid>,
    },
    /// Target: an undo step is done.
    Undone {
        /// Which.
        step: Undo,
        /// Datasets that are kept.
        #[serde(default)]
        kept: Vec<DatasetName>,
        /// Bytes written since boot.
        #[serde(default)]
        written: Option<Bytes>,
    },
    /// Target: the source has taken the result.
    Acked,
    /// Target: `revoked` was found.
    RevokedSeen {
        /// Who said so on the source.
        by: String,
    },
    /// Target: autoboot is as wanted.
    AutobootSet,
    /// Target: nothing of the job is left but the zone.
    Cleaned,

    /// Finish: everything is as handed off.
    FinishChecked,
    /// Finish: the configuration is gone.
    Unconfigured,
    /// Finish: the datasets are gone.
    Destroyed,

    /// The outcome line has been handed to syslog.
    Reported,
}

/// Why a job turned back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A step failed for good, or time ran out.
    Failed,
    /// An operator on this host.
    Cancelled,
    /// The source withdrew.
    Withdrawn,
    /// The source put the zone back on an operator's word that this host is gone.
    Revoked,
}

/// An event without what it carries: all that the phase depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the event of the same name")]
pub enum Kind {
    Surveyed,
    Accepted,
    Refused,
    ToldLater,
    Started,
    AutobootCleared,
    ShutDown,
    Detached,
    ZoneRuns,
    Recaptured,
    Snapshotted,
    Delivered,
    HandedOff,
    ResultOk,
    ResultFailed,
    AckConfirmed,
    PeerDeclaredGone,
    RevokedLeft,
    TurnedBack(Cause),
    PutBack,
    Tidied,
    Released,
    RefusalPut,
    Reoffered,
    HandoffTaken,
    ReceiptPut,
    Installed(Install),
    Undone(Undo),
    Acked,
    RevokedSeen,
    AutobootSet,
    Cleaned,
    FinishChecked,
    Unconfigured,
    Destroyed,
    Reported,
}

impl Event {
    /// The first line of a request's job. Where the request names no final snapshot it is `zmigrate-JOB`.
    ///
    /// # Errors
    /// When the id makes no snapshot's name.
    pub fn admitted(id: &JobId, host: &HostName, request: Request, part: Bytes) -> Result<Self, NameError> {
        let snapshot = match &request.snapshot {
            Some(name) => name.clone(),
            None => SnapshotName::new(format!("zmigrate-{id}"))?,
        };
        Ok(Self::Admitted { job: id.clone(), host: host.clone(), request: Box::new(request), snapshot, part })
    }

    /// An install step that is done.
    pub fn installed(step: Install, note: Option<String>) -> Self {
        Self::Installed { step, note, places: BTreeMap::new() }
    }

    /// The bare kind; `None` for the three first lines, which begin a phase instead of changing one.
    pub fn kind(&self) -> Option<Kind> {
        use Event::*;
        Some(match self {
            Admitted { .. } | Taken { .. } | FinishAsked { .. } => return None,
            Surveyed { .. } => Kind::Surveyed,
            Accepted { .. } => Kind::Accepted,
            Refused { .. } => Kind::Refused,
            ToldLater { .. } => Kind::ToldLater,
            Started => Kind::Started,
            AutobootCleared => Kind::AutobootCleared,
            ShutDown => Kind::ShutDown,
            Detached => Kind::Detached,
            ZoneRuns { .. } => Kind::ZoneRuns,
            Recaptured { .. } => Kind::Recaptured,
            Snapshotted { .. } => Kind::Snapshotted,
            Delivered { .. } => Kind::Delivered,
            HandedOff { .. } => Kind::HandedOff,
            ResultOk { .. } => Kind::ResultOk,
            ResultFailed { .. } => Kind::ResultFailed,
            AckConfirmed => Kind::AckConfirmed,
            PeerDeclaredGone { .. } => Kind::PeerDeclaredGone,
            RevokedLeft { .. } => Kind::RevokedLeft,
            TurnedBack { cause, .. } => Kind::TurnedBack(*cause),
            PutBack => Kind::PutBack,
            Tidied => Kind::Tidied,
            Released => Kind::Released,
            RefusalPut => Kind::RefusalPut,
            Reoffered { .. } => Kind::Reoffered,
            HandoffTaken { .. } => Kind::HandoffTaken,
            ReceiptPut => Kind::ReceiptPut,
            Installed { step, .. } => Kind::Installed(*step),
            Undone { step, .. } => Kind::Undone(*step),
            Acked => Kind::Acked,
            RevokedSeen { .. } => Kind::RevokedSeen,
            AutobootSet => Kind::AutobootSet,
            Cleaned => Kind::Cleaned,
            FinishChecked => Kind::FinishChecked,
            Unconfigured => Kind::Unconfigured,
            Destroyed => Kind::Destroyed,
            Reported => Kind::Reported,
        })
    }
}
