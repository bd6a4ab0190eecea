//! The source's side of a dropbox, however it is reached.

use std::path::Path;

use super::TransportError;
use super::directory::Directory;
use super::sftp::{Clock, Sftp};
use crate::config::Transport;
use crate::job::name::JobId;
use crate::process::Programs;

/// One job's two directories in a peer's dropbox. May be used by several threads at once; clones share what is open.
#[derive(Debug, Clone)]
pub enum Dropbox {
    /// By a path.
    Directory(Directory),
    /// By SFTP.
    Sftp(Sftp),
}

/// The same question to whichever it is.
macro_rules! either {
    ($dropbox:ident, $of:ident => $ask:expr) => {
        match $dropbox {
            Dropbox::Directory($of) => $ask,
            Dropbox::Sftp($of) => $ask,
        }
    };
}

impl Dropbox {
    /// The job's place in the dropbox that the configuration names. Nothing is opened yet. `clock` counts the pauses between
    /// logins, `is_over` ends all waiting for the network.
    pub fn new(
        at: &Transport,
        job: &JobId,
        programs: Programs,
        clock: Clock,
        is_over: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        match at {
            Transport::Directory { dropbox } => Self::Directory(Directory::new(dropbox, job)),
            Transport::Sftp(at) => Self::Sftp(Sftp::new(at, job, programs, clock, is_over)),
        }
    }

    /// Whether nothing announces what the peer puts, so that it must be asked for.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Sftp(_))
    }

    /// Puts a message: visible whole or not at all, on disk when this returns. May be repeated.
    ///
    /// # Errors
    /// [`TransportError`]; the message may or may not be visible then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        either!(self, of => of.put(name, bytes))
    }

    /// Puts a part's entry. Not synced: a lost one is put again, a torn one does not parse.
    ///
    /// # Errors
    /// As [`Dropbox::put`].
    pub fn put_entry(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        either!(self, of => of.put_entry(name, bytes))
    }

    /// Copies a staged part. `may` is asked before so many bytes go, and says whether to go on; `told` hears of those that have
    /// arrived. The target checks the digest.
    ///
    /// # Errors
    /// As [`Dropbox::put`]. Nothing is visible then, or, where the dropbox went away, all of it may be: [`Dropbox::has_named`].
    pub fn put_part(
        &self,
        name: &str,
        from: &Path,
        may: &dyn Fn(u64) -> bool,
        told: &dyn Fn(u64),
    ) -> Result<u64, TransportError> {
        either!(self, of => of.put_part(name, from, may, told))
    }

    /// Whether a part all of whose bytes arrived before the dropbox went away has got its name, and not only its dot name.
    ///
    /// # Errors
    /// When it can't be said.
    pub fn has_named(&self, part: &str) -> Result<bool, TransportError> {
        Ok(!self.holds(&format!(".{part}"))? && self.holds(part)?)
    }

    /// What the peer has put under `name`, at most `max` bytes; `None` when nothing is there.
    ///
    /// # Errors
    /// When the dropbox itself can't be reached, too.
    pub fn get(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, TransportError> {
        either!(self, of => of.get(name, max))
    }

    /// Is a file of ours still there?
    ///
    /// # Errors
    /// When it can't be said.
    pub fn holds(&self, name: &str) -> Result<bool, TransportError> {
        either!(self, of => of.holds(name))
    }

    /// Has the peer put anything for this job, and not taken it away?
    ///
    /// # Errors
    /// When it can't be said.
    pub fn has_answers(&self) -> Result<bool, TransportError> {
        either!(self, of => of.has_answers())
    }

    /// Takes away a file of ours; one that is not there is no fault.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(&self, name: &str) -> Result<(), TransportError> {
        either!(self, of => of.remove(name))
    }

    /// Takes away our side of the job, when it is over.
    ///
    /// # Errors
    /// When something is left; may be repeated.
    pub fn leave(&self) -> Result<(), TransportError> {
        either!(self, of => of.leave())
    }

    /// Are the dropbox's two directories there?
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] or [`TransportError::Untrusted`].
    pub fn reach(&self) -> Result<(), TransportError> {
        either!(self, of => of.reach())
    }
}
