//! Locks on files that end with the process that holds them.
//!
//! These are record locks of fcntl(2): every system has them, and the kernel releases them however
//! the holder ends. They are per process: two locks in one process do not exclude each other, and
//! closing *any* descriptor of the file releases the lock. So a file on which we may hold a lock is
//! never opened twice.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// A lock; dropping it lets it go.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

#[derive(Clone, Copy)]
enum Kind {
    Shared,
    Exclusive,
}

impl Lock {
    /// Takes the lock, waiting for it.
    pub fn wait(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        loop {
            match fcntl(&file, FcntlArg::F_SETLKW(&whole(Kind::Exclusive))) {
                Ok(_) => return Ok(Self { _file: file }),
                Err(Errno::EINTR) => {}
                Err(why) => return Err(why.into()),
            }
        }
    }

    /// Takes the lock unless another process has it.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        attempt(path, Kind::Exclusive)
    }

    /// Takes the lock beside others who share it.
    pub fn try_shared(path: &Path) -> io::Result<Option<Self>> {
        attempt(path, Kind::Shared)
    }
}

fn attempt(path: &Path, kind: Kind) -> io::Result<Option<Lock>> {
    let file = open(path)?;
    match fcntl(&file, FcntlArg::F_SETLK(&whole(kind))) {
        Ok(_) => Ok(Some(Lock { _file: file })),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}

fn whole(kind: Kind) -> nix::libc::flock {
    let kind = match kind {
        Kind::Shared => nix::libc::F_RDLCK,
        Kind::Exclusive => nix::libc::F_WRLCK,
    };
    // SAFETY: `flock` is plain numbers, for which zero is a value; systems differ in its further fields.
    let mut lock: nix::libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = nix::libc::SEEK_SET as _;
    lock
}
