//! `zmigrate rollback`: gives a zone that was handed off back to its source. The target's to decide; the source's
//! only when its operator vouches that the target is gone for good.

use std::collections::BTreeMap;

use clap::Args;

use crate::job::phase::{Back, Ended, Phase};
use crate::job::record::Job;
use crate::job::role::Role;
use crate::spool::Place;

use super::ask::{self, AskArgs};
use super::context::Context;
use super::error::CliError;

/// What `rollback` takes.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// On the source: host NAME, to which the zone was handed off, will never run it again
    #[arg(long, value_name = "NAME")]
    target_is_gone: Option<String>,
}

/// Asks the daemon to roll back.
///
/// # Errors
/// When that is not this host's to decide.
pub fn run(context: &Context, args: &RollbackArgs) -> Result<(), CliError> {
    let (dir, job) = ask::meant(context, &args.ask.job, Place::Active)?;
    let gone = args.target_is_gone.as_deref();
    if let Some(why) = objection(&job, gone) {
        return Err(CliError::failed(format!("cannot roll {} back: {why}", job.id)));
    }
    let options: BTreeMap<_, _> =
        gone.map(|name| ("target-is-gone".to_owned(), name.to_owned())).into_iter().collect();
    let taking = ask::leave(context, "rollback", &dir, options, args.ask.no_wait)?;
    ask::tell(context, "rollback", &dir, &taking)
}

/// Why it can't be rolled back, and what to do instead.
fn objection(job: &Job, gone: Option<&str>) -> Option<String> {
    match job.role {
        Role::Source => on_source(job, gone),
        Role::Target => on_target(job, gone),
        Role::Finish => Some("it is no migration, it takes an old copy away".to_owned()),
    }
}

fn on_source(job: &Job, gone: Option<&str>) -> Option<String> {
    let (zone, peer, host, id) = (job.zone(), &job.peer, &job.host, &job.id);
    Some(match job.phase {
        phase if phase.source_may_turn_back() => {
            format!("nothing has been handed off yet; zmigrate cancel {id}")
        }
        Phase::Await => match gone {
            Some(name) if name == peer.as_str() => return None,
            Some(name) => format!(
                "the zone was handed off to {peer}, not to '{}'; name the host that is gone",
                name.escape_debug()
            ),
            None => format!(
                "the zone is handed off, so it is for {peer} to give it back\n\
                 there: zmigrate rollback {id}\n\
                 if {peer} is gone for good, so that the zone can't run there again, \
                 here: zmigrate rollback {id} --target-is-gone {peer}"
            ),
        },
        Phase::Ack | Phase::Ended(Ended::Ok) => {
            format!("zone {zone} lives on {peer}; to move it back, on {peer}: zmigrate submit {zone} {host}")
        }
        Phase::Ended(_) => "it has ended, and the zone is here".to_owned(),
        Phase::Release(Back::Refused) => "it was refused, and the zone is here".to_owned(),
        _ => "it is on its way back already".to_owned(),
    })
}

fn on_target(job: &Job, gone: Option<&str>) -> Option<String> {
    let (zone, peer, id) = (job.zone(), &job.peer, &job.id);
    if gone.is_some() {
        return Some(format!("this host is the target; --target-is-gone is for {peer}, the source"));
    }
    Some(match job.phase {
        phase if phase.target_may_turn_back() => return None,
        Phase::Settled | Phase::SetAutoboot | Phase::Clean | Phase::Ended(Ended::Ok) => format!(
            "its result is ok, which is never revisited; to move the zone back: zmigrate submit {zone} {peer}"
        ),
        Phase::Refusal | Phase::Ended(Ended::Refused) => "it was refused, and nothing has come".to_owned(),
        Phase::Ended(_) => format!("it has ended, and the zone is on {peer}"),
        _ => format!("it is on its way back already: zmigrate status {id}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::{source, target};
    use crate::job::event::Cause;
    use crate::job::step::{Install, Undo};

    #[test]
    fn the_target_gives_back_until_its_result_is_ok() {
        for phase in [Phase::Receive, Phase::Receipt, Phase::Install(Install::Verify)] {
            assert_eq!(objection(&target(phase), None), None);
        }
        let why = objection(&target(Phase::Settled), None).unwrap();
        assert!(why.contains("never revisited") && why.contains("zmigrate submit db zhost1"), "{why}");
        let why = objection(&target(Phase::Undo(Undo::Halt, Cause::Failed)), None).unwrap();
        assert!(why.contains("already"), "{why}");
        assert!(objection(&target(Phase::Receipt), Some("zhost2")).unwrap().contains("is for zhost1"));
    }

    #[test]
    fn the_source_rolls_back_only_when_its_target_is_declared_gone_by_name() {
        let why = objection(&source(Phase::Await), None).unwrap();
        assert!(why.contains("--target-is-gone zhost2"), "{why}");
        let why = objection(&source(Phase::Await), Some("zhost3")).unwrap();
        assert!(why.contains("handed off to zhost2, not to 'zhost3'"), "{why}");
        assert_eq!(objection(&source(Phase::Await), Some("zhost2")), None);
    }

    #[test]
    fn the_word_of_an_operator_counts_for_nothing_where_the_phase_says_otherwise() {
        for phase in [Phase::Send, Phase::Ack, Phase::PutBack(Back::Returned), Phase::Ended(Ended::Ok)] {
            assert!(objection(&source(phase), Some("zhost2")).is_some(), "{phase:?}");
        }
        assert!(objection(&source(Phase::Send), None).unwrap().contains("zmigrate cancel"));
    }
}
