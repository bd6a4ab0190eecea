//! The spool: the queue of requests and jobs, as directories. Files only; it knows neither ZFS nor zones.
//!
//! Owns the layout below one directory, and the one rule by which it survives a crash: a request or a
//! job is always in exactly one place, and goes from one to the next by one `rename`.
//!
//! ```text
//! incoming/           0700  requests are dropped here (a site may widen it to 1770 with a group of operators)
//! active/.claims/     0700  taken out of incoming, not yet looked at or decided
//! active/.new-JOB/    0700  a job's folder being built
//! active/JOB/         0700  a job
//! done/JOB/ failed/JOB/     the same folder after the job has ended
//! rejected/NAME, NAME.reason
//! asks/VERB.JOB       0700  what the command line asks of the daemon
//! outbox/             0700  outcomes that a log host has still to be told
//! streams/            0700  the streams that run, for the daemon after one that was killed
//! lock                      one daemon a spool
//! ```
//!
//! A request's way, and what a daemon that starts finds after a crash in between:
//!
//! | state | incoming/N | .claims/N | .new-JOB | JOB | what is done |
//! | --- | --- | --- | --- | --- | --- |
//! | dropped | yes | | | | the scan finds it |
//! | claimed | | yes | | | the scan finds it, as if it had just been claimed |
//! | being built | | yes | request.toml or less | | .new-JOB is removed; as *claimed* |
//! | admitted | | | request.toml, dropped | | .new-JOB is renamed to JOB |
//! | a job | | | | request.toml, dropped | `dropped` is removed |
//! | a job | | | | request.toml | nothing |
//!
//! The commit is the one rename from `.claims/N` to `.new-JOB/dropped`: before it the request is an
//! undecided one, after it the job exists. At no instant is the request in two places or in none.
//! A rejection writes `rejected/N.reason` first and then renames the request beside it, so a crash between
//! the two leaves the request claimed and a reason that the next rejection writes again.
//!
//! Guarantees: what was dropped is never followed (a link), waited for (a FIFO), believed before it is
//! private to the daemon, or thrown away. A full spool is [`SpoolError::Full`], with nothing lost.
//! Never does: parse a request, read a clock, remove a job.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::guard::Flaw;
use crate::job::name::JobId;

mod admit;
pub mod asks;
pub mod durable;
mod error;
pub mod folders;
pub mod incoming;
pub mod journal;
pub mod lock;
mod look;
pub mod outbox;
pub mod read;

pub use error::SpoolError;
use lock::Lock;
use look::{exists, read_dir};

/// Where a job's folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Going on, in `active/`.
    Active,
    /// Ended well, in `done/`.
    Done,
    /// Ended otherwise, in `failed/`.
    Failed,
}

impl Place {
    /// All places, in the order in which a job can pass through them.
    pub const ALL: [Place; 3] = [Place::Active, Place::Done, Place::Failed];

    /// The directory's name below the spool.
    pub fn folder(self) -> &'static str {
        match self {
            Place::Active => "active",
            Place::Done => "done",
            Place::Failed => "failed",
        }
    }
}

/// A job's folder and the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDir {
    /// The job.
    pub id: JobId,
    /// Where the folder is.
    pub place: Place,
    /// Its path.
    pub path: PathBuf,
}

impl JobDir {
    /// The request as it was taken up; a target's job has none.
    pub fn request(&self) -> PathBuf {
        self.path.join("request.toml")
    }

    /// The journal ([`journal::Journal`]): what is true about the job.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// Evidence for `status` and `watch`; written by [`durable::write_unsynced`], lost without harm.
    pub fn status(&self) -> PathBuf {
        self.path.join("status.json")
    }

    /// The job's log, for people.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

/// The spool. Cheap to clone; clones share the lock.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
    _lock: Option<Arc<Lock>>,
}

impl Spool {
    /// Opens the spool for the daemon: makes what is missing, checks what is there, takes the lock and
    /// finishes the admissions that a crash interrupted. To be called after the last fork
    /// ([`lock`] says why), once in a process.
    ///
    /// # Errors
    /// [`SpoolError::Layout`] for a directory that is a link, belongs to somebody else, can be written by
    /// those who must not, or lies on another filesystem; [`SpoolError::Locked`] when a daemon is here.
    pub fn open(dir: &Path) -> Result<Self, SpoolError> {
        folders::make(dir)?;
        let lock = Lock::take(&dir.join("lock"))?;
        let spool = Self { dir: dir.to_owned(), _lock: Some(Arc::new(lock)) };
        spool.finish_admissions()?;
        Ok(spool)
    }

