//! A job as `status` and `watch` tell it: the journal's fold and the daemon's last word, put together. Its fields
//! are the JSON of `zmigrate status --json`. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::job::code::Reason;
use crate::job::message::Failure;
use crate::job::name::{Bytes, DatasetName};
use crate::job::phase::Ended;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::job::status::{ImageStatus, Status};
use crate::spool::Place;

use super::look::Look;
use super::timeline::Moment;

/// One job. Times are UTC, sizes bytes; what is not known or does not apply is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Its id.
    pub job: String,
    /// `active`, `done` or `failed`.
    pub place: &'static str,
    /// `source`, `target` or `finish`; absent before the journal's first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The zone.
    pub zone: String,
    /// The source's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The target's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The request's ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// The step that is due; `end` when none is.
    pub step: &'static str,
    /// Since when it has been due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// The journal's first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<DateTime<Utc>>,
    /// What the step waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Since when it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<DateTime<Utc>>,
    /// How the step's last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Tries of the step that failed in a row.
    pub failures: u32,
    /// What needs an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// When the daemon wrote the five above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<DateTime<Utc>>,
    /// Source: since when the zone has been down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_since: Option<DateTime<Utc>>,
    /// Source: how long the zone was, or has been, down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage_seconds: Option<u64>,
    /// `ok`, `failed`, `refused` or `cancelled`, once that is certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'static str>,
    /// What went wrong first: the step and the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why the target refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Reason>,
    /// Where a returned zone's received datasets are kept on the target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// Why the journal could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The images, in the order in which they travel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageStatus>,
    /// What happened; only of a job that was asked for by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
}

impl Report {
    /// Tells what was looked at. `now` is the wall clock's time, for an outage that goes on.
    pub fn new(look: &Look, now: DateTime<Utc>) -> Self {
        let mut report = Self {
            job: look.dir.id.to_string(),
            place: look.dir.place.folder(),
            zone: super::find::zone_of(&look.dir.id).to_owned(),
            step: "admitted",
            fault: look.fault.clone(),
            ..Self::default()
        };
        if let Some(job) = &look.job {
            report.fold(job, now);
        }
        if let Some(status) = &look.status {
            report.evidence(status, look.dir.place == Place::Active);
        }
        report
    }

    /// The same, with what happened.
    #[must_use]
    pub fn with_timeline(mut self, look: &Look) -> Self {
        self.timeline.clone_from(&look.timeline);
        self
    }

    fn fold(&mut self, job: &Job, now: DateTime<Utc>) {
        let (from, to) = job.from_to();
        self.role = Some(job.role.word());
        self.zone = job.zone().to_string();
        self.from = Some(from.to_string());
        self.to = Some(to.to_string());
        self.ticket.clone_from(&job.request.ticket);
        self.step = job.phase.next().word();
        self.since = job.times.phase;
        self.begun = job.times.begun;
        self.outage_seconds = outage(job, now).map(|length| length.as_secs());
        self.down_since = if job.times.up.is_none() && was_running(job) { job.times.down } else { None };
        self.result = job.ended().map(result);
        self.failure.clone_from(&job.failure);
        self.refusals.clone_from(&job.refusals);
        let verdict_kept = job.verdict.as_ref().map(|v| v.kept.as_slice()).unwrap_or_default();
        let kept: &[DatasetName] = if job.kept.is_empty() { verdict_kept } else { &job.kept };
        self.kept = kept.iter().map(ToString::to_string).collect();
    }

    /// Takes over what only the daemon knows. Of a step that is over nothing is said any more.
    fn evidence(&mut self, status: &Status, active: bool) {
        self.images.clone_from(&status.images);
        self.updated = Some(status.updated);
        if active {
            self.alert.clone_from(&status.alert);
        }
        if active && status.step == self.step {
            self.waiting.clone_from(&status.waiting);
            self.waiting_since = status.waiting_since;
            self.error.clone_from(&status.error);
            self.failures = status.failures;
        }
    }

    /// Bytes that have arrived, and all there are, over all images.
    pub fn totals(&self) -> (Bytes, Bytes) {
        let arrived = self.images.iter().map(|image| arrived(image).0).sum();
        let all = self.images.iter().map(|image| whole(image).0).sum();
        (Bytes(arrived), Bytes(all))
    }

    /// Source: bytes that are in the dropbox, over all images; the target knows nothing of that.
    pub fn copied(&self) -> Option<Bytes> {
        let copied = |image: &ImageStatus| if image.done { whole(image) } else { image.copied };
        (self.role == Some(Role::Source.word())).then(|| Bytes(self.images.iter().map(|i| copied(i).0).sum()))
    }
}

/// Bytes of an image at the end of its way.
pub fn arrived(image: &ImageStatus) -> Bytes {
    if image.done { whole(image) } else { image.received }
}

/// An image's size. It is estimated until it has been sent, so what has been seen of it may be more.
pub fn whole(image: &ImageStatus) -> Bytes {
    image.size.max(image.sent).max(image.copied).max(image.received)
}

/// The word for how a job ended.
pub fn result(ended: Ended) -> &'static str {
    match ended {
        Ended::Ok => "ok",
        Ended::Failed => "failed",
        Ended::Refused => "refused",
        Ended::Cancelled => "cancelled",
    }
}

fn was_running(job: &Job) -> bool {
    job.survey.is_some() && job.ran
}

/// How long the zone that ran was down, by the source's clock.
fn outage(job: &Job, now: DateTime<Utc>) -> Option<Duration> {
    if job.role != Role::Source || !was_running(job) {
        return None;
    }
    let down = job.times.down?;
    Some((job.times.up.unwrap_or(now) - down).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_was_too_small_grows_and_a_finished_image_is_whole() {
        let image = |size, sent, received, done| ImageStatus {
            dataset: "d".into(),
            size: Bytes(size),
            sent: Bytes(sent),
            copied: Bytes(0),
            received: Bytes(received),
            done,
        };
        let report = Report {
            images: vec![image(10, 12, 8, false), image(7, 0, 0, true), image(5, 0, 0, false)],
            ..Report::default()
        };
        assert_eq!(report.totals(), (Bytes(15), Bytes(24)));
    }
}
