//! The looking of `zmigrate plan`: a survey here, and an offer to the peer that is marked as a question only, so
//! that its daemon answers as it would to a real one, takes up no job and reserves nothing.
//!
//! Guarantees: no command that is run here changes anything, and the question and its answer are gone from the dropbox when this
//! returns, on a signal, too; only where the peer's daemon does not run does the answer's directory wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cmd::zoneadm;
use crate::config::Config;
use crate::host::{environment, plan as commands, survey};
use crate::job::code::{Code, Reason};
use crate::job::event::Event;
use crate::job::message::{self, Answer, MAX_MESSAGE, Message, Offer, Reply};
use crate::job::name::{Bytes, DatasetName, HostName, JobId};
use crate::job::record::Job;
use crate::job::request::Request;
use crate::job::survey::Survey;
use crate::job::{image, layout};
use crate::process::Programs;
use crate::spool::Place;
use crate::transport::{Dropbox, TransportError};

use super::context::{Context, warn};
use super::error::CliError;
use super::{clock, find};

/// What would happen. Its fields are the JSON of `zmigrate plan --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The zone.
    pub zone: String,
    /// The source, in whose role this host looked.
    pub source: Side,
    /// The target; its lists are empty when it did not answer, and `refusals` says so.
    pub target: Side,
    /// Every reason why it would not be begun; empty: it would.
    pub refusals: Vec<Reason>,
    /// What would travel, in this order.
    pub datasets: Vec<Travel>,
}

/// One host's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The host.
    pub host: HostName,
    /// What was found there, a line each.
    pub findings: Vec<String>,
    /// The commands that would run there, in order.
    pub commands: Vec<String>,
}

/// One dataset's way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Travel {
    /// Its name on the source.
    pub name: DatasetName,
    /// Its name on the target.
    pub to: DatasetName,
    /// Its image's size, an estimate.
    pub bytes: Bytes,
}

/// How long the peer's daemon may take to clear its answer away, once the question is gone.
const CLEARING: Duration = Duration::from_secs(10);

/// Looks on both hosts, with so much patience for the peer's answer. A peer that does not answer is a refusal of the
/// plan; what was found here is told all the same.
///
/// # Errors
/// A zone that is not here or can't be surveyed; a signal.
pub fn make(context: &Context, request: &Request, patience: Duration) -> Result<Plan, CliError> {
    let config = &context.config;
    let zone = &request.zone;
    let programs = Programs::new(config.commands.path.clone(), config.commands.timeout);
    if zoneadm::zone(&programs, zone).map_err(|e| CliError::failed(e.to_string()))?.is_none() {
        return Err(CliError::bad([format!("zone '{zone}' is not on this host")]));
    }
    let survey = survey::survey(&programs, zone).map_err(|e| CliError::failed(e.to_string()))?;
    let job = job(config, request, &survey)?;

    let mut refusals = Vec::new();
    if let Ok(active) = context.spool.jobs(Place::Active)
        && let Some(holder) = active.iter().find(|dir| find::zone_of(&dir.id) == zone.as_str())
    {
        refusals.push(Reason::new(Code::Zone, format!("zone '{zone}' is in job {} already", holder.id)));
    }
    let room = survey::look_for_room(config, &survey.datasets, config.scratch.part);
    refusals.extend(room.err().map(|why| Reason::new(why.code, why.text)));
    let datasets = travels(request, &survey, &mut refusals);
    let mut found = findings(&survey);
    found.extend(environment::warning(&programs, zone.as_str()));
    let source = Side { host: config.host.clone(), findings: found, commands: commands::source(&job) };
    let mut target = Side { host: request.to.clone(), findings: Vec::new(), commands: Vec::new() };
    match ask(config, &job, survey, patience)? {
        Ok(answer) => {
            target.findings = answer.findings;
            target.commands = answer.commands;
            match answer.verdict {
                Reply::Accepted => {}
                Reply::Refused(reasons) => refusals.extend(reasons),
                Reply::Later(why) => {
                    let text = format!("{} says: not now: {why}", request.to);
                    refusals.push(Reason::new(Code::Busy, text));
                }
            }
        }
        Err(silence) => refusals.push(Reason::new(Code::Unreachable, silence)),
    }
    Ok(Plan { zone: zone.to_string(), source, target, refusals, datasets })
}

