//! `transport = "directory"`: the source's side of a dropbox at a path that both hosts can reach, an NFS
//! mount or, on one machine, a directory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::TransportError;
use crate::job::name::JobId;
use crate::spool::durable;
use crate::spool::read::{self, ReadError};

/// A part is copied in pieces of so many bytes.
const PIECE: u64 = 1 << 20;

/// One job's two directories in a peer's dropbox. Cheap to make; holds nothing open.
#[derive(Debug, Clone)]
pub struct Directory {
    inbox: PathBuf,
    outbox: PathBuf,
    dropbox: PathBuf,
}

impl Directory {
    /// The job's place in `dropbox`.
    pub fn new(dropbox: &Path, job: &JobId) -> Self {
        Self {
            inbox: dropbox.join("in").join(job.as_str()),
            outbox: dropbox.join("out").join(job.as_str()),
            dropbox: dropbox.to_owned(),
        }
    }

    /// Puts a message: visible whole or not at all, on disk when this returns. May be repeated.
    ///
    /// # Errors
    /// [`TransportError`]; the message may or may not be visible then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.make_inbox()?;
        let path = self.inbox.join(name);
        durable::write(&path, bytes).map_err(|e| self.lost("put", &path, e))
    }

    /// Puts a part's entry. Not synced: a lost one is put again, a torn one does not parse.
    ///
    /// # Errors
    /// As [`Directory::put`].
    pub fn put_entry(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        let path = self.inbox.join(name);
        durable::write_unsynced(&path, bytes).map_err(|e| self.lost("put", &path, e))
    }

    /// Copies a staged part; `may` is asked before each piece, and says whether to go on, `told` hears of it. The kernel
    /// does the copying where it can; the target checks the digest.
    ///
    /// # Errors
    /// As [`Directory::put`]. Nothing is visible then.
    pub fn put_part(
        &self,
        name: &str,
        from: &Path,
        may: &dyn Fn(u64) -> bool,
        told: &dyn Fn(u64),
    ) -> Result<u64, TransportError> {
        self.make_inbox()?;
        let dot = self.inbox.join(format!(".{name}"));
        let path = self.inbox.join(name);
        let copy = || -> io::Result<u64> {
            let _ = fs::remove_file(&dot);
            let mut to = File::options().write(true).create_new(true).mode(0o600).open(&dot)?;
            let mut from = File::open(from)?;
            let length = from.metadata()?.len();
            let mut bytes = 0;
            while bytes < length {
                if !may(PIECE.min(length - bytes)) {
                    return Err(io::Error::other("stopped"));
                }
                let piece = io::copy(&mut (&mut from).take(PIECE), &mut to)?;
                if piece == 0 {
                    break;
                }
                bytes += piece;
                told(piece);
            }
            fs::rename(&dot, &path)?;
            Ok(bytes)
        };
        copy().map_err(|e| {
            let _ = fs::remove_file(&dot);
            TransportError::file("put", &path, &e)
        })
    }

    /// What the peer has put under `name`, at most `max` bytes; `None` when nothing is there.
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] when the dropbox itself is not there.
    pub fn get(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, TransportError> {
        let read = read::open_dir(&self.outbox).and_then(|dir| read::read_bounded(dir, name.as_ref(), max));
        match read {
            Ok(content) => Ok(Some(content.bytes)),
            Err(ReadError::Missing) => self.reach().map(|()| None),
            Err(e) => Err(TransportError::File {
                what: "read",
                path: self.outbox.join(name).display().to_string(),
                why: e.to_string(),
                full: false,
            }),
        }
    }

    /// Is a file of ours still there?
    ///
    /// # Errors
    /// When it can't be said.
    pub fn holds(&self, name: &str) -> Result<bool, TransportError> {
        let path = self.inbox.join(name);
        match path.try_exists() {
            Ok(true) => Ok(true),
            Ok(false) => self.reach().map(|()| false),
            Err(e) => Err(TransportError::file("look at", &path, &e)),
        }
    }

    /// Has the peer put anything for this job, and not taken it away?
    ///
    /// # Errors
    /// When it can't be said.
    pub fn has_answers(&self) -> Result<bool, TransportError> {
        self.outbox.try_exists().map_err(|e| TransportError::file("look at", &self.outbox, &e))
    }

    /// Takes away a file of ours; one that is not there is no fault.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(&self, name: &str) -> Result<(), TransportError> {
        let path = self.inbox.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(TransportError::file("remove", &path, &e)),
            _ => Ok(()),
        }
    }

    /// Takes away our side of the job, when it is over.
    ///
    /// # Errors
    /// When something is left; may be repeated.
    pub fn leave(&self) -> Result<(), TransportError> {
        self.reach()?;
        durable::remove_dir_all(&self.inbox).map_err(|e| self.lost("remove", &self.inbox, e))
    }

    /// Are the dropbox's two directories there?
    ///
    /// # Errors
    /// [`TransportError::Unreachable`].
    pub fn reach(&self) -> Result<(), TransportError> {
        for side in ["in", "out"] {
            let path = self.dropbox.join(side);
            let unreachable =
                |source| TransportError::Unreachable { path: path.display().to_string(), source };
            if !fs::metadata(&path).map_err(unreachable)?.is_dir() {
                return Err(unreachable(io::ErrorKind::NotADirectory.into()));
            }
        }
        Ok(())
    }

    fn make_inbox(&self) -> Result<(), TransportError> {
        match fs::DirBuilder::new().mode(0o700).create(&self.inbox) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.reach()?;
                Err(TransportError::file("make", &self.inbox, &e))
            }
            Err(e) => Err(TransportError::file("make", &self.inbox, &e)),
            Ok(()) => Ok(()),
        }
    }

    fn lost(&self, what: &'static str, path: &Path, error: crate::spool::SpoolError) -> TransportError {
        if let Err(unreachable) = self.reach() {
            return unreachable;
        }
        let full = error.is_full();
        TransportError::File { what, path: path.display().to_string(), why: error.to_string(), full }
    }
}
