//! What happens to a call that a rule strikes: it fails, hangs, dies, lies or ends its caller.

use std::io::{self, Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid, getppid};

use super::{Action, Stream, Then, When};
use crate::inner;
use crate::world::Host;

/// Long enough for a daemon that does not wait to be gone.
const SLOWNESS: Duration = Duration::from_millis(800);
/// Long enough for a daemon to be started again and to look.
const ORPHAN_LAGS: Duration = Duration::from_millis(150);

/// A call that a rule has struck.
pub struct Struck<'a> {
    /// Where it runs.
    pub host: &'a Host,
    /// The command.
    pub command: &'a str,
    /// Its arguments.
    pub args: &'a [String],
}

impl Struck<'_> {
    /// Does what the rule says instead of the command, and gives the exit status.
    pub fn act(&self, action: &Action) -> Result<i32> {
        match action {
            Action::Fail { text, status, to, after_effect } => {
                if *after_effect {
                    self.silently()?;
                }
                match to {
                    _ if text.is_empty() => {}
                    Stream::Stderr => err!("{text}"),
                    Stream::Stdout => out!("{text}"),
                }
                Ok(*status)
            }
            Action::Hang { bytes } => {
                // Lives until we end, with its end of our pipe.
                let _begun = bytes.map(|bytes| self.halfway(bytes)).transpose()?;
                Ok(hang())
            }
            Action::Lie => {
                if self.streams_in() {
                    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
                }
                Ok(0)
            }
            Action::DieHalfway { bytes } => {
                let mut child = self.halfway(*bytes)?;
                if self.streams() {
                    // Ours first, or it would end of itself on the closed pipe and tidy up.
                    child.kill()?;
                }
                child.wait()?;
                kill(getpid(), Signal::SIGKILL)?;
                Ok(crate::LAB_FAILED)
            }
            Action::TermParent { then: Then::Hangs, bytes } => self.hanging(*bytes),
            Action::TermParent { .. } => {
                signal_parent(Signal::SIGTERM)?;
                std::thread::sleep(SLOWNESS);
                Ok(inner::status_of(inner::command(self.host, self.command, self.args).status()?))
            }
            Action::KillParent { when: When::Before, .. } => {
                kill_parent()?;
                Ok(crate::LAB_FAILED)
            }
            Action::KillParent { when: When::Orphan, .. } => {
                kill_parent()?;
                std::thread::sleep(ORPHAN_LAGS);
                self.silently()
            }
            Action::KillParent { when: When::Halfway, bytes } if self.streams() => self.orphaned(*bytes),
            Action::KillParent { .. } => {
                let status = self.silently()?;
                kill_parent()?;
                Ok(status)
            }
        }
    }

    fn streams_in(&self) -> bool {
        // An ssh that is cut off half-way is cut off in what it carries to the other host.
        self.command == "ssh"
            || self.command == "zfs"
                && self.args.first().is_some_and(|verb| verb == "receive" || verb == "recv")
    }

    fn streams(&self) -> bool {
        self.streams_in() || self.command == "zfs" && self.args.first().is_some_and(|verb| verb == "send")
    }

    /// The effect with its streams, but without its answer, so that the process that will be killed has not
    /// acted on it.
    fn silently(&self) -> Result<i32> {
        let mut command = inner::command(self.host, self.command, self.args);
        if !self.streams() {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        Ok(inner::status_of(command.status().context("start the command itself")?))
    }

    /// The effect begun: `bytes` of a stream have passed, or a command without one is let run.
    fn halfway(&self, bytes: u64) -> Result<Child> {
        let mut command = inner::command(self.host, self.command, self.args);
        if self.streams_in() {
            let mut child = command.stdin(Stdio::piped()).spawn()?;
            if let Some(to) = child.stdin.as_mut() {
                pass(&mut io::stdin().lock().take(bytes), to)?;
            }
            return Ok(child);
        }
        command.stdout(if self.streams() { Stdio::piped() } else { Stdio::null() });
        if !self.streams() {
            command.stderr(Stdio::null());
        }
        let mut child = command.spawn()?;
        if let Some(from) = child.stdout.as_mut() {
            pass(&mut from.take(bytes), &mut io::stdout().lock())?;
        }
        Ok(child)
    }

    /// Tells the caller to end, and does not end itself.
    fn hanging(&self, bytes: u64) -> Result<i32> {
        let _stream = if self.streams() { Some(self.halfway(bytes)?) } else { None };
        signal_parent(Signal::SIGTERM)?;
        Ok(hang())
    }

    /// Kills the caller with the stream half through, then lets the rest of it take its course.
    fn orphaned(&self, bytes: u64) -> Result<i32> {
        let mut child = self.halfway(bytes)?;
        kill_parent()?;
        if let Some(mut to) = child.stdin.take() {
            pass(&mut io::stdin().lock(), &mut to)?;
        }
        if let Some(from) = child.stdout.as_mut() {
            pass(from, &mut io::stdout().lock())?;
            // With the reading end gone the sender must see that, not a pipe that nobody empties.
            drop(child.stdout.take());
        }
        Ok(inner::status_of(child.wait()?))
    }
}

/// Copies until the end or until the other side has gone, which is not a failure here.
fn pass(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    match io::copy(from, to).and_then(|_| to.flush()) {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => Err(why.into()),
        _ => Ok(()),
    }
}

fn kill_parent() -> Result<()> {
    signal_parent(Signal::SIGKILL)
}

/// Sends a signal to the process that called the command.
pub fn signal_parent(signal: Signal) -> Result<()> {
    let parent = getppid();
    // An orphan's parent is init or a reaper that did not call us.
    if parent > Pid::from_raw(1) {
        kill(parent, signal).with_context(|| format!("{signal} to the caller, process {parent}"))?;
    }
    Ok(())
}

fn hang() -> i32 {
    let caller = getppid();
    let mut alone = 0;
    while alone < 60 {
        std::thread::sleep(Duration::from_secs(1));
        alone = if getppid() == caller { 0 } else { alone + 1 };
    }
    crate::LAB_FAILED
}
