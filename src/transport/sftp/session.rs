//! One login: the system's ssh as a child, the SFTP library on its pipes, and a runtime that turns only while something is
//! asked.
//!
//! Guarantees: whatever is asked has a deadline; the child goes with its session, and why it broke is read from its stderr.
//! Memory is bounded by the window of writes under way and by the packet's size, whatever the peer sends.

use std::cell::RefCell;
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use openssh_sftp_client::error::SftpErrorKind;
use openssh_sftp_client::{Error, Sftp, SftpOptions};
use tokio::io::AsyncSeekExt;
use tokio::net::unix::pipe;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};
use tokio::time::timeout;

use super::frames::Frames;
use crate::cmd::ssh::{AGENT, Destination, Refusal, refusal};
use crate::process::{Programs, Streaming};

/// So long without an answer, and the peer is gone: beyond the half minute after which ssh itself gives up. A login has to come about
/// in this time, too.
const SILENCE: Duration = Duration::from_secs(45);
/// So often somebody who waits looks whether he still has to.
const LOOK: Duration = Duration::from_millis(250);
/// For ssh's last words.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What OpenSSH takes in one write, by limits@openssh.com: 256 KiB less the packet's head. Others get what they say they take.
const PIECE: u64 = 255 << 10;

/// Says whether nobody waits for an answer any more.
pub(super) type IsOver = Arc<dyn Fn() -> bool + Send + Sync>;

/// Why something asked was not done.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The peer says no; the session goes on.
    No(SftpErrorKind, String),
    /// The staged part could not be read; the session goes on.
    Local(String),
    /// Nobody waits for the answer any more.
    Over,
    /// There is no session, or it is over.
    Broken(String),
    /// There is none, and trying again will not help until somebody does something: in words.
    Untrusted(String),
}

/// A session. Used by one thread at a time.
pub(super) struct Session {
    sftp: Sftp,
    // Behind `sftp`, whose end it must outlive.
    runtime: Runtime,
    child: Streaming,
    is_over: IsOver,
    seen: RefCell<Vec<&'static str>>,
}

impl Session {
    /// Logs in.
    pub fn open(programs: &Programs, to: &Destination, is_over: &IsOver) -> Result<Self, Fault> {
        let broken = |error: &dyn std::fmt::Display| Fault::Broken(error.to_string());
        let mut child = programs.spawn_dialogue(&to.sftp(), AGENT).map_err(|e| broken(&e))?;
        let (Some(stdin), Some(stdout)) = (child.take_stdin(), child.take_stdout()) else {
            return Err(Fault::Broken("ssh has no pipes".to_owned()));
        };
        let runtime =
            Builder::new_current_thread().enable_io().enable_time().build().map_err(|e| broken(&e))?;
        let entered = runtime.enter();
        let writer = pipe::Sender::from_owned_fd(OwnedFd::from(stdin)).map_err(|e| broken(&e))?;
        let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(stdout)).map_err(|e| broken(&e))?;
        drop(entered);
        // Every request goes out at once.
        let options = SftpOptions::new().flush_interval(Duration::ZERO);
        let begun = ask(&runtime, is_over, Sftp::new(writer, Frames::new(reader), options));
        match begun {
            Ok(sftp) => {
                Ok(Self { sftp, runtime, child, is_over: Arc::clone(is_over), seen: RefCell::default() })
            }
            Err(fault) => {
                drop(runtime);
                Err(last_words(child, fault, to))
            }
        }
    }

    /// Asks one thing.
    pub fn ask<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
        ask(&self.runtime, &self.is_over, request)
    }

    /// The library, to ask with.
    pub fn sftp(&self) -> &Sftp {
        &self.sftp
    }

    /// Whether a side of the dropbox was there when it was first asked for; `look` sees.
    pub fn has(&self, side: &'static str, look: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        if !self.seen.borrow().contains(&side) {
            look()?;
            self.seen.borrow_mut().push(side);
        }
        Ok(())
    }

    /// The session is of no use any more: ends it, and says why in the peer's or ssh's own words.
    pub fn end(self, fault: Fault, to: &Destination) -> Fault {
        let Self { sftp, runtime, child, .. } = self;
        drop((sftp, runtime));
        last_words(child, fault, to)
    }

    /// Writes a file's bytes, several pieces under way at once; `may` is asked before each goes, `told` hears of each that has
    /// arrived.
    pub fn write(
        &self,
        path: &str,
        from: &File,
        window: usize,
        may: &dyn Fn(u64) -> bool,
        told: &dyn Fn(u64),
    ) -> Result<u64, Fault> {
        let length = from.metadata().map_err(|e| Fault::Local(e.to_string()))?.len();
        let to = self.ask(self.sftp.options().write(true).create(true).truncate(true).open(path))?;
        let mut under_way: JoinSet<Result<u64, Error>> = JoinSet::new();
        let mut at = 0;
        let mut refused = None;
        while at < length && refused.is_none() || !under_way.is_empty() {
            let is_room = at < length && refused.is_none() && under_way.len() < window;
            if is_room {
                let count = PIECE.min(length - at);
                let mut piece = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
                if !may(count) {
                    return Err(Fault::Over);
                }
                if let Err(error) = from.read_exact_at(&mut piece, at) {
                    refused = Some(Fault::Local(error.to_string()));
                    continue;
                }
                let (mut to, offset) = (to.clone(), at);
                let write = async move {
                    to.seek(io::SeekFrom::Start(offset)).await?;
                    to.write_all_zero_copy(&mut [Bytes::from(piece)]).await?;
                    Ok(count)
                };
                under_way.spawn_on(write, self.runtime.handle());
                at += count;
            }
            let arrived = self.ask(async {
                let next = if is_room {
                    // It goes out before the next one is waited for.
                    yield_now().await;
                    under_way.try_join_next()
                } else {
                    under_way.join_next().await
                };
                match next {
                    Some(Ok(written)) => written,
                    Some(Err(lost)) => Err(io::Error::other(lost).into()),
                    None => Ok(0),
                }
            });
            match arrived {
                Ok(count) if refused.is_none() => told(count),
                Ok(_) => {}
                // The others must be heard before anything else is asked.
                Err(no @ Fault::No(..)) => drop(refused.get_or_insert(no)),
                Err(broken) => return Err(broken),
            }
        }
        match refused {
            Some(no) => Err(no),
            None => self.ask(to.close()).map(|()| length),
        }
    }

    /// Writes a small file.
    pub fn write_bytes(&self, path: &str, bytes: &[u8], sync: bool) -> Result<(), Fault> {
        let sync = sync && self.sftp.support_fsync();
        self.ask(async {
            let mut to = self.sftp.options().write(true).create(true).truncate(true).open(path).await?;
            to.write_all(bytes).await?;
            if sync {
                to.sync_all().await?;
            }
            to.close().await
        })
    }

    /// Reads a file of at most `max` bytes; `None` when it is longer.
    pub fn read(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, Fault> {
        self.ask(async {
            let mut from = self.sftp.options().read(true).open(path).await?;
            let mut bytes = Vec::new();
            loop {
                let wanted = PIECE.min(max + 1 - bytes.len() as u64) as u32;
                // The library goes on by what it asked for, and gets less where the server, or its own limit, so wants.
                from.seek(io::SeekFrom::Start(bytes.len() as u64)).await?;
                let piece = from.read(wanted, BytesMut::new()).await?.unwrap_or_default();
                if piece.is_empty() {
                    from.close().await?;
                    return Ok(Some(bytes));
                }
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > max {
                    return Ok(None);
                }
            }
        })
    }
}

