//! Target: the gate between a booted zone and an ok.

use std::time::Duration;

use super::install::Target;
use super::{Done, StepError};
use crate::cmd::svcs::{self, MULTI_USER_SERVER, SvcState};
use crate::cmd::zlogin;
use crate::job::code::Code;
use crate::job::event::Event;
use crate::job::message::{Failure, Verdict};
use crate::job::request::OnFailure;
use crate::job::step::Install;

/// Is the zone up, as the request wants to see it? Looked at until the request's time is over. `age` is how long this step has
/// been due; the time counts from the age at which this process first looked, which `opened` remembers: while the host was
/// down, or waited for the source's word, the zone did not come up.
///
/// # Errors
/// Permanent when time is over, unless the request says `on_failure = "stay"`.
pub fn verify(target: &Target<'_>, opened: &mut Option<Duration>, age: Duration) -> Result<Done, StepError> {
    if !target.job.is_to_run() {
        return Ok(ok(None));
    }
    let since = *opened.get_or_insert(age);
    // A reboot of this host leaves the zone down: its autoboot waits for the ack.
    let Err(why) = target.run_zone().and_then(|()| look(target)) else { return Ok(ok(None)) };
    let limit = target.job.request.verify.timeout;
    // What the daemon's end has cut short says nothing about the zone.
    if age.saturating_sub(since) <= limit || (target.ending)() {
        return Ok(Done::poll(format!("the gate: {why}"), age));
    }
    let text = format!("zone '{}' did not come up within {} s: {why}", target.job.zone(), limit.as_secs());
    match target.job.request.verify.on_failure {
        OnFailure::Return => Err(StepError::permanent(text)),
        OnFailure::Stay => Ok(ok(Some(text))),
    }
}

fn ok(warning: Option<String>) -> Done {
    let error = warning.map(|error| Failure::new(Install::Verify.word(), Code::Other, error));
    Done::Event(Event::ResultOk { verdict: Box::new(Verdict { ok: true, error, ..Verdict::default() }) })
}

fn look(target: &Target<'_>) -> Result<(), StepError> {
    let zone = target.job.zone();
    let all = svcs::all(target.programs, zone)?;
    let Some(milestone) = all.get(MULTI_USER_SERVER) else {
        return Err(StepError::transient(format!("{MULTI_USER_SERVER} is not there yet")));
    };
    if !milestone.is_online() {
        let text = format!("{MULTI_USER_SERVER} is {:?}", milestone.state).to_lowercase();
        return Err(StepError::transient(text));
    }
    let before = target.job.survey.as_ref().map(|s| s.maintenance.as_slice()).unwrap_or_default();
    let ill = all.iter().find(|(fmri, s)| s.state == SvcState::Maintenance && !before.contains(fmri));
    if let Some((fmri, _)) = ill {
        return Err(StepError::transient(format!("{fmri} is in maintenance, which it was not before")));
    }
    for command in &target.job.request.verify.commands {
        // Each may take as long as the gate is open, all of them longer than SMF waits for the daemon.
        if (target.ending)() {
            return Err(StepError::transient("the daemon ends before all verify commands have run"));
        }
        target.programs.ok(&zlogin::shell_line(zone, command).within(target.job.request.verify.timeout))?;
    }
    Ok(())
}
