//! The two long steps: sending and receiving images, with what they need of the daemon around them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::perform::{At, Memory, dropbox, inbox, layout, nothing_accepted, stage};
use super::{dropboxes, words};
use crate::host::receive::{Receive, Received};
use crate::host::send::{Send, Sent};
use crate::host::{Done, StepError, features, quarantine};
use crate::job::code::Code;
use crate::job::event::{Cause, Event};
use crate::job::handoff::applied;
use crate::job::image::images;
use crate::job::limits::limit_passed;
use crate::job::message::{self, Failure, Handoff, Message, Reply, Revoked, Withdraw};
use crate::job::part::entry_name;
use crate::job::progress::Progress;
use crate::job::step::Step;
use crate::log::Severity;

/// Progress is put this often at most, but for what the source waits for.
const REPORT: Duration = Duration::from_millis(500);

/// Source: `zfs send ∥ copy`, until the target has everything.
pub fn send(at: &At<'_>) -> Result<Done, StepError> {
    let job = at.job;
    if let Some(survey) = &job.survey {
        at.live.plan(&images(job), &survey.datasets);
    }
    let begun = Instant::now();
    let stage = stage(at.config, job);
    let dropbox = dropbox(at)?;
    let send = Send {
        programs: at.programs,
        job,
        wire: features::wire(at.programs, job)?,
        stage: &stage,
        share: at.config.sender_share(),
        dropbox: &dropbox,
        connections: at.config.peers.get(&job.peer).map_or(1, |peer| peer.transport.connections()),
        pace: &|bytes, is_over| {
            at.context.bandwidth.pass(
                bytes,
                || at.context.config().jobs.bandwidth,
                || is_over() || at.context.is_stopping(),
                |pause| at.context.bell.wait(at.context.bell.count(), pause),
            )
        },
        live: at.live,
        deferred: &|why| {
            at.context.tell(Severity::Warning, job, |line| {
                line.field("event", "deferred").field("step", Step::Send.word()).field("error", why)
            });
        },
        interrupted: &|| at.context.is_called(&job.id) || limit_passed(job, chrono::Utc::now()).is_some(),
        // From the journal: a restart does not make the account begin anew.
        elapsed: &|| at.age + begun.elapsed(),
    };
    Ok(match send.run()? {
        Sent::Delivered { bytes, entries, took } => Done::Event(Event::Delivered { bytes, entries, took }),
        Sent::TargetFailed(verdict) => words::turned_back_by(job, &verdict),
        Sent::Interrupted => Done::wait("an operator, a limit or the daemon's end to be looked at"),
    })
}

