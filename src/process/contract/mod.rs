//! Each command in a process contract of its own, so that none belongs to the service.
//!
//! svc.startd watches the contract in which it has started the daemon. A command in there would be the service's: `svcadm disable`
//! would wait for it and kill it at last, its core or its death by a signal would be the service's, and startd would not see
//! that the daemon has died before the last of them had ended. zoneadmd begins a contract by itself (`main` in zoneadmd.c), but what
//! else a `zoneadm boot` leaves behind would be in it. So every command begins one, whose terms say what becomes of it
//! when the daemon dies:
//!
//! - a *stream*'s (`zfs send`, `zfs receive`): the kernel kills it. What it wrote to, or read from, is gone;
//! - any other command goes on to its end, and what it has left behind stays.
//!
//! A contract whose command has ended is given up (`Contract`): a project may have 10,000. The streams under way are kept in files
//! ([`kept`]), so that the next daemon finds one that is still ending in the kernel, or, where there are no contracts, one that
//! nobody has killed.
//!
//! What differs by system is four functions: `solaris.rs` has them on process contracts, and `group.rs` on what Linux
//! has, the process group that each child leads.

use std::io;
use std::path::Path;
use std::process::{Child, Command};

use super::argv::Argv;
use id::Id;
pub(super) use id::Terms;

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
#[path = "group.rs"]
mod system;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
#[path = "solaris.rs"]
mod system;

mod id;
pub mod kept;

/// A command's contract. Dropped when the command has been reaped, it is given up, and is no longer kept.
#[derive(Debug)]
pub(super) struct Contract {
    id: Option<Id>,
    kept: Option<kept::Kept>,
}

impl Contract {
    /// Starts a command in a contract of its own. What is a stream is kept in `keep`, where there is one.
    ///
    /// # Errors
    /// When it can't be started, or not in a contract of its own: then it does not run.
    pub(super) fn start(
        command: &mut Command,
        terms: Terms,
        keep: Option<(&Path, &Argv)>,
    ) -> io::Result<(Child, Self)> {
        let (child, id) = system::start(command, terms)?;
        let kept = match (&id, terms, keep) {
            (Some(id), Terms::Stream, Some((dir, argv))) => kept::Kept::write(dir, id, argv),
            _ => None,
        };
        Ok((child, Self { id, kept }))
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            system::abandon(id);
        }
        // Behind the command's end: a daemon killed between the two leaves a file that says nothing any more.
        drop(self.kept.take());
    }
}
