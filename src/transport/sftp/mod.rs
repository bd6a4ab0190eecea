//! `transport = "sftp"`: the source's side of a dropbox behind the peer's sshd.
//!
//! Keys, known hosts, agents and jump hosts are the system's ssh's business; over there nothing runs but the SFTP server. Sessions
//! are made when they are needed and kept for the next question (`sessions`), so that a job and all its polling log in once, and
//! each part that travels beside another has a session of its own. One that breaks takes all the others with it, as they share its
//! way.
//!
//! As by a path, each file comes whole, by dot name and rename. Messages are synced where the server has fsync@openssh.com, and take
//! the place of an older one in one step where it has posix-rename@openssh.com, as OpenSSH has since 6.5; elsewhere a
//! message may be lost with the peer's power, or be away for a moment while it is put again. Neither harms: each is put again
//! for as long as nothing shows that it was read.

mod frames;
mod session;
mod sessions;

use std::fmt;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use openssh_sftp_client::error::SftpErrorKind;
use openssh_sftp_client::metadata::Permissions;

use super::TransportError;
use crate::cmd::ssh::Destination;
use crate::config;
use crate::job::name::JobId;
use crate::process::Programs;
use session::{Fault, Session};
use sessions::Sessions;

pub use sessions::Clock;

/// Pieces under way on all connections; each has 255 KiB. Of one connection 8, which is the window of ssh itself.
const WINDOWS: usize = 64;
/// Less than this, and the disk or quota over there is full.
const FULL: u64 = 1 << 20;
/// Names that are taken from a listing at once.
const NAMES: usize = 1024;
/// The longest that a file system has.
const NAME: usize = 255;
/// Listings until a folder must be empty: in all, more names than a job ever has in it.
const ROUNDS: usize = 1024;

/// One job's two directories in a peer's dropbox. Clones share the sessions.
#[derive(Clone)]
pub struct Sftp {
    shared: Arc<Shared>,
}

struct Shared {
    sessions: Sessions,
    window: usize,
    dropbox: PathBuf,
    inbox: PathBuf,
    outbox: PathBuf,
}

impl From<&config::Sftp> for Destination {
    fn from(at: &config::Sftp) -> Self {
        Self { address: at.address.clone(), user: at.user.clone(), options: at.ssh_options.clone() }
    }
}

