//! Which job is meant: by its id, the beginning of its id, or the zone's name. Pure but for the one listing.

use crate::job::name::JobId;
use crate::spool::{JobDir, Place, Spool};

use super::error::CliError;

/// An ambiguous word names this many jobs, and counts the others.
const NAMED: usize = 8;

/// The job that `word` means. Jobs in `first` are preferred; those elsewhere count only when none there fits.
///
/// # Errors
/// When the spool can't be read, or `word` means no job or several.
pub fn job(spool: &Spool, word: &str, first: Place) -> Result<JobDir, CliError> {
    let preferred = spool.jobs(first)?;
    let mut others = Vec::new();
    for place in Place::ALL.into_iter().filter(|place| *place != first) {
        others.extend(spool.jobs(place)?);
    }
    // An id in full means that job, wherever it is.
    if let Some(exact) = preferred.iter().chain(&others).find(|dir| dir.id.as_str() == word) {
        return Ok(exact.clone());
    }
    match candidates(&preferred, word)[..] {
        [] => {}
        [dir] => return Ok(dir.clone()),
        _ => return Err(ambiguous(word, &candidates(&preferred, word))),
    }
    // Several that went before, all of one zone: the newest is what people mean.
    let rest = candidates(&others, word);
    match newest(rest.iter().copied()) {
        Some(dir) if rest.iter().all(|other| zone_of(&other.id) == zone_of(&dir.id)) => Ok(dir.clone()),
        Some(_) => Err(ambiguous(word, &rest)),
        None => Err(CliError::bad([format!(
            "no job is called '{}': `zmigrate status --all` lists them",
            word.escape_debug()
        )])),
    }
}

/// The part of an id that is the zone's name.
pub fn zone_of(id: &JobId) -> &str {
    id.as_str().rsplitn(3, '-').nth(2).unwrap_or_default()
}

/// When the job was taken up, as its id says: orders ids of several zones.
fn taken_up(id: &JobId) -> &str {
    id.as_str().rsplit('-').nth(1).unwrap_or_default()
}

/// The job that was taken up last.
pub fn newest<'d>(dirs: impl IntoIterator<Item = &'d JobDir>) -> Option<&'d JobDir> {
    dirs.into_iter().max_by_key(|dir| (taken_up(&dir.id), dir.id.as_str()))
}

/// All that `word` could mean: jobs of the zone of that name, or else ids that begin so.
fn candidates<'d>(dirs: &'d [JobDir], word: &str) -> Vec<&'d JobDir> {
    let of_zone: Vec<&JobDir> = dirs.iter().filter(|dir| zone_of(&dir.id) == word).collect();
    if !of_zone.is_empty() {
        return of_zone;
    }
    dirs.iter().filter(|dir| !word.is_empty() && dir.id.as_str().starts_with(word)).collect()
}

fn ambiguous(word: &str, dirs: &[&JobDir]) -> CliError {
    let mut text = format!("'{}' may mean {} jobs, say more of the one", word.escape_debug(), dirs.len());
    for dir in dirs.iter().take(NAMED) {
        text.push_str(&format!("\n{}", dir.id));
    }
    if dirs.len() > NAMED {
        text.push_str(&format!("\n… and {} more", dirs.len() - NAMED));
    }
    CliError::bad([text])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "web-20070518T033600Z-7f3a";
    const NEW: &str = "web-20070519T033600Z-0001";
    const LIKE: &str = "web-2-20070518T033600Z-0002";

    fn spool(active: &[&str], done: &[&str]) -> (tempfile::TempDir, Spool) {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        for id in active.iter().chain(done) {
            spool.create_job(&JobId::new(*id).unwrap(), &[]).unwrap();
        }
        for id in done {
            spool.end(&JobId::new(*id).unwrap(), Place::Done).unwrap();
        }
        (tmp, spool)
    }

    fn found(spool: &Spool, word: &str) -> Result<String, String> {
        job(spool, word, Place::Active).map(|dir| dir.id.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_zone_means_its_active_job_and_not_that_of_a_zone_called_alike() {
        let (_tmp, spool) = spool(&[NEW, LIKE], &[OLD]);
        assert_eq!(found(&spool, "web").unwrap(), NEW);
        assert_eq!(found(&spool, "web-2").unwrap(), LIKE);
        assert_eq!(found(&spool, OLD).unwrap(), OLD);
        assert_eq!(found(&spool, "web-20070518").unwrap(), OLD);
    }

    #[test]
    fn of_ended_jobs_of_a_zone_the_newest_is_meant() {
        let (_tmp, spool) = spool(&[], &[OLD, NEW]);
        assert_eq!(found(&spool, "web").unwrap(), NEW);
    }

    #[test]
    fn what_may_mean_several_jobs_is_refused_with_their_ids() {
        let (_tmp, spool) = spool(&[NEW, LIKE], &[]);
        let said = found(&spool, "we").unwrap_err();
        assert!(said.contains("may mean 2 jobs") && said.contains(NEW) && said.contains(LIKE), "{said}");
        let said = found(&spool, "db\u{1b}").unwrap_err();
        assert!(said.contains("no job is called 'db\\u{1b}'"), "{said}");
        found(&spool, "").unwrap_err();
    }
}
