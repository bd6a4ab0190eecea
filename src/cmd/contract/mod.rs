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

use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Child, Command};

use super::argv::Argv;

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
#[path = "group.rs"]
mod system;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
#[path = "solaris.rs"]
mod system;

pub mod kept;

/// What becomes of a command when the daemon dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// The kernel kills it, where it can.
    Stream,
    /// It goes on.
    Command,
}

/// Which contract. Numbers begin anew with each boot and may come again before, so its birth is a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id {
    number: i32,
    /// A word of the system's own.
    born: String,
}

impl Id {
    /// Reads what [`Display`](fmt::Display) wrote.
    fn read(text: &str) -> Option<Self> {
        let (number, born) = text.split_once('@')?;
        let number = number.parse().ok().filter(|number| *number > 1)?;
        (!born.is_empty()).then(|| Self { number, born: born.to_owned() })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.born)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = Id { number: 4711, born: "1179459361.000000042".into() };
        assert_eq!(Id::read(&id.to_string()), Some(id));
        // A group of 0 or 1, or a negative one, would be anybody's.
        for text in ["", "4711", "4711@", "@x", "1@x", "0@x", "-1@x", "x@x"] {
            assert_eq!(Id::read(text), None, "{text}");
        }
    }
}
