//! `zmigrate cancel`: takes a job back, as long as that is this host's to decide.

use std::collections::BTreeMap;

use crate::job::phase::Phase;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::spool::Place;

use super::ask::{self, AskArgs};
use super::context::Context;
use super::error::CliError;

/// Asks the daemon to cancel.
///
/// # Errors
/// When the job is past the point where it could be.
pub fn run(context: &Context, args: &AskArgs) -> Result<(), CliError> {
    let (dir, job) = ask::meant(context, &args.job, Place::Active)?;
    if let Some(why) = objection(&job) {
        return Err(CliError::failed(format!("cannot cancel {}: {why}", job.id)));
    }
    let taking = ask::leave(context, "cancel", &dir, BTreeMap::new(), args.no_wait)?;
    ask::tell(context, "cancel", &dir, &taking)
}

/// Why it can't be cancelled, and what to do instead.
fn objection(job: &Job) -> Option<String> {
    let (zone, peer, host, id) = (job.zone(), &job.peer, &job.host, &job.id);
    let back = format!("to move it back, on {peer}: zmigrate submit {zone} {host}");
    Some(match (job.role, job.phase) {
        (_, Phase::Ended(ended)) => {
            format!("it has ended ({})", super::report::result(ended))
        }
        (Role::Source, phase) if phase.source_may_turn_back() => return None,
        (Role::Source, Phase::Await) => format!(
            "the zone is handed off, and only the result of {peer} decides now\n\
             to have it back, on {peer}: zmigrate rollback {id}\n\
             if {peer} is gone for good, here: zmigrate rollback {id} --target-is-gone {peer}"
        ),
        (Role::Source, Phase::Ack) => format!("zone {zone} lives on {peer}; {back}"),
        (Role::Source, _) => "it is on its way back already".to_owned(),
        (Role::Target, Phase::Check | Phase::Receive) => return None,
        (Role::Target, phase) if phase.target_may_turn_back() => {
            format!("the zone is handed off to this host; to give it back: zmigrate rollback {id}")
        }
        (Role::Target, Phase::Settled | Phase::SetAutoboot | Phase::Clean) => {
            format!("zone {zone} lives here; to move it back: zmigrate submit {zone} {peer}")
        }
        (Role::Target, Phase::Refusal) => "it is refused already".to_owned(),
        (Role::Target, _) => "it is on its way back already".to_owned(),
        (Role::Finish, phase) if phase.may_turn_back() => return None,
        (Role::Finish, _) => "the old copy is being destroyed; what is gone can't be had back".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::{source, target};
    use crate::job::event::Cause;
    use crate::job::phase::{Back, Ended};
    use crate::job::step::{Install, Undo};

    #[test]
    fn before_the_handoff_it_may_be_cancelled_on_either_side() {
        assert_eq!(objection(&source(Phase::Send)), None);
        assert_eq!(objection(&source(Phase::Handoff)), None);
        assert_eq!(objection(&target(Phase::Receive)), None);
    }

    #[test]
    fn behind_the_handoff_it_is_refused_with_the_way_out() {
        for (job, want) in [
            (source(Phase::Await), "zmigrate rollback db-20070518T033600Z-7f3a --target-is-gone zhost2"),
            (source(Phase::Ack), "on zhost2: zmigrate submit db zhost1"),
            (source(Phase::PutBack(Back::Failed)), "on its way back already"),
            (target(Phase::Install(Install::Attach)), "zmigrate rollback db-20070518T033600Z-7f3a"),
            (target(Phase::Settled), "zmigrate submit db zhost1"),
            (target(Phase::Undo(Undo::Halt, Cause::Failed)), "on its way back already"),
            (target(Phase::Ended(Ended::Ok)), "it has ended (ok)"),
        ] {
            let why = objection(&job).unwrap();
            assert!(why.contains(want), "{why}");
        }
    }
}
