//! What all commands share: the host, the ways to fail, and printing.

use std::io::{self, Write};

use super::release::Release;
use super::state::State;
use super::store::Store;
use super::usage;
use crate::world::{Host, Profile};

/// One run of a command.
pub struct Session {
    /// The host's ZFS.
    pub store: Store,
    /// Which ZFS it is.
    pub release: Release,
    /// `zfs send` writes per-block checksums: Solaris 11.4, but not 11.0 to 11.3.
    pub per_block: bool,
}

impl Session {
    /// On a host. Its profile stands in `host.json`; without one it is illumos.
    pub fn of(host: &Host) -> Self {
        let settings = host.settings().ok();
        let profile = settings.as_ref().map_or(Profile::Omnios, |settings| settings.profile);
        let since_11_4 = settings.is_some_and(|settings| settings.kernel.starts_with("11.4"));
        Self { store: Store::of(host), release: Release::of(profile), per_block: since_11_4 }
    }

    /// A state to look at.
    pub fn read(&self) -> Result<State, Fail> {
        Ok(self.store.read()?)
    }
}

/// Why a command fails.
#[derive(Debug)]
pub enum Fail {
    /// Called wrongly: this, then the usage text; exit 2.
    Usage(String),
    /// These lines on stderr; exit 1.
    Text(String),
    /// The lab's own trouble.
    Io(io::Error),
}

/// A command's exit status.
pub type Outcome = Result<i32, Fail>;

impl From<io::Error> for Fail {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

impl Fail {
    /// For callers that are no commands.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Usage(text) | Self::Text(text) => io::Error::other(text),
            Self::Io(why) => why,
        }
    }
}

/// `cannot open 'X': dataset does not exist`, or what else keeps a name from being one.
pub fn cannot_open(name: &str) -> Fail {
    let (dataset, mark) = name.split_once('#').map_or((name, None), |(dataset, mark)| (dataset, Some(mark)));
    let reason = match super::name::check(dataset, super::name::Kind::Any) {
        // zfs_open gives a bookmark no text of its own, so libzfs's general one is left (read, not run).
        Ok(()) if mark.is_some() => "no such pool or dataset",
        Ok(()) => "dataset does not exist",
        Err(_) => "invalid dataset name",
    };
    Fail::Text(format!("cannot open '{name}': {reason}"))
}

/// Prints lines on stderr. A closed stderr is not a failure of the command.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints on stdout, whole.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints complaints; the status is 1 if there are any.
pub fn status(complaints: &[String]) -> i32 {
    for complaint in complaints {
        complain(complaint);
    }
    i32::from(!complaints.is_empty())
}

/// Tells how a command ended, and its exit status.
pub fn finish(program: &str, verb: &str, outcome: Outcome) -> i32 {
    match outcome {
        Ok(status) => status,
        Err(Fail::Usage(text)) => {
            complain(&format!("{text}\n{}", usage::of(program, verb)));
            2
        }
        Err(Fail::Text(text)) => {
            complain(&text);
            1
        }
        Err(Fail::Io(why)) => {
            complain(&format!("internal error: {why}"));
            1
        }
    }
}
