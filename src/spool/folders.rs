//! The spool's directories: how they are made, and what has to be true of them before anything there is believed.

use std::path::Path;

use super::{SpoolError, durable};
use crate::guard::{self, Flaw, Seen, shown};

/// Outcomes for a log host.
pub(super) const OUTBOX: &str = "outbox";
/// Those that their jobs' journals do not have yet.
pub(super) const HELD: &str = "outbox/held";

/// The directories below the spool and the modes they are made with.
pub const FOLDERS: [(&str, u32); 10] = [
    ("incoming", 0o700),
    ("active", 0o700),
    ("active/.claims", 0o700),
    ("done", 0o700),
    ("failed", 0o700),
    ("rejected", 0o700),
    ("asks", 0o700),
    (OUTBOX, 0o700),
    (HELD, 0o700),
    ("streams", 0o700),
];

/// Makes what is missing, and judges everything.
pub(super) fn make(spool: &Path) -> Result<(), SpoolError> {
    durable::create_dir(spool, 0o755)?;
    judge_top(spool)?;
    for (name, mode) in FOLDERS {
        durable::create_dir(&spool.join(name), mode)?;
        judge(spool, name)?;
    }
    Ok(())
}

/// Judges the spool's own directory: there, the daemon's, written by nobody else.
///
/// # Errors
/// [`SpoolError::Layout`] with the remedy; [`SpoolError::Io`] when it can't be looked at.
pub fn judge_top(spool: &Path) -> Result<Seen, SpoolError> {
    let seen = look(spool)?;
    guard::ours(&seen, guard::me())?;
    Ok(seen)
}

/// Judges one of [`FOLDERS`] by its name: as [`judge_top`], but that `incoming/` may be open to others.
///
/// # Errors
/// As for [`judge_top`].
pub fn judge(spool: &Path, name: &str) -> Result<Seen, SpoolError> {
    let path = spool.join(name);
    let seen = look(&path)?;
    if name == "incoming" {
        guard::shared(&seen, guard::me())?;
        if seen.others_write() && !is_chown_restricted(&path)? {
            return Err(given_away(&seen).into());
        }
    } else {
        guard::ours(&seen, guard::me())?;
    }
    // A job moves by one rename; across file systems there is no such thing.
    if seen.device != look(spool)?.device {
        let remedy = "move it there".to_owned();
        return Err(seen.flaw("lies on another file system than the spool", remedy).into());
    }
    Ok(seen)
}

fn look(path: &Path) -> Result<Seen, SpoolError> {
    Seen::at(path).map_err(|e| SpoolError::io("look at", path, e))
}

fn given_away(incoming: &Seen) -> Flaw {
    incoming.flaw(
        "can be written by others, and users of this system can give their files to root",
        format!("chmod go-w {}, or set rstchown to 1 in /etc/system", shown(&incoming.path)),
    )
}

/// Whether a file's owner is kept from giving it to somebody else, by whom it would then seem to be submitted. Solaris and
/// illumos leave that to `rstchown` (chown(2), `_POSIX_CHOWN_RESTRICTED`).
fn is_chown_restricted(path: &Path) -> Result<bool, SpoolError> {
    let restricted = nix::unistd::pathconf(path, nix::unistd::PathconfVar::_POSIX_CHOWN_RESTRICTED);
    restricted
        .map(|answer| answer.is_some_and(|answer| answer > 0))
        .map_err(|e| SpoolError::io("look at", path, e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Spool;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn refused(dir: &Path) -> String {
        match Spool::open(dir) {
            Err(error @ SpoolError::Layout(_)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn opening_makes_the_directories_with_their_modes() {
        let tmp = tempfile::tempdir().unwrap();
        Spool::open(&tmp.path().join("spool")).unwrap();
        for (name, mode) in FOLDERS {
            let meta = fs::symlink_metadata(tmp.path().join("spool").join(name)).unwrap();
            assert_eq!(meta.mode() & 0o7777, mode, "{name}");
        }
    }

    #[test]
    fn a_linked_or_widely_writable_directory_is_refused_by_name() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = tmp.path().join("spool");
        fs::create_dir(&spool).unwrap();
        symlink(tmp.path(), spool.join("done")).unwrap();
        let said = refused(&spool);
        assert!(said.contains("/done is not a directory"), "{said}");

        fs::remove_file(spool.join("done")).unwrap();
        Spool::open(&spool).unwrap();
        let chmod = |name: &str, mode| {
            fs::set_permissions(spool.join(name), Permissions::from_mode(mode)).unwrap();
        };
        for open in [0o777, 0o770] {
            chmod("incoming", open);
            let said = refused(&spool);
            assert!(said.contains("/incoming can be written by others without the sticky bit"), "{said}");
            assert!(said.ends_with(&format!(": chmod +t {}", spool.join("incoming").display())), "{said}");
            chmod("incoming", 0o1000 | open);
            Spool::open(&spool).unwrap();
        }
        chmod("active", 0o770);
        let said = refused(&spool);
        assert!(said.contains("/active can be written by others"), "{said}");
    }
}