/// The job that the request would become, in memory only.
fn job(config: &Config, request: &Request, survey: &Survey) -> Result<Job, CliError> {
    let now = clock::now();
    // Two plans of one second are told apart by their process.
    let id = JobId::for_zone(&request.zone, now, std::process::id() as u16);
    let admitted = Event::admitted(&id, &config.host, request.clone(), config.scratch.part)
        .map_err(|why| CliError::bad([why]))?;
    let failed = |e: crate::job::record::Impossible| CliError::failed(e.to_string());
    let mut job = Job::begin(now, &admitted).map_err(failed)?;
    job.apply(now, &Event::Surveyed { survey: Box::new(survey.clone()) }).map_err(failed)?;
    Ok(job)
}

fn findings(survey: &Survey) -> Vec<String> {
    let (zone, os) = (&survey.zone, &survey.os);
    let state = if zone.running { "running" } else { "installed" };
    let autoboot = if zone.autoboot { "true" } else { "false" };
    let mut lines = vec![
        format!("zone '{}' is {state}, of brand {}, autoboot {autoboot}", zone.name, zone.brand),
        format!("zonepath {}", zone.zonepath),
        format!("{} {} {} ({})", os.system, os.release, os.version, os.processor),
    ];
    lines.extend(os.entire.iter().map(|entire| format!("entire {entire}")));
    lines.extend(survey.maintenance.iter().map(|fmri| format!("{fmri} is in maintenance already")));
    lines
}

/// The datasets in the order in which they travel. Names that do not fit at their new place are refusals.
fn travels(request: &Request, survey: &Survey, refusals: &mut Vec<Reason>) -> Vec<Travel> {
    let mut travels = Vec::new();
    for index in image::travel_order(&survey.datasets) {
        let dataset = &survey.datasets[index];
        match layout::map(&dataset.name, &request.target.datasets) {
            Ok(to) => travels.push(Travel { name: dataset.name.clone(), to, bytes: dataset.estimate() }),
            Err(why) => {
                refusals.push(Reason::new(Code::Place, format!("dataset {}: {why}", dataset.name)));
            }
        }
    }
    travels
}

/// A question that lies in the peer's dropbox; goes with this value.
struct Question {
    dropbox: Dropbox,
    peer: HostName,
}

impl Drop for Question {
    fn drop(&mut self) {
        let left = self.dropbox.leave().map_err(|e| e.to_string());
        let gone = left.and_then(|()| {
            let gone = clock::until(CLEARING, || self.dropbox.has_answers().map(|has| (!has).then_some(())));
            gone.map_err(|e| e.to_string())?
                .ok_or_else(|| format!("{} has not taken its answer away yet", self.peer))
        });
        if let Err(why) = gone {
            warn(&format!("the question is not cleared away: {why}"));
        }
    }
}

/// Asks the peer. The inner error is why there is no answer.
fn ask(
    config: &Config,
    job: &Job,
    survey: Survey,
    patience: Duration,
) -> Result<Result<Answer, String>, CliError> {
    let peer = &job.peer;
    let Some(reached_by) = config.peers.get(peer) else {
        return Ok(Err(format!("'{peer}' is not a peer of this host")));
    };
    let programs = Programs::new(config.commands.path.clone(), config.commands.timeout);
    let dropbox = Dropbox::new(&reached_by.transport, &job.id, programs, clock::instant, || false);
    if let Err(error) = dropbox.reach() {
        return Ok(Err(format!("{peer} can't be asked: {error}")));
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let offer = Offer {
        serial: 1,
        plan: true,
        from: job.host.clone(),
        request: job.request.clone(),
        survey,
        snapshot: job.snapshot.clone(),
        part: job.part,
    };
    let question = Question { dropbox, peer: peer.clone() };
    let dropbox = &question.dropbox;
    if let Err(error) = dropbox.put(Offer::NAME, &message::seal(&job.id, offer)) {
        return Ok(Err(format!("{peer} can't be asked: {error}")));
    }
    let heard = clock::until(patience, || {
        if interrupted.load(Ordering::Relaxed) {
            return Ok::<_, TransportError>(Some(None));
        }
        let bytes = dropbox.get(Answer::NAME, MAX_MESSAGE)?;
        Ok(bytes.and_then(|bytes| message::heard::<Answer>(&job.id, &bytes).transpose()).map(Some))
    });
    Ok(match heard {
        Ok(Some(Some(answer))) => answer.map_err(|error| format!("{peer} can't be asked: {error}")),
        Ok(Some(None)) => return Err(CliError::failed("interrupted; nothing was touched")),
        Ok(None) => Err(format!(
            "{peer} has not answered within {} s: zmigrated must run there, and have a section [accept.{}]",
            patience.as_secs(),
            job.host
        )),
        Err(error) => Err(format!("{peer}'s answer can't be read: {error}")),
    })
}
