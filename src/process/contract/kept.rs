//! The streams under way, in files: for a daemon that comes after one that was killed.
//!
//! One file a stream, `NUMBER`, in a directory of the daemon's own: the contract's identity, a blank, the command line. Not synced:
//! a power failure leaves no processes. A daemon killed between the start of a stream and its file leaves one that is not
//! found, as one on a system without this is not: the dataset is busy until it ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::id::Id;
use super::system;
use crate::process::argv::Argv;
use crate::process::output::one_line;

/// The file of a stream; removed when dropped.
#[derive(Debug)]
pub(super) struct Kept(PathBuf);

impl Kept {
    /// Writes it. `None` where it can't be: then the stream runs all the same, and no one will find it.
    pub(super) fn write(dir: &Path, id: &Id, argv: &Argv) -> Option<Self> {
        let path = dir.join(id.number.to_string());
        fs::write(&path, format!("{id} {}\n", one_line(&argv.brief()))).ok().map(|()| Self(path))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A file that stays says nothing once its command has ended.
        let _ = fs::remove_file(&self.0);
    }
}

/// A stream that outlives its daemon.
#[derive(Debug)]
pub struct Orphan {
    id: Id,
    /// The command line, as it was shown when it was started.
    pub command: String,
    file: PathBuf,
}

impl Orphan {
    /// Its processes; none once it has ended.
    pub fn members(&self) -> Vec<i32> {
        system::members(&self.id)
    }

    /// Sends SIGKILL to all of them. One that hangs in the kernel does not die before it comes out of there.
    pub fn kill(&self) {
        system::kill(&self.id);
    }

    /// Is not kept any longer, if it has ended; says whether it has.
    pub fn forget_ended(&self) -> bool {
        let ended = self.members().is_empty();
        if ended {
            let _ = fs::remove_file(&self.file);
        }
        ended
    }
}

/// The streams that an earlier daemon has left running. To be called before this daemon starts any. What is kept of others is
/// removed.
///
/// # Errors
/// When the directory can't be read.
pub fn orphans(dir: &Path) -> io::Result<Vec<Orphan>> {
    let mut orphans = Vec::new();
    for entry in fs::read_dir(dir)? {
        let file = entry?.path();
        // Half of a file is no identity: a daemon was killed as it wrote it.
        let text = fs::read_to_string(&file).unwrap_or_default();
        let kept = text.trim_end().split_once(' ').and_then(|(id, command)| Some((Id::read(id)?, command)));
        match kept.map(|(id, command)| Orphan { id, command: command.to_owned(), file: file.clone() }) {
            Some(orphan) if !orphan.members().is_empty() => orphans.push(orphan),
            _ => drop(fs::remove_file(&file)),
        }
    }
    orphans.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(orphans)
}

#[cfg(test)]
mod tests {
    use super::super::{Contract, Terms};
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    fn sleeper(dir: &Path, terms: Terms) -> (std::process::Child, Contract) {
        let mut command = Command::new("sleep");
        command.arg("1000").stdin(Stdio::null()).process_group(0);
        let argv = Argv::new("zfs").args(["receive", "-u", "data/db@m"]);
        Contract::start(&mut command, terms, Some((dir, &argv))).unwrap()
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_stream_is_kept_while_it_runs_and_another_command_never_is() {
        let dir = tempfile::tempdir().unwrap();
        for (terms, kept) in [(Terms::Stream, 1), (Terms::Command, 0)] {
            let (mut child, contract) = sleeper(dir.path(), terms);
            assert_eq!(files(dir.path()), kept, "{terms:?}");
            child.kill().unwrap();
            child.wait().unwrap();
            drop(contract);
            assert_eq!(files(dir.path()), 0, "{terms:?}");
        }
    }

    #[test]
    fn what_an_earlier_daemon_left_running_is_found_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, contract) = sleeper(dir.path(), Terms::Stream);
        // As a SIGKILL leaves it.
        std::mem::forget(contract);
        let [orphan] = &orphans(dir.path()).unwrap()[..] else { panic!() };
        assert_eq!(orphan.command, "zfs receive -u data/db@m");
        assert_eq!(orphan.members(), [i32::try_from(child.id()).unwrap()]);
        assert!(!orphan.forget_ended());
        assert_eq!(files(dir.path()), 1);
        orphan.kill();
        child.wait().unwrap();
        assert!(orphan.forget_ended());
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn what_says_nothing_any_more_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut child, contract) = sleeper(dir.path(), Terms::Stream);
        std::mem::forget(contract);
        child.kill().unwrap();
        child.wait().unwrap();
        fs::write(dir.path().join("half"), "47").unwrap();
        fs::write(dir.path().join("bytes"), [0xff, 0x20, 0xff]).unwrap();
        fs::write(dir.path().join("init"), "1@x zfs\n").unwrap();
        assert_eq!(files(dir.path()), 4);
        assert!(orphans(dir.path()).unwrap().is_empty());
        assert_eq!(files(dir.path()), 0);
    }
}
