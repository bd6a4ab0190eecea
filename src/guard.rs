//! Who may write where: what has to be true of a directory, or a file, before the daemon believes what lies there.
//!
//! The rules are functions over what the system says (owner, mode), so that a table can test them without being root;
//! [`Seen`] is how that is asked for. They look at mode bits only: an ACL (acl(7)) that lets more users write is the site's
//! own word.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Mode bits by which others than the owner write.
pub const OTHERS_WRITE: u32 = 0o022;

/// The sticky bit: in a directory nobody removes or renames another's files.
const STICKY: u32 = 0o1000;

/// A file or directory, as the system says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its permission bits, with set-id and sticky: `07777`.
    pub mode: u32,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// The file system that it lies on.
    pub device: u64,
}

/// What is wrong with one of them, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} {why}")]
pub struct Flaw {
    /// Which, escaped: for messages.
    pub path: String,
    /// A fragment that goes behind the path.
    pub why: String,
    /// A command, or words.
    pub remedy: String,
}

impl Flaw {
    /// Of this path.
    pub fn of(path: &Path, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: shown(path), why: why.into(), remedy: remedy.into() }
    }
}

/// A path as it may stand in a log: what others chose is escaped.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().to_string()
}

impl Seen {
    /// Looks; a link is not followed.
    ///
    /// # Errors
    /// When there is nothing, or it can't be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, &fs::symlink_metadata(path)?))
    }

    /// What has been looked at already, by name or by descriptor.
    pub fn of(path: &Path, meta: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            uid: meta.uid(),
            mode: meta.mode() & 0o7777,
            is_dir: meta.is_dir(),
            device: meta.dev(),
        }
    }

    /// Whether others than its owner can write it.
    pub fn others_write(&self) -> bool {
        self.mode & OTHERS_WRITE != 0
    }

    /// Whether it is a directory in which nobody can touch another's files.
    pub fn is_sticky(&self) -> bool {
        self.mode & STICKY != 0
    }

    /// Something wrong with it.
    pub fn flaw(&self, why: impl Into<String>, remedy: impl Into<String>) -> Flaw {
        Flaw::of(&self.path, why, remedy)
    }

    /// It is a directory.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn directory(&self) -> Result<(), Flaw> {
        if self.is_dir { Ok(()) } else { Err(self.flaw(NO_DIRECTORY, "move it away")) }
    }

    /// It belongs to one of these users. `named` is how they are called, `remedy` gives it to them.
    ///
    /// # Errors
    /// When it is somebody else's.
    pub fn owned_by(&self, owners: &[u32], named: &str, remedy: impl FnOnce() -> String) -> Result<(), Flaw> {
        if owners.contains(&self.uid) {
            return Ok(());
        }
        Err(self.flaw(format!("belongs to user {}, not to {named}", self.uid), remedy()))
    }

    /// Nobody but its owner can write it.
    ///
    /// # Errors
    /// When others can.
    pub fn unwritable(&self) -> Result<(), Flaw> {
        if !self.others_write() {
            return Ok(());
        }
        let why = format!("can be written by others than its owner (mode {:04o})", self.mode);
        Err(self.flaw(why, format!("chmod go-w {}", shown(&self.path))))
    }
}

/// What is said of a name that has to be a directory.
pub const NO_DIRECTORY: &str = "is not a directory; a link is not followed";

/// Is this root, or who runs this program? Whoever else owns a file, or a directory, is somebody else.
pub fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == me()
}

/// Who runs this program.
pub fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn kept(seen: &Seen, ours: u32) -> Result<(), Flaw> {
    seen.owned_by(&[0, ours], "root", || format!("chown root {}", shown(&seen.path)))
}

/// Judges a directory that root, or `ours`, alone may write.
///
/// # Errors
/// What is wrong with it.
pub fn ours(directory: &Seen, ours: u32) -> Result<(), Flaw> {
    directory.directory()?;
    kept(directory, ours)?;
    directory.unwritable()
}