    /// Names a spool without opening it: for the command line, which reads and leaves asks beside a
    /// running daemon. Nothing is made or checked.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), _lock: None }
    }

    /// The spool's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where requests are dropped; what a watcher watches, beside [`Spool::asks_dir`].
    pub fn incoming_dir(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    /// Where the command line leaves what it asks.
    pub fn asks_dir(&self) -> PathBuf {
        self.dir.join("asks")
    }

    /// Where the daemon keeps which streams it runs.
    pub fn streams_dir(&self) -> PathBuf {
        self.dir.join("streams")
    }

    /// Outcomes on their way to a log host. The daemon has one of these, and no more.
    pub fn outbox(&self) -> outbox::Outbox {
        outbox::Outbox::new(self.dir.join(folders::OUTBOX))
    }

    /// The daemon's pid, or `None` when no daemon is here. Not to be called by the daemon ([`lock::holder`]).
    ///
    /// # Errors
    /// When the lock file is there and can't be asked.
    pub fn daemon(&self) -> Result<Option<i32>, SpoolError> {
        lock::holder(&self.dir.join("lock"))
    }

    fn claims(&self) -> PathBuf {
        self.dir.join("active/.claims")
    }

    fn folder(&self, place: Place) -> PathBuf {
        self.dir.join(place.folder())
    }

    fn job_dir(&self, place: Place, id: &JobId) -> JobDir {
        JobDir { id: id.clone(), place, path: self.folder(place).join(id.as_str()) }
    }

    /// The jobs at one place, by name. Names that are no job's id, and anything but directories, are passed
    /// over.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn jobs(&self, place: Place) -> Result<Vec<JobDir>, SpoolError> {
        let folder = self.folder(place);
        let mut jobs = Vec::new();
        for entry in read_dir(&folder)? {
            let is_dir = entry.file_type().map_err(|e| SpoolError::io("look at", &entry.path(), e))?.is_dir();
            if let Some(Ok(id)) = entry.file_name().to_str().map(JobId::new)
                && is_dir
            {
                jobs.push(self.job_dir(place, &id));
            }
        }
        jobs.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(jobs)
    }

    /// A job's folder, wherever it is.
    ///
    /// # Errors
    /// When it can't be said whether it is there.
    pub fn find(&self, id: &JobId) -> Result<Option<JobDir>, SpoolError> {
        for place in Place::ALL {
            let job = self.job_dir(place, id);
            if exists(&job.path)? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Moves a job that has ended out of `active/`, by one rename. May be repeated: a job that is already
    /// there stays there.
    ///
    /// # Errors
    /// When it can't be moved; it is then where it was.
    pub fn end(&self, id: &JobId, place: Place) -> Result<JobDir, SpoolError> {
        let (from, to) = (self.job_dir(Place::Active, id), self.job_dir(place, id));
        if exists(&to.path)? {
            // Two folders of one job would be two truths: rename(2) would replace an empty one silently.
            if place != Place::Active && exists(&from.path)? {
                let why = "is already there, and active/ has the job, too";
                return Err(Flaw::of(&to.path, why, "move one of the two away").into());
            }
            return Ok(to);
        }
        durable::rename(&from.path, &to.path)?;
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn id(text: &str) -> JobId {
        JobId::new(text).unwrap()
    }

    #[test]
    fn a_job_ends_by_one_rename_that_may_be_repeated() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        let job = id("web-20070518T033600Z-7f3a");
        assert_eq!(spool.find(&job).unwrap(), None);
        let dir = spool.create_job(&job, &[("journal", b"")]).unwrap();
        assert_eq!(spool.find(&job).unwrap(), Some(dir));

        let done = spool.end(&job, Place::Done).unwrap();
        assert!(done.journal().is_file());
        assert_eq!(spool.end(&job, Place::Done).unwrap(), done);
        assert_eq!(spool.find(&job).unwrap(), Some(done.clone()));
        assert_eq!(spool.jobs(Place::Active).unwrap(), []);
        assert_eq!(spool.jobs(Place::Done).unwrap(), [done]);

        spool.create_job(&job, &[]).unwrap_err();
        fs::create_dir(tmp.path().join("active").join(job.as_str())).unwrap();
        assert!(matches!(spool.end(&job, Place::Done), Err(SpoolError::Layout { .. })));
    }

    #[test]
    fn what_is_no_job_is_passed_over() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        fs::write(tmp.path().join("active/web-20070518T033600Z-7f3a"), "a file").unwrap();
        fs::create_dir(tmp.path().join("active/lost+found")).unwrap();
        assert_eq!(spool.jobs(Place::Active).unwrap(), []);
    }
}
