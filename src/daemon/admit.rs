//! Requests that were dropped: taken up as jobs or rejected, each in one place, with one line for the log.

use std::ffi::OsStr;
use std::time::SystemTime;

use chrono::Utc;

use super::context::Context;
use super::jobs;
use crate::cmd::zoneadm;
use crate::job::event::Event;
use crate::job::fault::Faults;
use crate::job::name::JobId;
use crate::job::request::Request;
use crate::log::{Ending, Line, Outcome, Severity};
use crate::spool::SpoolError;
use crate::spool::incoming::{Incoming, Rejection, Taken, Taking};
use std::sync::Arc;
use std::time::Duration;

/// Looks at everything that was dropped. Tells when to look again, if something has not settled.
///
/// # Errors
/// A full spool, or one that can't be read: nothing is lost, the next look finds it.
pub fn look(context: &Arc<Context>, incoming: &mut Incoming) -> Result<Option<Duration>, SpoolError> {
    let scan = incoming.scan(SystemTime::now())?;
    let taken = scan.ready.iter().try_for_each(|name| take(context, incoming, name));
    context.rights.looked();
    taken?;
    Ok(scan.again_in)
}

fn take(context: &Arc<Context>, incoming: &mut Incoming, name: &OsStr) -> Result<(), SpoolError> {
    match incoming.take(name, &|uid| context.rights.may_submit(context, uid))? {
        Taking::Request(taken) => return decide(context, incoming, taken),
        Taking::Rejected(rejection) => tell(context, &rejection),
        Taking::LeftAlone { name, why, warn: true } => {
            let line = Line::new().field("event", "left-alone").field("request", name).field("error", why);
            context.log.write(Severity::Warning, &line);
        }
        Taking::LeftAlone { .. } | Taking::NotYet | Taking::Gone => {}
    }
    Ok(())
}

fn decide(context: &Arc<Context>, incoming: &mut Incoming, taken: Taken) -> Result<(), SpoolError> {
    let file = taken.name.to_string_lossy().escape_debug().to_string();
    let request = match Request::parse(&file, &taken.text) {
        Ok(request) => request,
        Err(faults) => return reject(context, incoming, taken, &Faults(faults).to_string()),
    };
    let mut faults = Vec::new();
    let config = context.config();
    if !config.peers.contains_key(&request.to) {
        let known: Vec<_> = config.peers.keys().map(|name| name.as_str()).collect();
        let known = if known.is_empty() {
            "none is configured".into()
        } else {
            format!("known are {}", known.join(", "))
        };
        faults.push(format!("'{}' is not a peer of this host: {known}", request.to));
    }
    match zoneadm::zone(&context.programs(), &request.zone) {
        Ok(Some(_)) => {}
        Ok(None) => faults.push(format!("zone '{}' is not on this host", request.zone)),
        // Whether it is here will show in the survey.
        Err(error) => context
            .log
            .write(Severity::Warning, &Line::new().field("event", "deferred").field("error", error)),
    }
    if let Some(holder) = context.holder_of(&request.zone) {
        faults.push(format!("zone '{}' is in job {holder} already", request.zone));
    }
    if !faults.is_empty() {
        let head = format!("cannot migrate zone '{}' to {}: ", request.zone, request.to);
        let text = if faults.len() == 1 {
            faults.remove(0)
        } else {
            format!("{} reasons\n  {}", faults.len(), faults.join("\n  "))
        };
        return reject(context, incoming, taken, &format!("{head}{text}"));
    }
    let now = Utc::now();
    let id = loop {
        let id = JobId::for_zone(&request.zone, now, salt());
        if context.spool.find(&id)?.is_none() {
            break id;
        }
    };
    let event = match Event::admitted(&id, &config.host, request, config.scratch.part) {
        Ok(event) => event,
        Err(why) => return reject(context, incoming, taken, &why.to_string()),
    };
    let dir = context.spool.admit(&taken, &id)?;
    let line = Line::new().field("job", &id).field("event", "taken-up").field("user", taken.uid);
    context.log.write(Severity::Info, &line.field("request", &file));
    jobs::begin_or_wait(context, dir, &event)
}

/// Tells jobs of one second apart.
fn salt() -> u16 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as u16
}

fn reject(
    context: &Arc<Context>,
    incoming: &mut Incoming,
    taken: Taken,
    reason: &str,
) -> Result<(), SpoolError> {
    let rejection = incoming.reject(taken, reason)?;
    tell(context, &rejection);
    Ok(())
}

/// The one outcome line of what did not become a job.
pub fn tell(context: &Arc<Context>, rejection: &Rejection) {
    let mut outcome = Outcome::new(Ending::Rejected, context.config().host.clone(), Utc::now());
    outcome.request = Some(rejection.name.clone());
    outcome.error = Some(rejection.reason.replace('\n', " "));
    // On disk before anybody hears of it: it has no journal from which it would be told again.
    if let Err(error) = context.loghost.keep_rejection(&context.config().syslog, &outcome) {
        context.hold("outbox", &error);
    }
    context.log.outcome(&outcome);
}
