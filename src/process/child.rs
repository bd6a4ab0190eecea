//! The life of one child process: awaited, killed with its group, reaped, each at most once.
//!
//! The number of a process may be another's as soon as it is reaped. So the end is awaited without reaping,
//! and the number is forgotten under the same lock under which signals are sent. A child is never left
//! behind: dropping ends it.

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::contract::Contract;
use super::thread;

/// For how long the end of a killed child is awaited. One that hangs in the kernel does not die.
const DYING: Duration = Duration::from_secs(5);

/// A child that is killed and reaped when it is dropped.
#[derive(Debug)]
pub(super) struct Living {
    /// The contract is given up behind the child's end.
    child: Option<(Child, Contract)>,
    pub(super) killer: Killer,
}

impl Living {
    pub(super) fn new(child: Child, contract: Contract) -> Self {
        Self { killer: Killer::of(&child), child: Some((child, contract)) }
    }

    /// The ends of its stdin, stdout and stderr that are ours; once.
    pub(super) fn take_pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        let child = self.child.as_mut().map(|(child, _)| child);
        child.map_or((None, None, None), |c| (c.stdin.take(), c.stdout.take(), c.stderr.take()))
    }

    /// Waits for the child's end. No signal is sent to its process id from here on: it may be another's.
    pub(super) fn reap(mut self) -> io::Result<ExitStatus> {
        self.killer.await_end();
        let reaped = || io::Error::other("the child was reaped before");
        let (mut child, _contract) = self.child.take().ok_or_else(reaped)?;
        self.killer.reap(&mut child)
    }

    /// Kills the group and waits some seconds for the child's end; says whether it came.
    pub(super) fn kill_and_reap(mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        let Some((mut child, contract)) = self.child.take() else { return true };
        self.killer.kill();
        let (told, ended) = mpsc::channel();
        let killer = self.killer.clone();
        let reaping = move || {
            killer.await_end();
            drop(killer.reap(&mut child));
            drop(contract);
            let _ = told.send(());
        };
        // Without a thread the zombie stays until the daemon ends: harmless, and this is a host out of
        // threads.
        let started = thread::start("reap", reaping);
        started.is_ok() && ended.recv_timeout(DYING).is_ok()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends one child and its process group, from any thread, also after the child has ended: then it does
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Killer {
    /// The child's process id, which is its group's too; `None` once it is reaped and the number may be
    /// another's.
    pid: Arc<Mutex<Option<i32>>>,
}

impl Killer {
    pub(super) fn of(child: &Child) -> Self {
        Self { pid: Arc::new(Mutex::new(i32::try_from(child.id()).ok())) }
    }

    /// Sends SIGKILL to the group.
    pub fn kill(&self) {
        // The lock is held while the signal is sent: the child can't be reaped and its number reused in
        // between.
        if let Some(pid) = *self.pid.lock().unwrap_or_else(PoisonError::into_inner) {
            // ESRCH: the whole group is gone. EPERM: a child that changed its user, which none of ours does.
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Blocks until the child has ended and leaves it unreaped, so that its number stays its own.
    pub(super) fn await_end(&self) {
        let pid = *self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pid) = pid.and_then(|pid| libc::id_t::try_from(pid).ok()) else { return };
        // nix has no waitid for illumos and Solaris.
        loop {
            // SAFETY: all-zero bytes are a valid `siginfo_t`, a plain C struct of integers and pointers.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            // SAFETY: `info` is a valid, writable `siginfo_t` for the whole call, which keeps no pointer to
            // it.
            let result =
                unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
            // ECHILD: reaped by somebody else meanwhile, so it has ended as well.
            if result == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }

    /// Reaps the child, which has ended, and forgets its number.
    pub(super) fn reap(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut pid = self.pid.lock().unwrap_or_else(PoisonError::into_inner);
        *pid = None;
        child.wait()
    }
}
