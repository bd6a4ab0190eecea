//! How files get from one host to the other: the dropbox of a peer.
//!
//! ```text
//! dropbox/<peer>/in/<job>/    the source writes: offer, parts, PART.entry, withdraw, handoff, ack, revoked
//! dropbox/<peer>/out/<job>/   the target writes: answer, progress, receipt, result
//! ```
//!
//! Owns names and order in a dropbox, from both sides: [`dropbox`] is the source's side, of a path that both hosts can
//! reach ([`directory`]) or behind the peer's sshd ([`sftp`]); [`arrivals`] is the target's own side, [`guard`] says
//! whether a dropbox is the peer's alone.
//! Guarantees: a file becomes visible only whole, by dot name and rename; messages are synced first, parts
//! and entries are not, because each is guarded by a digest and can be put again. What lies in `in/` is
//! read relative to its directory, bounded, and without following links. Never does: understand what the
//! files mean.

pub mod arrivals;
pub mod directory;
pub mod dropbox;
pub mod guard;
pub mod sftp;

pub use dropbox::Dropbox;

/// Why a dropbox could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// It is not there: not mounted, the peer is down, its directories are missing. Waiting may help.
    #[error("the dropbox {path} can't be reached: {source}")]
    Unreachable {
        /// What was looked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The peer is there, and it or we are not who the other knows: a host key, a login. In words for an operator, who
    /// alone can help.
    #[error("{0}")]
    Untrusted(String),
    /// One file could not be put or read.
    #[error("cannot {what} {path}: {why}")]
    File {
        /// Put, read, remove.
        what: &'static str,
        /// The file.
        path: String,
        /// Why.
        why: String,
        /// The disk or the quota there is full.
        full: bool,
    },
}

impl TransportError {
    /// Nothing is wrong but that there is no space left at the other end.
    pub fn is_full(&self) -> bool {
        matches!(self, TransportError::File { full: true, .. })
    }

    /// The dropbox went away, or was not there: what was under way may have been done.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, TransportError::Unreachable { .. })
    }

    fn file(what: &'static str, path: &std::path::Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let full = matches!(error.kind(), StorageFull | QuotaExceeded);
        Self::File { what, path: path.display().to_string(), why: error.to_string(), full }
    }
}
