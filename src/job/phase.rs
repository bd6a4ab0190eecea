//! The phase of a job and its two pure functions: [`Phase::next`], what is due, and [`Phase::apply`],
//! where an event leads. Both roles use them, in production and in the model test alike.
//!
//! The two one-way doors are visible here. [`Kind::HandedOff`] is the source's: before it every failure
//! turns the source back by itself, after it only the target's result (or an operator who declares the
//! target gone) does. [`Kind::ResultOk`] is the target's: before it the target may turn back, after it
//! never, save for `revoked`.

use super::event::{Cause, Kind};
use super::step::{Install, Round, Step, Undo};

/// Why the source is on its way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Back {
    /// The target refused the offer.
    Refused,
    /// An operator cancelled before the handoff.
    Cancelled,
    /// Something failed before the handoff.
    Failed,
    /// The target's verdict: it has undone everything, the zone is ours again.
    Returned,
    /// An operator declared the target gone.
    Revoked,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// The zone moved (or, for finish, the old copy is gone).
    Ok,
    /// It did not; everything is as it was found.
    Failed,
    /// The target refused before anything was touched.
    Refused,
    /// An operator cancelled; everything is as it was found.
    Cancelled,
}

/// Where a job stands: what its journal says, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Source: gathering facts.
    Survey(Round),
    /// Source: offered, no answer yet.
    Offer(Round),
    /// Source: accepted; waiting for its time.
    AwaitStart,
    /// Source: accepted again; from here on the zone is touched.
    Autoboot,
    /// Source: the zone is being shut down.
    Shutdown,
    /// Source: the zone is down.
    Detach,
    /// Source: the zone is detached.
    Recapture,
    /// Source: properties are known for good.
    Snapshot,
    /// Source: the snapshot is there; images travel.
    Send,
    /// Source: every image has been received.
    Handoff,
    /// Source: **the door is shut.** Waiting for the result.
    Await,
    /// Source: the zone runs on the target; telling it that we know.
    Ack,
    /// Source: the operator declared the target gone.
    Revoke,
    /// Source, going back: the zone.
    PutBack(Back),
    /// Source, going back: snapshots and parts.
    Tidy(Back),
    /// Source, going back: the zone is as it was found; the target is to be told.
    Release(Back),

    /// Target: an offer has come.
    Check,
    /// Target: the offer was refused.
    Refusal,
    /// Target: accepted; receiving.
    Receive,
    /// Target: the handoff is journaled; the zone is ours to install.
    Receipt,
    /// Target: on the way to the running zone.
    Install(Install),
    /// Target: **the door is shut**: the zone lives here. Waiting for the ack.
    Settled,
    /// Target: acked.
    SetAutoboot,
    /// Target: tidying after an ok.
    Clean,
    /// Target, going back.
    Undo(Undo, Cause),
    /// Target, gone back: the verdict is journaled, waiting for the source to take it.
    Returned(Cause),
    /// Target, gone back: tidying.
    CleanBack(Cause),

    /// Finish: is it still what was handed off?
    FinishCheck,
    /// Finish: the configuration.
    FinishUnconfigure,
    /// Finish: the datasets.
    FinishDestroy,

    /// Over.
    Ended(Ended),
}

impl Phase {
    /// The step that is due.
    pub fn next(self) -> Step {
        use Phase::*;
        match self {
            Survey(_) => Step::Survey,
            Offer(round) => Step::Offer(round),
            AwaitStart => Step::AwaitStart,
            Autoboot => Step::ClearAutoboot,
            Shutdown => Step::Shutdown,
            Detach => Step::Detach,
            Recapture => Step::Recapture,
            Snapshot => Step::Snapshot,
            Send => Step::Send,
            Handoff => Step::LookBeforeHandoff,
            Await => Step::AwaitResult,
            Ack => Step::PutAck,
            Revoke => Step::PutRevoked,
            PutBack(_) => Step::PutBack,
            Tidy(_) => Step::Tidy,
            Release(_) => Step::Release,
            Check => Step::Check,
            Refusal => Step::PutRefusal,
            Receive => Step::Receive,
            Receipt => Step::PutReceipt,
            Install(step) => Step::Install(step),
            Settled | Returned(_) => Step::AwaitAck,
            SetAutoboot => Step::SetAutoboot,
            Clean | CleanBack(_) => Step::Clean,
            Undo(step, _) => Step::Undo(step),
            FinishCheck => Step::FinishCheck,
            FinishUnconfigure => Step::FinishUnconfigure,
            FinishDestroy => Step::FinishDestroy,
            Ended(_) => Step::End,
        }
    }

