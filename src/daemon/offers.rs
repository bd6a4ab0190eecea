//! Dropboxes: offers that become jobs, questions of `plan`, and words about jobs that are over.
//!
//! A job that has ended is never taken up again: to whatever still arrives for it the same answer is put
//! again, from its journal. Jobs that go on look after their own files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::{Context, Entry};
use super::{dropboxes, jobs, perform, words};
use crate::cmd::zoneadm;
use crate::config::Config;
use crate::host::live::Live;
use crate::host::{plan, route};
use crate::job::code::{Code, Reason};
use crate::job::event::Event;
use crate::job::message::{
    self, Ack, Answer, Failure, Handoff, MAX_MESSAGE, Message, Offer, Reply, Verdict, Withdraw,
};
use crate::job::name::{HostName, JobId};
use crate::job::part::is_image_file;
use crate::job::phase::Ended;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::log::{Line, Severity};
use crate::spool::{Place, SpoolError};
use crate::transport::arrivals::{Arrivals, JobBox};

/// So many jobs of one peer are looked at in one go: no peer can make a look endless.
const AT_ONCE: usize = 1000;

/// Looks into every dropbox that only its peer can write.
pub fn look(context: &Arc<Context>) {
    let config = context.config();
    for peer in config.accept.keys().filter(|peer| dropboxes::may_look(context, &config, peer)) {
        let arrivals = Arrivals::new(config.dropbox(peer));
        if let Err(error) = look_at(context, &config, peer, &arrivals) {
            let line = Line::new().field("event", "deferred").field("peer", peer);
            context.tell_again(Severity::Warning, peer.as_str(), line, &error);
        }
    }
}

fn look_at(
    context: &Arc<Context>,
    config: &Config,
    peer: &HostName,
    arrivals: &Arrivals,
) -> anyhow::Result<()> {
    let active = context.jobs();
    // One that can't be dealt with keeps no other waiting.
    let mut first = Ok(());
    for id in arrivals.jobs(AT_ONCE)? {
        let done = look_at_job(context, config, peer, &active, &id, &arrivals.job(&id));
        first = first.and(done);
    }
    for id in arrivals.answered()? {
        let inbox = arrivals.job(&id);
        if !active.contains_key(&id) && !inbox.is_there() {
            first = first.and(inbox.forget().map_err(Into::into));
        }
    }
    first
}

fn look_at_job(
    context: &Arc<Context>,
    config: &Config,
    peer: &HostName,
    active: &BTreeMap<JobId, Entry>,
    id: &JobId,
    inbox: &JobBox,
) -> anyhow::Result<()> {
    const IN_USE: &str = "this id is in use on this host";
    match active.get(id) {
        Some(entry) if entry.role == Role::Target && entry.peer == *peer => Ok(()),
        Some(_) => refuse(id, inbox, IN_USE),
        None => match context.spool.find(id)? {
            Some(dir) if dir.place == Place::Active => Ok(()),
            Some(dir) => match jobs::read(&dir) {
                Ok(Some(job)) if job.role == Role::Target && job.peer == *peer => answer_again(&job, inbox),
                _ => refuse(id, inbox, IN_USE),
            },
            None => take_up(context, config, peer, id, inbox),
        },
    }
}

fn refuse(id: &JobId, inbox: &JobBox, why: &str) -> anyhow::Result<()> {
    if inbox.has_put(Answer::NAME) {
        return Ok(());
    }
    let Some(offer) = words::read_for::<Offer>(id, inbox, |_| {})? else { return Ok(()) };
    put_answer(id, inbox, offer.serial, Reply::Refused(vec![Reason::new(Code::Zone, why)]), Vec::new())
}

fn put_answer(
    id: &JobId,
    inbox: &JobBox,
    serial: u32,
    verdict: Reply,
    findings: Vec<String>,
) -> anyhow::Result<()> {
    let answer = Answer { serial, verdict, findings, commands: Vec::new() };
    Ok(inbox.put(Answer::NAME, &message::seal(id, answer))?)
}

/// A job that is over: the same answer as before, and no room for its images.
fn answer_again(job: &Job, inbox: &JobBox) -> anyhow::Result<()> {
    inbox.remove_all(is_image_file);
    let asks = inbox.has(Ack::NAME) || inbox.has(Withdraw::NAME) || inbox.has(Handoff::NAME);
    if asks {
        let known = job.verdict.clone().unwrap_or_default();
        let bytes = message::seal(&job.id, Verdict { acked: true, ..known });
        words::put_where_missing::<Verdict>(inbox, &bytes)?;
    }
    if job.ended() == Some(Ended::Refused) && !inbox.has_put(Answer::NAME) {
        words::put_answer(inbox, job, Reply::Refused(job.refusals.clone()))?;
    }
    Ok(())
}

