//! What the command line asks of the daemon: one small file in `asks/` for each verb and job.
//!
//! `asks/VERB.JOB` holds `{"v":1,"at":"2007-05-18T04:00:00Z","args":{"target-is-gone":"zhost2"}}`. One place
//! for all jobs, going on or ended, so that one directory is watched. Written whole by a rename; the same
//! verb for the same job asked twice is one ask, the later.
//!
//! The daemon journals what was asked and then [`Spool::answered`] removes the file, so a crash in between
//! asks again: what an ask does must bear that. What can't be done goes to `rejected/` by [`Spool::refuse_ask`],
//! with its reason beside it. Who asked is the file's owner, as the system says, not its
//! text; only root and the daemon's own user may. The right to submit is none to ask: an ask acts on anybody's job, and a
//! `finish` destroys.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::job::name::JobId;

use super::incoming::Rejection;
use super::read::{ReadError, open_dir, read_bounded};
use super::{Spool, SpoolError, durable, read_dir};
use crate::guard::is_ours;

/// No ask is larger.
const MAX_ASK: u64 = 4 << 10;
const VERSION: u32 = 1;

/// One thing asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// `cancel`, `rollback`, `retry`, `finish`: a lower-case word that the spool does not interpret.
    pub verb: String,
    /// Of which job.
    pub job: JobId,
    /// Who asked.
    pub by: u32,
    /// When, by the asker's clock: for people.
    pub at: DateTime<Utc>,
    /// The verb's options.
    pub args: BTreeMap<String, String>,
    inode: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    v: u32,
    at: DateTime<Utc>,
    args: BTreeMap<String, String>,
}

impl Spool {
    /// Leaves an ask for the daemon. For the command line.
    ///
    /// # Errors
    /// When it can't be written; nothing is asked then.
    pub fn ask(
        &self,
        verb: &str,
        job: &JobId,
        at: DateTime<Utc>,
        args: BTreeMap<String, String>,
    ) -> Result<(), SpoolError> {
        let path = self.asks_dir().join(format!("{verb}.{job}"));
        let text = serde_json::to_vec(&Text { v: VERSION, at, args })
            .map_err(|e| SpoolError::io("write", &path, e.into()))?;
        // Two people may ask the same at the same time: a dot name of this process's own, then as always.
        let own = self.asks_dir().join(format!(".{verb}.{job}.{}", std::process::id()));
        durable::write(&own, &text)?;
        durable::rename(&own, &path)
    }

    /// What is asked, oldest job first. What is no ask goes to `rejected/` and is told, too.
    ///
    /// # Errors
    /// When the directory can't be listed, or something can't be rejected.
    pub fn asks(&self) -> Result<(Vec<Ask>, Vec<Rejection>), SpoolError> {
        let (mut asks, mut rejections) = (Vec::new(), Vec::new());
        let dir = self.asks_dir();
        for entry in read_dir(&dir)? {
            let name = entry.file_name();
            if name.as_bytes().first() == Some(&b'.') {
                continue;
            }
            match read_ask(&dir, &name) {
                Ok(Some(ask)) => asks.push(ask),
                Ok(None) => {}
                Err(reason) => rejections.push(self.put_aside(&dir.join(&name), &reason)?),
            }
        }
        asks.sort_by(|a, b| (&a.job, &a.verb).cmp(&(&b.job, &b.verb)));
        Ok((asks, rejections))
    }

    /// Removes an ask that was journaled. One that was put in its place since stays.
    ///
    /// # Errors
    /// When it is still there: it will be asked again.
    pub fn answered(&self, ask: &Ask) -> Result<(), SpoolError> {
        let path = self.asks_dir().join(format!("{}.{}", ask.verb, ask.job));
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.ino() == ask.inode => durable::remove_file(&path),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(SpoolError::io("look at", &path, e)),
        }
    }

    /// Refuses an ask: it and the reason go to `rejected/`, where the asker finds it. One that was put in its place
    /// since stays and will be read.
    ///
    /// # Errors
    /// When it is still there: it will be asked again.
    pub fn refuse_ask(&self, ask: &Ask, reason: &str) -> Result<(), SpoolError> {
        let path = self.asks_dir().join(format!("{}.{}", ask.verb, ask.job));
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.ino() == ask.inode => self.put_aside(&path, reason).map(drop),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(SpoolError::io("look at", &path, e)),
        }
    }
}

