//! `zfs send`: one snapshot as a stream, full or incremental.
//!
//! The same snapshot always gives the same bytes. The lock on the state is not held meanwhile, but
//! the snapshot cannot be destroyed. Memory is bounded: one buffer, and the list of the tree's
//! files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use super::bonus::Bonus;
use super::command::{Fail, Outcome, Session, cannot_open, complain, print};
use super::files::{self, Entry, Kind, Tree};
use super::lock::Lock;
use super::record::{
    self, BLOCK, Begin, Fletcher4, HEADER, Header, LONGEST_BONUS, PER_BLOCK_CHECKSUMS, SA_SPILL,
};
use super::release::Release;
use super::view::Item;
use super::{crypt, options};

/// `zfs send [-v] [-s nocheck] [-i snapshot] snapshot`
pub fn run(session: &Session, args: &[String]) -> Outcome {
    let parsed = options::parse(args, session.release.send_options())?;
    let eleven = session.release == Release::Solaris11;
    let foreign: &[char] = if eleven { &['r', 'c', 'b', 'w', 'C'] } else { &[] };
    if let Some(option) = ['R', 'D', 'p', 'I', 'w']
        .into_iter()
        .chain(foreign.iter().copied())
        .find(|&option| parsed.has(option))
    {
        return Err(Fail::Text(format!("zfs send -{option} is not emulated in this lab")));
    }
    let full = match parsed.operands {
        [] => return Err(Fail::Usage("missing snapshot argument".into())),
        [full] => full,
        _ => return Err(Fail::Usage("too many arguments".into())),
    };
    let Some((dataset, snapshot)) = full.split_once('@') else {
        return Err(Fail::Usage("argument must be a snapshot".into()));
    };
    if !parsed.has('n') && io::stdout().is_terminal() {
        let hint = "You must redirect standard output.";
        return Err(Fail::Text(format!("Error: Stream can not be written to a terminal.\n{hint}")));
    }
    if parsed.value('i').is_some_and(|base| base.contains('#')) {
        return Err(Fail::Text("zfs send -i from a bookmark is not emulated in this lab".into()));
    }
    let base = match parsed.value('i').map(|base| base.rsplit_once('@').unwrap_or(("", base))) {
        Some((other, _)) if !other.is_empty() && other != dataset => {
            if session.release.is_illumos() {
                let text = "zfs send -i from another filesystem's snapshot (a clone's origin) is not";
                return Err(Fail::Text(format!("{text} emulated in this lab")));
            }
            return Err(Fail::Usage("incremental source must be in same filesystem".into()));
        }
        base => base.map(|(_, base)| base),
    };

    let gone = || Fail::Text(format!("WARNING: could not send {full}: does not exist"));
    let state = session.read()?;
    if state.dataset(dataset).is_none() {
        return Err(cannot_open(dataset));
    }
    let item = Item::find(&state, full).ok_or_else(gone)?;
    let to = item.snapshot.ok_or_else(gone)?;
    let warn = |reason: &str| Fail::Text(format!("warning: cannot send '{full}': {reason}"));
    let from = match base.map(|base| (base, item.dataset.snapshot(base))) {
        Some((base, None)) => return Err(warn(&format!("incremental source (@{base}) does not exist"))),
        Some((_, Some(from))) if (from.createtxg, from.id) >= (to.createtxg, to.id) => {
            return Err(warn("not an earlier snapshot from the same fs"));
        }
        found => found.and_then(|(_, from)| from),
    };
    // A stream without -w of a filesystem whose key is loaded is plain text.
    if crypt::is_locked(&state, item.dataset) {
        return Err(warn("dataset key must be loaded"));
    }
    if parsed.has('n') {
        if parsed.has('P') || parsed.has('v') {
            let kind = base.map_or_else(|| "full".into(), |base| format!("incremental\t{base}"));
            print(&format!("{kind}\t{full}\t{0}\nsize\t{0}\n", to.referenced));
        }
        return Ok(0);
    }

    let _locks = [Some(to), from]
        .into_iter()
        .flatten()
        .map(|snapshot| Lock::try_shared(&session.store.sending(item.dataset, snapshot)))
        .collect::<io::Result<Vec<_>>>()?;
    // It may have been destroyed before we had the lock.
    if session
        .read()?
        .dataset(dataset)
        .and_then(|now| now.snapshot(snapshot))
        .is_none_or(|now| now.id != to.id)
    {
        return Err(gone());
    }
    if parsed.has('v') {
        complain(&format!("sending from @{} to {full}", base.unwrap_or("")));
    }
    let begin = Begin {
        kind: 1,
        features: if item.dataset.version >= 5 { SA_SPILL } else { 0 }
            | if session.per_block && parsed.value('s') != Some("nocheck") { PER_BLOCK_CHECKSUMS } else { 0 },
        creation: to.creation,
        objset: 2,
        toguid: to.guid,
        fromguid: from.map_or(0, |from| from.guid),
        toname: full.clone(),
    };
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let base = from.map(|from| session.store.frozen(item.dataset, from));
    write_stream(&session.store.frozen(item.dataset, to), base.as_deref(), &begin, out).map_err(|why| {
        warn(&match why.kind() {
            ErrorKind::BrokenPipe => "Broken pipe".into(),
            ErrorKind::StorageFull => "No space left on device".into(),
            _ => why.to_string(),
        })
    })?;
    Ok(0)
}

