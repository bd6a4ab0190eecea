//! What may end a job's way or turn it round between two steps: the request's limits, and operators.

use chrono::Utc;

use super::Engine;
use crate::daemon::{perform, words};
use crate::job::code::Code;
use crate::job::event::{Cause, Event};
use crate::job::limits;
use crate::job::message::Failure;
use crate::job::phase::Phase;
use crate::job::step::Step;
use crate::log::Severity;
use crate::spool::asks::Ask;

impl Engine {
    /// Limits of the request, before the handoff.
    pub(super) fn heed_limits(&mut self) -> bool {
        let Some(text) = limits::limit_passed(&self.job, Utc::now()) else { return false };
        let error = match &self.error {
            Some(error) => format!("{text}; last: {error}"),
            None => text,
        };
        let failure = Failure::new(self.job.phase.next().word(), Code::Other, error);
        self.record(Event::TurnedBack { cause: Cause::Failed, failure });
        true
    }

    /// What operators ask. `true` when something was journaled.
    pub(super) fn heed_operators(&mut self) -> bool {
        let mut changed = false;
        for ask in self.context.asks(&self.job.id) {
            let asked = format!("uid {} asked for {}", ask.by, ask.verb);
            let heeded = self.heed(&ask);
            // What is not journaled stays asked: the next start hears of it.
            if self.context.is_stopping() {
                break;
            }
            match heeded {
                // Journaled first: a crash in between asks again, and finds it done.
                Ok(Some(event)) => {
                    if !self.record(event) {
                        break;
                    }
                    changed = true;
                }
                Ok(None) => {}
                Err(why) => {
                    self.context.tell(Severity::Warning, &self.job, |line| {
                        line.field("event", "ask-refused").field("ask", &ask.verb).field("error", &why)
                    });
                    self.live.note(&format!("{asked}: {why}"));
                    self.context.refused(&ask, &why);
                    continue;
                }
            }
            self.live.note(&asked);
            self.context.answered(&ask);
        }
        changed
    }

    fn heed(&mut self, ask: &Ask) -> Result<Option<Event>, String> {
        let job = &self.job;
        let by = format!("uid {}", ask.by);
        let turn_back = |step: Step| {
            let error = format!(
                "{} by {by} on {}",
                if ask.verb == "cancel" { "cancelled" } else { "rolled back" },
                job.host
            );
            Event::TurnedBack {
                cause: Cause::Cancelled,
                failure: Failure::new(step.word(), Code::Other, error),
            }
        };
        match ask.verb.as_str() {
            "retry" => {
                self.failures = 0;
                self.memory.reach_anew();
                let gone = ask.args.get("source-is-gone").is_some_and(|name| *name == job.peer.as_str());
                let declared = gone && job.declared_gone_by.is_none() && job.phase.waits_for_source();
                Ok(declared.then_some(Event::PeerDeclaredGone { by }))
            }
            "cancel"
                if job.phase.source_may_turn_back()
                    || matches!(
                        job.phase,
                        Phase::Check | Phase::Receive | Phase::FinishCheck | Phase::FinishUnconfigure
                    ) =>
            {
                Ok(Some(turn_back(job.phase.next())))
            }
            "cancel" => Err("it is past the handoff or over; see `zmigrate rollback`".to_owned()),
            "rollback" if job.phase.may_turn_back() => Ok(Some(turn_back(job.phase.next()))),
            "rollback" if job.phase.is_past_handoff() => match ask.args.get("target-is-gone") {
                Some(name) if *name == job.peer.as_str() => match self.is_denied() {
                    Some(why) => Err(why),
                    None => Ok(Some(Event::PeerDeclaredGone { by })),
                },
                Some(name) => {
                    Err(format!("'{}' is not the target of this job, {} is", name.escape_debug(), job.peer))
                }
                None => Err(format!(
                    "the zone was handed off: roll back on {peer}, or, only if {peer} is gone for good, say --target-is-gone {peer}",
                    peer = job.peer
                )),
            },
            "rollback" => Err("the result stands; move the zone back with a new request".to_owned()),
            other => Err(format!("'{}' can't be asked of this job", other.escape_debug())),
        }
    }

    /// What lies in the target's dropbox and says that it is not gone. Where that can't be reached, an operator's word stands.
    fn is_denied(&self) -> Option<String> {
        let dropbox = perform::called_dropbox(&self.context, &self.job, &self.live).ok()?;
        words::denial(&self.job, &dropbox)
    }
}