    /// Where `event` leads from here. `None`: no true journal can hold this event at this place; the job
    /// is then set aside for a person, never guessed about.
    pub fn apply(self, event: Kind) -> Option<Phase> {
        use Phase::*;
        Some(match (self, event) {
            (phase, Kind::Reported) => phase,

            // The source's way there.
            (Survey(round), Kind::Surveyed) => Offer(round),
            (Offer(round), Kind::ToldLater) => Survey(round),
            (Offer(Round::First), Kind::Accepted) => AwaitStart,
            (Offer(Round::Second), Kind::Accepted) => Autoboot,
            (Offer(_), Kind::Refused) => Release(Back::Refused),
            (AwaitStart, Kind::Started) => Survey(Round::Second),
            (Autoboot, Kind::AutobootCleared) => Shutdown,
            (Shutdown, Kind::ShutDown) => Detach,
            (Detach, Kind::Detached) => Recapture,
            (Recapture, Kind::Recaptured) => Snapshot,
            (Snapshot, Kind::Snapshotted) => Send,
            (Send, Kind::Delivered) => Handoff,
            (Shutdown | Detach | Recapture | Snapshot | Send | Handoff, Kind::ZoneRuns) => Shutdown,
            (Handoff, Kind::HandedOff) => Await,
            (Await, Kind::ResultOk) => Ack,
            (Ack, Kind::AckConfirmed) => Ended(self::Ended::Ok),

            // The source's way back.
            (phase, Kind::TurnedBack(cause)) if phase.source_may_turn_back() => {
                let back = if cause == Cause::Cancelled { Back::Cancelled } else { Back::Failed };
                if phase.touches_zone() { PutBack(back) } else { Tidy(back) }
            }
            (Await, Kind::ResultFailed) => PutBack(Back::Returned),
            (Await, Kind::PeerDeclaredGone) => Revoke,
            (Revoke, Kind::RevokedLeft) => PutBack(Back::Revoked),
            (PutBack(back), Kind::PutBack) => Tidy(back),
            (Tidy(back), Kind::Tidied) => Release(back),
            (Release(back), Kind::Released) => Ended(back.ended()),

            // The target's way there.
            (Check, Kind::Accepted) => Receive,
            (Check, Kind::Refused) => Refusal,
            (Refusal, Kind::RefusalPut) => Ended(self::Ended::Refused),
            (Check | Receive, Kind::Reoffered) => Check,
            (Receive, Kind::HandoffTaken) => Receipt,
            (Receipt, Kind::ReceiptPut) => Install(self::Install::Recheck),
            (Install(step), Kind::Installed(done)) if step == done => match step.next() {
                Some(next) => Install(next),
                None => return None,
            },
            (Install(self::Install::Verify), Kind::ResultOk) => Settled,
            (Settled, Kind::Acked | Kind::PeerDeclaredGone) => SetAutoboot,
            (SetAutoboot, Kind::AutobootSet) => Clean,
            (Clean, Kind::Cleaned) => Ended(self::Ended::Ok),

            (phase @ (Receipt | Install(_) | Undo(..)), Kind::PeerDeclaredGone) => phase,

            // The target's way back.
            (phase, Kind::TurnedBack(cause)) if phase.target_may_turn_back() => {
                Undo(self::Undo::first(phase.reached()), cause)
            }
            (Settled, Kind::RevokedSeen) => Undo(self::Undo::Halt, Cause::Revoked),
            (Undo(step, _), Kind::RevokedSeen) => Undo(step, Cause::Revoked),
            (Check | Receive | Receipt | Install(_), Kind::RevokedSeen) => {
                Undo(self::Undo::first(self.reached()), Cause::Revoked)
            }
            (Undo(step, cause), Kind::Undone(done)) if step == done => match step.next() {
                Some(next) => Undo(next, cause),
                None => return None,
            },
            (Undo(self::Undo::Discard, cause), Kind::ResultFailed) => Returned(cause),
            (Returned(cause), Kind::Acked | Kind::PeerDeclaredGone) => CleanBack(cause),
            (CleanBack(cause), Kind::Cleaned) => Ended(match cause {
                Cause::Cancelled | Cause::Withdrawn => self::Ended::Cancelled,
                _ => self::Ended::Failed,
            }),

            // Finish.
            (FinishCheck, Kind::FinishChecked) => FinishUnconfigure,
            (FinishUnconfigure, Kind::Unconfigured) => FinishDestroy,
            (FinishDestroy, Kind::Destroyed) => Ended(self::Ended::Ok),
            (FinishCheck | FinishUnconfigure, Kind::TurnedBack(cause)) => Ended(match cause {
                Cause::Cancelled => self::Ended::Cancelled,
                _ => self::Ended::Failed,
            }),

            _ => return None,
        })
    }

