//! Source: an image as parts on the scratch, `out/<job>/dbbackup-tank@<snapshot>.000000` and so on, each with its
//! entry beside it. `cat` of the parts is the stream.
//!
//! Parts and entries become visible whole, by dot name and rename, but are not synced: the entry's digest
//! tells a part that a power failure tore, and the snapshot is there to send it again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::StepError;
use crate::job::name::{Bytes, Guid, JobId};
use crate::job::part::{ENTRY_VERSION, Entry, entry_name, part_name};
use crate::job::transfer::source::Staged;
use crate::spool::durable;
use crate::stream::{CHUNK, PartDigest, PartHasher};

/// The staged files of one job.
#[derive(Debug, Clone)]
pub struct Stage {
    dir: PathBuf,
}

impl Stage {
    /// `scratch/out/<job>`.
    pub fn new(scratch: &Path, job: &JobId) -> Self {
        Self { dir: scratch.join("out").join(job.as_str()) }
    }

    /// Makes the directory, readable by nobody else: parts hold all of a zone's data.
    ///
    /// # Errors
    /// Transient: the scratch may be full or not mounted.
    pub fn make(&self) -> Result<(), StepError> {
        for dir in self.dir.ancestors().take(2).collect::<Vec<_>>().into_iter().rev() {
            durable::create_dir(dir, 0o700).map_err(|e| StepError::transient(format!("scratch: {e}")))?;
        }
        Ok(())
    }

    /// Where a part lies.
    pub fn part(&self, stem: &str, number: u32) -> PathBuf {
        self.dir.join(part_name(stem, number))
    }

    /// The entry of a part; `None` when there is none, or a torn one.
    pub fn entry(&self, stem: &str, number: u32) -> Option<Entry> {
        let bytes = fs::read(self.dir.join(entry_name(stem, number))).ok()?;
        serde_json::from_slice::<Entry>(&bytes).ok().filter(|entry| entry.number == number)
    }

    /// The entries of an image, from the first on, up to a gap. Read one by one: those of a large image would fill
    /// the memory.
    pub fn entries(&self, stem: &str) -> impl Iterator<Item = Entry> {
        (0..).map_while(move |number| self.entry(stem, number))
    }

    /// What is staged of an image of this snapshot: entries from the first one on whose parts are here, all of
    /// one attempt. `None` if there is none.
    pub fn found(&self, stem: &str, guid: Guid) -> Option<Staged> {
        let mut staged: Option<Staged> = None;
        for entry in self.entries(stem) {
            let part = fs::metadata(self.part(stem, entry.number));
            let is_first_attempt = staged.is_none_or(|staged| staged.attempt == entry.attempt);
            if entry.v != ENTRY_VERSION
                || entry.guid != guid
                || !is_first_attempt
                || !part.is_ok_and(|meta| meta.len() == entry.digest.bytes)
            {
                return staged.map(|staged| Staged { whole: false, ..staged });
            }
            let bytes = staged.map_or(0, |staged| staged.bytes) + entry.digest.bytes;
            let parts = entry.number + 1;
            staged = Some(Staged { attempt: entry.attempt, parts, bytes, whole: entry.last });
        }
        staged
    }

    /// Writes an entry beside its part.
    ///
    /// # Errors
    /// Transient.
    pub fn put_entry(&self, stem: &str, entry: &Entry) -> Result<(), StepError> {
        let path = self.dir.join(entry_name(stem, entry.number));
        let bytes = serde_json::to_vec(entry).map_err(|e| StepError::permanent(e.to_string()))?;
        durable::write_unsynced(&path, &bytes).map_err(|e| StepError::transient(e.to_string()))
    }

    /// Takes away the parts of an image; its entries stay, for the account.
    pub fn release(&self, stem: &str) {
        for entry in self.entries(stem) {
            let _ = fs::remove_file(self.part(stem, entry.number));
        }
    }

    /// Removes an image's parts and entries: it is sent again from its beginning.
    pub fn forget(&self, stem: &str) {
        for number in 0.. {
            let entry = fs::remove_file(self.dir.join(entry_name(stem, number)));
            let part = fs::remove_file(self.part(stem, number));
            if entry.is_err() && part.is_err() {
                return;
            }
        }
    }

    /// Takes everything away. May be repeated.
    ///
    /// # Errors
    /// When something is left.
    pub fn clear(&self) -> Result<(), StepError> {
        durable::remove_dir_all(&self.dir).map_err(|e| StepError::transient(e.to_string()))
    }

    /// An error of this scratch.
    pub fn error(&self, error: &io::Error) -> StepError {
        StepError::transient(format!("scratch {}: {error}", self.dir.display()))
    }
}

/// Cuts a stream into parts.
pub struct Parts<R> {
    stream: R,
    size: u64,
    buffer: Vec<u8>,
    /// Bytes in the buffer that belong to the next part: the stream is read one chunk ahead, so that a part
    /// knows whether it is the last.
    ahead: usize,
}

impl<R: Read> Parts<R> {
    /// Parts of `size` bytes, a multiple of [`CHUNK`].
    ///
    /// # Errors
    /// When the stream can't be read.
    pub fn new(mut stream: R, size: Bytes) -> io::Result<Self> {
        let mut buffer = vec![0; CHUNK];
        let ahead = fill(&mut stream, &mut buffer)?;
        Ok(Self { stream, size: size.0, buffer, ahead })
    }

