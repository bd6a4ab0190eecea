//! When the old copy goes: on an operator's word, or when the request's `keep` is over.

use std::sync::Arc;

use chrono::Utc;

use super::context::Context;
use super::jobs;
use crate::job::event::Event;
use crate::job::name::JobId;
use crate::job::phase::{Ended, Phase};
use crate::job::record::Job;
use crate::job::request::Keep;
use crate::job::role::Role;
use crate::log::{Line, Severity};
use crate::spool::{JobDir, Place, SpoolError, durable};

/// In a done job's folder: the finish that was begun for it.
const FINISHED: &str = "finished";

/// Looks at asks for `finish`, and, now and then, at what has been kept long enough.
///
/// # Errors
/// When the spool can't be read or written; the ask stays.
pub fn look(context: &Arc<Context>) -> Result<(), SpoolError> {
    for ask in context.all_asks() {
        if context.jobs().contains_key(&ask.job) && ask.verb != "finish" {
            // The job's own thread answers.
            continue;
        }
        let answer = match (ask.verb.as_str(), context.spool.find(&ask.job)?) {
            ("finish", Some(dir)) if dir.place == Place::Done => begin(context, &dir, By::Operator)?,
            ("finish", Some(_)) => {
                Err("only a migration that ended well on its source is finished".to_owned())
            }
            (_, Some(dir)) if dir.place == Place::Active => Err("it is set aside, see its alert".to_owned()),
            (_, Some(_)) => Err("it is over".to_owned()),
            (_, None) => Err("there is no such job".to_owned()),
        };
        let Err(why) = answer else {
            context.answered(&ask);
            continue;
        };
        let line = Line::new()
            .field("job", &ask.job)
            .field("event", "ask-refused")
            .field("ask", &ask.verb)
            .field("error", &why);
        context.log.write(Severity::Warning, &line);
        context.refused(&ask, &why);
    }
    if context.is_keep_due() {
        for dir in context.spool.jobs(Place::Done)? {
            if let Ok(Some(job)) = jobs::read(&dir)
                && is_kept_long_enough(&job)
            {
                let _ = begin(context, &dir, By::Itself)?;
            }
        }
    }
    Ok(())
}

fn is_kept_long_enough(job: &Job) -> bool {
    let Keep::For(keep) = job.request.source.keep else { return false };
    let over = |verdict: chrono::DateTime<Utc>| (Utc::now() - verdict).to_std().is_ok_and(|age| age >= keep);
    job.role == Role::Source && job.times.verdict.is_some_and(over)
}

/// On whose word the old copy goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// An operator's, who may say it again when it has failed.
    Operator,
    /// The request's `keep`: once. What stood against it is in the outcome, and stays until somebody acts.
    Itself,
}

/// Begins the finish of a done migration, once.
fn begin(context: &Arc<Context>, of: &JobDir, by: By) -> Result<Result<(), String>, SpoolError> {
    let job = match jobs::read(of) {
        Ok(Some(job)) if job.role == Role::Source && job.phase == Phase::Ended(Ended::Ok) => job,
        Ok(_) => return Ok(Err("only a migration that ended well on its source is finished".to_owned())),
        Err(why) => return Ok(Err(why)),
    };
    let mark = of.path.join(FINISHED);
    if let Ok(text) = std::fs::read_to_string(&mark)
        && let Ok(id) = JobId::new(text.trim())
        && let Some(dir) = context.spool.find(&id)?
        && (dir.place != Place::Failed || by == By::Itself)
    {
        return Ok(Err(format!("job {id} has finished it, has tried to, or is about to")));
    }
    if let Some(holder) = context.holder_of(job.zone()) {
        return Ok(Err(format!("zone '{}' is in job {holder}", job.zone())));
    }
    let salt = u16::from_str_radix(&of.id.as_str()[of.id.as_str().len() - 4..], 16).unwrap_or(0);
    let id = JobId::for_zone(job.zone(), Utc::now(), salt.wrapping_add(1));
    let first = Event::FinishAsked {
        job: id.clone(),
        host: job.host.clone(),
        of: job.id.clone(),
        request: Box::new(job.request.clone()),
        datasets: job.datasets.clone(),
        guids: job.guids.clone(),
        snapshot: job.snapshot.clone(),
        zonepath: job.survey.as_ref().map(|s| s.zone.zonepath.clone()).unwrap_or_default(),
    };
    // The mark first: a crash in between leaves a mark without a job, which counts as none.
    durable::write(&mark, format!("{id}\n").as_bytes())?;
    let dir = context.spool.create_job(&id, &[])?;
    jobs::begin_or_leave(context, dir, &first)?;
    Ok(Ok(()))
}
