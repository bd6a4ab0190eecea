//! What can go wrong with the spool, told apart where somebody acts on the difference.

use std::io;
use std::path::{Path, PathBuf};

use crate::guard::{Flaw, shown};

/// A fault of the spool. The file on disk is as it was before, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// No space, or the quota is used up. Nothing was lost: hold, alert, try again.
    #[error("no space left to write {}, make room; nothing is lost", shown(path))]
    Full {
        /// What was to be written.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}", shown(path))]
    Io {
        /// What was tried, a verb: `read`, `rename`.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A name in the spool is not what it has to be.
    #[error("{0}: {remedy}", remedy = .0.remedy)]
    Layout(#[from] Flaw),
    /// A journal that can't be true. The job is set aside, never guessed.
    #[error("{}:{line}: {why}; the job is set aside until the journal is mended", shown(path))]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Another daemon works on this spool.
    #[error("{} is locked by another zmigrated (pid {pid}), stop that one first", shown(path))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds the lock.
        pid: i32,
    },
    /// The job's folder is there already.
    #[error("{} exists already", shown(path))]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

impl SpoolError {
    /// Names a system error, and tells a full filesystem apart.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Io { what, path: path.to_owned(), source },
        }
    }

    /// A path that can't be used as a name of the spool.
    pub(super) fn no_name(what: &'static str, path: &Path) -> Self {
        Self::io(what, path, io::ErrorKind::InvalidInput.into())
    }

    /// Whether the system says that we may not.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Whether the spool is full: the one fault that ends by itself when somebody makes room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
