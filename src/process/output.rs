//! How a command ended and what it said, and why one gave no result.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::argv::{Argv, cut};
use super::drain::Drained;

/// How much of the end of stderr is kept.
pub const STDERR_TAIL: usize = 8 << 10;
/// The longest piece of a command's own words in an error's text, in bytes.
const SHOWN: usize = 1024;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It left with this exit code.
    Exit(i32),
    /// It was killed by this signal.
    Signal(i32),
}

/// What a command that ended had to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code or signal.
    pub status: Status,
    /// Everything from stdout. Bytes that aren't UTF-8 are replaced only if the command failed.
    pub stdout: String,
    /// The last 8 KiB of stderr.
    pub stderr: String,
    /// Whether stderr was longer than that.
    pub stderr_cut: bool,
}

/// Why a command gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No such program on the configured path.
    #[error("no program `{program}` in {directories}: see `path` in [commands] of the configuration")]
    NotFound {
        /// The program's name.
        program: &'static str,
        /// The directories that were looked at.
        directories: String,
    },
    /// The system could not start it, or not look after it.
    #[error("`{}` could not be run: {source}", .argv.brief())]
    Spawn {
        /// The command.
        argv: Argv,
        /// The system's reason.
        source: io::Error,
    },
    /// It ended with something else than exit code 0.
    #[error("`{}`: {}{}", .argv.brief(), .output.status, said(.output))]
    Failed {
        /// The command.
        argv: Argv,
        /// How it ended and what it said.
        output: Box<Output>,
    },
    /// It was not done in time and its process group was killed. What it did until then stays done.
    #[error("`{}` was not done after {} s and was killed{}{}", .argv.brief(), .after.as_secs_f32(),
        if *.gone { "" } else { ", but it does not die" }, tail(.stderr))]
    Deadline {
        /// The command.
        argv: Argv,
        /// The limit that applied.
        after: Duration,
        /// The end of its stderr so far.
        stderr: String,
        /// Whether the child is known to have ended.
        gone: bool,
    },
    /// It printed more than is taken and was killed.
    #[error("`{}` printed more than {limit} bytes and was killed", .argv.brief())]
    TooMuch {
        /// The command.
        argv: Argv,
        /// The most bytes that are taken.
        limit: usize,
    },
    /// It ended well and printed something that isn't UTF-8. Names and values must be carried exactly or not
    /// at all.
    #[error("`{}` printed text that is not UTF-8", .argv.brief())]
    NotText {
        /// The command.
        argv: Argv,
    },
}

impl Output {
    pub(super) fn new(
        argv: &Argv,
        status: ExitStatus,
        stdout: Drained,
        stderr: Drained,
        limit: usize,
    ) -> Result<Self, RunError> {
        let status = Status::from(status);
        if stdout.cut {
            return Err(RunError::TooMuch { argv: argv.clone(), limit });
        }
        let stdout = match String::from_utf8(stdout.bytes) {
            Ok(text) => text,
            Err(_) if status.is_ok() => return Err(RunError::NotText { argv: argv.clone() }),
            Err(raw) => lossy(raw.into_bytes()),
        };
        Ok(Self { status, stdout, stderr: lossy(stderr.bytes), stderr_cut: stderr.cut })
    }

    /// This output if the status is 0.
    ///
    /// # Errors
    /// [`RunError::Failed`] for any other status.
    pub fn into_ok(self, argv: &Argv) -> Result<Self, RunError> {
        if self.status.is_ok() {
            return Ok(self);
        }
        Err(RunError::Failed { argv: argv.clone(), output: Box::new(self) })
    }
}

impl Status {
    /// Whether it is exit code 0.
    pub fn is_ok(self) -> bool {
        self == Status::Exit(0)
    }
}

impl From<ExitStatus> for Status {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Status::Exit(code),
            None => Status::Signal(status.signal().unwrap_or(0)),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Exit(code) => write!(f, "exit {code}"),
            Status::Signal(number) => write!(f, "killed by signal {number}"),
        }
    }
}

/// The command's own words, for an error's text: stderr, and what stands on stdout beside it (brand scripts
/// and `route` put their errors there), both from the end.
fn said(output: &Output) -> String {
    format!("{}{}", tail(&output.stderr), tail(&output.stdout))
}

/// `: ` and the end of a text as one bounded line; nothing for an empty text.
fn tail(text: &str) -> String {
    let line = one_line(text.trim());
    if line.is_empty() {
        return String::new();
    }
    if line.len() <= SHOWN {
        return format!(": {line}");
    }
    let start = (line.len() - SHOWN..=line.len()).find(|&at| line.is_char_boundary(at)).unwrap_or(line.len());
    format!(": …{}", &line[start..])
}

/// A text on one line: line ends become `; `, other control characters are escaped.
pub(super) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let escaped = lines.map(|line| {
        line.chars()
            .map(|c| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() })
            .collect()
    });
    cut(&escaped.collect::<Vec<String>>().join("; "), STDERR_TAIL)
}

pub(super) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
