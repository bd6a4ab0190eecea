//! One daemon a spool, by a POSIX record lock on one file.
//!
//! fcntl(2)'s lock, since it is the one that Linux, illumos and Solaris all have, and since it tells who
//! holds it. Its rules bind the caller: it belongs to the process, is **not** inherited over fork (so take it
//! after the last one), and is lost when the process closes *any* descriptor of that file (so the daemon
//! opens the file once, and never calls [`holder`] itself). The system drops it when the process dies,
//! however it dies. The pid in the file is for people; what counts is the lock.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::SpoolError;

/// The lock, held until this value is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes this process's pid into the file. Does not wait.
    ///
    /// # Errors
    /// [`SpoolError::Locked`] with the holder's pid.
    pub fn take(path: &Path) -> Result<Self, SpoolError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .map_err(|e| SpoolError::io("open", path, e))?;
        match fcntl(&file, FcntlArg::F_SETLK(&whole_file())) {
            Ok(_) => {}
            Err(Errno::EACCES | Errno::EAGAIN) => {
                // 0: it was let go between the two calls, or the holder lives on another host (NFS).
                let pid = ask(&file).map_err(|e| SpoolError::io("ask for the lock on", path, e))?;
                return Err(SpoolError::Locked { path: path.to_owned(), pid: pid.unwrap_or(0) });
            }
            Err(e) => return Err(SpoolError::io("lock", path, e.into())),
        }
        // Not durable and not needed to be: after a power failure there is no holder.
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(|e| SpoolError::io("write", path, e))?;
        Ok(Self { _file: file })
    }
}

/// The process that holds the lock, or `None`. For other processes than the holder: one that holds the lock
/// would be told `None`, and lose it by asking.
///
/// # Errors
/// When the file is there and can't be opened or asked.
pub fn holder(path: &Path) -> Result<Option<i32>, SpoolError> {
    let fault = |e| SpoolError::io("ask for the lock on", path, e);
    match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => ask(&file).map_err(fault),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault(e)),
    }
}

fn ask(file: &File) -> io::Result<Option<i32>> {
    let mut lock = whole_file();
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid))
}

fn whole_file() -> libc::flock {
    // SAFETY: flock is a C struct of integers, for which all zeros is a value; its fields differ by system,
    // so it can't be written out. Zero in l_start and l_len with SEEK_SET is the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};

    /// Starts a process that holds the lock until the returned pipe is dropped.
    fn locked_by_another(path: &Path) -> (nix::unistd::Pid, std::io::PipeWriter) {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let (mut said, say) = std::io::pipe().unwrap();
        let (wait, go) = std::io::pipe().unwrap();
        let lock = whole_file();
        let (file_fd, say_fd, wait_fd, go_fd) =
            (file.as_raw_fd(), say.as_raw_fd(), wait.as_raw_fd(), go.as_raw_fd());
        // SAFETY: the child makes only system calls on open descriptors and leaves by _exit.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let mut byte = [0u8; 1];
                // SAFETY: as above; the buffers live on this stack.
                unsafe {
                    libc::close(go_fd);
                    let held = libc::fcntl(file_fd, libc::F_SETLK, &raw const lock) == 0;
                    byte[0] = held.into();
                    libc::write(say_fd, byte.as_ptr().cast(), 1);
                    libc::read(wait_fd, byte.as_mut_ptr().cast(), 1);
                    libc::_exit(0)
                }
            }
            ForkResult::Parent { child } => {
                let mut held = [0u8];
                said.read_exact(&mut held).unwrap();
                assert_eq!(held, [1]);
                (child, go)
            }
        }
    }

    #[test]
    fn a_second_daemon_is_told_the_pid_of_the_first() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("lock");
        assert_eq!(holder(&path).unwrap(), None);
        let (child, go) = locked_by_another(&path);
        assert_eq!(holder(&path).unwrap(), Some(child.as_raw()));
        match Lock::take(&path) {
            Err(SpoolError::Locked { pid, .. }) => assert_eq!(pid, child.as_raw()),
            other => panic!("{other:?}"),
        }
        drop(go);
        waitpid(child, None).unwrap();
        assert_eq!(holder(&path).unwrap(), None);
        let _lock = Lock::take(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }
}