impl Sftp {
    /// The job's place in the dropbox that the configuration describes. Logs in when something is first asked; `is_over`
    /// ends all waiting.
    pub fn new(
        at: &config::Sftp,
        job: &JobId,
        programs: Programs,
        clock: Clock,
        is_over: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            sessions: Sessions::new(programs, Destination::from(at), clock, Arc::new(is_over)),
            window: (WINDOWS / at.connections.max(1) as usize).min(8),
            inbox: at.dropbox.join("in").join(job.as_str()),
            outbox: at.dropbox.join("out").join(job.as_str()),
            dropbox: at.dropbox.clone(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// As [`Directory::put`](super::directory::Directory::put).
    ///
    /// # Errors
    /// [`TransportError`]; the message may or may not be visible then.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.put_bytes(name, bytes, true)
    }

    /// As [`Directory::put_entry`](super::directory::Directory::put_entry).
    ///
    /// # Errors
    /// As [`Sftp::put`].
    pub fn put_entry(&self, name: &str, bytes: &[u8]) -> Result<(), TransportError> {
        self.put_bytes(name, bytes, false)
    }

    fn put_bytes(&self, name: &str, bytes: &[u8], sync: bool) -> Result<(), TransportError> {
        self.write(name, |session, dot| session.write_bytes(dot, bytes, sync))
    }

    /// Copies a staged part; `may` is asked before each piece goes, and says whether to go on, `told` hears of each that has
    /// arrived.
    ///
    /// # Errors
    /// As [`Sftp::put`].
    pub fn put_part(
        &self,
        name: &str,
        from: &Path,
        may: &dyn Fn(u64) -> bool,
        told: &dyn Fn(u64),
    ) -> Result<u64, TransportError> {
        let staged = File::open(from).map_err(|e| TransportError::file("read", from, &e))?;
        self.write(name, |session, dot| session.write(dot, &staged, self.shared.window, may, told))
    }

    /// Writes under a dot name and renames; makes the job's folder where it is missing.
    fn write<T>(
        &self,
        name: &str,
        write: impl Fn(&Session, &str) -> Result<T, Fault>,
    ) -> Result<T, TransportError> {
        let (dot, path) = (self.inbox(&format!(".{name}")), self.inbox(name));
        self.with("put", &path, |session| {
            let written = match write(session, &dot) {
                Err(fault) if fault.is_missing() => {
                    self.make_inbox(session)?;
                    write(session, &dot)
                }
                written => written,
            };
            let put = written.and_then(|written| rename(session, &dot, &path).map(|()| written));
            if let Err(Fault::No(..) | Fault::Local(_)) = put {
                // What does not fit must not keep others out.
                let _ = session.ask(session.sftp().fs().remove_file(&dot));
            }
            put
        })
    }

    /// As [`Directory::get`](super::directory::Directory::get).
    ///
    /// # Errors
    /// [`TransportError::Unreachable`] when the dropbox itself is not there.
    pub fn get(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, TransportError> {
        let path = self.shared.outbox.join(name).display().to_string();
        self.with("read", &path, |session| match session.read(&path, max) {
            Err(fault) if fault.is_missing() => self.none(session, "out").map(|()| None),
            Ok(None) => {
                let said = format!("is longer than {max} bytes");
                Err(Fault::No(SftpErrorKind::Failure, said))
            }
            read => read,
        })
    }

    /// As [`Directory::holds`](super::directory::Directory::holds).
    ///
    /// # Errors
    /// When it can't be said.
    pub fn holds(&self, name: &str) -> Result<bool, TransportError> {
        self.is_there(&self.inbox(name), "in")
    }

    /// Has the peer put anything for this job, and not taken it away?
    ///
    /// # Errors
    /// When it can't be said.
    pub fn has_answers(&self) -> Result<bool, TransportError> {
        self.is_there(&self.shared.outbox.display().to_string(), "out")
    }

    fn is_there(&self, path: &str, side: &'static str) -> Result<bool, TransportError> {
        self.with("look at", path, |session| match session.ask(session.sftp().fs().symlink_metadata(path)) {
            Err(fault) if fault.is_missing() => self.none(session, side).map(|()| false),
            there => there.map(|_| true),
        })
    }

    /// Takes away a file of ours; one that is not there is no fault.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(&self, name: &str) -> Result<(), TransportError> {
        let path = self.inbox(name);
        self.with("remove", &path, |session| gone(session.ask(session.sftp().fs().remove_file(&path))))
    }

    /// Takes away our side of the job, when it is over.
    ///
    /// # Errors
    /// When something is left; may be repeated.
    pub fn leave(&self) -> Result<(), TransportError> {
        self.reach()?;
        let inbox = self.shared.inbox.display().to_string();
        self.with("remove", &inbox, |session| {
            for _ in 0..ROUNDS {
                let names = names(session, &inbox)?;
                if names.is_empty() {
                    return gone(session.ask(session.sftp().fs().remove_dir(&inbox)));
                }
                for name in names {
                    gone(session.ask(session.sftp().fs().remove_file(self.inbox(&name))))?;
                }
            }
            Err(Fault::No(SftpErrorKind::Failure, "does not become empty".to_owned()))
        })
    }

    /// Are the dropbox's two directories there?
    ///
    /// # Errors
    /// [`TransportError::Unreachable`]; [`TransportError::Untrusted`] when ssh gives no session.
    pub fn reach(&self) -> Result<(), TransportError> {
        let path = self.shared.dropbox.display().to_string();
        self.with("look at", &path, |session| {
            self.side(session, "in").and_then(|()| self.side(session, "out"))
        })
    }

    /// A file is missing, which says something only where its dropbox is not. Looked at once in each session: it does not go while
    /// somebody is in it.
    fn none(&self, session: &Session, side: &'static str) -> Result<(), Fault> {
        session.has(side, || self.side(session, side))
    }

    /// Is this one there?
    fn side(&self, session: &Session, side: &str) -> Result<(), Fault> {
        let path = self.shared.dropbox.join(side);
        match session.ask(session.sftp().fs().metadata(&path)) {
            Ok(found) if found.file_type().is_some_and(|kind| kind.is_dir()) => Ok(()),
            Ok(_) => Err(laid_out(&path, "is no directory")),
            Err(fault) if fault.is_missing() => Err(laid_out(&path, "is not there")),
            Err(fault) => Err(fault),
        }
    }

    fn make_inbox(&self, session: &Session) -> Result<(), Fault> {
        let inbox = &self.shared.inbox;
        let mut fs = session.sftp().fs();
        let made = session.ask(async {
            let mut builder = fs.dir_builder();
            builder.permissions(Permissions::from(0o700)).create(inbox).await
        });
        match made {
            Err(fault) if fault.is_missing() => self.side(session, "in").and(Err(fault)),
            // Of an existing one the server says no more than that: the writing tells.
            Err(Fault::No(SftpErrorKind::Failure, _)) => Ok(()),
            made => made,
        }
    }

    /// Has a session do something. One that is broken is not used again, nor are those that wait for their turn.
    fn with<T>(
        &self,
        what: &'static str,
        path: &str,
        act: impl FnOnce(&Session) -> Result<T, Fault>,
    ) -> Result<T, TransportError> {
        let sessions = &self.shared.sessions;
        let session = sessions.take().map_err(|fault| self.error(what, path, fault, false))?;
        match act(&session) {
            Ok(done) => {
                sessions.keep(session);
                Ok(done)
            }
            Err(fault @ (Fault::No(..) | Fault::Local(_))) => {
                let full = what == "put" && is_full(&session, &self.shared.dropbox.join("in"));
                sessions.keep(session);
                Err(self.error(what, path, fault, full))
            }
            Err(fault) => Err(self.error(what, path, sessions.end(session, fault), false)),
        }
    }

    fn error(&self, what: &'static str, path: &str, fault: Fault, full: bool) -> TransportError {
        let to = self.shared.sessions.to();
        let shown = |path: &str| format!("{}@{}:{path}", to.user, to.address);
        match fault {
            Fault::No(kind, said) => {
                let why = match kind {
                    _ if full => "no space left over there".to_owned(),
                    SftpErrorKind::PermDenied => "permission denied over there".to_owned(),
                    _ => said,
                };
                TransportError::File { what, path: shown(path), why, full }
            }
            Fault::Local(why) => TransportError::File { what, path: shown(path), why, full: false },
            Fault::Broken(why) => self.unreachable(why),
            Fault::Over => self.unreachable("stopped".to_owned()),
            Fault::Untrusted(why) => TransportError::Untrusted(why),
        }
    }

    fn unreachable(&self, why: String) -> TransportError {
        let (to, dropbox) = (self.shared.sessions.to(), self.shared.dropbox.display());
        let path = format!("{}@{}:{dropbox}", to.user, to.address);
        TransportError::Unreachable { path, source: io::Error::other(why) }
    }

    fn inbox(&self, name: &str) -> String {
        self.shared.inbox.join(name).display().to_string()
    }
}

impl fmt::Debug for Sftp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sftp").field("to", self.shared.sessions.to()).finish_non_exhaustive()
    }
}

