//! Target: the shared-IP workaround of 2007. A default route is accepted only while an address covers its
//! gateway; so the global zone has one for a moment, and the route stays when it goes.

use super::{Done, StepError};
use crate::cmd::ifconfig::{self, Interface};
use crate::cmd::route::{self, RouteOutcome};
use crate::cmd::{Programs, RunError};
use crate::job::event::Event;
use crate::job::request::Route;
use crate::job::step::Install;

/// The note by which undo knows that the route is this job's.
pub const ADDED: &str = "added";

/// Ensures the route. The note says whether it was added by us.
///
/// # Errors
/// Permanent when the interface is in use or the route can't be had.
pub fn ensure(programs: &Programs, wanted: Option<&Route>) -> Result<Done, StepError> {
    let Some(wanted) = wanted else { return Ok(super::target::done(Install::Route)) };
    let mut outcome = add(programs, wanted)?;
    if outcome == RouteOutcome::Unreachable {
        let interface = interface(wanted)?;
        if !is_plumbed(programs, wanted, &interface)? {
            programs.ok(&ifconfig::plumb(&interface))?;
        }
        programs.ok(&ifconfig::up(&interface, wanted.address(), wanted.netmask()))?;
        outcome = add(programs, wanted)?;
    }
    unplumb(programs, wanted)?;
    let added = match outcome {
        RouteOutcome::Done => Some(ADDED.to_owned()),
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
    Ok(Done::Event(Event::Installed { step: Install::Route, note: added }))
}

/// Takes the route away again, and an address that a crash left.
///
/// # Errors
/// What route or ifconfig said.
pub fn undo(programs: &Programs, wanted: &Route, added: bool) -> Result<(), StepError> {
    unplumb(programs, wanted)?;
    if added {
        let argv = route::delete_default(wanted.gateway());
        let output = programs.run(&argv)?;
        if !matches!(RouteOutcome::of(&output), RouteOutcome::Done | RouteOutcome::NotThere) {
            return Err(RunError::Failed { argv, output: Box::new(output) }.into());
        }
    }
    Ok(())
}

fn add(programs: &Programs, wanted: &Route) -> Result<RouteOutcome, StepError> {
    Ok(RouteOutcome::of(&programs.run(&route::add_default(wanted.gateway()))?))
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
    let ours = |line: &ifconfig::InterfaceLine| {
        line.interface == interface && line.zone.is_none() && line.address == Some(wanted.address())
    };
    if all.iter().any(ours) {
        programs.ok(&ifconfig::unplumb(&interface))?;
    }
    Ok(())
}
