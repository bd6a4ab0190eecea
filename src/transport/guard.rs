//! Who may write where: whether a dropbox is the peer's alone, and what sshd would say of the way to it.
//!
//! The rules are functions over what the system says of a directory (owner, mode), so that a table can test them
//! without being root; [`Seen`] is how that is asked for. A dropbox that breaks them is not looked at: whoever
//! else could write there could hand a zone over in the peer's name.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A directory, as the system says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it is a directory at all.
    pub is_dir: bool,
}

/// What is wrong with one directory, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {why}")]
pub struct Flaw {
    /// Which.
    pub path: String,
    /// A fragment that goes behind the path.
    pub why: String,
    /// A command, or words.
    pub remedy: String,
}

impl Seen {
    /// Looks; a link is not followed.
    ///
    /// # Errors
    /// When there is nothing, or it can't be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, &fs::symlink_metadata(path)?))
    }

    fn of(path: &Path, meta: &Metadata) -> Self {
        let mode = meta.mode() & 0o7777;
        Self { path: path.to_owned(), uid: meta.uid(), mode, is_dir: meta.is_dir() }
    }

    fn flaw(&self, why: impl Into<String>, remedy: impl Into<String>) -> Flaw {
        Flaw { path: self.path.display().to_string(), why: why.into(), remedy: remedy.into() }
    }

    /// Nobody but one of `owners` may be able to write it.
    fn only_for(&self, owners: &[u32], named: &str, remedy: impl FnOnce() -> String) -> Result<(), Flaw> {
        if !self.is_dir {
            return Err(self.flaw("is not a directory; a link is not followed", "move it away"));
        }
        if !owners.contains(&self.uid) {
            return Err(self.flaw(format!("belongs to user {}, not to {named}", self.uid), remedy()));
        }
        self.unwritable()
    }

    fn unwritable(&self) -> Result<(), Flaw> {
        if self.mode & 0o022 == 0 {
            return Ok(());
        }
        let why = format!("can be written by others than its owner (mode {:04o})", self.mode);
        Err(self.flaw(why, format!("chmod go-w {}", self.path.display())))
    }
}

/// Who may own what in a dropbox.
#[derive(Debug, Clone, Copy)]
pub struct Owners<'a> {
    /// The daemon's user. Root's directories are always as good as its own.
    pub ours: u32,
    /// The account by which the peer logs in: its name, and its user where there is one.
    pub account: (&'a str, Option<u32>),
}

/// Judges a directory that the daemon alone may write: the one in which dropboxes lie, a dropbox, its `out/`.
///
/// # Errors
/// What is wrong with it.
pub fn ours(directory: &Seen, ours: u32) -> Result<(), Flaw> {
    directory.only_for(&[0, ours], "root", || format!("chown root {}", directory.path.display()))
}

/// Judges a dropbox's `in/`: the peer's account may own it as well.
///
/// # Errors
/// What is wrong with it.
pub fn inbox(directory: &Seen, who: Owners<'_>) -> Result<(), Flaw> {
    let (name, account) = who.account;
    let owners = [0, who.ours, account.unwrap_or(0)];
    directory.only_for(&owners, &format!("{name} or root"), || {
        let path = directory.path.display();
        format!("chown {name} {path}; chown root {path} if the peer comes by a shared directory")
    })
}

/// Every directory on the way to `path`, from the root, links followed, as sshd looks at them.
///
/// # Errors
/// With the one that can't be looked at.
pub fn way(path: &Path) -> Result<Vec<Seen>, (PathBuf, io::Error)> {
    let mut all: Vec<_> = path.ancestors().collect();
    all.reverse();
    let look = |path: &&Path| match fs::metadata(path) {
        Ok(meta) => Ok(Seen::of(path, &meta)),
        Err(error) => Err((path.to_path_buf(), error)),
    };
    all.iter().map(look).collect()
}

