//! The target's own side of a peer's dropbox: what has arrived, and the answers.
//!
//! Everything in `in/` is the peer's word: names are checked as job ids before they are used, files are
//! opened relative to their directory, never through a link, never waited for, never beyond a bound.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::TransportError;
use super::guard::{Owners, inbox};
use crate::guard::{self, Flaw, Seen};
use crate::job::name::JobId;
use crate::spool::durable;
use crate::spool::read::{self, ReadError};

/// A peer's dropbox on this host.
#[derive(Debug, Clone)]
pub struct Arrivals {
    dir: PathBuf,
}

impl Arrivals {
    /// The dropbox at `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Makes the dropbox's directories where they are missing: the dropbox and `out/` ours alone to write,
    /// `in/` for the peer; the administrator gives it to the peer's account. What is there stays as it is.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn make(&self) -> Result<(), TransportError> {
        let make = |path: &Path, mode| {
            durable::create_dir(path, mode).map(drop).map_err(|e| TransportError::File {
                what: "make",
                path: path.display().to_string(),
                full: e.is_full(),
                why: e.to_string(),
            })
        };
        make(&self.dir, 0o755)?;
        make(&self.dir.join("in"), 0o755)?;
        make(&self.dir.join("out"), 0o755)
    }

    /// Judges owners and modes: may anybody but the peer and root write here?
    ///
    /// # Errors
    /// The first flaw; a directory that can't be looked at is one.
    pub fn guard(&self, who: Owners<'_>) -> Result<(), Flaw> {
        let above = self.dir.parent().unwrap_or(&self.dir);
        let look = |path: &Path| {
            Seen::at(path).map_err(|error| {
                let remedy = "see that it exists; zmigrated makes it when it starts";
                Flaw::of(path, format!("can't be looked at: {error}"), remedy)
            })
        };
        // From above: what lies in a directory that others can write means nothing.
        guard::ours(&look(above)?, who.ours)?;
        guard::ours(&look(&self.dir)?, who.ours)?;
        inbox(&look(&self.in_dir())?, who)?;
        guard::ours(&look(&self.dir.join("out"))?, who.ours)
    }

    /// Where files arrive; what a watcher watches.
    pub fn in_dir(&self) -> PathBuf {
        self.dir.join("in")
    }

    /// The jobs for which something has arrived, at most `limit` of them. Names that are no job's id are
    /// passed over.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn jobs(&self, limit: usize) -> Result<Vec<JobId>, TransportError> {
        self.ids("in", limit)
    }

    /// The jobs to which we have answered.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn answered(&self) -> Result<Vec<JobId>, TransportError> {
        self.ids("out", usize::MAX)
    }

    fn ids(&self, side: &str, limit: usize) -> Result<Vec<JobId>, TransportError> {
        let path = self.dir.join(side);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(TransportError::file("read", &path, &e)),
        };
        let ids = entries.filter_map(|e| JobId::new(e.ok()?.file_name().into_string().ok()?).ok());
        Ok(ids.take(limit).collect())
    }

    /// One job's side.
    pub fn job(&self, job: &JobId) -> JobBox {
        JobBox {
            inbox: self.dir.join("in").join(job.as_str()),
            outbox: self.dir.join("out").join(job.as_str()),
        }
    }
}

/// What has arrived for one job, and what we answer.
#[derive(Debug, Clone)]
pub struct JobBox {
    inbox: PathBuf,
    outbox: PathBuf,
}

impl JobBox {
    /// Where the peer's files arrive.
    pub fn inbox(&self) -> &Path {
        &self.inbox
    }

