//! The one place that knows in which order files are written, synced and renamed.
//!
//! Guarantees: after `Ok` the change survives a power failure (but for [`write_unsynced`]), and at every
//! instant before it a reader, and a crash, see the old state or the new one, never half a file. Never
//! follows a link in the last component. On failure the old state is still there.
//!
//! One writer for a path: two that write the same one at the same time would share its dot name.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::SpoolError;
use crate::guard::{Flaw, NO_DIRECTORY};

/// Makes `path` hold `bytes`, whole or not at all. Mode 0644, less the umask: directories guard privacy.
///
/// # Errors
/// The old content, or none, is then still there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    replace(path, bytes, Sync::Yes)?;
    // The content is safe, the name is not yet: without this a crash may bring the old file back.
    sync_dir(parent(path)?)
}

/// As [`write()`], without any sync: for files that are evidence and nothing depends on. After a power failure
/// the file may be the old one, empty or gone.
///
/// # Errors
/// The old content, or none, is then still there.
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    replace(path, bytes, Sync::No)
}

enum Sync {
    Yes,
    No,
}

fn replace(path: &Path, bytes: &[u8], sync: Sync) -> Result<(), SpoolError> {
    let dot = dot_name(path)?;
    let fill = || -> io::Result<()> {
        // What a crash left under the dot name is nobody's; made anew, so that nothing put there is followed.
        match fs::remove_file(&dot) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&dot)?;
        file.write_all(bytes)?;
        if matches!(sync, Sync::Yes) {
            // Before the rename: the name must never lead to a file whose content is not on disk.
            file.sync_all()?;
        }
        drop(file);
        fs::rename(&dot, path)
    };
    fill().map_err(|e| {
        // Best effort: a dot name is never looked at, and the next write removes it.
        let _ = fs::remove_file(&dot);
        SpoolError::io("write", path, e)
    })
}

/// Renames, and returns when both directories know of it. A repeated call after a crash finds `from` gone.
///
/// # Errors
/// The file has its old name then, or, when only a sync failed, its new one: look before trying again.
pub fn rename(from: &Path, to: &Path) -> Result<(), SpoolError> {
    fs::rename(from, to).map_err(|e| SpoolError::io("rename", from, e))?;
    // The new name first: where a filesystem keeps no order, a crash in between leaves two names, never none.
    let (old, new) = (parent(from)?, parent(to)?);
    sync_dir(new)?;
    if old != new {
        sync_dir(old)?;
    }
    Ok(())
}

/// Removes a file, and returns when its directory knows of it. A file that is not there is no fault.
///
/// # Errors
/// When it is still there, or the directory can't be synced.
pub fn remove_file(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)?),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(SpoolError::io("remove", path, e)),
    }
}

/// Makes a directory with exactly `mode`, whatever the umask; says whether it was made now. One that is there
/// is left as it is.
///
/// # Errors
/// When something else, a link to a directory included, has the name.
pub fn create_dir(path: &Path, mode: u32) -> Result<bool, SpoolError> {
    let fault = |e| SpoolError::io("make directory", path, e);
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let meta = fs::symlink_metadata(path).map_err(fault)?;
            return if meta.is_dir() {
                Ok(false)
            } else {
                Err(Flaw::of(path, NO_DIRECTORY, "move it away").into())
            };
        }
        Err(e) => return Err(fault(e)),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(fault)?;
    sync_dir(parent(path)?)?;
    Ok(true)
}

/// As [`create_dir`], with what is missing above it.
///
/// # Errors
/// As for [`create_dir`].
pub fn create_dir_all(path: &Path, mode: u32) -> Result<(), SpoolError> {
    let missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let mut missing: Vec<_> = path.ancestors().skip(1).take_while(missing).collect();
    while let Some(above) = missing.pop() {
        create_dir(above, mode)?;
    }
    create_dir(path, mode).map(drop)
}

