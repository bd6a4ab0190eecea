//! What has taken too long: nothing is wrong with the job, and yet somebody must look.

use std::time::Duration;

use super::{Engine, since};
use crate::job::phase::Phase;

impl Engine {
    /// Alerts, and again hourly, behind `doubt_after`.
    pub(super) fn doubt(&mut self) {
        let Some((event, age, text)) = self.overdue() else { return };
        if age >= self.context.config().jobs.doubt_after && self.is_alert_due() {
            self.alert(event, &text);
        }
    }

    /// The event, for how long it has been so, and what to do about it.
    fn overdue(&self) -> Option<(&'static str, Duration, String)> {
        let job = &self.job;
        let (peer, zone, id) = (&job.peer, job.zone(), &job.id);
        let waiting = || self.live.state().waiting.map(|w| w.to_string()).unwrap_or_default();
        Some(match job.phase {
            Phase::Await => {
                let text = format!(
                    "no result from {peer} for zone '{zone}', which stays down here; on {peer}: `zmigrate rollback {id}` gives the verdict; only if {peer} is gone for good, here: `zmigrate rollback {id} --target-is-gone {peer}`"
                );
                ("in-doubt", since(job.times.handed_off), text)
            }
            Phase::Settled | Phase::Receipt | Phase::Install(_) => {
                let text = format!(
                    "zone '{zone}' waits for {peer}: {}; only if {peer} is gone for good: `zmigrate retry {id} --source-is-gone {peer}`",
                    waiting()
                );
                ("no-ack", self.age(), text)
            }
            phase if phase.is_outage() && self.failures > 0 => {
                let error = self.error.clone().unwrap_or_default();
                let text = format!(
                    "zone '{zone}' is down, and {} has failed {} times: {error}; it is tried until the request's limits; `zmigrate cancel {id}` brings the zone back before",
                    phase.next().word(),
                    self.failures
                );
                ("overdue", self.failing.map(|since| since.elapsed()).unwrap_or_default(), text)
            }
            Phase::Ack => {
                let text = format!(
                    "zone '{zone}' is {peer}'s, which has not read that we know: its autoboot stays off there until then; waited for: {}",
                    waiting()
                );
                ("overdue", self.age(), text)
            }
            Phase::Release(_) => {
                let text = format!(
                    "zone '{zone}' is as it was found, which {peer} has not heard; waited for: {}",
                    waiting()
                );
                ("overdue", self.age(), text)
            }
            _ => return None,
        })
    }
}
