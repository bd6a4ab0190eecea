//! Reading what somebody else wrote: a user's request, a peer's file.
//!
//! Guarantees: opens relative to a directory, by one plain name; follows no link, does not wait for a
//! FIFO's writer, does not open a device (opening alone can rewind a tape), reads no more than the bound.
//! What comes back is bytes from one regular file and nothing about them is believed.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstatat};

/// Why a file was not read. A lower-case fragment that goes behind the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing has this name.
    #[error("is not there")]
    Missing,
    /// Not one plain name below the directory.
    #[error("is not a plain file name")]
    NotAName,
    /// Something else than a regular file.
    #[error("is a {0}, only a regular file is read")]
    NotRegular(Kind),
    /// Larger than the bound.
    #[error("has more than {max} bytes")]
    TooBig {
        /// The bound, in bytes.
        max: u64,
    },
    /// The system refused.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
}

/// What a name leads to when it is no regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A symbolic link, wherever it points.
    Link,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device or, on Solaris, a door or whatever else there is.
    Device,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Link => "symbolic link",
            Kind::Directory => "directory",
            Kind::Fifo => "FIFO",
            Kind::Socket => "socket",
            Kind::Device => "device",
        })
    }
}

/// A file's bytes and what the system, not the writer, says about it.
#[derive(Debug)]
pub struct Content {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Owner, times, links: of the very file that was read.
    pub meta: Metadata,
}

/// Opens a directory to read from; the last component must not be a link.
///
/// # Errors
/// [`ReadError::NotRegular`] never: what is no directory is the system's `ENOTDIR` or `ELOOP`.
pub fn open_dir(path: &Path) -> Result<OwnedFd, ReadError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty()).map_err(system)
}

/// Reads `name` in `dir`, at most `max` bytes of it.
///
/// # Errors
/// By what is there in its place; never blocks.
pub fn read_bounded(dir: impl AsFd, name: &OsStr, max: u64) -> Result<Content, ReadError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name => {}
        _ => return Err(ReadError::NotAName),
    }
    // First by name, so that no device is opened; then again on the open file, because whoever wrote it may
    // have put something else there in between.
    let stat = fstatat(dir.as_fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(system)?;
    regular(SFlag::from_bits_truncate(stat.st_mode as libc::mode_t))?;
    // O_NONBLOCK: a FIFO put there since does not wait for its writer. Regular files don't care.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let mut file = match openat(dir.as_fd(), name, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::ELOOP) => return Err(ReadError::NotRegular(Kind::Link)),
        Err(e) => return Err(system(e)),
    };
    let meta = file.metadata().map_err(ReadError::Io)?;
    if !meta.is_file() {
        return Err(ReadError::NotRegular(if meta.is_dir() { Kind::Directory } else { Kind::Device }));
    }
    if meta.len() > max {
        return Err(ReadError::TooBig { max });
    }
    // One byte more than allowed: the file may be growing.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    file.by_ref().take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() as u64 > max {
        return Err(ReadError::TooBig { max });
    }
    Ok(Content { bytes, meta })
}

fn regular(mode: SFlag) -> Result<(), ReadError> {
    let kind = match mode & SFlag::S_IFMT {
        SFlag::S_IFREG => return Ok(()),
        SFlag::S_IFLNK => Kind::Link,
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFIFO => Kind::Fifo,
        SFlag::S_IFSOCK => Kind::Socket,
        _ => Kind::Device,
    };
    Err(ReadError::NotRegular(kind))
}

fn system(e: Errno) -> ReadError {
    if e == Errno::ENOENT { ReadError::Missing } else { ReadError::Io(e.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_a_regular_file_within_the_bound_is_read() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        fs::write(at("file"), "12345678").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink("/nowhere", at("dangling")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();

        let dir = open_dir(tmp.path()).unwrap();
        let read = |name: &str, max| read_bounded(&dir, OsStr::new(name), max);
        assert_eq!(read("file", 8).unwrap().bytes, b"12345678");
        let said = |name: &str, max| read(name, max).unwrap_err().to_string();
        assert_eq!(said("file", 7), "has more than 7 bytes");
        assert_eq!(said("link", 9), "is a symbolic link, only a regular file is read");
        assert_eq!(said("dangling", 9), "is a symbolic link, only a regular file is read");
        assert_eq!(said("dir", 9), "is a directory, only a regular file is read");
        assert_eq!(said("fifo", 9), "is a FIFO, only a regular file is read");
        assert_eq!(said("socket", 9), "is a socket, only a regular file is read");
        assert_eq!(said("nothing", 9), "is not there");
        for name in ["dir/../file", "/etc/passwd", "..", ".", "", "file/"] {
            assert_eq!(said(name, 9), "is not a plain file name", "{name:?}");
        }
        open_dir(&at("link")).unwrap_err();
        open_dir(&at("file")).unwrap_err();
    }

    #[test]
    fn a_device_is_told_from_a_file_without_opening_it() {
        let dir = open_dir(Path::new("/dev")).unwrap();
        let said = read_bounded(&dir, OsStr::new("zero"), 9).unwrap_err().to_string();
        assert_eq!(said, "is a device, only a regular file is read");
    }
}
