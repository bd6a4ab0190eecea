//! A running command whose stdin or stdout is a stream of ours: `zfs receive`, `zfs send`.
//!
//! Guarantees: the child is never left behind (dropping kills its group and reaps it), its stderr is drained
//! and bounded, and a [`Killer`] never signals a process that isn't the child. Not guaranteed: that the
//! transfer stops with the child. In zfs-fuse the daemon holds the descriptor and goes on until the pipe
//! ends.

use std::io;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::time::Duration;

use super::argv::Argv;
use super::child::{Killer, Living};
use super::drain::{Drain, Drained, Keep};
use super::output::{Output, RunError, STDERR_TAIL, lossy};
use super::pipe;

/// For how long the pipes' end is awaited after the child's.
const LINGER: Duration = Duration::from_secs(2);
/// The most that a command fed by us may print on stdout.
const CAPTURED: usize = 1 << 20;

/// Where one line a start and an end of a command goes: the job's log.
pub(super) type Trace = Arc<dyn Fn(&str) + Send + Sync>;

/// A command in the middle of its stream.
pub struct Streaming {
    argv: Argv,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    captured: Option<Drain>,
    stderr: Option<Drain>,
    living: Option<Living>,
    trace: Option<Trace>,
}

impl Streaming {
    /// An early return drops `living`, which kills the child.
    pub(super) fn new(
        argv: Argv,
        mut living: Living,
        capture: bool,
        trace: Option<Trace>,
    ) -> io::Result<Self> {
        let (stdin, mut stdout, stderr) = living.take_pipes();
        stdin.iter().for_each(pipe::enlarge);
        let captured = match stdout.take_if(|_| capture) {
            Some(pipe) => Some(Drain::start(pipe, Keep::Head(CAPTURED), || {})?),
            None => None,
        };
        stdout.iter().for_each(pipe::enlarge);
        let stderr = stderr.map(|pipe| Drain::start(pipe, Keep::Tail(STDERR_TAIL), || {})).transpose()?;
        Ok(Self { argv, stdin, stdout, captured, stderr, living: Some(living), trace })
    }

    /// The command.
    pub fn argv(&self) -> &Argv {
        &self.argv
    }

    /// The end to read the command's stdout from; once, and only of a reader.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// The end to write the command's stdin to; once, and only of a writer. Dropping it is the stream's end.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Something that ends the command from another thread: on a cancel, or when no byte moved for too long.
    pub fn killer(&self) -> Killer {
        self.living.as_ref().map_or_else(Killer::default, |living| living.killer.clone())
    }

    /// Kills the command's process group. Reaped by [`Streaming::wait`] or by dropping.
    pub fn kill(&self) {
        self.killer().kill();
    }

    /// Waits for the command's end, whatever its exit status; an untaken end of its stream is closed first.
    ///
    /// # Errors
    /// When the system can't tell how it ended, or its stdout was too much.
    pub fn wait(mut self) -> Result<Output, RunError> {
        drop((self.stdin.take(), self.stdout.take()));
        let finish = |drain: Option<Drain>| drain.map_or_else(Drained::default, |drain| drain.finish(LINGER));
        let status = match self.living.take() {
            Some(living) => living.reap(),
            None => Err(io::Error::other("the child was reaped before")),
        };
        let result = match status {
            Ok(status) => {
                let stderr = finish(self.stderr.take());
                Output::new(&self.argv, status, finish(self.captured.take()), stderr, CAPTURED)
            }
            Err(source) => Err(RunError::Spawn { argv: self.argv.clone(), source }),
        };
        if let Some(trace) = &self.trace {
            match &result {
                Ok(output) => trace(&format!("{}: {}", self.argv.program(), output.status)),
                Err(error) => trace(&error.to_string()),
            }
        }
        result
    }

    /// Closes the command's stdin, gives it so long to say its last words on stderr and to end, and ends it. Without a wait
    /// when it has ended already.
    ///
    /// # Errors
    /// As [`Streaming::wait`].
    pub fn end(mut self, at_most: Duration) -> Result<Output, RunError> {
        drop((self.stdin.take(), self.stdout.take()));
        let said = self.stderr.take().map_or_else(Drained::default, |drain| drain.finish(at_most));
        if said.open {
            self.kill();
        }
        self.stderr = None;
        self.wait().map(|output| Output { stderr: lossy(said.bytes), stderr_cut: said.cut, ..output })
    }

    /// Waits for the command's end and takes any exit status but 0 for an error.
    ///
    /// # Errors
    /// As [`Streaming::wait`], and [`RunError::Failed`].
    pub fn wait_ok(self) -> Result<Output, RunError> {
        let argv = self.argv.clone();
        self.wait()?.into_ok(&argv)
    }
}

impl std::fmt::Debug for Streaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streaming").field("argv", &self.argv).finish_non_exhaustive()
    }
}