/// Reads one ask; `None` when it was taken back, a reason when it is none.
fn read_ask(dir: &Path, name: &OsStr) -> Result<Option<Ask>, String> {
    let (verb, job) = name
        .to_str()
        .and_then(|name| name.split_once('.'))
        .filter(|(verb, _)| !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        .ok_or("is not named VERB.JOB")?;
    let job = JobId::new(job).map_err(|e| e.to_string())?;
    let content = match open_dir(dir).and_then(|dir| read_bounded(dir, name, MAX_ASK)) {
        Ok(content) => content,
        Err(ReadError::Missing) => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let (by, inode) = (content.meta.uid(), content.meta.ino());
    if !is_ours(by) {
        return Err(format!("belongs to user {by}, and only root may ask for this"));
    }
    let text: Text = serde_json::from_slice(&content.bytes)
        .map_err(|e| e.to_string().escape_debug().take(200).collect::<String>())?;
    if text.v != VERSION {
        return Err(format!("is of version {}, this zmigrated reads version {VERSION}", text.v));
    }
    Ok(Some(Ask { verb: verb.to_owned(), job, by, at: text.at, args: text.args, inode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> JobId {
        JobId::new("a.b-20070518T033600Z-7f3a").unwrap()
    }

    fn at() -> DateTime<Utc> {
        "2007-05-18T04:00:00Z".parse().unwrap()
    }

    fn gone(name: &str) -> BTreeMap<String, String> {
        [("target-is-gone".to_owned(), name.to_owned())].into()
    }

    #[test]
    fn an_ask_is_read_until_it_is_answered() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        spool.ask("rollback", &id(), at(), gone("zhost2")).unwrap();
        spool.ask("cancel", &id(), at(), BTreeMap::new()).unwrap();
        let (asks, rejected) = spool.asks().unwrap();
        assert_eq!(rejected, []);
        let [cancel, rollback] = &asks[..] else { panic!("{asks:?}") };
        assert_eq!((cancel.verb.as_str(), &cancel.args), ("cancel", &BTreeMap::new()));
        assert_eq!((rollback.verb.as_str(), &rollback.job), ("rollback", &id()));
        assert_eq!((rollback.args.clone(), rollback.at), (gone("zhost2"), at()));
        assert_eq!(rollback.by, nix::unistd::geteuid().as_raw());

        spool.answered(cancel).unwrap();
        spool.answered(cancel).unwrap();
        assert_eq!(&spool.asks().unwrap().0, &asks[1..]);
    }

    #[test]
    fn an_ask_that_came_after_the_one_that_was_read_is_not_removed() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        spool.ask("rollback", &id(), at(), BTreeMap::new()).unwrap();
        let (old, _) = spool.asks().unwrap();
        spool.ask("rollback", &id(), at(), gone("zhost2")).unwrap();
        spool.answered(&old[0]).unwrap();
        assert_eq!(spool.asks().unwrap().0[0].args, gone("zhost2"));
    }

    #[test]
    fn a_refused_ask_is_rejected_with_its_reason_and_one_that_came_after_it_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        spool.ask("cancel", &id(), at(), BTreeMap::new()).unwrap();
        let (old, _) = spool.asks().unwrap();
        spool.refuse_ask(&old[0], "it is over").unwrap();
        spool.refuse_ask(&old[0], "it is over").unwrap();
        assert_eq!(spool.asks().unwrap(), (vec![], vec![]));
        let name = format!("cancel.{}", id());
        let reason = fs::read_to_string(tmp.path().join(format!("rejected/{name}.reason"))).unwrap();
        assert_eq!(reason, format!("{name}: it is over\n"));

        spool.ask("cancel", &id(), at(), gone("zhost2")).unwrap();
        spool.refuse_ask(&old[0], "it is over").unwrap();
        assert_eq!(spool.asks().unwrap().0[0].args, gone("zhost2"));
    }

    /// Only root can give a file away: `.ci/run` runs this as root.
    #[test]
    fn another_users_ask_is_rejected() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can give a file away");
            return;
        }
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        spool.ask("finish", &id(), at(), BTreeMap::new()).unwrap();
        let file = spool.asks_dir().join(format!("finish.{}", id()));
        std::os::unix::fs::chown(file, Some(1001), None).unwrap();
        let (asks, rejected) = spool.asks().unwrap();
        assert_eq!(asks, []);
        assert_eq!(rejected[0].reason, "belongs to user 1001, and only root may ask for this");
    }

    #[test]
    fn what_is_no_ask_is_rejected_with_a_reason() {
        let tmp = tempfile::tempdir().unwrap();
        let spool = Spool::open(tmp.path()).unwrap();
        let put = |name: &str, text: &str| fs::write(spool.asks_dir().join(name), text).unwrap();
        put("cancel", "{}");
        put("cancel.web", "{}");
        put("Cancel.web-20070518T033600Z-7f3a", "{}");
        put("cancel.web-20070518T033600Z-7f3a", "{}");
        put("retry.web-20070518T033600Z-7f3a", r#"{"v":2,"at":"2007-05-18T04:00:00Z","args":{}}"#);
        put(".half", "{");
        std::os::unix::fs::symlink("/etc/passwd", spool.asks_dir().join(format!("finish.{}", id()))).unwrap();
        let (asks, mut rejected) = spool.asks().unwrap();
        assert_eq!(asks, []);
        rejected.sort_by(|a, b| a.name.cmp(&b.name));
        let said: Vec<_> = rejected.iter().map(|r| r.reason.as_str()).collect();
        assert!(said[0].starts_with("is not named"), "{said:?}");
        assert!(said[1].starts_with("is not named"), "{said:?}");
        assert!(said[2].starts_with("'web' is not a job's id"), "{said:?}");
        assert!(said[3].starts_with("missing field"), "{said:?}");
        assert!(said[4].starts_with("is a symbolic link"), "{said:?}");
        assert!(said[5].starts_with("is of version 2"), "{said:?}");
        assert_eq!(spool.asks().unwrap(), (vec![], vec![]));
    }
}
