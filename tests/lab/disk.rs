//! State on disk: JSON files that are replaced as a whole, and locks that end with their process.
//!
//! A state file is read, changed and written under its lock, so a crash leaves the old file or the
//! new one. The locks are fcntl(2) record locks, as zoneadm's own are. They belong to the
//! *process*: one process must not acquire the same lock twice, not even from two threads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A held lock; let go when dropped.
pub struct Lock {
    _file: File,
}

/// Waits for the lock kept on `path`, which is made if it isn't there.
pub fn lock(path: &Path) -> Result<Lock> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    let whole = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as _,
        l_whence: nix::libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        // SAFETY: `flock` is plain numbers, for which zero is a value; systems differ in its further fields.
        ..unsafe { std::mem::zeroed() }
    };
    loop {
        match fcntl(&file, FcntlArg::F_SETLKW(&whole)) {
            Ok(_) => return Ok(Lock { _file: file }),
            Err(Errno::EINTR) => {}
            Err(why) => return Err(why).with_context(|| format!("lock {}", path.display())),
        }
    }
}

/// The value kept in a JSON file; the default when there is no file yet.
pub fn load<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| path.display().to_string()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(why) => Err(why).with_context(|| path.display().to_string()),
    }
}

/// Replaces a JSON file.
pub fn store<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    replace(path, &text)
}

/// Replaces a file whole: a reader sees the old or the new text, never a piece.
pub fn replace(path: &Path, text: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    // The pid keeps writers of one file apart where their lock is another one's business.
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, path))
        .with_context(|| path.display().to_string())
}

/// Adds a line by a single write, so that lines of several processes don't mix.
pub fn append(path: &Path, line: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(format!("{line}\n").as_bytes()).with_context(|| path.display().to_string())
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
