//! The directories that the daemon works in: are they there, whose are they, who can write them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::Finding;
use crate::spool::is_ours;

/// Who else than its owner may write a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writers {
    Owner,
    /// Others, too, where the sticky bit keeps them from each other's files.
    Sticky,
}

/// The spool's directories. What is missing is made when the daemon starts.
pub fn spool(dir: &Path, daemon: bool, findings: &mut Vec<Finding>) {
    let missing = if daemon { Missing::Fault("restart zmigrated, it makes it") } else { Missing::MadeLater };
    let mut found = vec![directory("spool", dir, Writers::Owner, missing)];
    if dir.is_dir() {
        for name in ["incoming", "active", "done", "failed", "rejected", "asks"] {
            let writers = if name == "incoming" { Writers::Sticky } else { Writers::Owner };
            found.push(directory("spool", &dir.join(name), writers, missing));
        }
    } else if !dir.parent().is_some_and(Path::is_dir) {
        let says = format!("the directory above {} does not exist", dir.display());
        found = vec![Finding::fault("spool", says, "make it, or change [spool] dir")];
    }
    findings.extend(found);
}

/// The scratch directory, which nobody makes but its administrator: it says on which pool the images lie.
pub fn scratch(dir: &Path, findings: &mut Vec<Finding>) {
    let missing = Missing::Fault("make it on a pool with room for a zone's images, or change [scratch] dir");
    findings.push(directory("scratch", dir, Writers::Owner, missing));
}

/// What it means that a directory is not there.
#[derive(Debug, Clone, Copy)]
enum Missing {
    /// The daemon will make it when it starts.
    MadeLater,
    /// That is a fault, with its remedy.
    Fault(&'static str),
}

fn directory(what: &str, path: &Path, writers: Writers, missing: Missing) -> Finding {
    let name = path.display();
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let says = format!("{name} does not exist");
            return match missing {
                Missing::MadeLater => Finding::warn(what, says, "zmigrated makes it when it starts"),
                Missing::Fault(remedy) => Finding::fault(what, says, remedy),
            };
        }
        Err(e) => return Finding::fault(what, format!("{name} can't be looked at: {e}"), "try it as root"),
    };
    if !meta.is_dir() {
        return Finding::fault(
            what,
            format!("{name} is not a directory; a link is not followed"),
            "move it away",
        );
    }
    let mode = meta.mode() & 0o7777;
    if !is_ours(meta.uid()) {
        let says = format!("{name} belongs to user {}", meta.uid());
        return Finding::fault(what, says, format!("chown root {name}"));
    }
    match writers {
        Writers::Owner if mode & 0o022 != 0 => Finding::fault(
            what,
            format!("{name} can be written by others than its owner (mode {mode:04o})"),
            format!("chmod go-w {name}"),
        ),
        Writers::Sticky if mode & 0o022 != 0 && mode & 0o1000 == 0 => Finding::fault(
            what,
            format!("{name} can be written by others without the sticky bit (mode {mode:04o})"),
            format!("chmod +t {name}"),
        ),
        _ => Finding::ok(what, format!("{name}, mode {mode:04o}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::finding::Level;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn level(path: &Path, mode: u32, writers: Writers) -> Level {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        directory("x", path, writers, Missing::MadeLater).level
    }

    #[test]
    fn who_may_write_depends_on_the_directory() {
        let tmp = tempfile::tempdir().unwrap();
        for (mode, writers, want) in [
            (0o700, Writers::Owner, Level::Ok),
            (0o755, Writers::Owner, Level::Ok),
            (0o775, Writers::Owner, Level::Fault),
            (0o1777, Writers::Owner, Level::Fault),
            (0o777, Writers::Sticky, Level::Fault),
            (0o1777, Writers::Sticky, Level::Ok),
            (0o770, Writers::Sticky, Level::Fault),
            (0o1770, Writers::Sticky, Level::Ok),
        ] {
            assert_eq!(level(tmp.path(), mode, writers), want, "{mode:o} {writers:?}");
        }
    }

    #[test]
    fn a_link_is_no_directory_and_what_is_missing_has_its_remedy() {
        let tmp = tempfile::tempdir().unwrap();
        let link = tmp.path().join("link");
        symlink(tmp.path(), &link).unwrap();
        let found = directory("x", &link, Writers::Owner, Missing::MadeLater);
        assert!(found.says.contains("is not a directory"), "{found:?}");
        let mut found = Vec::new();
        scratch(&tmp.path().join("none"), &mut found);
        assert_eq!(found[0].level, Level::Fault);
        assert!(found[0].remedy.is_some());
    }

    #[test]
    fn a_spool_that_was_never_used_is_no_fault_before_the_daemon_has_run() {
        let tmp = tempfile::tempdir().unwrap();
        let found = |dir: &Path, daemon| {
            let mut findings = Vec::new();
            spool(dir, daemon, &mut findings);
            findings[0].level
        };
        assert_eq!(found(&tmp.path().join("spool"), false), Level::Warn);
        assert_eq!(found(&tmp.path().join("spool"), true), Level::Fault);
        assert_eq!(found(&tmp.path().join("no/spool"), false), Level::Fault);
    }
}
