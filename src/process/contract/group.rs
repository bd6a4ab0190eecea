//! In place of process contracts: the process group that each child leads, told from a later one of the same number by
//! what Linux's /proc says of its leader. Nothing kills a stream when the daemon dies; the next daemon does. Where there is no
//! such /proc a stream has no identity and is never found.

use std::fs;
use std::io;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::id::{Id, Terms};

/// Starts a command, which is told to lead a group.
pub(super) fn start(command: &mut Command, terms: Terms) -> io::Result<(Child, Option<Id>)> {
    let child = command.spawn()?;
    // It is not reaped yet, so its number is its own.
    let id = match (terms, i32::try_from(child.id())) {
        (Terms::Stream, Ok(pid)) => identify(pid),
        _ => None,
    };
    Ok((child, id))
}

/// The group's leader, while it lives: a group whose leader is dead can't be told from another's.
pub(super) fn members(id: &Id) -> Vec<i32> {
    if identify(id.number).as_ref() == Some(id) { vec![id.number] } else { Vec::new() }
}

/// SIGKILL to the group.
pub(super) fn kill(id: &Id) {
    if !members(id).is_empty() {
        // ESRCH: it has ended meanwhile.
        let _ = killpg(Pid::from_raw(id.number), Signal::SIGKILL);
    }
}

/// Nothing is held.
pub(super) fn abandon(_id: &Id) {}

/// A living process by its number, the boot and the time since then at which it was started.
fn identify(pid: i32) -> Option<Id> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let started = started(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some(Id { number: pid, born: format!("{}.{started}", boot.trim()) })
}

/// When a process was started, in ticks since the boot, by its `stat`; `None` for one that has ended and was not reaped.
fn started(stat: &str) -> Option<u64> {
    // proc(5): pid (comm) state ppid …, starttime is the 22nd. The name may hold blanks and brackets.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [host] /proc/self/stat of a `cat` under Linux 6.1, cut behind the 24th field; the name changed.
    const STAT: &str =
        "4242 (a) Z (b) R 4200 4242 4200 34816 4242 4194304 92 0 0 0 0 0 0 0 20 0 1 0 891234 5869568 512";

    #[test]
    fn the_start_is_read_behind_whatever_name_a_process_has() {
        assert_eq!(started(STAT), Some(891_234));
        assert_eq!(started(&STAT.replace(") R ", ") Z ")), None);
        assert_eq!(started("4242 (cat) R 1 2"), None);
        assert_eq!(started(""), None);
    }

    #[test]
    fn a_later_process_of_the_same_number_is_another() {
        let us = identify(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(members(&us), [us.number]);
        let before = Id { born: format!("{}0", us.born), ..us };
        assert_eq!(members(&before), Vec::<i32>::new());
        // Would end this very test, were it not another's.
        kill(&before);
    }
}