fn ask<T>(
    runtime: &Runtime,
    is_over: &IsOver,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Fault> {
    let waiting = async {
        let mut request = pin!(request);
        for _ in 0..SILENCE.as_millis() / LOOK.as_millis() {
            match timeout(LOOK, &mut request).await {
                Ok(answer) => return answer.map_err(Fault::of),
                Err(_) if is_over() => return Err(Fault::Over),
                Err(_) => {}
            }
        }
        Err(Fault::Broken(format!("no answer for {} s", SILENCE.as_secs())))
    };
    // An answer that the library did not foresee must not end the job's thread.
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(waiting)))
        .unwrap_or_else(|_| Err(Fault::Broken("an answer made no sense".to_owned())))
}

/// What ssh said at its end, where there is an end to be explained.
fn last_words(child: Streaming, fault: Fault, to: &Destination) -> Fault {
    let Fault::Broken(why) = fault else { return fault };
    let said = match child.end(LAST_WORDS) {
        // What is cut off may have been the line behind which the peer itself can speak.
        Ok(output) if output.stderr_cut => format!("Authenticated to it\n{}", output.stderr),
        ended => ended.map(|output| output.stderr).unwrap_or_default(),
    };
    match refusal(&said) {
        Refusal::Other(said) if said.is_empty() => Fault::Broken(why),
        other @ Refusal::Other(_) => Fault::Broken(other.advice(to)),
        known => Fault::Untrusted(known.advice(to)),
    }
}

impl Fault {
    fn of(error: Error) -> Self {
        match error {
            Error::SftpError(kind, said) => {
                // `Err Message: …, Language Tag: …`
                let said = said.to_string();
                let said = said.trim_start_matches("Err Message: ").split(", Language Tag: ").next();
                Self::No(
                    kind,
                    said.unwrap_or_default().chars().take(200).flat_map(char::escape_debug).collect(),
                )
            }
            Error::IOError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Broken("the connection ended".to_owned())
            }
            // Behind its first failure the library answers everything with its own words.
            Error::BackgroundTaskFailure(_) => Self::Broken("the connection is broken".to_owned()),
            other => Self::Broken(other.to_string()),
        }
    }

    /// Why there is no session.
    pub fn no_session(&self) -> Option<&str> {
        match self {
            Self::Broken(why) | Self::Untrusted(why) => Some(why),
            Self::No(..) | Self::Local(_) | Self::Over => None,
        }
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::No(SftpErrorKind::NoSuchFile, _))
    }
}