/// Judges a directory in which others may leave files of their own, but not touch each other's.
///
/// # Errors
/// What is wrong with it.
pub fn shared(directory: &Seen, ours: u32) -> Result<(), Flaw> {
    directory.directory()?;
    kept(directory, ours)?;
    if directory.is_sticky() {
        return Ok(());
    }
    directory.unwritable().map_err(|_| {
        let why = format!("can be written by others without the sticky bit (mode {:04o})", directory.mode);
        directory.flaw(why, format!("chmod +t {}", shown(&directory.path)))
    })
}

/// Judges a file that root, or `ours`, alone may write.
///
/// # Errors
/// What is wrong with it.
pub fn file(file: &Seen, ours: u32) -> Result<(), Flaw> {
    kept(file, ours)?;
    file.unwritable()
}

/// Judges the directory that such a file lies in: whoever can put another one in its place can as well write it.
///
/// # Errors
/// What is wrong with it.
pub fn holder(directory: &Seen, ours: u32) -> Result<(), Flaw> {
    if directory.is_sticky() { shared(directory, ours) } else { self::ours(directory, ours) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const OURS: u32 = 7;

    fn seen(uid: u32, mode: u32) -> Seen {
        Seen { path: "/x".into(), uid, mode, is_dir: true, device: 1 }
    }

    #[test]
    fn who_may_write_depends_on_the_directory() {
        for (uid, mode, alone, among_others) in [
            (0, 0o700, true, true),
            (OURS, 0o755, true, true),
            (OURS + 1, 0o700, false, false),
            (0, 0o775, false, false),
            (0, 0o777, false, false),
            (0, 0o770, false, false),
            (0, 0o1777, false, true),
            (OURS, 0o1770, false, true),
            (OURS + 1, 0o1770, false, false),
        ] {
            let seen = seen(uid, mode);
            assert_eq!(ours(&seen, OURS).is_ok(), alone, "{uid} {mode:o}");
            assert_eq!(shared(&seen, OURS).is_ok(), among_others, "{uid} {mode:o}");
        }
    }

    #[test]
    fn a_flaw_names_the_directory_and_the_command_that_mends_it() {
        let flaw = ours(&seen(9, 0o700), OURS).unwrap_err();
        assert_eq!(flaw.to_string(), "/x belongs to user 9, not to root");
        assert_eq!(flaw.remedy, "chown root /x");
        let flaw = ours(&seen(0, 0o777), OURS).unwrap_err();
        assert_eq!(flaw.to_string(), "/x can be written by others than its owner (mode 0777)");
        assert_eq!(flaw.remedy, "chmod go-w /x");
        let flaw = shared(&seen(0, 0o770), OURS).unwrap_err();
        assert_eq!(flaw.to_string(), "/x can be written by others without the sticky bit (mode 0770)");
        assert_eq!(flaw.remedy, "chmod +t /x");
    }

    #[test]
    fn a_file_is_as_good_as_the_directory_that_holds_it() {
        for (uid, mode, of_file, of_holder) in [
            (0, 0o644, true, true),
            (OURS, 0o600, true, true),
            (9, 0o644, false, false),
            (0, 0o664, false, false),
            (0, 0o646, false, false),
            (0, 0o1777, false, true),
        ] {
            let seen = seen(uid, mode);
            assert_eq!(
                file(&Seen { is_dir: false, ..seen.clone() }, OURS).is_ok(),
                of_file,
                "{uid} {mode:o}"
            );
            assert_eq!(holder(&seen, OURS).is_ok(), of_holder, "{uid} {mode:o}");
        }
    }

    #[test]
    fn the_way_is_looked_at_through_links_and_one_name_without() {
        let tmp = tempfile::tempdir().unwrap();
        let (real, link) = (tmp.path().join("real"), tmp.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o1777)).unwrap();
        symlink(&real, &link).unwrap();
        let all = way(&link).unwrap();
        assert_eq!(all[0].path, Path::new("/"));
        let last = all.last().unwrap();
        assert_eq!((last.mode, last.is_dir), (0o1777, true));
        let itself = Seen::at(&link).unwrap();
        assert!(ours(&itself, me()).unwrap_err().why.contains(NO_DIRECTORY));
        assert_eq!(way(&tmp.path().join("none/in")).unwrap_err().0, tmp.path().join("none"));
    }
}
