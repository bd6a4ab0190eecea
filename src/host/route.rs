//! Target: the shared-IP workaround of 2007. A default route is accepted only while an address covers its
//! gateway; so the global zone has one for a moment, and the route stays when it goes.
//!
//! Whose the route is can't be seen on it, and a crash may come between adding it and journaling that. So it is
//! looked for before anything is changed, in the recheck, and the answer is in the journal by the time it is added: a
//! route that was missing then is this job's, whether or not the line that says so was still written.

use std::net::Ipv4Addr;

use super::{Done, StepError};
use crate::cmd::ifconfig::{self, Interface, InterfaceLine};
use crate::cmd::netstat;
use crate::cmd::route::{self, RouteOutcome};
use crate::job::event::Event;
use crate::job::record::Job;
use crate::job::request::Route;
use crate::job::step::Install;
use crate::process::{Argv, Programs, RunError};

/// The recheck's note: the route that is wanted was not there.
const MISSING: &str = "route missing";
/// The route step's note: the route is this job's.
const ADDED: &str = "added";

/// The recheck's note for the journal. Changes nothing.
///
/// # Errors
/// When netstat fails or can't be understood.
pub fn look(programs: &Programs, wanted: Option<&Route>) -> Result<Option<String>, StepError> {
    let Some(wanted) = wanted else { return Ok(None) };
    let is_there = netstat::default_gateways(programs)?.contains(&wanted.gateway());
    Ok((!is_there).then(|| MISSING.to_owned()))
}

/// Was the route missing before this job touched anything? Journals from before the recheck noted it don't say.
fn was_missing(job: &Job) -> bool {
    job.installed.get(&Install::Recheck).is_some_and(|note| note.as_deref() == Some(MISSING))
}

/// Is the route this job's, to be taken away on the way back from the step, done or only begun?
fn is_ours(job: &Job) -> bool {
    match job.installed.get(&Install::Route) {
        Some(note) => note.as_deref() == Some(ADDED),
        None => was_missing(job),
    }
}

/// What adds the route as the host is now; nothing where it has the route.
///
/// # Errors
/// When the host does not answer; permanent when the interface is in use.
pub fn commands(programs: &Programs, wanted: &Route) -> Result<Vec<Argv>, StepError> {
    if netstat::default_gateways(programs)?.contains(&wanted.gateway()) {
        return Ok(Vec::new());
    }
    let covers = |line: &InterfaceLine| {
        let of = |address: Ipv4Addr| u32::from(address) & u32::from(wanted.netmask());
        line.zone.is_none()
            && line.address.is_some_and(|a| a != wanted.address() && of(a) == of(wanted.gateway()))
    };
    if ifconfig::interfaces(programs)?.iter().any(covers) {
        return Ok(vec![route::add_default(wanted.gateway())]);
    }
    lent(programs, wanted)
}

/// What adds the route by an address that the global zone has for a moment.
fn lent(programs: &Programs, wanted: &Route) -> Result<Vec<Argv>, StepError> {
    let interface = interface(wanted)?;
    let plumb = (!is_plumbed(programs, wanted, &interface)?).then(|| ifconfig::plumb(&interface));
    let up = ifconfig::up(&interface, wanted.address(), wanted.netmask());
    let last = [up, route::add_default(wanted.gateway()), ifconfig::unplumb(&interface)];
    Ok(plumb.into_iter().chain(last).collect())
}

/// Ensures the route. The note says whether it is ours.
///
/// # Errors
/// Permanent when the interface is in use or the route can't be had.
pub fn ensure(programs: &Programs, job: &Job) -> Result<Done, StepError> {
    let Some(wanted) = &job.request.target.route else {
        return Ok(Done::Event(Event::installed(Install::Route, None)));
    };
    let mut outcome = run(programs, &commands(programs, wanted)?)?;
    if outcome == RouteOutcome::Unreachable {
        // An address that covers the gateway was not up.
        outcome = run(programs, &lent(programs, wanted)?)?;
    }
    unplumb(programs, wanted)?;
    let added = match outcome {
        RouteOutcome::Done => Some(ADDED.to_owned()),
        // By a daemon that was killed before it could say so.
        RouteOutcome::AlreadyThere if was_missing(job) => Some(ADDED.to_owned()),
        RouteOutcome::AlreadyThere => None,
        other => {
            let text = format!(
                "the route to {} by {} can't be added: {other:?}",
                wanted.gateway(),
                wanted.interface()
            );
            return Err(StepError::permanent(text));
        }
    };
    Ok(Done::Event(Event::installed(Install::Route, added)))
}

/// Runs the commands; what became of the route among them.
fn run(programs: &Programs, commands: &[Argv]) -> Result<RouteOutcome, StepError> {
    let mut outcome = RouteOutcome::AlreadyThere;
    for command in commands {
        if command.program() == "route" {
            outcome = RouteOutcome::of(&programs.run(command)?);
        } else {
            programs.ok(command)?;
        }
    }
    Ok(outcome)
}

/// Takes the route away again, if it is ours, and an address that a crash left.
///
/// # Errors
/// What route or ifconfig said.
pub fn undo(programs: &Programs, job: &Job) -> Result<(), StepError> {
    let Some(wanted) = &job.request.target.route else { return Ok(()) };
    unplumb(programs, wanted)?;
    if is_ours(job) {
        let argv = route::delete_default(wanted.gateway());
        let output = programs.run(&argv)?;
        if !matches!(RouteOutcome::of(&output), RouteOutcome::Done | RouteOutcome::NotThere) {
            return Err(RunError::Failed { argv, output: Box::new(output) }.into());
        }
    }
    Ok(())
}

fn interface(wanted: &Route) -> Result<Interface, StepError> {
    wanted.interface().parse().map_err(|e: ifconfig::InterfaceError| StepError::permanent(e.to_string()))
}

/// Is the logical interface there, with our address or none? `plumb` of one that is there would take over a
/// zone's.
fn is_plumbed(programs: &Programs, wanted: &Route, interface: &Interface) -> Result<bool, StepError> {
    let all = ifconfig::interfaces(programs)?;
    let Some(line) = all.iter().find(|line| line.interface == *interface) else { return Ok(false) };
    let ours =
        line.zone.is_none() && line.address.is_none_or(|a| a == wanted.address() || a.is_unspecified());
    if ours { Ok(true) } else { Err(StepError::permanent(format!("interface {interface} is in use"))) }
}

fn unplumb(programs: &Programs, wanted: &Route) -> Result<(), StepError> {
    let interface = interface(wanted)?;
    let all = ifconfig::interfaces(programs)?;
    let ours = |line: &InterfaceLine| {
        line.interface == interface && line.zone.is_none() && line.address == Some(wanted.address())
    };
    if all.iter().any(ours) {
        programs.ok(&ifconfig::unplumb(&interface))?;
    }
    Ok(())
}