    /// Writes the next part to `path`, whole or not at all; tells its digest and whether it was the last one.
    /// `None` when the stream is over. `told` hears of each chunk.
    ///
    /// # Errors
    /// The stream's (`Err(Ok(_))` would be too clever: both kinds come as [`io::Error`]) or the file's.
    pub fn next(&mut self, path: &Path, mut told: impl FnMut(u64)) -> io::Result<Option<(PartDigest, bool)>> {
        if self.ahead == 0 {
            return Ok(None);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let dot = path.with_file_name(format!(".{name}"));
        let mut file = File::create(&dot)?;
        let mut hasher = PartHasher::new();
        while self.ahead > 0 && hasher.bytes() < self.size {
            let chunk = &self.buffer[..self.ahead];
            hasher.update(chunk);
            file.write_all(chunk)?;
            told(chunk.len() as u64);
            self.ahead = fill(&mut self.stream, &mut self.buffer)?;
        }
        drop(file);
        fs::rename(&dot, path)?;
        Ok(Some((hasher.finish(), self.ahead == 0)))
    }
}

/// Reads until the buffer is full or the stream is over.
fn fill(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_parts_that_together_are_the_stream() {
        let dir = tempfile::tempdir().unwrap();
        let stream: Vec<u8> = (0..5 * CHUNK + 17).map(|i| (i % 251) as u8).collect();
        let mut parts = Parts::new(&stream[..], Bytes(2 * CHUNK as u64)).unwrap();
        let mut whole = Vec::new();
        let mut ends = Vec::new();
        for number in 0.. {
            let path = dir.path().join(part_name("x@s", number));
            let Some((digest, last)) = parts.next(&path, |_| {}).unwrap() else { break };
            let bytes = fs::read(path).unwrap();
            assert_eq!(digest.digest.to_string(), blake3::hash(&bytes).to_hex().to_string());
            whole.extend(bytes);
            ends.push(last);
        }
        assert_eq!(whole, stream);
        assert_eq!(ends, [false, false, true]);
    }

    /// A stage with three parts of an image.
    fn staged(dir: &Path) -> Stage {
        let job = JobId::new("z-20070518T033600Z-7f3a").unwrap();
        let stage = Stage::new(dir, &job);
        stage.make().unwrap();
        for number in 0..3 {
            let mut hasher = PartHasher::new();
            hasher.update(b"1234");
            fs::write(stage.part("z@m", number), "1234").unwrap();
            let entry = Entry {
                v: ENTRY_VERSION,
                dataset: crate::job::name::DatasetName::new("p/z").unwrap(),
                from: None,
                to: crate::job::name::SnapshotName::new("m").unwrap(),
                guid: Guid(7),
                attempt: 1000,
                number,
                last: number == 2,
                digest: hasher.finish(),
            };
            stage.put_entry("z@m", &entry).unwrap();
        }
        stage
    }

    #[test]
    fn a_whole_image_is_found_by_its_guid() {
        let dir = tempfile::tempdir().unwrap();
        let stage = staged(dir.path());
        let whole = Staged { attempt: 1000, parts: 3, bytes: 12, whole: true };
        assert_eq!(stage.found("z@m", Guid(7)), Some(whole));
        assert_eq!(stage.found("z@m", Guid(8)), None);
        assert_eq!(stage.found("y@m", Guid(7)), None);
    }

    #[test]
    fn parts_after_a_gap_are_not_found() {
        let first = Staged { attempt: 1000, parts: 1, bytes: 4, whole: false };
        type Damage = fn(&Stage);
        let damages: [(&str, Damage); 4] = [
            ("no part", |stage| fs::remove_file(stage.part("z@m", 1)).unwrap()),
            ("short part", |stage| fs::write(stage.part("z@m", 1), "12").unwrap()),
            ("no entry", |stage| fs::remove_file(stage.dir.join(entry_name("z@m", 1))).unwrap()),
            ("torn entry", |stage| fs::write(stage.dir.join(entry_name("z@m", 1)), "{").unwrap()),
        ];
        for (what, damage) in damages {
            let dir = tempfile::tempdir().unwrap();
            let stage = staged(dir.path());
            damage(&stage);
            assert_eq!(stage.found("z@m", Guid(7)), Some(first), "{what}");
        }
    }

    #[test]
    fn a_released_image_keeps_its_entries_and_a_forgotten_one_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let stage = staged(dir.path());
        stage.release("z@m");
        assert_eq!(stage.entries("z@m").count(), 3);
        assert!(!stage.part("z@m", 0).exists());
        fs::write(stage.part("z@m", 1), "1234").unwrap();
        stage.forget("z@m");
        assert_eq!(fs::read_dir(&stage.dir).unwrap().count(), 0);
    }

    #[test]
    fn a_stream_that_ends_at_a_border_has_no_empty_last_part() {
        let dir = tempfile::tempdir().unwrap();
        let stream = vec![1; 2 * CHUNK];
        let mut parts = Parts::new(&stream[..], Bytes(CHUNK as u64)).unwrap();
        assert!(!parts.next(&dir.path().join("a"), |_| {}).unwrap().unwrap().1);
        assert!(parts.next(&dir.path().join("b"), |_| {}).unwrap().unwrap().1);
        assert!(parts.next(&dir.path().join("c"), |_| {}).unwrap().is_none());
    }
}
