//! How the daemon starts and what it exits with, as SMF reads it (smf_method).

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use anyhow::Context as _;
use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe, read, setsid, write};

/// SMF_EXIT_ERR_FATAL: trying again can't help; maintenance at once.
pub const FATAL: u8 = 95;
/// SMF_EXIT_ERR_CONFIG: the configuration is wrong; maintenance at once.
pub const CONFIG: u8 = 96;
/// SMF_EXIT_ERR_PERM: rights are missing; maintenance at once.
pub const PERM: u8 = 100;

/// A start that failed, with the status that tells SMF what to do.
#[derive(Debug)]
pub struct Failed {
    /// The exit status.
    pub status: u8,
    /// Why.
    pub error: anyhow::Error,
}

impl Failed {
    /// With this status.
    pub fn new(status: u8, error: impl Into<anyhow::Error>) -> Self {
        Self { status, error: error.into() }
    }
}

/// The pipe by which a detached daemon tells its parent, SMF's start method, that it is ready.
pub struct Ready(Option<OwnedFd>);

impl Ready {
    /// In the foreground nobody waits.
    pub fn foreground() -> Self {
        Self(None)
    }

    /// Ready: the parent exits with 0.
    pub fn tell(self) {
        if let Some(pipe) = self.0 {
            let _ = write(&pipe, &[0]);
        }
    }

    /// Not ready: the parent exits with this.
    pub fn fail(self, status: u8) {
        if let Some(pipe) = self.0 {
            let _ = write(&pipe, &[status]);
        }
    }
}

/// Which side of [`detach`] this is.
pub enum Side {
    /// The start method: exits with this.
    Parent(ExitCode),
    /// The daemon.
    Daemon(Ready),
}

/// Detaches: the caller goes on as the daemon in a session of its own, the parent waits until it is ready.
/// To be called before any thread is started and before the log is opened.
///
/// # Errors
/// When the system can't fork.
pub fn detach() -> anyhow::Result<Side> {
    let (from, to) = pipe().context("no pipe")?;
    // SAFETY: no other thread has been started yet, so the child may do anything.
    match unsafe { fork() }.context("cannot fork")? {
        ForkResult::Parent { .. } => {
            drop(to);
            let mut byte = [0u8];
            // No byte: the child died; its reason is on stderr, which is SMF's log.
            let status = match read(&from, &mut byte) {
                Ok(1) => byte[0],
                _ => FATAL,
            };
            Ok(Side::Parent(ExitCode::from(status)))
        }
        ForkResult::Child => {
            drop(from);
            setsid().context("cannot begin a session")?;
            nix::fcntl::fcntl(&to, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))
                .context("cannot mark the pipe")?;
            Ok(Side::Daemon(Ready(Some(to))))
        }
    }
}

/// Gives stdin, stdout and stderr to /dev/null, once nothing is left to say there.
///
/// # Errors
/// When /dev/null can't be opened.
pub fn let_go_of_the_terminal() -> anyhow::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").context("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    debug_assert!(null.as_raw_fd() > 2);
    Ok(())
}