    /// Source, and the handoff is not yet journaled: a failure or an operator may still turn back.
    pub fn source_may_turn_back(self) -> bool {
        use Phase::*;
        matches!(
            self,
            Survey(_)
                | Offer(_)
                | AwaitStart
                | Autoboot
                | Shutdown
                | Detach
                | Recapture
                | Snapshot
                | Send
                | Handoff
        )
    }

    /// Target, and no result is journaled: a failure or an operator may still turn back.
    pub fn target_may_turn_back(self) -> bool {
        matches!(self, Phase::Check | Phase::Receive | Phase::Receipt | Phase::Install(_))
    }

    /// May a failed step or an operator turn this job back?
    pub fn may_turn_back(self) -> bool {
        self.source_may_turn_back()
            || self.target_may_turn_back()
            || matches!(self, Phase::FinishCheck | Phase::FinishUnconfigure)
    }

    /// Source: past the point from which on the zone's state or autoboot may have been changed.
    pub fn touches_zone(self) -> bool {
        use Phase::*;
        matches!(
            self,
            Autoboot
                | Shutdown
                | Detach
                | Recapture
                | Snapshot
                | Send
                | Handoff
                | Await
                | Revoke
                | PutBack(_)
        )
    }

    /// Source: the zone is down because of us.
    pub fn is_outage(self) -> bool {
        use Phase::*;
        matches!(
            self,
            Shutdown | Detach | Recapture | Snapshot | Send | Handoff | Await | Revoke | PutBack(_)
        )
    }

    /// Source: handed off, no verdict.
    pub fn is_past_handoff(self) -> bool {
        matches!(self, Phase::Await)
    }

    /// Target, without an ack: `revoked` is looked for before every step.
    pub fn heeds_revoked(self) -> bool {
        use Phase::*;
        match self {
            Check | Receive | Receipt | Install(_) | Settled => true,
            Undo(_, cause) => cause != Cause::Revoked,
            _ => false,
        }
    }

    /// Target: a handoff that was put before this daemon started is no longer to be acted on; the source
    /// must put it again first. It does so for as long as it awaits the result. A source that was told
    /// that this host is gone puts `revoked` instead, and could not before this host was back: without
    /// this rule a host that comes back could start a zone that runs on the source again.
    pub fn must_hear_anew(self) -> bool {
        matches!(self, Phase::Receive | Phase::Receipt | Phase::Install(_))
    }

    /// Target: past the handoff, and waiting for the source's word now or later. An operator may declare the source gone.
    pub fn waits_for_source(self) -> bool {
        matches!(
            self,
            Phase::Receipt | Phase::Install(_) | Phase::Undo(..) | Phase::Settled | Phase::Returned(_)
        )
    }

    /// The verdict, once nothing can change it any more. Messages to the peer may still be owed.
    pub fn verdict(self) -> Option<Ended> {
        use Phase::*;
        match self {
            Ack => Some(self::Ended::Ok),
            Release(back) => Some(back.ended()),
            SetAutoboot | Clean => Some(self::Ended::Ok),
            Refusal => Some(self::Ended::Refused),
            Returned(cause) | CleanBack(cause) => Some(match cause {
                Cause::Cancelled | Cause::Withdrawn => self::Ended::Cancelled,
                _ => self::Ended::Failed,
            }),
            Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Whether another job for the same zone must wait for this one. Not once the verdict is known and
    /// only words to the peer are owed: a dead peer must not keep the zone from being moved elsewhere.
    pub fn holds_zone(self) -> bool {
        self.verdict().is_none() || matches!(self, Phase::SetAutoboot | Phase::Clean)
    }

    /// The last install step that was begun.
    fn reached(self) -> Option<Install> {
        match self {
            Phase::Install(step) => Some(step),
            _ => None,
        }
    }
}

impl Back {
    fn ended(self) -> Ended {
        match self {
            Back::Refused => Ended::Refused,
            Back::Cancelled => Ended::Cancelled,
            Back::Failed | Back::Returned | Back::Revoked => Ended::Failed,
        }
    }
}