fn take_up(
    context: &Arc<Context>,
    config: &Config,
    peer: &HostName,
    id: &JobId,
    inbox: &JobBox,
) -> anyhow::Result<()> {
    let handed_off = inbox.has(Handoff::NAME);
    if handed_off || inbox.has(Withdraw::NAME) {
        // Called off before it was looked at; or a handoff of a job that is not known here, which must not
        // wait for ever: nothing was taken, and that is the verdict.
        if !inbox.has_put(Verdict::NAME) {
            if handed_off && let Err(why) = nothing_was_taken(context, peer, id) {
                let line = Line::new().field("job", id).field("event", "held").field("what", "handoff");
                context.tell_again(Severity::Alert, id.as_str(), line, &why);
                return Ok(());
            }
            let error = format!("{} does not know this job", config.host);
            let error = Some(Failure::new("receive", Code::Other, error));
            inbox.put(
                Verdict::NAME,
                &message::seal(id, Verdict { acked: true, error, ..Verdict::default() }),
            )?;
        }
        return Ok(());
    }
    let Some(offer) = words::read_for::<Offer>(id, inbox, |_| {})? else { return Ok(()) };
    let answered = read_answer(id, inbox);
    if answered == Some(offer.serial) {
        return Ok(());
    }
    let serial = offer.serial;
    if offer.plan {
        return answer_plan(context, config, peer, id, inbox, offer);
    }
    if context.takes() >= config.jobs.offers as usize {
        let why = format!(
            "{} takes {} zones at once already: see `offers` in [jobs] there",
            config.host, config.jobs.offers
        );
        return put_answer(id, inbox, serial, Reply::Later(why), Vec::new());
    }
    let event = Event::Taken {
        job: id.clone(),
        host: config.host.clone(),
        peer: peer.clone(),
        offer: Box::new(offer),
    };
    let dir = match context.spool.create_job(id, &[]) {
        Ok(dir) => dir,
        Err(SpoolError::Exists { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    jobs::begin_or_leave(context, dir, &event)?;
    Ok(())
}

/// Is it true that this host has nothing of a job that it does not know? A spool may have been set back, or a folder moved
/// away, behind the attach: the source would boot the zone a second time.
fn nothing_was_taken(context: &Context, peer: &HostName, id: &JobId) -> Result<(), String> {
    let zone = id.zone();
    match zoneadm::zone(&context.programs(), &zone) {
        Ok(None) => Ok(()),
        Ok(Some(line)) => Err(format!(
            "{peer} hands zone '{zone}' over by a job that is not known here, where a zone of that name is {}; {peer} is not \
             answered, so that it does not boot it as well: if that is the one that was moved, put the job's folder back \
             into {} and restart zmigrate, or detach the zone here and delete its configuration, and {peer} takes it back",
            line.state.as_str(),
            context.spool.dir().join(Place::Active.folder()).display()
        )),
        Err(error) => Err(format!(
            "{peer} hands zone '{zone}' over by a job that is not known here, and whether the zone is can't be told: {error}"
        )),
    }
}

/// The serial that our answer in the dropbox is about.
fn read_answer(id: &JobId, inbox: &JobBox) -> Option<u32> {
    let bytes = inbox.read_put(Answer::NAME, MAX_MESSAGE)?;
    message::open::<Answer>(id, &bytes).ok().map(|answer| answer.serial)
}

/// `zmigrate plan`: everything that a check would say, and nothing is taken up.
fn answer_plan(
    context: &Arc<Context>,
    config: &Config,
    peer: &HostName,
    id: &JobId,
    inbox: &JobBox,
    offer: Offer,
) -> anyhow::Result<()> {
    let serial = offer.serial;
    let first = Event::Taken {
        job: id.clone(),
        host: config.host.clone(),
        peer: peer.clone(),
        offer: Box::new(offer.clone()),
    };
    let job = Job::begin(chrono::Utc::now(), &first)?;
    let programs = context.programs();
    let live = Live::default();
    let dir = crate::spool::JobDir { id: id.clone(), place: Place::Active, path: config.spool.clone() };
    let age = std::time::Duration::ZERO;
    let dropbox = Err(perform::no_dropbox());
    let at =
        perform::At { context, config, job: &job, programs: &programs, live: &live, dir: &dir, age, dropbox };
    let answer = match words::judge(&at, &offer) {
        Ok(mut judgement) => {
            let wanted = offer.request.target.route.as_ref().filter(|_| judgement.refusals.is_empty());
            let route = match wanted.map(|wanted| route::commands(&programs, wanted)).transpose() {
                Ok(commands) => commands.unwrap_or_default(),
                Err(why) => {
                    judgement.findings.push(format!("the route can't be added as the target is now: {why}"));
                    Vec::new()
                }
            };
            let commands = match (perform::place(config, &job), &judgement.effective) {
                (Ok(layout), Some(effective)) => plan::target(&job, &layout, effective, &route),
                _ => Vec::new(),
            };
            Answer { serial, verdict: judgement.reply(), findings: judgement.findings, commands }
        }
        Err(error) => Answer {
            serial,
            verdict: Reply::Later(error.to_string()),
            findings: Vec::new(),
            commands: Vec::new(),
        },
    };
    Ok(inbox.put(Answer::NAME, &message::seal(id, answer))?)
}