/// Writes a tree as a stream.
pub fn write_stream(tree: &Path, base: Option<&Path>, begin: &Begin, out: impl Write) -> io::Result<()> {
    let entries = Tree::walk(tree)?.entries;
    let base = base.map(Tree::walk).transpose()?;
    let old: HashMap<&Path, &Entry> =
        base.iter().flat_map(|base| &base.entries).map(|entry| (&*entry.path, entry)).collect();
    let toguid = begin.toguid;
    let mut out =
        Sender { out, buffer: Vec::with_capacity(FULL + HEADER + BLOCK), sums: Fletcher4::default() };
    out.header(&begin.header())?;
    out.header(&record::freeobjects(toguid, 0, 1))?;
    for (place, entry) in entries.iter().enumerate() {
        let object = place as u64 + 1;
        let same = entry.kind == Kind::File && old.get(&*entry.path).is_some_and(|old| entry.same_as(old));
        let mut bonus = Bonus { entry: entry.clone(), same }.bytes();
        if bonus.len() > LONGEST_BONUS {
            return Err(io::Error::other(format!("'{}' has too long a name", entry.path.display())));
        }
        out.header(&record::object(toguid, object, entry, bonus.len()))?;
        bonus.resize(bonus.len().next_multiple_of(8), 0);
        out.payload(&bonus)?;
        if entry.kind == Kind::File && entry.linked.is_none() && !same {
            out.contents(files::open(&tree.join(&entry.path))?, toguid, object, entry.size)?;
            out.header(&record::free(toguid, object, entry.size.next_multiple_of(512)))?;
        }
    }
    out.header(&record::freeobjects(toguid, entries.len() as u64 + 1, 1 << 32))?;
    out.header(&record::end(toguid, out.sums))?;
    out.flush()
}

/// The buffer is written when it holds this much.
const FULL: usize = 1 << 20;

struct Sender<W> {
    out: W,
    buffer: Vec<u8>,
    sums: Fletcher4,
}

impl<W: Write> Sender<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.payload(header)
    }

    fn payload(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sums.update(bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// The file's blocks, read straight into the buffer. Blocks of zeros are holes.
    fn contents(&mut self, mut file: File, toguid: u64, object: u64, size: u64) -> io::Result<()> {
        let mut offset = 0;
        while offset < size {
            let length = usize::try_from(size - offset).unwrap_or(BLOCK).min(BLOCK);
            let padded = length.next_multiple_of(512);
            let start = self.buffer.len();
            self.buffer.extend_from_slice(&record::write(toguid, object, offset, padded));
            self.buffer.resize(start + HEADER + padded, 0);
            file.read_exact(&mut self.buffer[start + HEADER..start + HEADER + length])?;
            if is_zero(&self.buffer[start + HEADER..]) {
                self.buffer.truncate(start);
            } else {
                self.sums.update(&self.buffer[start..]);
            }
            offset += length as u64;
            if self.buffer.len() >= FULL {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        self.out.flush()
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.as_chunks::<8>().0.iter().all(|word| *word == [0; 8])
}
