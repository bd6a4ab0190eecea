//! A job's journal: what has happened, one JSON line for each event, in order.
//!
//! ```text
//! {"v":1,"seq":1,"at":"2007-05-18T03:36:00.123Z","event":{…}}
//! ```
//!
//! Guarantees: when [`Journal::append`] has returned `Ok`, the line is on disk; when it has not, the line is
//! not in the file, or is cut off before the next one is written. A line that a crash tore (it has no
//! newline) is cut off by [`Journal::open`]. Never does: repair anything else. A line that can't be read,
//! another version, a gap in `seq` is an error that names file and line, since a job whose past is guessed
//! may run a zone twice.
//!
//! Format: `v` is 1. A reader of version 1 refuses every other one, and every key that it does not know;
//! events may gain variants only together with a new `v`, or where an old daemon's refusal is what is wanted.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::{SpoolError, durable};

/// The version of the line's format.
const VERSION: u32 = 1;

/// No line is longer; a longer one is no line of ours. Bounds the memory that a damaged file can take.
const MAX_LINE: u64 = 16 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<E> {
    /// Its number, counted from 1 without gaps.
    pub seq: u64,
    /// When the event was appended, to the millisecond.
    pub at: DateTime<Utc>,
    /// What happened.
    pub event: E,
}

/// A journal, open for appending. One for each file: the spool's lock keeps other daemons away.
#[derive(Debug)]
pub struct Journal<E> {
    path: PathBuf,
    file: File,
    /// Bytes of whole, synced lines.
    len: u64,
    /// The last line's number.
    seq: u64,
    /// The file may hold more than `len`: an append failed and could not be taken back yet.
    torn: bool,
    event: PhantomData<fn(E)>,
}

impl<E: Serialize + DeserializeOwned> Journal<E> {
    /// Opens a journal, makes an empty one where there is none, cuts off a torn last line and hands
    /// each entry to `fold`, in order.
    ///
    /// # Errors
    /// [`SpoolError::Journal`] when it can't be true; nothing has been changed then.
    pub fn open(path: &Path, fold: impl FnMut(Entry<E>)) -> Result<Self, SpoolError> {
        let fault = |what| move |e| SpoolError::io(what, path, e);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(fault("open"))?;
        let Lines { whole, seq, torn } = read_lines(&file, path, fold)?;
        if torn {
            file.set_len(whole).map_err(fault("cut the torn last line off"))?;
        }
        // The cut, before anything is appended behind it; and a last line that a killed daemon wrote and did
        // not sync: the caller acts on what it is told here, so it must be on disk by then.
        file.sync_all().map_err(fault("sync"))?;
        if seq == 0 {
            // The first line is only as durable as the file's name.
            durable::sync_dir(path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(Self { path: path.to_owned(), file, len: whole, seq, torn: false, event: PhantomData })
    }

    /// Appends an event and returns its number when it is on disk. The time is the caller's, cut to the
    /// millisecond.
    ///
    /// # Errors
    /// [`SpoolError::Full`] or another. The event is then not journaled and the append may be tried again.
    pub fn append(&mut self, at: DateTime<Utc>, event: &E) -> Result<u64, SpoolError> {
        let seq = self.seq + 1;
        let line = Line { v: VERSION, seq, at, event };
        let mut bytes = serde_json::to_vec(&line).map_err(|e| SpoolError::Journal {
            path: self.path.clone(),
            line: seq,
            why: format!("cannot write the event as JSON: {e}"),
        })?;
        bytes.push(b'\n');
        if bytes.len() as u64 > MAX_LINE {
            let why = format!("the event has {} bytes, a line may have {MAX_LINE}", bytes.len());
            return Err(SpoolError::Journal { path: self.path.clone(), line: seq, why });
        }
        if self.torn {
            self.cut().map_err(|e| SpoolError::io("append to", &self.path, e))?;
        }
        self.torn = true;
        if let Err(e) = self.put(&bytes) {
            // If this fails too, the next append begins with it; a crash before leaves a torn line, or a
            // whole one whose effect has not been made yet, and both are what a crash at any instant leaves.
            let _ = self.cut();
            return Err(SpoolError::io("append to", &self.path, e));
        }
        self.torn = false;
        self.len += bytes.len() as u64;
        self.seq = seq;
        Ok(seq)
    }

    /// The number of the last line; 0 for an empty journal.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// One write(2): a line is never two pieces with something between them.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.file.write(bytes) {
                Ok(n) if n == bytes.len() => return self.file.sync_data(),
                // The filesystem took a part of it: it is full, whatever a second write would say.
                Ok(_) => return Err(io::ErrorKind::StorageFull.into()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Takes back what a failed append left.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        self.file.sync_all()?;
        self.torn = false;
        Ok(())
    }
}

/// Reads a journal without changing it, beside the daemon that writes it: a line that is not whole yet is
/// passed over. Returns the number of the last line.
///
/// # Errors
/// As [`Journal::open`].
pub fn read<E: DeserializeOwned>(path: &Path, fold: impl FnMut(Entry<E>)) -> Result<u64, SpoolError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(|e| SpoolError::io("open", path, e))?;
    Ok(read_lines(&file, path, fold)?.seq)
}

#[derive(Serialize)]
struct Line<'a, E> {
    v: u32,
    seq: u64,
    #[serde(serialize_with = "to_millis")]
    at: DateTime<Utc>,
    event: &'a E,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineRead<E> {
    v: u32,
    seq: u64,
    at: DateTime<Utc>,
    event: E,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

fn to_millis<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&at.trunc_subsecs(3).to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// How far a journal is whole.
struct Lines {
    /// Bytes of whole lines.
    whole: u64,
    /// The last line's number.
    seq: u64,
    /// Something follows that has no newline.
    torn: bool,
}

fn read_lines<E: DeserializeOwned>(
    file: &File,
    path: &Path,
    mut fold: impl FnMut(Entry<E>),
) -> Result<Lines, SpoolError> {
    let mut reader = BufReader::new(file);
    let mut found = Lines { whole: 0, seq: 0, torn: false };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        let n = read.map_err(|e| SpoolError::io("read", path, e))? as u64;
        if n == 0 {
            return Ok(found);
        }
        let untrue = |why| SpoolError::Journal { path: path.to_owned(), line: found.seq + 1, why };
        if line.last() != Some(&b'\n') {
            if n == MAX_LINE {
                return Err(untrue(format!("the line has more than {MAX_LINE} bytes")));
            }
            found.torn = true;
            return Ok(found);
        }
        let entry = parse(&line, found.seq + 1).map_err(untrue)?;
        found.whole += n;
        found.seq = entry.seq;
        fold(entry);
    }
}

