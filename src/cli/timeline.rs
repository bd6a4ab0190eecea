//! What happened to a job, in words, line by line of its journal. Pure.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::job::code::Reason;
use crate::job::event::{Cause, Event};
use crate::job::message::Failure;

/// One line of a journal as it is told to people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When it was journaled.
    pub at: DateTime<Utc>,
    /// The event, as the journal spells it.
    pub event: &'static str,
    /// What there is to know about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Moment {
    /// Tells one line.
    pub fn new(at: DateTime<Utc>, event: &Event) -> Self {
        let (word, detail) = words(event);
        Self { at, event: word, detail }
    }
}

fn words(event: &Event) -> (&'static str, Option<String>) {
    match event {
        Event::Admitted { request, .. } => {
            ("admitted", Some(format!("zone {} to {}", request.zone, request.to)))
        }
        Event::Taken { peer, .. } => ("taken", Some(format!("an offer of {peer}"))),
        Event::FinishAsked { of, .. } => ("finish-asked", Some(format!("of {of}"))),
        Event::Surveyed { survey } => ("surveyed", Some(format!("{} datasets", survey.datasets.len()))),
        Event::Accepted { serial } => ("accepted", Some(format!("offer {serial}"))),
        Event::Refused { reasons, .. } => ("refused", Some(Reason::texts(reasons).join("; "))),
        Event::ToldLater { reason, .. } => ("told-later", Some(reason.clone())),
        Event::Started => ("started", None),
        Event::AutobootCleared => ("autoboot-cleared", None),
        Event::ShutDown => ("shut-down", None),
        Event::Detached => ("detached", None),
        Event::ZoneRuns { state } => ("zone-runs", Some(format!("somebody booted it: {state}"))),
        Event::Recaptured { datasets } => ("recaptured", Some(format!("{} datasets", datasets.len()))),
        Event::Snapshotted { guids } => ("snapshotted", Some(format!("{} snapshots", guids.len()))),
        Event::Delivered { bytes, .. } => ("delivered", Some(super::shown::size(*bytes))),
        Event::HandedOff { .. } => ("handed-off", Some("from here on only the result decides".into())),
        Event::ResultOk { .. } => ("result-ok", None),
        Event::ResultFailed { verdict } => ("result-failed", verdict.error.as_ref().map(failure)),
        Event::AckConfirmed => ("ack-confirmed", None),
        Event::PeerDeclaredGone { by } => ("peer-declared-gone", Some(format!("by {by}"))),
        Event::RevokedLeft { delivered } => {
            ("revoked-left", (!delivered).then(|| "it could not be delivered".into()))
        }
        Event::TurnedBack { cause, failure: why } => {
            ("turned-back", Some(format!("{}: {}", cause_word(*cause), failure(why))))
        }
        Event::PutBack => ("put-back", None),
        Event::Tidied => ("tidied", None),
        Event::Released => ("released", None),
        Event::RefusalPut => ("refusal-put", None),
        Event::Reoffered { offer } => ("reoffered", Some(format!("offer {}", offer.serial))),
        Event::HandoffTaken { .. } => ("handoff-taken", None),
        Event::ReceiptPut => ("receipt-put", None),
        Event::Installed { step, note, .. } => ("installed", Some(noted(step.word(), note.as_deref()))),
        Event::Undone { step, kept, .. } => {
            let kept = (!kept.is_empty()).then(|| format!("{} datasets kept", kept.len()));
            ("undone", Some(noted(step.word(), kept.as_deref())))
        }
        Event::Acked => ("acked", None),
        Event::RevokedSeen { by } => ("revoked-seen", Some(format!("by {by}"))),
        Event::AutobootSet => ("autoboot-set", None),
        Event::Cleaned => ("cleaned", None),
        Event::FinishChecked => ("finish-checked", None),
        Event::Unconfigured => ("unconfigured", None),
        Event::Destroyed => ("destroyed", None),
        Event::Reported => ("reported", None),
    }
}

fn noted(step: &str, note: Option<&str>) -> String {
    note.map_or_else(|| step.to_owned(), |note| format!("{step} ({note})"))
}

fn failure(failure: &Failure) -> String {
    format!("at {}: {}", failure.step, failure.error)
}

fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Failed => "failed",
        Cause::Cancelled => "cancelled",
        Cause::Withdrawn => "withdrawn by the source",
        Cause::Revoked => "revoked by the source",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::code::Code;

    #[test]
    fn the_words_are_the_journals() {
        let events = [
            Event::Accepted { serial: 1 },
            Event::ToldLater { serial: 2, reason: "full".into() },
            Event::ShutDown,
            Event::AutobootCleared,
            Event::RevokedLeft { delivered: false },
            Event::AckConfirmed,
            Event::FinishChecked,
            Event::Undone { step: crate::job::step::Undo::Shelve, kept: Vec::new(), written: None },
        ];
        for event in events {
            let journaled = serde_json::to_value(&event).unwrap();
            assert_eq!(journaled["event"], words(&event).0);
        }
    }

    #[test]
    fn a_way_back_says_why_and_where() {
        let why = Failure::new("attach", Code::Command, "zoneadm: no");
        let event = Event::TurnedBack { cause: Cause::Failed, failure: why };
        assert_eq!(words(&event).1.unwrap(), "failed: at attach: zoneadm: no");
    }
}