/// Target: parts into quarantine, and everything else that may come meanwhile.
pub fn receive(at: &At<'_>, memory: &mut Memory) -> Result<Done, StepError> {
    let job = at.job;
    let inbox = inbox(at.config, job)?;
    if let Some(reason) = words::withdrawal(at, &inbox)? {
        return Ok(words::withdrawn(&reason));
    }
    words::put_answer(&inbox, job, Reply::Accepted)?;
    let layout = layout(at)?;
    if let Some(done) = words::reoffered(at, &inbox)? {
        // What has come under one offer would not be found by another one's names.
        let nothing_came = quarantine::found(at.programs, &layout)?.is_empty();
        let why = format!("{} offered anew, behind what it has sent", job.peer);
        return Ok(if nothing_came { done } else { turned_back(why) });
    }
    let datasets = job.survey.as_ref().map(|s| s.datasets.as_slice()).unwrap_or_default();
    let images = images(job);
    let handoff = words::read::<Handoff>(at, &inbox)?;
    // Parts of an image that was received are gone: a first entry is that of another attempt, from a later
    // snapshot.
    if memory.received.is_some() && images.iter().any(|image| inbox.has(&entry_name(&image.stem, 0))) {
        memory.received = None;
    }
    if memory.received.is_some() {
        if let Some(handoff) = handoff {
            return Ok(take(job, memory, handoff));
        }
        // The last report may have found no room, and the source waits for just that one.
        let progress = message::seal(&job.id, memory.progress.clone());
        words::put_where_missing::<Progress>(&inbox, &progress)?;
        return Ok(Done::wait(format!("{} to hand the zone off", job.peer)));
    }
    at.live.plan(&images, datasets);
    // Nothing is made here before something has come: until then the zone still runs over there.
    let begun = handoff.is_some()
        || memory.reported.is_some()
        || images.first().is_some_and(|image| inbox.has(&entry_name(&image.stem, 0)));
    if !begun && quarantine::found(at.programs, &layout)?.is_empty() {
        return Ok(Done::wait(format!("the first part from {}", job.peer)));
    }
    at.config.accept.get(&job.peer).ok_or_else(|| nothing_accepted(at))?;
    let features = match memory.features {
        Some(features) => features,
        None => *memory.features.insert(features::ask(at.programs)?),
    };
    let mut progress = std::mem::take(&mut memory.progress);
    if progress.run == 0 {
        // Another number in each process: a source that sees it looks again whether all its parts are here.
        progress.run = chrono::Utc::now().timestamp_micros().unsigned_abs();
    }
    let reported = std::cell::Cell::new(memory.reported);
    let report = |progress: &Progress, at_once: bool| {
        let due = reported.get().is_none_or(|at| at.elapsed() >= REPORT);
        if at_once || due {
            reported.set(Some(Instant::now()));
            let _ = inbox.put_progress(Progress::NAME, &message::seal(&job.id, progress.clone()));
        }
    };
    // Asked at each MiB; who owns the dropbox is asked of the name service, which may be slow.
    let judged = Mutex::new(None::<(Instant, bool)>);
    let is_laid_open = || {
        let mut judged = judged.lock().unwrap_or_else(PoisonError::into_inner);
        match *judged {
            Some((at, laid_open)) if at.elapsed() < REPORT => laid_open,
            _ => {
                let laid_open = dropboxes::judge(at.config, &job.peer).is_err();
                *judged = Some((Instant::now(), laid_open));
                laid_open
            }
        }
    };
    let receive = Receive {
        programs: at.programs,
        job,
        layout: &layout,
        inbox: &inbox,
        features,
        live: at.live,
        report: &report,
        wait: &|at_most| {
            at.context.bell.wait(at.context.bell.count(), at_most.min(Duration::from_millis(250)))
        },
        interrupted: &|| {
            at.context.is_called(&job.id)
                || !inbox.is_there()
                || [Withdraw::NAME, Handoff::NAME, Revoked::NAME].iter().any(|name| inbox.has(name))
                || is_laid_open()
        },
    };
    let result = receive.run(&mut progress);
    // What holds receiving up is the source's business, too: its operator looks there.
    progress.waiting = result.as_ref().err().map(ToString::to_string);
    let _ = inbox.put_progress(Progress::NAME, &message::seal(&job.id, progress.clone()));
    memory.progress = progress;
    memory.reported = reported.get().or_else(|| Some(Instant::now()));
    match result? {
        Received::All(guids) => {
            memory.received = Some(guids);
            at.context.bell.ring();
            Ok(Done::wait(format!("{} to hand the zone off", job.peer)))
        }
        // Not everything is here, and yet it was handed off.
        Received::Interrupted => match handoff {
            Some(handoff) => Ok(take(job, memory, handoff)),
            None => Ok(Done::wait("the source's next word")),
        },
    }
}

/// The handoff is here: the zone is ours, if it is what was received.
fn take(job: &crate::job::record::Job, memory: &Memory, handoff: Handoff) -> Done {
    if memory.received.as_ref() != Some(&handoff.guids) {
        return turned_back("what was handed off is not what was received".to_owned());
    }
    let offered = job.survey.as_ref().map(|survey| survey.datasets.as_slice()).unwrap_or_default();
    match applied(offered, &handoff.changed) {
        Ok(_) => Done::Event(Event::HandoffTaken { handoff: Box::new(handoff) }),
        Err(reasons) => turned_back(reasons.join("; ")),
    }
}

fn turned_back(error: String) -> Done {
    Done::Event(Event::TurnedBack {
        cause: Cause::Failed,
        failure: Failure::new("receive", Code::Other, error),
    })
}
