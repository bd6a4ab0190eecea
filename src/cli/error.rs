//! How a command ends when it does not end well: what to say, and the exit status.

use std::fmt;
use std::io;

use crate::job::fault::Faults;
use crate::spool::SpoolError;

use super::shown::clean;

/// Everything that was wrong, at once.
#[derive(Debug)]
pub struct CliError {
    exit: u8,
    faults: Vec<String>,
}

/// It was not done.
const FAILED: u8 = 1;
/// Usage, or a bad request.
const BAD: u8 = 2;

impl CliError {
    /// It could not be done: exit status 1.
    pub fn failed(fault: impl Into<String>) -> Self {
        Self { exit: FAILED, faults: vec![fault.into()] }
    }

    /// It was asked for in a way, or for something, that can't be: exit status 2.
    pub fn bad(faults: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self { exit: BAD, faults: faults.into_iter().map(|fault| fault.to_string()).collect() }
    }

    /// Nothing more is to be said: exit status 1.
    pub fn quiet() -> Self {
        Self { exit: FAILED, faults: Vec::new() }
    }

    /// The process's exit status.
    pub fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for CliError {
    /// One line for each fault, each with the program's name; a fault's own further lines are indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            for (n, line) in fault.lines().enumerate() {
                let line = clean(line);
                if n == 0 {
                    writeln!(f, "zmigrate: {line}")?
                } else {
                    writeln!(f, "  {}", line.trim_start())?
                }
            }
        }
        Ok(())
    }
}

impl From<SpoolError> for CliError {
    fn from(error: SpoolError) -> Self {
        let advice = match &error {
            SpoolError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "; the spool is root's: try it as root or by pfexec",
                io::ErrorKind::NotFound => {
                    "; if zmigrated has never run here, start it: svcadm enable zmigrate"
                }
                _ => "",
            },
            _ => "",
        };
        Self::failed(format!("{error}{advice}"))
    }
}

/// A configuration that can't be used.
impl From<Faults> for CliError {
    fn from(faults: Faults) -> Self {
        Self { exit: FAILED, faults: faults.0.iter().map(ToString::to_string).collect() }
    }
}

/// Standard output.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        // Whoever read it has seen enough (`zmigrate status | head`): nobody is left to tell.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::quiet();
        }
        Self::failed(format!("cannot write to standard output: {error}"))
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(format!("cannot write JSON: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_line_and_none_can_forge_another() {
        let error = CliError::bad(["a:1:1: x", "cannot y\nbecause \u{1b}[2J"]);
        assert_eq!(error.exit(), 2);
        assert_eq!(error.to_string(), "zmigrate: a:1:1: x\nzmigrate: cannot y\n  because \\u{1b}[2J\n");
    }

    #[test]
    fn a_reader_who_has_gone_is_not_complained_about() {
        assert_eq!(CliError::from(io::Error::from(io::ErrorKind::BrokenPipe)).to_string(), "");
    }
}
