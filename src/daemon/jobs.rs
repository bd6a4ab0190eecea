//! Jobs come to life: from a request, from a peer's offer, from an operator's `finish`, and, when the daemon
//! starts, from the journals in `active/`.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use chrono::Utc;

use super::context::{Context, Entry};
use super::engine::Engine;
use super::{perform, report};
use crate::host::check::reservation;
use crate::host::live::Live;
use crate::job::event::Event;
use crate::job::name::{JobId, SnapshotName};
use crate::job::record::{Job, Role};
use crate::job::request::Request;
use crate::log::{Line, Severity};
use crate::spool::journal::{self, Journal};
use crate::spool::{JobDir, Place, SpoolError};

/// Begins a job by its first line.
///
/// # Errors
/// When the journal can't be written; the next start of the daemon, or the next look, begins it again.
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

/// Takes over everything in `active/`.
///
/// # Errors
/// When the spool can't be read. A job whose journal can't be true is set aside, and told.
pub fn take_over(context: &Arc<Context>) -> Result<(), SpoolError> {
    for dir in context.spool.jobs(Place::Active)? {
        let id = dir.id.clone();
        match fold(&dir) {
            Ok(Some((journal, job))) => start(context, dir, journal, job),
            Ok(None) => begin_again(context, dir)?,
            Err(why) => set_aside(context, &id, &why),
        }
    }
    Ok(())
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

/// A crash came between the folder and its first line. A request is there to begin from; an offer comes again.
fn begin_again(context: &Arc<Context>, dir: JobDir) -> Result<(), SpoolError> {
    let config = context.config();
    let text = std::fs::read_to_string(dir.request()).ok();
    let request = text.and_then(|text| Request::parse("request.toml", &text).ok());
    let Some(request) = request else {
        return crate::spool::durable::remove_dir_all(&dir.path);
    };
    let named = request.snapshot.clone();
    let Some(snapshot) = named.or_else(|| SnapshotName::new(format!("zmigrate-{}", dir.id)).ok()) else {
        set_aside(context, &dir.id, "its id makes no snapshot's name");
        return Ok(());
    };
    let first = Event::Admitted {
        job: dir.id.clone(),
        host: config.host.clone(),
        request: Box::new(request),
        snapshot,
        part: config.scratch.part,
    };
    begin(context, dir, &first)
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
        phase: Some(job.phase),
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
    let line = Line::new().field("job", id).field("event", "set-aside").field("error", why);
    context.log.write(Severity::Alert, &line);
}

/// Waits for all job threads, when the daemon stops.
pub fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        let _ = thread.join();
    }
}
