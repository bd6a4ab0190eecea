//! Outcomes on their way to a log host: one file for each, until it is known to have arrived.
//!
//! ```text
//! outbox/held/KEY      told, but its job's journal does not say so yet
//! outbox/NUMBER.KEY    to be sent, in the order of the numbers
//! ```
//!
//! A key is `JOB.ROLE`. Holding the same one again replaces the file, so a job that tells its outcome twice because of a
//! crash still has one to send. Only when the journal has it is it released, by one rename: were it sent
//! before, a crash in between would tell it, and so send it, anew.
//!
//! Guarantees: after `Ok` a held, kept or released outcome survives a power failure. Never does: read what is in a file.
//! What can't be read as an outcome is put aside under its name and `.unreadable`, not removed.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::look::{exists, read_dir};
use super::read::{ReadError, open_dir, read_bounded};
use super::{SpoolError, durable};

/// No outcome is larger; the daemon bounds each of its values.
const MAX: u64 = 256 << 10;

/// Digits of a number: by name is by number.
const DIGITS: usize = 10;

const UNREADABLE: &str = ".unreadable";

/// The outbox of a spool.
#[derive(Debug)]
pub struct Outbox {
    dir: PathBuf,
    /// The last number that was given here. Locked while one is given.
    last: Mutex<u64>,
}

/// An outcome to be sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    number: u64,
    name: String,
}

impl Outbox {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, last: Mutex::new(0) }
    }

    /// Keeps an outcome that may not be sent yet. May be repeated.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn hold(&self, key: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        durable::write(&self.held(key), bytes)
    }

    /// A held outcome may be sent, behind all others. May be repeated: one that was released, or was never
    /// held, is no fault.
    ///
    /// # Errors
    /// When it is still held, or that could not be synced.
    pub fn release(&self, key: &str) -> Result<(), SpoolError> {
        let held = self.held(key);
        if !exists(&held)? {
            return Ok(());
        }
        self.with_next(key, |path| durable::rename(&held, path))
    }

    /// Keeps an outcome that may be sent at once.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.with_next(key, |path| durable::write(path, bytes))
    }

    /// What is to be sent, in its order. What is not called so is passed over.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn waiting(&self) -> Result<Vec<Waiting>, SpoolError> {
        let mut waiting = Vec::new();
        // A spool that no daemon has opened yet, or an older one, has none.
        if !exists(&self.dir)? {
            return Ok(waiting);
        }
        for entry in read_dir(&self.dir)? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let number = name.split_once('.').map(|(number, _)| number).filter(|n| n.len() == DIGITS);
            if let Some(Ok(number)) = number.map(str::parse)
                && !name.ends_with(UNREADABLE)
            {
                waiting.push(Waiting { number, name });
            }
        }
        waiting.sort();
        Ok(waiting)
    }

    /// An outcome's bytes; `None` when it is gone.
    ///
    /// # Errors
    /// When it is not a file that can be read.
    pub fn read(&self, waiting: &Waiting) -> Result<Option<Vec<u8>>, ReadError> {
        match read_bounded(open_dir(&self.dir)?, OsStr::new(&waiting.name), MAX) {
            Ok(content) => Ok(Some(content.bytes)),
            Err(ReadError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// It has arrived. May be repeated.
    ///
    /// # Errors
    /// When it is still there, and would be sent again.
    pub fn sent(&self, waiting: &Waiting) -> Result<(), SpoolError> {
        durable::remove_file(&self.dir.join(&waiting.name))
    }

    /// Puts a file out of the way that holds no outcome, for a person to look at; returns its new place.
    ///
    /// # Errors
    /// When it is where it was.
    pub fn put_aside(&self, waiting: &Waiting) -> Result<PathBuf, SpoolError> {
        let path = self.dir.join(format!("{}{UNREADABLE}", waiting.name));
        durable::rename(&self.dir.join(&waiting.name), &path)?;
        Ok(path)
    }

    fn held(&self, key: &str) -> PathBuf {
        self.dir.join("held").join(key)
    }

    /// Gives the next number. Numbers begin anew when a daemon finds the outbox empty; only their order counts.
    fn with_next(
        &self,
        key: &str,
        put: impl FnOnce(&std::path::Path) -> Result<(), SpoolError>,
    ) -> Result<(), SpoolError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let highest = self.waiting()?.last().map_or(0, |waiting| waiting.number);
        let number = highest.max(*last) + 1;
        put(&self.dir.join(format!("{number:0DIGITS$}.{key}")))?;
        *last = number;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spool;
    use super::*;
    use std::fs;

    fn names(outbox: &Outbox) -> Vec<String> {
        outbox.waiting().unwrap().into_iter().map(|waiting| waiting.name).collect()
    }

    #[test]
    fn outcomes_are_sent_in_the_order_of_their_release() {
        let tmp = tempfile::tempdir().unwrap();
        let outbox = Spool::open(tmp.path()).unwrap().outbox();
        outbox.hold("b.source", b"b").unwrap();
        outbox.hold("a.target", b"a").unwrap();
        assert_eq!(names(&outbox), Vec::<String>::new(), "what is held is not to be sent");
        outbox.release("a.target").unwrap();
        outbox.keep("rejected", b"r").unwrap();
        outbox.release("b.source").unwrap();
        outbox.release("b.source").unwrap();
        let want = ["0000000001.a.target", "0000000002.rejected", "0000000003.b.source"];
        assert_eq!(names(&outbox), want);
        let all = outbox.waiting().unwrap();
        assert_eq!(outbox.read(&all[1]).unwrap(), Some(b"r".to_vec()));
        // A number is not given twice, even when the last one is gone.
        outbox.sent(&all[2]).unwrap();
        outbox.sent(&all[2]).unwrap();
        assert_eq!(outbox.read(&all[2]).unwrap(), None);
        outbox.keep("rejected", b"r").unwrap();
        assert_eq!(names(&outbox)[2], "0000000004.rejected");
    }

    #[test]
    fn one_that_is_held_twice_is_sent_once_over_a_restart_as_well() {
        let tmp = tempfile::tempdir().unwrap();
        let outbox = Spool::at(tmp.path()).outbox();
        drop(Spool::open(tmp.path()).unwrap());
        outbox.hold("a.source", b"first").unwrap();
        let outbox = Spool::at(tmp.path()).outbox();
        outbox.hold("a.source", b"second").unwrap();
        outbox.release("a.source").unwrap();
        let outbox = Spool::at(tmp.path()).outbox();
        outbox.release("a.source").unwrap();
        outbox.keep("b.source", b"b").unwrap();
        assert_eq!(names(&outbox), ["0000000001.a.source", "0000000002.b.source"]);
        assert_eq!(outbox.read(&outbox.waiting().unwrap()[0]).unwrap(), Some(b"second".to_vec()));
    }

    #[test]
    fn what_is_no_outcome_is_neither_sent_nor_lost() {
        let tmp = tempfile::tempdir().unwrap();
        let outbox = Spool::open(tmp.path()).unwrap().outbox();
        let dir = tmp.path().join("outbox");
        for name in ["notes", "12.a.source", ".0000000001.a.source", "0000000001"] {
            fs::write(dir.join(name), "x").unwrap();
        }
        fs::create_dir(dir.join("0000000009.dir")).unwrap();
        assert_eq!(names(&outbox), ["0000000009.dir"]);
        let odd = &outbox.waiting().unwrap()[0];
        outbox.read(odd).unwrap_err();
        let aside = outbox.put_aside(odd).unwrap();
        assert!(aside.is_dir() && names(&outbox).is_empty());
    }
}
