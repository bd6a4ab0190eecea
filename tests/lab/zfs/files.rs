//! Trees of files: walking, copying and removing them with everything that ZFS keeps of a file.
//!
//! Copies keep kind, mode, owner, modification time, contents, link targets and hard links. Owners
//! are set where the system permits it; for an ordinary user it does not.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::time::TimeSpec;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    Character,
    /// A block device.
    Block,
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the tree's top, which is itself the first entry, with an empty path.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub mtime: (i64, i64),
    /// Bytes of contents.
    pub size: u64,
    /// A device's number.
    pub rdev: u64,
    /// A symbolic link's target.
    pub target: PathBuf,
    /// The first entry that is the same file, by its place in the tree.
    pub linked: Option<usize>,
}

impl Entry {
    /// What it costs: contents rounded up, and the object itself.
    pub fn charge(&self) -> u64 {
        match (self.linked, self.kind) {
            (Some(_), _) => 0,
            (None, Kind::File) => self.size.next_multiple_of(512) + 512,
            (None, _) => 512,
        }
    }

    /// Whether it was not written to in between.
    pub fn same_as(&self, other: &Self) -> bool {
        let facts = |entry: &Self| (entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime, entry.rdev);
        // A directory's size is the lab's filesystem's business.
        let size = |entry: &Self| if entry.kind == Kind::File { entry.size } else { 0 };
        facts(self) == facts(other) && size(self) == size(other) && self.target == other.target
    }
}

/// A directory with all below it, in an order that depends on names alone.
#[derive(Debug)]
pub struct Tree {
    /// Parents before children.
    pub entries: Vec<Entry>,
}

impl Tree {
    /// Walks a directory.
    pub fn walk(top: &Path) -> io::Result<Self> {
        let mut tree = Self { entries: Vec::new() };
        let mut seen = HashMap::new();
        tree.add(top, PathBuf::new(), &mut seen)?;
        Ok(tree)
    }

    fn add(&mut self, top: &Path, path: PathBuf, seen: &mut HashMap<(u64, u64), usize>) -> io::Result<()> {
        let full = top.join(&path);
        let meta = fs::symlink_metadata(&full)?;
        let entry = entry(&full, path, &meta)?;
        let (place, path) = (self.entries.len(), entry.path.clone());
        let is_directory = entry.kind == Kind::Directory;
        self.entries.push(entry);
        if !is_directory {
            if meta.nlink() > 1 {
                let first = *seen.entry((meta.dev(), meta.ino())).or_insert(place);
                self.entries[place].linked = (first != place).then_some(first);
            }
            return Ok(());
        }
        let mut names = accessible(&full, &meta, 0o700, |dir| {
            fs::read_dir(dir)?.map(|item| item.map(|item| item.file_name())).collect::<io::Result<Vec<_>>>()
        })?;
        names.sort_unstable();
        names.iter().try_for_each(|name: &std::ffi::OsString| self.add(top, path.join(name), seen))
    }
}

fn entry(full: &Path, path: PathBuf, meta: &Metadata) -> io::Result<Entry> {
    let kind = meta.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Link
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_socket() {
        Kind::Socket
    } else if kind.is_char_device() {
        Kind::Character
    } else if kind.is_block_device() {
        Kind::Block
    } else {
        Kind::File
    };
    let target = if kind == Kind::Link { fs::read_link(full)? } else { PathBuf::new() };
    let rdev = if matches!(kind, Kind::Character | Kind::Block) { meta.rdev() } else { 0 };
    Ok(Entry {
        path,
        kind,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        mtime: (meta.mtime(), meta.mtime_nsec()),
        size: if kind == Kind::File { meta.len() } else { 0 },
        rdev,
        target,
        linked: None,
    })
}

/// ZFS does not check permissions. The lab may run as an ordinary user who owns the files, so where
/// permission is denied it sets the bits for a moment.
fn accessible<T>(
    path: &Path,
    meta: &Metadata,
    bits: u32,
    read: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<T> {
    match read(path) {
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, Permissions::from_mode(meta.mode() & 0o7777 | bits))?;
            let answer = read(path);
            fs::set_permissions(path, Permissions::from_mode(meta.mode() & 0o7777))?;
            answer
        }
        answer => answer,
    }
}

