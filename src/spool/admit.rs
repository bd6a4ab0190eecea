//! A request, or an offer, becomes a job: a folder appears under its name, whole.
//!
//! The table of states is in [`super`]; each function here says which of its lines it leaves behind.

use std::fs;

use crate::job::name::JobId;

use super::incoming::Taken;
use super::look::{exists, read_dir};
use super::{JobDir, Place, Spool, SpoolError, durable};

/// The original of the request while the folder is being made; its presence is the commit.
const DROPPED: &str = "dropped";
const NEW: &str = ".new-";

impl Spool {
    /// Makes the job of a request that was taken: its folder with `request.toml`, the text as it was read.
    /// The text is a copy, so whoever still has the dropped file open can't change it any more.
    ///
    /// # Errors
    /// [`SpoolError::Exists`] when the id is in use anywhere in the spool. On an error the request is claimed
    /// as before, and the next scan finds it (only if taking the commit back failed too: the next start).
    pub fn admit(&self, taken: &Taken, id: &JobId) -> Result<JobDir, SpoolError> {
        let new = self.build(id, &[("request.toml", taken.text.as_bytes())])?;
        let claim = self.claims().join(&taken.name);
        let dropped = new.join(DROPPED);
        let job = self.job_dir(Place::Active, id);
        // Commit. The copy is synced by now; with the first rename the request is the job's.
        let moved = durable::rename(&claim, &dropped).and_then(|()| durable::rename(&new, &job.path));
        match moved {
            // Only tidies: a start removes it as well.
            Ok(()) => drop(fs::remove_file(job.path.join(DROPPED))),
            // Renamed, but it is not known to be on disk: `dropped` stays, so that a crash finds one state or
            // the other.
            Err(_) if exists(&job.path)? => {}
            Err(e) => {
                // Undecided again, so that the next scan finds it; a crash here leaves an admission for the
                // start.
                if exists(&dropped)? {
                    durable::rename(&dropped, &claim)?;
                }
                return Err(e);
            }
        }
        Ok(job)
    }

    /// Makes a job that was not dropped here (a target's), with these files in it. After a crash in between
    /// there is no job; whoever asked for it asks again.
    ///
    /// # Errors
    /// [`SpoolError::Exists`] when the id is in use anywhere in the spool; else there is no job.
    pub fn create_job(&self, id: &JobId, files: &[(&str, &[u8])]) -> Result<JobDir, SpoolError> {
        let new = self.build(id, files)?;
        let job = self.job_dir(Place::Active, id);
        durable::rename(&new, &job.path)?;
        Ok(job)
    }

    /// A folder under its dot name, with files that are synced.
    fn build(&self, id: &JobId, files: &[(&str, &[u8])]) -> Result<std::path::PathBuf, SpoolError> {
        if let Some(job) = self.find(id)? {
            return Err(SpoolError::Exists { path: job.path });
        }
        let new = self.folder(Place::Active).join(format!("{NEW}{id}"));
        // Left by a try that failed. One with `dropped` in it holds the only copy of a request.
        if exists(&new.join(DROPPED))? {
            return Err(SpoolError::Exists { path: new });
        }
        durable::remove_dir_all(&new)?;
        durable::create_dir(&new, 0o700)?;
        for (name, bytes) in files {
            durable::write(&new.join(name), bytes)?;
        }
        Ok(new)
    }

