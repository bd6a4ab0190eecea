//! The limits of a request, `give_up` and `max_outage`: when they pass. Pure; the caller passes the time in.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::record::Job;

/// The limit that has passed at `now`, in words. Limits count only before the handoff.
pub fn limit_passed(job: &Job, now: DateTime<Utc>) -> Option<String> {
    next_limit(job).filter(|(at, _)| *at < now).map(|(_, text)| text)
}

/// When the first limit passes, and the text to report then. Limits count only before the handoff.
pub fn next_limit(job: &Job) -> Option<(DateTime<Utc>, String)> {
    if !job.phase.source_may_turn_back() {
        return None;
    }
    let begun = job.times.begun?.max(job.request.not_before.unwrap_or(DateTime::<Utc>::MIN_UTC));
    let limit = |name: &str, since: DateTime<Utc>, limit: Duration| {
        let at = TimeDelta::from_std(limit).ok().and_then(|limit| since.checked_add_signed(limit));
        at.map(|at| (at, format!("{name} of {} s is over", limit.as_secs())))
    };
    let give_up = limit("give_up", begun, job.request.give_up);
    let outage = job.request.max_outage.zip(job.times.down);
    let outage = outage.and_then(|(max, down)| limit("max_outage", down, max));
    give_up.into_iter().chain(outage).min_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::event::Event;
    use crate::job::name::{Bytes, HostName, JobId, SnapshotName, ZoneName};
    use crate::job::request::Request;

    #[test]
    fn a_limit_passes_only_after_its_moment() {
        let begun = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let mut request = Request::new(ZoneName::new("db").unwrap(), HostName::new("zhost2").unwrap());
        request.give_up = Duration::from_secs(60);
        let first = Event::Admitted {
            job: JobId::new("db-20070518T033600Z-7f3a").unwrap(),
            host: HostName::new("zhost1").unwrap(),
            request: Box::new(request),
            snapshot: SnapshotName::new("migrate").unwrap(),
            part: Bytes(1 << 20),
        };
        let mut job = Job::begin(begun, &first).unwrap();
        let at = |millis: i64| begun + TimeDelta::milliseconds(millis);
        assert_eq!(limit_passed(&job, at(60_000)), None);
        assert_eq!(limit_passed(&job, at(60_001)).unwrap(), "give_up of 60 s is over");
        // The time before `not_before` does not count.
        job.request.not_before = Some(at(10_000));
        assert_eq!(next_limit(&job).unwrap().0, at(70_000));
        // The first of the two limits counts.
        job.request.max_outage = Some(Duration::from_secs(5));
        job.times.down = Some(at(20_000));
        assert_eq!(next_limit(&job).unwrap(), (at(25_000), "max_outage of 5 s is over".to_owned()));
    }
}
