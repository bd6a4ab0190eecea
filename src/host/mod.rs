//! Steps made real on this host. Knows ZFS and zones, and a peer's dropbox where images pass through it;
//! knows neither the spool nor the clock.
//!
//! Every function here *ensures*: it looks at the world, acts where the world is not yet as wanted, and
//! looks again, because exit codes mislead (`zonecfg create -a` and a second `boot` exit 0 on failure,
//! `zfs receive` fails after complete data). So each may be called again after a crash at any instant.
//! A failure is a [`StepError`] whose kind tells whether trying again can help; nothing is retried here.

use std::fmt;
use std::time::Duration;

use crate::cmd::CmdError;
use crate::cmd::zfs::Fault;
use crate::job::code::{Code, Reason};
use crate::job::event::Event;
use crate::job::retry::ErrorKind;
use crate::process::RunError;
use crate::transport::TransportError;

mod allowance;
pub mod attach;
mod brand;
pub mod check;
mod claim;
mod comparison;
pub mod effective;
pub mod environment;
pub mod features;
pub mod finish;
#[cfg(test)]
mod fixture;
mod grace;
pub mod install;
mod landing;
mod link;
pub mod live;
pub mod os;
pub mod plan;
pub mod quarantine;
pub mod receive;
pub mod rights;
mod roots;
pub mod route;
pub mod send;
pub mod source;
pub mod stage;
pub mod survey;
pub mod undo;
pub mod verify;
mod writing;

/// How a step went when nothing failed.
#[derive(Debug)]
pub enum Done {
    /// It is done: this is what to journal.
    Event(Event),
    /// Not yet: look again when something changes, or after `within`.
    Wait {
        /// For what, in words for `status`.
        why: String,
        /// The longest pause before the next look.
        within: Duration,
    },
}

impl Done {
    /// Waits for something that rings the bell; looked for once a second all the same.
    pub fn wait(why: impl Into<String>) -> Self {
        Done::Wait { why: why.into(), within: Duration::from_secs(1) }
    }

    /// Waits for a state that nothing announces. Looked for often at first, because the zone is down
    /// meanwhile; `age` is how long it has been waited for.
    pub fn poll(why: impl Into<String>, age: Duration) -> Self {
        let within = if age < Duration::from_secs(5) { 50 } else { 1000 };
        Done::Wait { why: why.into(), within: Duration::from_millis(within) }
    }
}

/// A step that failed.
#[derive(Debug, Clone)]
pub struct StepError {
    /// Can trying again help?
    pub kind: ErrorKind,
    /// What failed, in words for an operator: object, host, command.
    pub text: String,
    /// What failed, for programs.
    pub code: Code,
}

impl StepError {
    /// It will be the same at the next try.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Permanent, text: text.into(), code: Code::Other }
    }

    /// It may be gone at the next try.
    pub fn transient(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Transient, text: text.into(), code: Code::Other }
    }

    /// The same error under a code.
    #[must_use]
    pub fn coded(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Permanent, with every reason.
    pub fn refused(reasons: &[Reason]) -> Self {
        let code = reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
        Self::permanent(Reason::texts(reasons).join("; ")).coded(code)
    }

    /// The same error, with what was being done in front.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for StepError {}

impl From<TransportError> for StepError {
    fn from(error: TransportError) -> Self {
        let (kind, code) = match &error {
            TransportError::Untrusted(_) => (ErrorKind::Untrusted, Code::Untrusted),
            // A network, a mount, a full disk: all may pass.
            TransportError::Unreachable { .. } | TransportError::File { .. } => {
                (ErrorKind::Transient, Code::Unreachable)
            }
        };
        Self { kind, text: error.to_string(), code }
    }
}

impl From<RunError> for StepError {
    fn from(error: RunError) -> Self {
        let (kind, code) = match &error {
            RunError::NotFound { .. } | RunError::NotText { .. } | RunError::TooMuch { .. } => {
                (ErrorKind::Permanent, Code::Command)
            }
            // It may be at work still, or have done its work: looking tells.
            RunError::Deadline { .. } => (ErrorKind::Unknown, Code::Deadline),
            RunError::Spawn { .. } => (ErrorKind::Transient, Code::Command),
            RunError::Failed { .. } => match Fault::of_error(&error) {
                Fault::Busy => (ErrorKind::Transient, Code::Busy),
                Fault::NoSpace => (ErrorKind::Transient, Code::Space),
                Fault::Unreachable => (ErrorKind::Transient, Code::Unreachable),
                // Whether a failed command may do better is for the step to say; looking again is always right.
                _ => (ErrorKind::Unknown, Code::Command),
            },
        };
        Self { kind, text: error.to_string(), code }
    }
}

impl From<CmdError> for StepError {
    fn from(error: CmdError) -> Self {
        match error {
            CmdError::Run(error) => error.into(),
            CmdError::Unreadable { .. } => Self::permanent(error.to_string()).coded(Code::Unreadable),
            // The administrator can fix the broken zone meanwhile.
            CmdError::Incomplete { .. } => Self::transient(error.to_string()).coded(Code::Zone),
        }
    }
}
