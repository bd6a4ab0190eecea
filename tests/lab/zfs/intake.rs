//! Reading a stream: records are bounded, added to the checksum, and turned into files.
//!
//! Only the checksum at the end says whether a record is valid. So after a record that makes no
//! sense nothing more is written, but the rest is still read. A flipped byte is then reported as a
//! checksum mismatch, as real ZFS reports it, wherever it was.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::bonus::Bonus;
use super::files::{self, Entry, Kind, Planter};
use super::record::{BLOCK, Begin, Fletcher4, HEADER, Header, OWN_CHECKSUM, Record};

/// Why a stream could not be taken in.
#[derive(Debug)]
pub enum Trouble {
    /// Cut off, or a record that can't be.
    Damaged,
    /// The sums don't agree.
    Checksum,
    /// The pool or a quota is full.
    Full,
    /// The lab's own disk.
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(why: io::Error) -> Self {
        Self::Io(why)
    }
}

/// A stream coming in.
pub struct Intake<R> {
    input: BufReader<R>,
    sums: Fletcher4,
    /// Bytes read so far.
    pub bytes: u64,
}

/// Reads the BEGIN record; the error is the text after `cannot receive: `.
pub fn read_begin(intake: &mut Intake<impl Read>) -> Result<Begin, String> {
    let header = intake.header().map_err(|_| "failed to read from stream")?;
    let begin = Begin::parse(&header).ok_or("invalid stream (bad magic number)")?;
    if !begin.toname.contains('@') {
        return Err("invalid stream (bad snapshot name)".into());
    }
    intake.sums.update(&header);
    Ok(begin)
}

impl<R: Read> Intake<R> {
    /// Of a stream that was not read from yet.
    pub fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(256 << 10, input), sums: Fletcher4::default(), bytes: 0 }
    }

    fn header(&mut self) -> Result<Header, Trouble> {
        let mut header = [0; HEADER];
        self.exactly(&mut header)?;
        Ok(header)
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), Trouble> {
        match self.input.read_exact(bytes) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => Err(Trouble::Damaged),
            Err(why) => Err(why.into()),
        }
    }

    /// Reads everything after the BEGIN record. `free` says how much may still be written.
    pub fn files(
        &mut self,
        into: &Path,
        base: Option<&Path>,
        free: impl FnMut() -> io::Result<u64>,
    ) -> Result<(), Trouble> {
        let mut grower = Grower::new(into, base, free)?;
        let mut sound = true;
        let mut payload = vec![0; BLOCK];
        loop {
            let header = self.header()?;
            let record = Record::parse(&header).ok_or(Trouble::Damaged)?;
            if let Record::End(sums) = record {
                if sums != self.sums.bytes() {
                    return Err(Trouble::Checksum);
                }
                if !sound {
                    return Err(Trouble::Damaged);
                }
                return grower.finish();
            }
            self.sums.update(&header[..OWN_CHECKSUM]);
            let own = &header[OWN_CHECKSUM..];
            if own.iter().any(|&byte| byte != 0) && own != self.sums.bytes() {
                return Err(Trouble::Checksum);
            }
            self.sums.update(own);
            let length = match record {
                Record::Object { payload, .. } | Record::Write { payload, .. } => payload,
                Record::Free | Record::End(_) => 0,
            };
            self.exactly(&mut payload[..length])?;
            self.sums.update(&payload[..length]);
            if sound {
                match grower.grow(record, &payload[..length]) {
                    Err(Trouble::Damaged) => sound = false,
                    grown => grown?,
                }
            }
        }
    }
}

/// How much may be written before the pool is asked again.
const ASK_AFTER: u64 = 32 << 20;

/// Makes files of records.
struct Grower<'a, F> {
    planter: Planter<'a>,
    base: Option<&'a Path>,
    paths: Vec<PathBuf>,
    directories: HashSet<PathBuf>,
    open: Option<(u64, u64, File)>,
    free: F,
    budget: u64,
    written: u64,
}

impl<'a, F: FnMut() -> io::Result<u64>> Grower<'a, F> {
    fn new(into: &'a Path, base: Option<&'a Path>, mut free: F) -> Result<Self, Trouble> {
        let budget = free()?;
        Ok(Self {
            planter: Planter::new(into),
            base,
            paths: Vec::new(),
            directories: HashSet::new(),
            open: None,
            free,
            budget,
            written: 0,
        })
    }

    fn grow(&mut self, record: Record, payload: &[u8]) -> Result<(), Trouble> {
        match record {
            Record::Object { object, .. } => {
                self.close()?;
                let Bonus { entry, same } = Bonus::parse(payload).ok_or(Trouble::Damaged)?;
                if object != self.paths.len() as u64 + 1 || !self.belongs(&entry) {
                    return Err(Trouble::Damaged);
                }
                self.plant(object, entry, same)
            }
            Record::Write { object, offset, .. } => {
                self.charge(payload.len() as u64)?;
                let (open, size, file) = self.open.as_ref().ok_or(Trouble::Damaged)?;
                let end = offset.checked_add(payload.len() as u64).ok_or(Trouble::Damaged)?;
                if *open != object || end > size.next_multiple_of(512) {
                    return Err(Trouble::Damaged);
                }
                Ok(file.write_all_at(payload, offset)?)
            }
            Record::Free | Record::End(_) => Ok(()),
        }
    }