fn rename(session: &Session, from: &str, to: &str) -> Result<(), Fault> {
    let mut fs = session.sftp().fs();
    match session.ask(fs.rename(from, to)) {
        // The plain rename of the protocol does not replace.
        Err(Fault::No(SftpErrorKind::Failure, _)) if !session.sftp().support_posix_rename() => {
            gone(session.ask(fs.remove_file(to)))?;
            session.ask(fs.rename(from, to))
        }
        renamed => renamed,
    }
}

/// Some of the names in a directory; none where there are none. What no file can be called is passed over, and counts.
fn names(session: &Session, dir: &str) -> Result<Vec<String>, Fault> {
    let mut fs = session.sftp().fs();
    let open = match session.ask(fs.open_dir(dir)) {
        Err(fault) if fault.is_missing() => return Ok(Vec::new()),
        open => open?,
    };
    let mut entries = pin!(open.read_dir());
    let mut names = Vec::new();
    for _ in 0..NAMES {
        let next = session.ask(async { poll_fn(|cx| entries.as_mut().poll_next(cx)).await.transpose() })?;
        let Some(entry) = next else { break };
        let name = entry.filename().to_string_lossy().into_owned();
        if name != "." && name != ".." && !name.contains('/') && name.len() <= NAME {
            names.push(name);
        }
    }
    Ok(names)
}

fn gone(removed: Result<(), Fault>) -> Result<(), Fault> {
    match removed {
        Err(fault) if fault.is_missing() => Ok(()),
        removed => removed,
    }
}

fn laid_out(path: &Path, why: &str) -> Fault {
    Fault::No(
        SftpErrorKind::NoSuchFile,
        format!(
            "{} {why}: zmigrated makes it over there, once it has an [accept.…] for this host",
            path.display()
        ),
    )
}

/// A full disk and a reached quota are one word of the protocol, `Failure`; the server's statvfs tells them from others.
fn is_full(session: &Session, dir: &Path) -> bool {
    session.sftp().support_statvfs()
        && session
            .ask(session.sftp().fs().statvfs(dir))
            .is_ok_and(|found| found.bavail.saturating_mul(found.frsize) < FULL)
}
