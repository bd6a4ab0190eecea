//! One job as the files in its folder tell it: the journal's fold, which is the truth, and `status.json`, which
//! is evidence of what the daemon was doing. Reads beside a running daemon and without one; changes nothing.

use std::ffi::OsStr;
use std::io;

use crate::job::event::Event;
use crate::job::record::Job;
use crate::job::status::{self, Status};
use crate::spool::read::{open_dir, read_bounded};
use crate::spool::{JobDir, Spool, SpoolError, journal};

use super::timeline::Moment;

/// No `status.json` is larger: some thousand images.
const MAX_STATUS: u64 = 4 << 20;

/// What a job's folder says.
#[derive(Debug)]
pub struct Look {
    /// The folder, as it was when it was read.
    pub dir: JobDir,
    /// The fold; `None` before the first line.
    pub job: Option<Job>,
    /// What happened, line by line.
    pub timeline: Vec<Moment>,
    /// What the daemon said last.
    pub status: Option<Status>,
    /// Why the journal could not be folded to its end: the daemon sets such a job aside.
    pub fault: Option<String>,
}

impl Look {
    /// Reads a job's folder. A job that moves to another folder meanwhile is found there.
    ///
    /// # Errors
    /// When the spool can't be read, or the job is gone.
    pub fn at(spool: &Spool, dir: &JobDir) -> Result<Self, SpoolError> {
        let mut look = Self::once(dir)?;
        if !dir.path.is_dir()
            && let Some(moved) = spool.find(&dir.id)?
        {
            look = Self::once(&moved)?;
        }
        Ok(look)
    }

    fn once(dir: &JobDir) -> Result<Self, SpoolError> {
        let mut look =
            Self { dir: dir.clone(), job: None, timeline: Vec::new(), status: read_status(dir), fault: None };
        let read = journal::read(&dir.journal(), |entry: journal::Entry<Event>| {
            if look.fault.is_some() {
                return;
            }
            let folded = match &mut look.job {
                None => Job::begin(entry.at, &entry.event).map(|job| look.job = Some(job)),
                Some(job) => job.apply(entry.at, &entry.event),
            };
            match folded {
                Ok(()) => look.timeline.push(Moment::new(entry.at, &entry.event)),
                Err(why) => look.fault = Some(why.to_string()),
            }
        });
        match read {
            Ok(_) => {}
            Err(SpoolError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error @ SpoolError::Journal { .. }) => look.fault = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(look)
    }
}

/// Reads what the daemon said last about a job; `None` when there is nothing that can be read, which harms
/// nobody.
pub fn read_status(dir: &JobDir) -> Option<Status> {
    let name = dir.status();
    let name = name.file_name().unwrap_or(OsStr::new("status.json"));
    let content = read_bounded(open_dir(&dir.path).ok()?, name, MAX_STATUS).ok()?;
    let status: Status = serde_json::from_slice(&content.bytes).ok()?;
    (status.v == status::VERSION && status.job == dir.id).then_some(status)
}
