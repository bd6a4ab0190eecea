//! `zmigrate retry`: tries the step that is due at once, without waiting out the pause after a failure.

use std::collections::BTreeMap;

use clap::Args;

use crate::job::phase::Phase;
use crate::job::record::Job;
use crate::job::role::Role;
use crate::spool::Place;

use super::ask::{self, AskArgs};
use super::context::Context;
use super::error::CliError;

/// What `retry` takes.
#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// On the target: host NAME, from which the zone came, will never run it again; go on without its word
    #[arg(long, value_name = "NAME")]
    source_is_gone: Option<String>,
}

/// Asks the daemon to try again.
///
/// # Errors
/// When there is nothing to try.
pub fn run(context: &Context, args: &RetryArgs) -> Result<(), CliError> {
    let (dir, job) = ask::meant(context, &args.ask.job, Place::Active)?;
    let gone = args.source_is_gone.as_deref();
    if let Some(why) = objection(&job, gone) {
        return Err(CliError::failed(format!("cannot retry {}: {why}", job.id)));
    }
    let options: BTreeMap<_, _> =
        gone.map(|name| ("source-is-gone".to_owned(), name.to_owned())).into_iter().collect();
    let taking = ask::leave(context, "retry", &dir, options, args.ask.no_wait)?;
    ask::tell(context, "retry", &dir, &taking)
}

/// Why there is nothing to try, and what to do instead.
fn objection(job: &Job, gone: Option<&str>) -> Option<String> {
    let (zone, peer, id) = (job.zone(), &job.peer, &job.id);
    if let Phase::Ended(ended) = job.phase {
        let again = format!("to migrate the zone again, on its host: zmigrate submit {zone} HOST");
        return Some(format!("it has ended ({}); {again}", super::report::result(ended)));
    }
    let name = gone?;
    if job.role != Role::Target {
        return Some("this host is the source; --source-is-gone is for the target".to_owned());
    }
    if name != peer.as_str() {
        let name = name.escape_debug();
        return Some(format!("the zone comes from {peer}, not from '{name}'; name the host that is gone"));
    }
    match job.phase {
        // Without the handoff the zone is the source's, and what has arrived may not be all of it.
        Phase::Check | Phase::Receive | Phase::Refusal => Some(format!(
            "{peer} has not handed the zone off, so it can't be installed here; zmigrate cancel {id}"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::{source, target};
    use crate::job::phase::Ended;
    use crate::job::step::Install;

    #[test]
    fn whatever_goes_on_may_be_tried_again() {
        for job in [source(Phase::Send), source(Phase::Await), target(Phase::Settled)] {
            assert_eq!(objection(&job, None), None);
        }
        assert!(objection(&source(Phase::Ended(Ended::Failed)), None).unwrap().contains("ended (failed)"));
    }

    #[test]
    fn a_source_is_declared_gone_by_name_on_the_target_and_after_the_handoff() {
        let installing = target(Phase::Install(Install::Attach));
        assert_eq!(objection(&installing, Some("zhost1")), None);
        assert!(objection(&installing, Some("zhost9")).unwrap().contains("comes from zhost1"));
        assert!(objection(&source(Phase::Await), Some("zhost1")).unwrap().contains("for the target"));
        assert!(objection(&target(Phase::Receive), Some("zhost1")).unwrap().contains("zmigrate cancel"));
    }
}
