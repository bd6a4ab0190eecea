//! Whether a dropbox is the peer's alone, and what sshd would say of the way to it.
//!
//! A dropbox that breaks these rules is not looked at: whoever else could write there could hand a zone over in the
//! peer's name.

use crate::guard::{Flaw, Seen, shown};

/// Who may own what in a dropbox.
#[derive(Debug, Clone, Copy)]
pub struct Owners<'a> {
    /// The daemon's user. Root's directories are always as good as its own.
    pub ours: u32,
    /// The account by which the peer logs in: its name, and its user where there is one.
    pub account: (&'a str, Option<u32>),
}

/// Judges a dropbox's `in/`: the peer's account may own it as well.
///
/// # Errors
/// What is wrong with it.
pub fn inbox(directory: &Seen, who: Owners<'_>) -> Result<(), Flaw> {
    let (name, account) = who.account;
    let owners = [0, who.ours, account.unwrap_or(0)];
    directory.directory()?;
    directory.owned_by(&owners, &format!("{name} or root"), || {
        let path = shown(&directory.path);
        format!("chown {name} {path}; chown root {path} if the peer comes by a shared directory")
    })?;
    directory.unwritable()
}

/// What sshd refuses in a `ChrootDirectory`: any directory on the way that is not root's, or that its group or
/// others may write, with the sticky bit or without (OpenSSH session.c, `safely_chroot`).
///
/// # Errors
/// All that it would stumble over.
pub fn chroot(way: &[Seen]) -> Result<(), Vec<Flaw>> {
    let flaw = |seen: &Seen| {
        let path = shown(&seen.path);
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
            if seen.is_sticky() { ", the sticky bit does not help" } else { "" },
        );
        let remedy = format!(
            "chmod go-w {path}; where others must write there, give zmigrate another place: [scratch] dir"
        );
        seen.others_write().then(|| seen.flaw(why, remedy))
    };
    let flaws: Vec<_> = way.iter().filter_map(flaw).collect();
    if flaws.is_empty() { Ok(()) } else { Err(flaws) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::ours;

    const ACCOUNT: u32 = 1001;

    fn seen(path: &str, uid: u32, mode: u32) -> Seen {
        Seen { path: path.into(), uid, mode, is_dir: true, device: 1 }
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
    fn a_flaw_names_the_directory_and_the_commands_that_mend_it() {
        let flaw = judged("in", 7, 0o700, Some(ACCOUNT)).unwrap_err();
        assert_eq!(flaw.to_string(), "in belongs to user 7, not to zmigrate-zhost1 or root");
        assert_eq!(
            flaw.remedy,
            "chown zmigrate-zhost1 in; chown root in if the peer comes by a shared directory"
        );
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
}