    /// Finishes what a crash left of [`Spool::admit`] and [`Spool::create_job`].
    pub(super) fn finish_admissions(&self) -> Result<(), SpoolError> {
        let active = self.folder(Place::Active);
        for entry in read_dir(&active)? {
            let name = entry.file_name();
            let Some(id) = name.to_str().and_then(|n| n.strip_prefix(NEW)).map(JobId::new) else { continue };
            let path = entry.path();
            match id {
                Ok(id) if exists(&path.join(DROPPED))? => {
                    durable::rename(&path, &self.job_dir(Place::Active, &id).path)?;
                }
                _ => durable::remove_dir_all(&path)?,
            }
        }
        // A folder that was renamed just before the crash is a job on disk before it loses the mark of one.
        durable::sync_dir(&active)?;
        for job in self.jobs(Place::Active)? {
            durable::remove_file(&job.path.join(DROPPED))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::incoming::{Incoming, May, Taking};
    use super::*;
    use std::ffi::OsStr;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    const TEXT: &str = "zone = \"web\"\nto = \"zhost2\"\n";

    fn id() -> JobId {
        JobId::new("web-20070518T033600Z-7f3a").unwrap()
    }

    /// What the scan of a daemon that has just started finds to take, as (name, text).
    fn found(spool: &Spool) -> Vec<(String, String)> {
        let mut incoming = Incoming::new(spool.clone());
        let scan = incoming.scan(SystemTime::now() + Duration::from_secs(60)).unwrap();
        scan.ready
            .iter()
            .map(|name| match incoming.take(name, &|_| May::NotYet).unwrap() {
                Taking::Request(taken) => (taken.name.into_string().unwrap(), taken.text),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn tree(dir: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in read_dir(dir).unwrap() {
            if entry.file_type().unwrap().is_dir() {
                names.extend(tree(&entry.path()));
            } else {
                names.push(entry.path().display().to_string());
            }
        }
        names.sort();
        names
    }

    fn files(spool: &Spool) -> Vec<String> {
        let top = format!("{}/", spool.dir().display());
        tree(spool.dir()).into_iter().map(|p| p.replace(&top, "")).filter(|p| p != "lock").collect()
    }

    #[test]
    fn a_request_becomes_a_job_and_is_nowhere_else() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        fs::write(tmp.path().join("incoming/web.toml"), TEXT).unwrap();
        let mut incoming = Incoming::new(spool.clone());
        let Taking::Request(taken) = incoming.take(OsStr::new("web.toml"), &|_| May::NotYet).unwrap() else {
            panic!()
        };
        assert_eq!(files(&spool), ["active/.claims/web.toml"]);
        let job = spool.admit(&taken, &id()).unwrap();
        assert_eq!(fs::read_to_string(job.request()).unwrap(), TEXT);
        assert_eq!(files(&spool), [format!("active/{}/request.toml", id())]);
        assert!(matches!(spool.create_job(&id(), &[]), Err(SpoolError::Exists { .. })));
    }

    /// Each line of the table in the module's header, made by hand as a crash leaves it.
    #[test]
    fn every_crash_leaves_the_request_in_one_place() {
        let job = format!("active/{}/request.toml", id());
        let new = |file: &str| format!("active/.new-{}/{file}", id());
        let states: [(&str, Vec<String>, bool); 8] = [
            ("dropped", vec!["incoming/n".into()], false),
            ("claimed", vec!["active/.claims/n".into()], false),
            ("empty folder", vec!["active/.claims/n".into(), new("")], false),
            ("half a copy", vec!["active/.claims/n".into(), new(".request.toml.new")], false),
            ("copied", vec!["active/.claims/n".into(), new("request.toml")], false),
            ("admitted", vec![new("dropped"), new("request.toml")], true),
            ("renamed", vec![format!("active/{}/dropped", id()), job.clone()], true),
            ("a job", vec![job.clone()], true),
        ];
        for (state, present, is_job) in states {
            let tmp = tempfile::tempdir().unwrap();
            drop(Spool::open(tmp.path()).unwrap());
            for name in present {
                let path = tmp.path().join(&name);
                if name.ends_with('/') {
                    fs::create_dir(path).unwrap();
                } else {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, TEXT).unwrap();
                }
            }
            let spool = Spool::open(tmp.path()).unwrap();
            let takes = found(&spool);
            if is_job {
                assert_eq!(takes, [], "{state}");
                assert_eq!(files(&spool), [job.as_str()], "{state}");
                assert_eq!(fs::read_to_string(tmp.path().join(&job)).unwrap(), TEXT, "{state}");
            } else {
                assert_eq!(takes, [("n".to_owned(), TEXT.to_owned())], "{state}");
                assert_eq!(files(&spool), ["active/.claims/n"], "{state}");
            }
        }
    }

    #[test]
    fn a_folder_that_holds_a_request_is_not_built_over() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        let new = tmp.path().join(format!("active/.new-{}", id()));
        fs::create_dir(&new).unwrap();
        fs::write(new.join(DROPPED), TEXT).unwrap();
        assert!(matches!(spool.create_job(&id(), &[]), Err(SpoolError::Exists { .. })));
        assert!(new.join(DROPPED).exists());
    }
}