    /// Has the peer anything here at all? `false` once it has taken its side away.
    pub fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.inbox).is_ok_and(|m| m.is_dir())
    }

    /// A message of the peer, at most `max` bytes; `None` when there is none. A link, a FIFO, a directory or
    /// something too big in its place is none either, and said so in the error.
    ///
    /// # Errors
    /// When something is there that can't be read.
    pub fn read(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, TransportError> {
        let read = self.open_dir().and_then(|dir| read::read_bounded(dir, name.as_ref(), max));
        match read {
            Ok(content) => Ok(Some(content.bytes)),
            Err(ReadError::Missing) => Ok(None),
            Err(e) => Err(TransportError::File {
                what: "read",
                path: self.inbox.join(name).display().to_string(),
                why: e.to_string(),
                full: false,
            }),
        }
    }

    /// Is a file of that name here?
    pub fn has(&self, name: &str) -> bool {
        let Ok(dir) = self.open_dir() else { return false };
        fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            SFlag::from_bits_truncate(stat.st_mode as libc::mode_t) & SFlag::S_IFMT == SFlag::S_IFREG
        })
    }

    /// Opens a part for reading: a regular file, not through a link; `None` when it is not there.
    ///
    /// # Errors
    /// When it can't be opened or is something else.
    pub fn open_part(&self, name: &str) -> Result<Option<fs::File>, TransportError> {
        let path = self.inbox.join(name);
        let fault = |e: &io::Error| TransportError::file("open", &path, e);
        let dir = match self.open_dir() {
            Ok(dir) => dir,
            Err(_) => return Ok(None),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(&dir, name, flags, Mode::empty()) {
            Ok(fd) => {
                let file = fs::File::from(fd);
                if !file.metadata().map_err(|e| fault(&e))?.is_file() {
                    return Err(fault(&io::Error::other("not a regular file")));
                }
                Ok(Some(file))
            }
            Err(nix::errno::Errno::ENOENT) => Ok(None),
            Err(e) => Err(fault(&e.into())),
        }
    }

    /// Takes away a file that is done with. One that is gone is no fault. Relative to the directory, which must not
    /// be a link: the peer could have put one there that leads to somebody else's files.
    pub fn remove(&self, name: &str) {
        if let Ok(dir) = self.open_dir() {
            let _ = unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// Takes away all files of such names; those that can't be are passed over.
    pub fn remove_all(&self, such: fn(&str) -> bool) {
        let entries = fs::read_dir(&self.inbox).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| such(name)).for_each(|name| self.remove(&name));
    }

    /// Puts a message: visible whole or not at all, on disk when this returns. May be repeated.
    ///
    /// # Errors
    /// When it could not be put.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.write(name, bytes, durable::write)
    }

    /// As [`JobBox::put`], without a sync: for progress, which is put again and again.
    ///
    /// # Errors
    /// When it could not be put.
    pub fn put_progress(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.write(name, bytes, durable::write_unsynced)
    }

    fn write(
        &self,
        name: &str,
        bytes: &[u8],
        write: fn(&Path, &[u8]) -> Result<(), crate::spool::SpoolError>,
    ) -> Result<(), TransportError> {
        let path = self.outbox.join(name);
        durable::create_dir(&self.outbox, 0o755).and_then(|_| write(&path, bytes)).map_err(|e| {
            TransportError::File {
                what: "put",
                path: path.display().to_string(),
                full: e.is_full(),
                why: e.to_string(),
            }
        })
    }

    /// What we have put under `name`; `None` when it is not there or too big to be ours.
    pub fn read_put(&self, name: &str, max: u64) -> Option<Vec<u8>> {
        let dir = read::open_dir(&self.outbox).ok()?;
        read::read_bounded(dir, name.as_ref(), max).ok().map(|content| content.bytes)
    }

    /// Is this message of ours still there?
    pub fn has_put(&self, name: &str) -> bool {
        self.outbox.join(name).exists()
    }

    /// Takes away our answers, once the peer has taken its side away.
    ///
    /// # Errors
    /// When something is left.
    pub fn forget(&self) -> Result<(), TransportError> {
        durable::remove_dir_all(&self.outbox).map_err(|e| TransportError::File {
            what: "remove",
            path: self.outbox.display().to_string(),
            full: false,
            why: e.to_string(),
        })
    }

    fn open_dir(&self) -> Result<OwnedFd, ReadError> {
        read::open_dir(&self.inbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_in_place_of_a_jobs_directory_leads_nowhere() {
        let tmp = tempfile::tempdir().unwrap();
        let arrivals = Arrivals::new(tmp.path().join("zhost1"));
        arrivals.make().unwrap();
        let elsewhere = tmp.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("offer"), "precious").unwrap();
        let job = JobId::new("db-20070518T033600Z-7f3a").unwrap();
        symlink(&elsewhere, arrivals.in_dir().join(job.as_str())).unwrap();
        let inbox = arrivals.job(&job);
        assert!(!inbox.is_there() && !inbox.has("offer"));
        assert!(inbox.read("offer", 100).is_err());
        inbox.remove("offer");
        assert!(elsewhere.join("offer").exists(), "a peer's link made root remove a file elsewhere");
        // Where it is a directory, both do what they are for.
        fs::remove_file(inbox.inbox()).unwrap();
        fs::rename(&elsewhere, inbox.inbox()).unwrap();
        assert!(inbox.has("offer") && !inbox.has("none"));
        inbox.remove("offer");
        assert!(!inbox.has("offer"));
    }
}