fn parse<E: DeserializeOwned>(line: &[u8], due: u64) -> Result<Entry<E>, String> {
    let read: LineRead<E> = match serde_json::from_slice(line) {
        Ok(read) => read,
        // A newer daemon's event may be unreadable just because it is newer: that is the better thing to say.
        Err(e) => match serde_json::from_slice::<VersionOnly>(line) {
            Ok(VersionOnly { v }) if v != VERSION => return Err(wrong_version(v)),
            _ => {
                let why: String = e.to_string().escape_debug().take(200).collect();
                return Err(format!("cannot be read: {why}"));
            }
        },
    };
    if read.v != VERSION {
        return Err(wrong_version(read.v));
    }
    if read.seq != due {
        return Err(format!("is number {}, number {due} is missing", read.seq));
    }
    Ok(Entry { seq: read.seq, at: read.at, event: read.event })
}

fn wrong_version(v: u32) -> String {
    format!("is of version {v}, this zmigrated reads version {VERSION}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;

    /// From now on nothing can be appended, as on a full filesystem.
    pub(crate) fn fill<E>(journal: &mut Journal<E>) {
        // For reading only: writing to it fails everywhere.
        journal.file = File::open(&journal.path).unwrap();
    }

    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
    enum Event {
        Sent { dataset: String },
        Ended,
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_179_459_360 + second, 123_456_789).unwrap()
    }

    fn entries(path: &Path) -> Result<Vec<Entry<Event>>, SpoolError> {
        let mut all = Vec::new();
        Journal::<Event>::open(path, |entry| all.push(entry)).map(|_| all)
    }

    fn sent(dataset: &str) -> Event {
        Event::Sent { dataset: dataset.to_owned() }
    }

    fn three(path: &Path) -> Vec<Event> {
        let events = vec![sent("data/zones/a b\nc\u{1b}é"), Event::Ended, sent("")];
        let mut journal = Journal::open(path, |_| panic!("new")).unwrap();
        for (i, event) in (0..).zip(&events) {
            assert_eq!(journal.append(at(i), event).unwrap(), i as u64 + 1);
        }
        events
    }

    #[test]
    fn the_line_is_as_documented() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("journal");
        let mut journal = Journal::open(&path, |_| {}).unwrap();
        journal.append(at(0), &sent("data")).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"v\":1,\"seq\":1,\"at\":\"2007-05-18T03:36:00.123Z\",\"event\":{\"is\":\"sent\",\"dataset\":\"data\"}}\n"
        );
    }

    #[test]
    fn cut_at_every_byte_it_holds_the_whole_lines_before_the_cut() {
        let tmp = tempfile::tempdir().unwrap();
        let (path, cut) = (tmp.path().join("journal"), tmp.path().join("cut"));
        let events = three(&path);
        let bytes = fs::read(&path).unwrap();
        for n in 0..=bytes.len() {
            fs::write(&cut, &bytes[..n]).unwrap();
            let whole = bytes[..n].iter().filter(|b| **b == b'\n').count();
            let mut seen = 0;
            assert_eq!(read::<Event>(&cut, |_| seen += 1).unwrap(), whole as u64, "cut at {n}");
            assert_eq!(seen, whole);
            assert_eq!(fs::read(&cut).unwrap(), bytes[..n], "a reader changes nothing");

            let mut folded = Vec::new();
            let mut journal = Journal::open(&cut, |entry: Entry<Event>| folded.push(entry.event)).unwrap();
            assert_eq!(folded, events[..whole], "cut at {n}");
            journal.append(at(9), &Event::Ended).unwrap();
            let again = entries(&cut).unwrap();
            assert_eq!(again.len(), whole + 1, "cut at {n}");
            assert_eq!(
                again[whole],
                Entry { seq: whole as u64 + 1, at: at(9).trunc_subsecs(3), event: Event::Ended }
            );
        }
    }

    #[test]
    fn what_is_damaged_in_the_middle_is_named_and_left() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("journal");
        three(&path);
        let good = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = good.split_inclusive('\n').collect();
        let cases = [
            (lines[0].to_owned() + "{\"v\":1,\n" + lines[2], "journal:2: cannot be read"),
            (lines[0].to_owned() + lines[2], "journal:2: is number 3, number 2 is missing"),
            (lines[0].to_owned() + lines[0], "journal:2: is number 1, number 2 is missing"),
            (
                good.replacen("\"v\":1", "\"v\":2", 1),
                "journal:1: is of version 2, this zmigrated reads version 1",
            ),
            ("{\"v\":2,\"new\":0}\n".to_owned(), "journal:1: is of version 2"),
            (good.replacen("\"is\":\"ended\"", "\"is\":\"lost\"", 1), "journal:2: cannot be read"),
            (good.replacen("\"seq\":1,", "\"seq\":1,\"x\":0,", 1), "journal:1: cannot be read"),
            ("\0\0\0\n".to_owned(), "journal:1: cannot be read"),
            (format!("\n{good}"), "journal:1: cannot be read"),
        ];
        for (text, want) in cases {
            fs::write(&path, &text).unwrap();
            let said = entries(&path).unwrap_err().to_string();
            assert!(said.contains(want), "{said}\nwanted: {want}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    /// On Linux every write to /dev/full fails as on a full filesystem.
    #[test]
    fn a_failed_append_is_cut_off_and_can_be_tried_again() {
        let full = match OpenOptions::new().append(true).open("/dev/full") {
            Ok(full) => full,
            Err(e) if cfg!(target_os = "linux") => panic!("/dev/full: {e}"),
            Err(_) => return,
        };
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("journal");
        three(&path);
        let mut journal: Journal<Event> = Journal::open(&path, |_| {}).unwrap();
        let before = fs::read(&path).unwrap();

        let real = std::mem::replace(&mut journal.file, full);
        assert!(journal.append(at(3), &Event::Ended).unwrap_err().is_full());
        // A part of the line had gone in, and was not taken back: the file that is really open could not be
        // cut.
        let mut half = before.clone();
        half.extend_from_slice(b"{\"v\":1,\"seq\":4,");
        fs::write(&path, &half).unwrap();

        journal.file = real;
        assert_eq!(journal.append(at(4), &sent("again")).unwrap(), 4);
        let all = entries(&path).unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(all[3].event, sent("again"));
        assert!(fs::read(&path).unwrap().starts_with(&before));
    }

    #[test]
    fn a_journal_that_is_a_link_is_not_opened() {
        let tmp = tempfile::tempdir().unwrap();
        let (path, link) = (tmp.path().join("journal"), tmp.path().join("link"));
        three(&path);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        entries(&link).unwrap_err();
    }
}
