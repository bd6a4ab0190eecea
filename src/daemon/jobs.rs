//! Jobs come to life: from a request, from a peer's offer, from an operator's `finish`, and, when the daemon
//! starts, from the journals in `active/`.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use chrono::Utc;

use super::context::{Context, Entry, Idle, Turn};
use super::engine::Engine;
use super::{perform, report};
use crate::host::check::reservation;
use crate::host::live::Live;
use crate::job::event::Event;
use crate::job::fault::Faults;
use crate::job::name::JobId;
use crate::job::record::Job;
use crate::job::request::Request;
use crate::job::role::Role;
use crate::log::{Line, Severity};
use crate::spool::journal::{self, Journal};
use crate::spool::{JobDir, Place, SpoolError, durable};

/// Begins a job by its first line.
///
/// # Errors
/// When the journal can't be written; nothing is begun, and the folder is there.
pub fn begin(context: &Arc<Context>, dir: JobDir, first: &Event) -> Result<(), SpoolError> {
    let mut journal: Journal<Event> = Journal::open(&dir.journal(), |_| {})?;
    let now = Utc::now();
    journal.append(now, first)?;
    match Job::begin(now, first) {
        Ok(job) => start(context, dir, journal, job),
        Err(error) => set_aside(context, &dir.id, &error.to_string()),
    }
    Ok(())
}

/// As [`begin`], for what comes again by itself, an offer or an ask: when it can't be begun, nothing stays.
///
/// # Errors
/// As for [`begin`].
pub fn begin_or_leave(context: &Arc<Context>, dir: JobDir, first: &Event) -> Result<(), SpoolError> {
    let path = dir.path.clone();
    begin(context, dir, first).inspect_err(|_| {
        if let Err(error) = durable::remove_dir_all(&path) {
            context.hold("active", &error);
        }
    })
}

/// As [`begin`], for a request: it lies in the folder, and [`look`] begins it once that can be done.
///
/// # Errors
/// As for [`begin`].
pub fn begin_or_wait(context: &Arc<Context>, dir: JobDir, first: &Event) -> Result<(), SpoolError> {
    let waits = dir.clone();
    begin(context, dir, first).inspect_err(|_| context.lay_idle(&waits.id, Idle::Unbegun(waits.clone())))
}

/// Takes over everything in `active/`.
///
/// # Errors
/// When the spool can't be read. A job whose journal can't be true is set aside, and told.
pub fn take_over(context: &Arc<Context>) -> Result<(), SpoolError> {
    for dir in context.spool.jobs(Place::Active)? {
        let id = dir.id.clone();
        match fold(&dir) {
            Ok(Some((journal, job))) => start(context, dir, journal, job),
            Ok(None) => context.lay_idle(&id, Idle::Unbegun(dir)),
            Err(why) => set_aside(context, &id, &why),
        }
    }
    look(context);
    Ok(())
}

/// Begins what could not be begun so far, and reminds of what is set aside.
pub fn look(context: &Arc<Context>) {
    for (id, idle) in context.idle() {
        match idle {
            Idle::Aside(_) if matches!(context.spool.find(&id), Ok(None)) => context.is_gone(&id),
            Idle::Aside(why) => tell_aside(context, &id, &why),
            Idle::Unbegun(dir) => match begin_again(context, dir) {
                Ok(()) => context.is_begun(&id),
                Err(error) => context.hold("active", &error),
            },
        }
    }
}

fn fold(dir: &JobDir) -> Result<Option<(Journal<Event>, Job)>, String> {
    let mut job = None;
    let journal =
        Journal::open(&dir.journal(), |entry| take_in(&mut job, &entry)).map_err(|e| e.to_string())?;
    Ok(job.transpose()?.map(|job| (journal, job)))
}

/// Reads a job, wherever it is, without changing anything.
///
/// # Errors
/// In words, when its journal can't be read or can't be true.
pub fn read(dir: &JobDir) -> Result<Option<Job>, String> {
    let mut job = None;
    journal::read(&dir.journal(), |entry| take_in(&mut job, &entry)).map_err(|e| e.to_string())?;
    job.transpose()
}

/// One more line of a journal; behind one that can't be true nothing counts.
fn take_in(job: &mut Option<Result<Job, String>>, entry: &journal::Entry<Event>) {
    *job = Some(match job.take() {
        None => Job::begin(entry.at, &entry.event).map_err(|e| e.to_string()),
        Some(Ok(mut job)) => job.apply(entry.at, &entry.event).map(|()| job).map_err(|e| e.to_string()),
        Some(Err(why)) => Err(why),
    });
}

/// A crash, or a full spool, came between the folder and its first line. A request is there to begin from; an offer or an
/// ask comes again. One that can't be read is set aside, never lost.
fn begin_again(context: &Arc<Context>, dir: JobDir) -> Result<(), SpoolError> {
    let id = dir.id.clone();
    let aside = |why: String| {
        set_aside(context, &id, &why);
        Ok(())
    };
    let config = context.config();
    let text = match std::fs::read_to_string(dir.request()) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return durable::remove_dir_all(&dir.path);
        }
        Err(error) => return aside(format!("request.toml can't be read: {error}")),
    };
    let request = match Request::parse("request.toml", &text) {
        Ok(request) => request,
        Err(faults) => return aside(Faults(faults).to_string()),
    };
    match Event::admitted(&dir.id, &config.host, request, config.scratch.part) {
        Ok(first) => begin(context, dir, &first),
        Err(_) => aside("its id makes no snapshot's name".to_owned()),
    }
}

fn start(context: &Arc<Context>, dir: JobDir, journal: Journal<Event>, job: Job) {
    let live = Arc::new(Live::new(report::job_log(&dir.log()), chrono::Utc::now));
    let config = context.config();
    // What was accepted stays reserved over a restart.
    let reserved = match (&job.offer, perform::place(&config, &job)) {
        (Some(offer), Ok(layout)) if job.role == Role::Target && job.phase.verdict().is_none() => {
            Some(reservation(&job.id, offer, &layout))
        }
        _ => None,
    };
    let entry = Entry {
        role: job.role,
        zone: job.zone().clone(),
        peer: job.peer.clone(),
        phase: job.phase,
        turn: Turn::ByPhase,
        reserved,
        live: Arc::clone(&live),
    };
    let id = job.id.clone();
    context.register(&id, entry);
    let engine = Engine::new(Arc::clone(context), dir, journal, job, live);
    let thread = thread::Builder::new().name(id.to_string()).spawn(move || engine.run());
    match thread {
        Ok(thread) => context.keep(thread),
        Err(error) => {
            let line = Line::new().field("job", &id).field("event", "held").field("error", error);
            context.log.write(Severity::Alert, &line);
        }
    }
}

/// A journal that can't be true: nothing is done for the job, its zone is kept from other jobs, a person must look.
fn set_aside(context: &Arc<Context>, id: &JobId, why: &str) {
    context.lay_idle(id, Idle::Aside(why.to_owned()));
    tell_aside(context, id, why);
}

fn tell_aside(context: &Context, id: &JobId, why: &str) {
    let line = Line::new().field("job", id).field("event", "set-aside");
    context.tell_again(Severity::Alert, id.as_str(), line, &why);
}

/// Waits for all job threads, when the daemon stops.
pub fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join();
    }
}