    /// The first is the top directory; all others lie in a directory that came before, never in a link.
    fn belongs(&self, entry: &Entry) -> bool {
        let Some(parent) = entry.path.parent() else {
            return self.paths.is_empty() && entry.kind == Kind::Directory;
        };
        self.directories.contains(parent) && entry.size < 1 << 62
    }

    fn plant(&mut self, object: u64, entry: Entry, same: bool) -> Result<(), Trouble> {
        self.charge(512)?;
        let path = entry.path.clone();
        let first = match entry.linked {
            Some(place) => Some(self.paths.get(place).ok_or(Trouble::Damaged)?.clone()),
            None => None,
        };
        if entry.kind == Kind::Directory {
            self.directories.insert(path.clone());
        }
        let size = entry.size;
        let made = self.planter.make(entry, first.as_deref()).map_err(|why| match why.kind() {
            ErrorKind::StorageFull => Trouble::Io(why),
            // A path twice, a link to a directory: what a damaged record asks for.
            _ => Trouble::Damaged,
        })?;
        if let Some(mut file) = made {
            if same {
                let base = self.base.ok_or(Trouble::Damaged)?;
                let mut old = files::open(&base.join(&path)).map_err(|_| Trouble::Damaged)?;
                io::copy(&mut old, &mut file)?;
            }
            self.open = Some((object, size, file));
        }
        self.paths.push(path);
        Ok(())
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Trouble> {
        self.written += bytes;
        if self.written > self.budget {
            return Err(Trouble::Full);
        }
        // Others write to the pool, too. What is written here counts in the answer.
        if self.written > ASK_AFTER {
            self.budget = (self.free)()?;
            self.written = 0;
        }
        Ok(())
    }

    /// The last block was padded; a hole at the end was never written.
    fn close(&mut self) -> Result<(), Trouble> {
        if let Some((_, size, file)) = self.open.take() {
            file.set_len(size).map_err(|why| match why.kind() {
                ErrorKind::FileTooLarge => Trouble::Damaged,
                _ => why.into(),
            })?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Trouble> {
        self.close()?;
        if self.paths.is_empty() {
            return Err(Trouble::Damaged);
        }
        Ok(self.planter.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::files::Tree;
    use super::super::send::write_stream;
    use super::*;

    fn sample(dir: &Path) -> Vec<u8> {
        fs::create_dir_all(dir.join("d/empty")).unwrap();
        fs::write(dir.join("d/f"), "hello").unwrap();
        fs::write(dir.join("zeros"), vec![0; 300_000]).unwrap();
        fs::hard_link(dir.join("d/f"), dir.join("hard")).unwrap();
        symlink("d/f", dir.join("sym")).unwrap();
        fs::set_permissions(dir.join("d/f"), fs::Permissions::from_mode(0o4750)).unwrap();
        stream(dir)
    }

    fn stream(dir: &Path) -> Vec<u8> {
        let toname = "data/a@s".to_owned();
        let begin = Begin { kind: 1, features: 4, creation: 1, objset: 2, toguid: 9, fromguid: 0, toname };
        let mut bytes = Vec::new();
        write_stream(dir, None, &begin, &mut bytes).unwrap();
        bytes
    }

    fn receive(bytes: &[u8], into: &Path) -> Result<(), Trouble> {
        let mut intake = Intake::new(bytes);
        read_begin(&mut intake).map_err(|_| Trouble::Damaged)?;
        intake.files(into, None, || Ok(1 << 30))
    }

    #[test]
    fn a_tree_comes_out_as_it_went_in_and_the_same_bytes_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let bytes = sample(&from);
        assert_eq!(bytes, stream(&from));
        assert!(bytes.len() < 20_000, "zeros are holes");
        receive(&bytes, &to).unwrap();
        assert_eq!(Tree::walk(&from).unwrap().entries, Tree::walk(&to).unwrap().entries);
        assert_eq!(fs::read(to.join("zeros")).unwrap(), vec![0; 300_000]);
    }

    #[test]
    fn every_flipped_byte_that_the_checksum_covers_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = sample(&dir.path().join("from"));
        // Of END only type and checksum count; the rest no receiver looks at.
        for at in (0..bytes.len() - HEADER + 4).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let into = dir.path().join(at.to_string());
            assert!(receive(&damaged, &into).is_err(), "byte {at}");
            files::remove(&into).unwrap();
        }
    }

    #[test]
    fn a_stream_cut_anywhere_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = sample(&dir.path().join("from"));
        for cut in (0..bytes.len()).step_by(61).chain([bytes.len() - 1]) {
            let into = dir.path().join(cut.to_string());
            assert!(matches!(receive(&bytes[..cut], &into), Err(Trouble::Damaged)), "cut at {cut}");
            files::remove(&into).unwrap();
        }
    }

    #[test]
    fn a_full_pool_stops_the_receive() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = sample(&dir.path().join("from"));
        let mut intake = Intake::new(&bytes[..]);
        read_begin(&mut intake).unwrap();
        let received = intake.files(&dir.path().join("to"), None, || Ok(1000));
        assert!(matches!(received, Err(Trouble::Full)));
    }
}