/// Opens a file of a tree to read it.
pub fn open(path: &Path) -> io::Result<File> {
    let meta = fs::symlink_metadata(path)?;
    accessible(path, &meta, 0o400, |path| File::open(path))
}

/// Makes the files of a tree below `top`, parents first; contents come between [`Self::make`] and
/// [`Self::finish`].
pub struct Planter<'a> {
    top: &'a Path,
    made: Vec<Entry>,
}

impl<'a> Planter<'a> {
    /// `top` does not exist yet, or is an empty directory.
    pub fn new(top: &'a Path) -> Self {
        Self { top, made: Vec::new() }
    }

    /// Makes an empty file, directory, link or node. Answers the file if contents are to follow.
    pub fn make(&mut self, entry: Entry, first: Option<&Path>) -> io::Result<Option<File>> {
        let full = self.top.join(&entry.path);
        let mut file = None;
        let node = |kind| {
            mknod(&full, kind, Mode::from_bits_truncate(0o600), entry.rdev as _).map_err(io::Error::from)
        };
        match (first, entry.kind) {
            (Some(first), _) => fs::hard_link(self.top.join(first), &full)?,
            (None, Kind::Directory) => match fs::create_dir(&full) {
                Err(why) if entry.path == Path::new("") && why.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            },
            (None, Kind::Link) => symlink(&entry.target, &full)?,
            (None, Kind::File) => file = Some(File::create_new(&full)?),
            (None, Kind::Fifo) => node(SFlag::S_IFIFO)?,
            (None, Kind::Socket) => node(SFlag::S_IFSOCK)?,
            (None, Kind::Character) => permitted(node(SFlag::S_IFCHR))?,
            (None, Kind::Block) => permitted(node(SFlag::S_IFBLK))?,
        }
        if first.is_none() {
            self.made.push(entry);
        }
        Ok(file)
    }

    /// Owners, modes and times, children first: a directory's time changes with each of its children, and
    /// its mode may shut us out.
    pub fn finish(self) -> io::Result<()> {
        for entry in self.made.iter().rev() {
            let full = self.top.join(&entry.path);
            if matches!(entry.kind, Kind::Character | Kind::Block) && fs::symlink_metadata(&full).is_err() {
                continue;
            }
            permitted(lchown(&full, Some(entry.uid), Some(entry.gid)))?;
            if entry.kind != Kind::Link {
                fs::set_permissions(&full, Permissions::from_mode(entry.mode))?;
            }
            let time = TimeSpec::new(entry.mtime.0 as _, entry.mtime.1 as _);
            utimensat(AT_FDCWD, &full, &time, &time, UtimensatFlags::NoFollowSymlink)?;
        }
        Ok(())
    }
}

/// What only root may do is left undone for others.
fn permitted(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        // EINVAL: an id that a user namespace does not map.
        Err(why)
            if why.kind() == io::ErrorKind::PermissionDenied || why.kind() == io::ErrorKind::InvalidInput =>
        {
            Ok(())
        }
        answer => answer,
    }
}

/// Copies a tree; `to` does not exist yet or is empty. Nothing is shared between the two afterwards.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let tree = Tree::walk(from)?;
    let mut planter = Planter::new(to);
    for entry in &tree.entries {
        let first = entry.linked.map(|first| tree.entries[first].path.as_path());
        if let Some(mut file) = planter.make(entry.clone(), first)? {
            io::copy(&mut open(&from.join(&entry.path))?, &mut file)?;
        }
    }
    planter.finish()
}

/// Removes a tree, whatever its modes, or a single file; nothing to do if there is none.
pub fn remove(top: &Path) -> io::Result<()> {
    match fs::remove_dir_all(top) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::NotADirectory => fs::remove_file(top),
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            unlock(top)?;
            fs::remove_dir_all(top)
        }
        answer => answer,
    }
}

fn unlock(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    for item in fs::read_dir(dir)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            unlock(&item.path())?;
        }
    }
    Ok(())
}

/// Whether a directory is there and holds nothing.
pub fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut items| items.next().is_none())
}

/// A path's bytes as the system has them.
pub fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}
