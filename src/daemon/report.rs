//! What a job says to people: the outcome line, `status.json`, the job's log.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::host::live::Live;
use crate::job::code::Reason;
use crate::job::name::Bytes;
use crate::job::phase::Ended;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::job::status::{Status, VERSION};
use crate::log::{Ending, Outcome};
use crate::spool::{JobDir, durable};

/// Steps whose time the outcome line tells, in the order of a migration.
pub const TOLD: [&str; 10] =
    ["shutdown", "detach", "snapshot", "send", "copy", "receive", "rename", "attach", "boot", "verify"];

/// The outcome of a job whose verdict is known.
pub fn outcome(job: &Job, now: DateTime<Utc>) -> Outcome {
    let ended = job.ended().unwrap_or(Ended::Failed);
    let ending = match ended {
        Ended::Ok => Ending::Ok,
        Ended::Refused => Ending::Refused,
        Ended::Cancelled => Ending::Cancelled,
        Ended::Failed => Ending::Failed { undone: true },
    };
    let (from, to) = job.from_to();
    let between = |from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>| (to? - from?).to_std().ok();
    let mut outcome = Outcome::new(ending, job.host.clone(), now);
    outcome.job = Some(job.id.clone());
    outcome.role = Some(job.role.word());
    outcome.zone = Some(job.zone().clone());
    outcome.from = Some(from.clone());
    outcome.to = Some(to.clone());
    outcome.bytes = Some(job.bytes).filter(|bytes| bytes.0 > 0);
    outcome.downtime =
        between(job.times.down, job.times.up.or(Some(now))).filter(|_| job.role == Role::Source);
    outcome.total = between(job.times.begun, Some(now));
    // The source knows the target's times from the verdict.
    let told = job.verdict.as_ref().map(|verdict| &verdict.took);
    let took = |word: &str| {
        let here = job.times.took.get(word).map(|ms| Duration::from_millis(*ms));
        let there = told.and_then(|took| took.get(word)).map(|seconds| Duration::from_secs(*seconds));
        if job.role == Role::Source && matches!(word, "rename" | "attach" | "boot" | "verify") {
            there
        } else {
            here
        }
    };
    outcome.steps = TOLD.into_iter().filter_map(|word| Some((word, took(word)?))).collect();
    outcome.ticket = job.request.ticket.clone();
    let failure = job
        .failure
        .as_ref()
        .filter(|_| ended != Ended::Ok || job.verdict.as_ref().is_some_and(|v| v.error.is_some()));
    outcome.step = failure.map(|failure| failure.step.clone());
    outcome.error = match (ended, failure) {
        (Ended::Refused, _) if !job.refusals.is_empty() => Some(Reason::texts(&job.refusals).join("; ")),
        (_, failure) => failure.map(|failure| failure.error.clone()),
    };
    let kept = job.verdict.as_ref().map(|v| v.kept.as_slice()).unwrap_or_default();
    if !kept.is_empty() {
        let names: Vec<_> = kept.iter().map(|name| name.as_str()).collect();
        let written = job.verdict.as_ref().and_then(|v| v.written).unwrap_or(Bytes(0));
        let error = outcome.error.take().unwrap_or_default();
        outcome.error =
            Some(format!("{error}; kept on {to}: {} with {written} written there", names.join(" ")));
    }
    outcome
}

/// The word of a verdict.
pub fn result_word(ended: Ended) -> &'static str {
    match ended {
        Ended::Ok => "ok",
        Ended::Failed => "failed",
        Ended::Refused => "refused",
        Ended::Cancelled => "cancelled",
    }
}

/// What `status.json` says.
pub fn status(
    job: &Job,
    live: &Live,
    failures: u32,
    error: Option<String>,
    alert: Option<String>,
    now: DateTime<Utc>,
) -> Status {
    let state = live.state();
    let (from, to) = job.from_to();
    let begun = job.times.begun.unwrap_or(now);
    Status {
        v: VERSION,
        job: job.id.clone(),
        role: job.role.word().to_owned(),
        zone: job.zone().clone(),
        from: from.clone(),
        to: to.clone(),
        ticket: job.request.ticket.clone(),
        step: job.phase.next().word().to_owned(),
        since: job.times.phase.unwrap_or(begun),
        begun,
        updated: now,
        waiting: state.waiting.as_ref().map(ToString::to_string),
        waiting_since: state.waiting.as_ref().and_then(|waiting| waiting.since),
        error,
        failures,
        alert,
        down_since: job.times.down.filter(|_| job.times.up.is_none()),
        result: job.ended().map(|ended| result_word(ended).to_owned()),
        images: state.images.clone(),
    }
}

/// Do two say the same, but for the time at which they were written?
pub fn same(a: &Status, b: &Status) -> bool {
    let b = Status { updated: a.updated, ..b.clone() };
    *a == b
}

/// Writes `status.json`. That it can't be written harms nothing but the view.
pub fn write(dir: &JobDir, status: &Status) {
    if let Ok(bytes) = serde_json::to_vec(status) {
        let _ = durable::write_unsynced(&dir.status(), &bytes);
    }
}

/// Appends to a job's log: a line with the time in front.
pub fn job_log(path: &Path) -> impl Fn(&str) + Send + Sync + 'static + use<> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok().map(Mutex::new);
    move |line| {
        if let Some(mut file) = file.as_ref().and_then(|file| file.lock().ok()) {
            let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            // One write: lines of several threads do not mix. A full disk loses the line, nothing else.
            let _ = file.write_all(format!("{now} {line}\n").as_bytes());
        }
    }
}