/// Removes a directory and all below it, without following links: a link in it is removed itself. One
/// that is not there is no fault.
///
/// # Errors
/// When `path` is no directory, or something could not be removed; some of it may be gone then.
pub fn remove_dir_all(path: &Path) -> Result<(), SpoolError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            return Err(Flaw::of(path, NO_DIRECTORY, "move it away").into());
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(SpoolError::io("look at", path, e)),
    }
    fs::remove_dir_all(path).map_err(|e| SpoolError::io("remove", path, e))?;
    sync_dir(parent(path)?)
}

/// Puts a directory's entries on disk.
///
/// # Errors
/// When the system can't.
pub fn sync_dir(path: &Path) -> Result<(), SpoolError> {
    match File::open(path).and_then(|dir| dir.sync_all()) {
        // unverified: a filesystem (some network ones) that does not know fsync of a directory says EINVAL;
        // there is nothing more that one could do about it.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done.map_err(|e| SpoolError::io("sync", path, e)),
    }
}

fn parent(path: &Path) -> Result<&Path, SpoolError> {
    match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(dir) => Ok(dir),
        None => Err(SpoolError::no_name("name the directory above", path)),
    }
}

/// The name under which `path` is written: in the same directory, begins with a dot, so no scan looks at it.
fn dot_name(path: &Path) -> Result<PathBuf, SpoolError> {
    let name = path.file_name().ok_or_else(|| SpoolError::no_name("name", path))?;
    let mut dot = OsString::from(".");
    dot.push(name);
    dot.push(".new");
    Ok(path.with_file_name(dot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_write_replaces_the_file_and_leaves_nothing_else() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("a");
        write(&path, b"one").unwrap();
        let old = fs::metadata(&path).unwrap().ino();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_ne!(fs::metadata(&path).unwrap().ino(), old, "the old file must not be written into");
        write_unsynced(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(names(tmp.path()), ["a"]);
    }

    #[test]
    fn what_lies_under_the_dot_name_is_replaced_not_followed() {
        let tmp = tempfile::tempdir().unwrap();
        let victim = tmp.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, tmp.path().join(".a.new")).unwrap();
        write(&tmp.path().join("a"), b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(names(tmp.path()), ["a", "victim"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_state() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("dir");
        fs::create_dir(&path).unwrap();
        write(&path, b"x").unwrap_err();
        assert_eq!(names(tmp.path()), ["dir"]);
    }

    #[test]
    fn a_directory_gets_its_mode_and_a_link_is_not_taken_for_one() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("d");
        assert!(create_dir(&dir, 0o1777).unwrap());
        assert!(!create_dir(&dir, 0o700).unwrap());
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o7777, 0o1777);
        let link = tmp.path().join("l");
        symlink(&dir, &link).unwrap();
        assert!(matches!(create_dir(&link, 0o700), Err(SpoolError::Layout(_))));
    }

    #[test]
    fn removing_a_tree_removes_links_and_not_what_they_show() {
        let tmp = tempfile::tempdir().unwrap();
        let (kept, tree, link) = (tmp.path().join("kept"), tmp.path().join("tree"), tmp.path().join("link"));
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("f"), "x").unwrap();
        fs::create_dir(&tree).unwrap();
        symlink(&kept, tree.join("l")).unwrap();
        symlink(&kept, &link).unwrap();
        remove_dir_all(&tree).unwrap();
        remove_dir_all(&tree).unwrap();
        remove_dir_all(&link).unwrap_err();
        assert!(kept.join("f").exists());
        assert_eq!(names(tmp.path()), ["kept", "link"]);
    }

    #[test]
    fn no_space_and_no_quota_are_told_apart_from_other_faults() {
        let kind =
            |errno| SpoolError::io("write", Path::new("x"), io::Error::from_raw_os_error(errno)).is_full();
        assert!(kind(libc::ENOSPC));
        assert!(kind(libc::EDQUOT));
        assert!(!kind(libc::EIO));
    }
}