/// What sshd refuses in a `ChrootDirectory`: any directory on the way that is not root's, or that its group or
/// others may write, with the sticky bit or without (OpenSSH session.c, `safely_chroot`).
///
/// # Errors
/// All that it would stumble over.
pub fn chroot(way: &[Seen]) -> Result<(), Vec<Flaw>> {
    let flaw = |seen: &Seen| {
        let path = seen.path.display();
        if !seen.is_dir {
            return Some(seen.flaw("is not a directory, which sshd's ChrootDirectory wants", "move it away"));
        }
        if seen.uid != 0 {
            let why = format!("belongs to user {}: sshd's ChrootDirectory wants root's", seen.uid);
            return Some(seen.flaw(why, format!("chown root {path}")));
        }
        let why = format!(
            "can be written by others than root (mode {:04o}): sshd's ChrootDirectory refuses it{}",
            seen.mode,
            if seen.mode & 0o1000 != 0 { ", the sticky bit does not help" } else { "" },
        );
        let remedy = format!(
            "chmod go-w {path}; where others must write there, give zmigrate another place: [scratch] dir"
        );
        (seen.mode & 0o022 != 0).then(|| seen.flaw(why, remedy))
    };
    let flaws: Vec<_> = way.iter().filter_map(flaw).collect();
    if flaws.is_empty() { Ok(()) } else { Err(flaws) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const ACCOUNT: u32 = 1001;

    fn seen(path: &str, uid: u32, mode: u32) -> Seen {
        Seen { path: path.into(), uid, mode, is_dir: true }
    }

    fn who(account: Option<u32>) -> Owners<'static> {
        Owners { ours: 0, account: ("zmigrate-zhost1", account) }
    }

    /// A dropbox that is right, but for the owner and mode of one of its directories.
    fn judged(which: &str, uid: u32, mode: u32, account: Option<u32>) -> Result<(), Flaw> {
        let directory = |name: &str, right: (u32, u32)| {
            let (uid, mode) = if name == which { (uid, mode) } else { right };
            seen(name, uid, mode)
        };
        ours(&directory("dropbox", (0, 0o755)), 0)?;
        ours(&directory("zhost1", (0, 0o755)), 0)?;
        inbox(&directory("in", (0, 0o755)), who(account))?;
        ours(&directory("out", (0, 0o755)), 0)
    }

    #[test]
    fn a_dropbox_is_the_daemons_and_its_in_the_peers_or_the_daemons() {
        for (which, uid, mode, account, right) in [
            ("none", 0, 0, None, true),
            ("in", 0, 0o755, Some(ACCOUNT), true),
            ("in", ACCOUNT, 0o700, Some(ACCOUNT), true),
            ("in", ACCOUNT, 0o755, Some(ACCOUNT), true),
            ("in", ACCOUNT, 0o700, None, false),
            ("in", ACCOUNT + 1, 0o700, Some(ACCOUNT), false),
            ("in", ACCOUNT, 0o770, Some(ACCOUNT), false),
            ("in", ACCOUNT, 0o702, Some(ACCOUNT), false),
            ("in", 0, 0o1777, Some(ACCOUNT), false),
            ("in", 0, 0o777, None, false),
            ("out", 0, 0o775, None, false),
            ("out", ACCOUNT, 0o755, Some(ACCOUNT), false),
            ("zhost1", ACCOUNT, 0o755, Some(ACCOUNT), false),
            ("zhost1", 0, 0o757, None, false),
            ("dropbox", ACCOUNT, 0o755, Some(ACCOUNT), false),
            ("dropbox", 0, 0o1777, None, false),
        ] {
            let judged = judged(which, uid, mode, account);
            assert_eq!(judged.is_ok(), right, "{which} {uid} {mode:o} {account:?}: {judged:?}");
        }
    }

    #[test]
    fn a_flaw_names_the_directory_and_the_command_that_mends_it() {
        let flaw = judged("in", 7, 0o700, Some(ACCOUNT)).unwrap_err();
        assert_eq!(flaw.to_string(), "in belongs to user 7, not to zmigrate-zhost1 or root");
        assert_eq!(
            flaw.remedy,
            "chown zmigrate-zhost1 in; chown root in if the peer comes by a shared directory"
        );
        let flaw = judged("out", 0, 0o777, None).unwrap_err();
        assert_eq!(flaw.to_string(), "out can be written by others than its owner (mode 0777)");
        assert_eq!(flaw.remedy, "chmod go-w out");
    }

    #[test]
    fn sshd_refuses_what_is_not_roots_or_can_be_written_on_the_whole_way() {
        let way = |scratch: (u32, u32)| {
            [
                seen("/", 0, 0o755),
                seen("/export/scratch", scratch.0, scratch.1),
                seen("/export/scratch/d", 0, 0o755),
            ]
        };
        for (uid, mode, right) in [
            (0, 0o755, true),
            (0, 0o700, true),
            (0, 0o1777, false),
            (0, 0o777, false),
            (0, 0o775, false),
            (0, 0o757, false),
            (ACCOUNT, 0o755, false),
        ] {
            let judged = chroot(&way((uid, mode)));
            assert_eq!(judged.is_ok(), right, "{uid} {mode:o}");
            assert!(judged.err().into_iter().flatten().all(|flaw| flaw.path == "/export/scratch"));
        }
        let flaws = chroot(&way((0, 0o1777))).unwrap_err();
        assert_eq!(
            flaws[0].to_string(),
            "/export/scratch can be written by others than root (mode 1777): sshd's ChrootDirectory refuses it, \
             the sticky bit does not help"
        );
        assert!(flaws[0].remedy.starts_with("chmod go-w /export/scratch;"), "{}", flaws[0].remedy);
    }

    #[test]
    fn the_way_is_looked_at_as_sshd_does_and_the_dropbox_without_following_links() {
        let tmp = tempfile::tempdir().unwrap();
        let (real, link) = (tmp.path().join("real"), tmp.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o1777)).unwrap();
        symlink(&real, &link).unwrap();
        let way = way(&link).unwrap();
        assert_eq!(way[0].path, Path::new("/"));
        let last = way.last().unwrap();
        assert_eq!((last.mode, last.is_dir), (0o1777, true));
        assert!(!Seen::at(&link).unwrap().is_dir);
        assert_eq!(super::way(&tmp.path().join("none/in")).unwrap_err().0, tmp.path().join("none"));
    }
}
