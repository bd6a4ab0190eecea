//! External commands: `zfs`, `zoneadm`, `zonecfg`, `zlogin`, `svcs`, `route`, `ifconfig`, `pkg`, `ssh`, `auths` and the like.
//!
//! For each command there are three kinds of function: an argv builder and an output parser, both pure,
//! and two lines of glue that run the one and read the other. [`process`](crate::process) starts them. Nothing here knows about jobs, and nothing here decides what a failure means:
//! errors are typed facts, what to do about them is settled above.

pub mod auths;
pub mod beadm;
pub mod getent;
pub mod ifconfig;
pub mod known_hosts;
pub mod mount;
pub mod netstat;
pub mod parse;
pub mod pkg;
pub mod pkginfo;
pub mod route;
#[cfg(test)]
pub(crate) mod sample;
pub mod settings;
pub mod shadow;
pub mod showrev;
pub mod ssh;
pub mod ssh_config;
pub mod ssh_keygen;
pub mod sshd;
pub mod svcs;
pub mod uname;
pub mod useradd;
pub mod zfs;
pub mod zlogin;
pub mod zoneadm;
pub mod zonecfg;
pub mod zonename;

pub use parse::ParseError;

use crate::job::name::ZoneName;
use crate::process::{Argv, Output, RunError};

/// What can go wrong when a command is run and its output read.
#[derive(Debug, thiserror::Error)]
pub enum CmdError {
    /// The command could not be started, failed, or did not end in time.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It ended well and said something that is not understood; nothing was concluded from it.
    #[error("can't read the output of `{}`: {why}", .argv.brief())]
    Unreadable {
        /// The command as it was run.
        argv: Box<Argv>,
        /// Which line, and what is wrong with it.
        why: ParseError,
    },
    /// zoneadm left zones out of its list, so nobody knows whether this zone is on the host.
    #[error(
        "nobody can tell whether zone '{zone}' is on this host, because zoneadm could not list every zone: {why}; \
         fix that zone's configuration in /etc/zones"
    )]
    Incomplete {
        /// The zone that was asked for.
        zone: ZoneName,
        /// zoneadm's first complaint.
        why: String,
    },
}

impl CmdError {
    /// For `map_err` in glue: output of `argv` that its parser refused.
    pub fn unreadable(argv: &Argv) -> impl FnOnce(ParseError) -> CmdError {
        let argv = Box::new(argv.clone());
        move |why| CmdError::Unreadable { argv, why }
    }

    /// How the command ended, when it was a command that ended badly.
    pub fn failure(&self) -> Option<&Output> {
        match self {
            CmdError::Run(RunError::Failed { output, .. }) => Some(output),
            _ => None,
        }
    }
}
