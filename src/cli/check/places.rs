//! The directories that the daemon works in: are they there, whose are they, who can write them.

use std::io;
use std::path::Path;

use super::finding::Finding;
use crate::guard::{self, Flaw, Seen};
use crate::spool::{SpoolError, folders};

/// The spool's directories. What is missing is made when the daemon starts.
pub fn spool(dir: &Path, daemon: bool, findings: &mut Vec<Finding>) {
    let missing = if daemon { Missing::Fault("restart zmigrated, it makes it") } else { Missing::MadeLater };
    if !dir.is_dir() && !dir.parent().is_some_and(Path::is_dir) {
        let says = format!("the directory above {} does not exist", dir.display());
        findings.push(Finding::fault("spool", says, "make it, or change [spool] dir"));
        return;
    }
    findings.push(of_spool(dir, folders::judge_top(dir), missing));
    if dir.is_dir() {
        let judged = folders::FOLDERS.map(|(name, _)| (dir.join(name), folders::judge(dir, name)));
        findings.extend(judged.map(|(path, judged)| of_spool(&path, judged, missing)));
    }
}

/// The scratch directory, which nobody makes but its administrator: it says on which pool the images lie.
pub fn scratch(dir: &Path, findings: &mut Vec<Finding>) {
    let missing = Missing::Fault("make it on a pool with room for a zone's images, or change [scratch] dir");
    findings.push(match Seen::at(dir) {
        Ok(seen) => of_judged("scratch", guard::ours(&seen, guard::me()).map(|()| seen)),
        Err(error) => unseen("scratch", dir, &error, missing),
    });
}

/// What it means that a directory is not there.
#[derive(Debug, Clone, Copy)]
enum Missing {
    /// The daemon will make it when it starts.
    MadeLater,
    /// That is a fault, with its remedy.
    Fault(&'static str),
}

fn of_spool(path: &Path, judged: Result<Seen, SpoolError>, missing: Missing) -> Finding {
    match judged {
        Ok(seen) => of_judged("spool", Ok(seen)),
        Err(SpoolError::Layout(flaw)) => of_judged("spool", Err(flaw)),
        Err(SpoolError::Io { source, .. }) => unseen("spool", path, &source, missing),
        Err(other) => Finding::fault("spool", other.to_string(), "try it as root"),
    }
}

fn of_judged(what: &str, judged: Result<Seen, Flaw>) -> Finding {
    match judged {
        Ok(seen) => Finding::ok(what, format!("{}, mode {:04o}", seen.path.display(), seen.mode)),
        Err(flaw) => Finding::fault(what, flaw.to_string(), flaw.remedy),
    }
}

fn unseen(what: &str, path: &Path, error: &io::Error, missing: Missing) -> Finding {
    let name = path.display();
    if error.kind() != io::ErrorKind::NotFound {
        return Finding::fault(what, format!("{name} can't be looked at: {error}"), "try it as root");
    }
    let says = format!("{name} does not exist");
    match missing {
        Missing::MadeLater => Finding::warn(what, says, "zmigrated makes it when it starts"),
        Missing::Fault(remedy) => Finding::fault(what, says, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::trust::Level;
    use crate::spool::Spool;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn found(dir: &Path, daemon: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        spool(dir, daemon, &mut findings);
        findings
    }

    #[test]
    fn every_directory_of_the_spool_is_judged_as_the_daemon_does() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("spool");
        Spool::open(&dir).unwrap();
        assert!(found(&dir, true).iter().all(|finding| finding.level == Level::Ok));
        for (name, _) in folders::FOLDERS {
            let path = dir.join(name);
            let was = fs::metadata(&path).unwrap().permissions();
            fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
            let faults: Vec<_> =
                found(&dir, true).into_iter().filter(|finding| finding.level == Level::Fault).collect();
            let shown = path.display().to_string();
            assert!(faults.len() == 1 && faults[0].says.starts_with(&shown), "{name}: {faults:?}");
            assert!(faults[0].remedy.as_ref().unwrap().ends_with(&shown), "{name}: {faults:?}");
            fs::set_permissions(&path, was).unwrap();
        }
    }

    #[test]
    fn what_is_missing_has_its_remedy() {
        let tmp = tempfile::tempdir().unwrap();
        let mut findings = Vec::new();
        scratch(&tmp.path().join("none"), &mut findings);
        assert_eq!(findings[0].level, Level::Fault);
        assert!(findings[0].remedy.is_some());
    }

    #[test]
    fn a_spool_that_was_never_used_is_no_fault_before_the_daemon_has_run() {
        let tmp = tempfile::tempdir().unwrap();
        let level = |dir: &str, daemon| found(&tmp.path().join(dir), daemon)[0].level;
        assert_eq!(level("spool", false), Level::Warn);
        assert_eq!(level("spool", true), Level::Fault);
        assert_eq!(level("no/spool", false), Level::Fault);
    }
}
