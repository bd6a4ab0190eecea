//! `zmigrate finish`: takes the old copy away on the source of a migration that went well.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::job::name::JobId;
use crate::job::phase::{Ended, Phase};
use crate::job::record::Job;
use crate::job::role::Role;
use crate::spool::{Place, Spool};

use super::ask::{self, AskArgs, Taking};
use super::context::{Context, print};
use super::error::CliError;
use super::look::Look;
use super::{clock, find};

/// How long the job that finishes may take to appear once the ask was taken.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the daemon to finish.
///
/// # Errors
/// When there is no old copy here that could be taken away.
pub fn run(context: &Context, args: &AskArgs) -> Result<(), CliError> {
    let (dir, job) = ask::meant(context, &args.job, Place::Done)?;
    if let Some(why) = objection(&job) {
        return Err(CliError::failed(format!("cannot finish {}: {why}", job.id)));
    }
    if let Some((id, place)) = finishing(&context.spool, &job.id)? {
        let is = if place == Place::Done { "was finished by" } else { "is being finished by" };
        return Err(CliError::failed(format!("{} {is} {id}", job.id)));
    }
    let taking = ask::leave(context, "finish", &dir, BTreeMap::new(), args.no_wait)?;
    if taking == Taking::Taken {
        let begun = clock::until(PATIENCE, || finishing(&context.spool, &job.id))?;
        if let Some((id, _)) = begun {
            return print(&format!("{id}\n"));
        }
    }
    ask::tell(context, "finish", &dir, &taking)
}

/// Why there is nothing to finish, and what to do instead.
fn objection(job: &Job) -> Option<String> {
    let (peer, id) = (&job.peer, &job.id);
    Some(match (job.role, job.phase) {
        (Role::Source, Phase::Ended(Ended::Ok)) => return None,
        (Role::Source, Phase::Ended(ended)) => {
            format!("it ended {}, so what is here is the zone itself", super::report::result(ended))
        }
        (Role::Source, _) => format!("it has not ended yet: zmigrate status {id}"),
        (Role::Target, _) => format!("this host is its target; the old copy is on {peer}"),
        (Role::Finish, _) => "it takes an old copy away itself".to_owned(),
    })
}

/// The job that takes the old copy of `of` away, or has done so. One that failed may be asked for again.
fn finishing(spool: &Spool, of: &JobId) -> Result<Option<(JobId, Place)>, CliError> {
    for place in [Place::Active, Place::Done] {
        // A finish's id begins with the same zone: the others' journals need not be read.
        for dir in spool.jobs(place)?.iter().filter(|dir| find::zone_of(&dir.id) == find::zone_of(of)) {
            let look = Look::at(spool, dir)?;
            if look.job.is_some_and(|job| job.finishes.as_ref() == Some(of)) {
                return Ok(Some((dir.id.clone(), place)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample::{source, target};

    #[test]
    fn only_a_source_that_ended_well_has_an_old_copy() {
        assert_eq!(objection(&source(Phase::Ended(Ended::Ok))), None);
        for (job, want) in [
            (source(Phase::Ended(Ended::Cancelled)), "the zone itself"),
            (source(Phase::Ack), "has not ended yet"),
            (target(Phase::Ended(Ended::Ok)), "is on zhost1"),
        ] {
            let why = objection(&job).unwrap();
            assert!(why.contains(want), "{why}");
        }
    }
}
